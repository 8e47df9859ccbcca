/** What is wrong now, and what was. */
import type { Alarm } from "../../api/answers/alarms.ts";
import { address, change } from "../lib/address.ts";
import { ask, type Page } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { age, moment } from "../lib/format.ts";
import { Button, Empty, Level, Part, Tabs, Text, When } from "../parts/basic.tsx";
import { askFirst, carryOut, tell } from "../parts/dialog.tsx";
import { Icon } from "../parts/icons.tsx";
import { Value } from "../parts/value.tsx";

export function Alarms() {
  const state = address.value.query.get("state") === "cleared" ? "cleared" : "raised";
  const asked = useAsk<Page<Alarm>>("/alarms", { state }, 2);
  return (
    <>
      <div class="heading">
        <h1>Alarms</h1>
        <div class="actions">
          {state === "cleared" ? (
            <Button
              needs="operator"
              onClick={() =>
                askFirst({
                  title: "Forget alarms that are over",
                  effect: "The list of the last 24 hours is emptied.",
                  verb: "Forget them",
                  async act() {
                    await ask("DELETE", "/alarms");
                    tell("Forgotten");
                    asked.again();
                  },
                })
              }
            >
              Forget them
            </Button>
          ) : null}
        </div>
      </div>
      <Tabs
        at={state}
        onTab={(to) => change({ state: to === "raised" ? undefined : to })}
        tabs={[
          ["raised", "Raised"],
          ["cleared", "Over"],
        ]}
      />
      <When asked={asked} lines={3}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty>
              {state === "raised" ? (
                <p class="well">
                  <Icon name="done" /> No alarm is raised.
                </p>
              ) : (
                <p>None in the last 24 hours.</p>
              )}
            </Empty>
          ) : (
            <div class="stack">
              {items.map((alarm) => (
                <Part
                  key={`${alarm.name}${alarm.raisedAt}`}
                  title={
                    <Level level={alarm.severity === "warning" ? "warning" : "bad"}>
                      <Icon name="alarm" /> <Text text={alarm.name} mono={false} />{" "}
                      <span class="second">{alarm.severity}</span>
                    </Level>
                  }
                  actions={
                    state === "raised" ? (
                      <Button
                        small
                        needs="operator"
                        onClick={() =>
                          void carryOut(`${alarm.name} is cleared`, () =>
                            ask("DELETE", `/alarms/${encodeURIComponent(alarm.name)}`),
                          ).then(asked.again)
                        }
                      >
                        Clear
                      </Button>
                    ) : null
                  }
                >
                  <p>
                    <Text text={alarm.message} mono={false} />
                  </p>
                  <p class="second">
                    since {moment(alarm.raisedAt)}
                    {alarm.clearedAt === undefined
                      ? `, for ${age(alarm.raisedAt)}`
                      : `, over at ${moment(alarm.clearedAt)}`}
                    {alarm.clearedBy === undefined ? "" : ` by ${alarm.clearedBy}`}
                  </p>
                  {Object.keys(alarm.details).length === 0 ? null : <Value value={alarm.details} />}
                </Part>
              ))}
            </div>
          )
        }
      </When>
    </>
  );
}
