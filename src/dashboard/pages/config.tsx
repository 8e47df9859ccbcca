/** The configuration in force: what each key means, takes and is, and where that comes from; and changing it. */

import { useState } from "preact/hooks";
import type { OverlayRow, Reloaded, Setting } from "../../api/answers/config.ts";
import { address, change } from "../lib/address.ts";
import { ask, type Page } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { count } from "../lib/quantities.ts";
import { Button, Check, Empty, Field, Input, Level, Part, Text, When } from "../parts/basic.tsx";
import { askFirst, tell } from "../parts/dialog.tsx";
import { Table } from "../parts/table.tsx";
import { Value } from "../parts/value.tsx";
import { ChangeSetting, takeBack } from "./config-change.tsx";

export function Configuration() {
  const { query } = address.value;
  const key = query.get("key") ?? "";
  const changed = query.has("changed");
  const asked = useAsk<Page<Setting>>("/config", { key, changed: changed || undefined, limit: 200 });
  const overlay = useAsk<Page<OverlayRow>>("/config/overlay", { limit: 1_000 });
  const [open, setOpen] = useState<Setting | undefined>(undefined);
  const again = (): void => {
    asked.again();
    overlay.again();
  };
  return (
    <>
      {open === undefined ? null : (
        <ChangeSetting key={open.key} setting={open} close={() => setOpen(undefined)} done={again} />
      )}
      <div class="heading">
        <h1>Configuration</h1>
        <div class="actions">
          <Button
            needs="administrator"
            icon="again"
            onClick={() =>
              askFirst({
                title: "Read the configuration again",
                effect:
                  "What may change while running takes effect at once; the rest is named. A file that is wrong changes nothing.",
                verb: "Read it",
                bad: false,
                async act() {
                  const outcome = await ask<Reloaded>("POST", "/config/reload");
                  tell(
                    outcome.changed.length + outcome.restart.length === 0
                      ? "Nothing has changed"
                      : `Took effect: ${outcome.changed.join(", ") || "nothing"}. At a restart: ${outcome.restart.join(", ") || "nothing"}`,
                  );
                  again();
                },
              })
            }
          >
            Read it again
          </Button>
        </div>
      </div>
      <div class="filters">
        <Field label="Key or meaning">
          <Input
            type="search"
            value={key}
            onText={(text) => change({ key: text })}
            placeholder="session.queue"
          />
        </Field>
        <Check
          label="only what is not as by default"
          checked={changed}
          onCheck={(on) => change({ changed: on ? "1" : undefined })}
        />
        <span class="second">
          What is changed here lies beside the file, which is never written; the environment and flags win.
        </span>
      </div>
      <Overlay rows={overlay.data?.items ?? []} again={again} />
      <When asked={asked} lines={12}>
        {({ items, count: all = 0 }) =>
          items.length === 0 ? (
            <Empty>{changed ? "Everything is as by default." : "No key or meaning has this text."}</Empty>
          ) : (
            <>
              <Table
                caption="Settings"
                class="settings"
                rows={items}
                keyOf={(row) => row.key}
                count={all}
                columns={[
                  { name: "key", title: "Key", phone: "title", cell: (row) => <Text text={row.key} /> },
                  { name: "value", title: "Value", cell: (row) => <Said value={row.value} /> },
                  {
                    name: "origin",
                    title: "From",
                    cell: (row) =>
                      row.origin === "default" ? (
                        <span class="second">default</span>
                      ) : (
                        <Text text={row.origin} most={60} />
                      ),
                  },
                  {
                    name: "live",
                    title: "A change",
                    cell: (row) =>
                      row.pending ? (
                        <Level level="warning">waits for a restart</Level>
                      ) : (
                        <Level level={row.live ? "ok" : "none"}>
                          {row.live ? "at once" : "at a restart"}
                        </Level>
                      ),
                  },
                  {
                    name: "act",
                    title: "Act",
                    cell: (row) => (
                      <Button
                        small
                        needs="administrator"
                        label={`change ${row.key}`}
                        onClick={() => setOpen(row)}
                      >
                        Change
                      </Button>
                    ),
                  },
                  {
                    name: "meaning",
                    title: "Meaning",
                    cell: (row) => (
                      <span>
                        <Text text={row.meaning} mono={false} />{" "}
                        {row.takes === "" ? null : (
                          <span class="second">
                            Takes <Text text={row.takes} mono={false} most={200} />.
                          </span>
                        )}
                      </span>
                    ),
                  },
                ]}
              />
              <p class="second">
                {count(items.length)} of {count(all)} keys
                {items.length < all ? ": search for the others" : ""}
              </p>
            </>
          )
        }
      </When>
    </>
  );
}

const Said = ({ value }: { readonly value: unknown }) =>
  value === undefined ? <span class="second">none</span> : <Value value={value} />;

/** What differs from the file because somebody changed it while it ran. */
function Overlay({ rows, again }: { readonly rows: readonly OverlayRow[]; again(): void }) {
  if (rows.length === 0) return null;
  return (
    <Part title="Changed while it ran">
      <Table
        caption="Changed while it ran"
        rows={rows}
        keyOf={({ key }) => key}
        columns={[
          { name: "key", title: "Key", phone: "title", cell: ({ key }) => <Text text={key} /> },
          { name: "value", title: "Value", phone: "label", cell: ({ value }) => <Said value={value} /> },
          {
            name: "beneath",
            title: "Without it",
            phone: "label",
            cell: ({ beneath }) => <Said value={beneath} />,
          },
          {
            name: "pending",
            title: "Taken",
            cell: ({ pending }) => (
              <Level level={pending ? "warning" : "ok"}>{pending ? "after a restart" : "in force"}</Level>
            ),
          },
          {
            name: "act",
            title: "Act",
            cell: ({ key }) => (
              <Button
                small
                needs="administrator"
                label={`take back ${key}`}
                onClick={() => takeBack(key, again)}
              >
                Take back
              </Button>
            ),
          },
        ]}
      />
    </Part>
  );
}
