/** Who may not connect, until when and why. */

import { useState } from "preact/hooks";
import type { Ban } from "../../api/answers/bans.ts";
import { ask, nodeNow, type Page } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { due, moment } from "../lib/format.ts";
import { may } from "../lib/session.ts";
import { Button, Choice, Empty, Field, Input, Part, Text, When } from "../parts/basic.tsx";
import { askFirst, carryOut, tell } from "../parts/dialog.tsx";
import { Table } from "../parts/table.tsx";

const KINDS = [
  ["clientId", "client id"],
  ["user", "user"],
  ["address", "address or range"],
] as const;

const LENGTHS = [
  ["", "until it is lifted"],
  ["3600", "1 h"],
  ["86400", "1 d"],
  ["604800", "7 d"],
] as const;

export function Bans() {
  const asked = useAsk<Page<Ban>>("/bans", { limit: 1_000 }, 5);
  const [kind, setKind] = useState<string>("clientId");
  const [what, setWhat] = useState("");
  const [reason, setReason] = useState("");
  const [seconds, setSeconds] = useState("");
  return (
    <>
      <h1>Bans</h1>
      <Part title="Ban">
        <form
          class="row"
          onSubmit={async (event) => {
            event.preventDefault();
            if (!may("operator")) return;
            const until =
              seconds === "" ? {} : { until: new Date(nodeNow() + Number(seconds) * 1_000).toISOString() };
            const body = { [kind]: what, ...(reason === "" ? {} : { reason }), ...until };
            if (await carryOut("Banned", () => ask("POST", "/bans", { body }))) {
              setWhat("");
              asked.again();
            }
          }}
        >
          <Field label="Whom">
            <Choice value={kind} of={KINDS} onChoice={setKind} />
          </Field>
          <Field label={KINDS.find(([name]) => name === kind)?.[1] ?? ""}>
            <Input value={what} onText={setWhat} required />
          </Field>
          <Field label="Until">
            <Choice value={seconds} of={LENGTHS} onChoice={setSeconds} />
          </Field>
          <Field label="Reason">
            <Input value={reason} onText={setReason} placeholder="clients of MQTT 5 hear it" />
          </Field>
          <Button type="submit" kind="main" needs="operator" icon="ban">
            Ban
          </Button>
        </form>
      </Part>
      <When asked={asked} lines={4}>
        {({ items, count }) =>
          items.length === 0 ? (
            <Empty>Nobody is banned.</Empty>
          ) : (
            <Table
              caption="Bans"
              rows={items}
              count={count}
              keyOf={({ clientId, user, address }) => JSON.stringify([clientId, user, address])}
              columns={[
                { name: "whom", title: "Whom", phone: "title", cell: (ban) => <Whom ban={ban} /> },
                {
                  name: "until",
                  title: "Until",
                  numeric: true,
                  cell: ({ until }) =>
                    until === undefined ? (
                      "lifted by hand"
                    ) : (
                      <span title={moment(until)}>ends {due(until)}</span>
                    ),
                },
                {
                  name: "reason",
                  title: "Reason",
                  cell: (ban) => <Text text={ban.reason} mono={false} most={80} />,
                },
                {
                  name: "by",
                  title: "From",
                  cell: ({ configured }) => (configured ? "the configuration" : "here"),
                },
                {
                  name: "act",
                  title: "Act",
                  cell: (ban) => (
                    <Button
                      small
                      needs="operator"
                      disabled={ban.configured}
                      label={`${ban.configured ? "lifted in the configuration" : "lift the ban"}: ${whomOf(ban)}`}
                      onClick={() => lift(ban, asked.again)}
                    >
                      Lift
                    </Button>
                  ),
                },
              ]}
            />
          )
        }
      </When>
    </>
  );
}

const whomOf = ({ clientId, user, address }: Ban): string =>
  [
    clientId === undefined ? "" : `client ${clientId}`,
    user === undefined ? "" : `user ${user}`,
    address === undefined ? "" : `address ${address}`,
  ]
    .filter(Boolean)
    .join(", ");

const Whom = ({ ban: { clientId, user, address } }: { readonly ban: Ban }) => (
  <>
    {clientId === undefined ? null : (
      <>
        client <Text text={clientId} most={40} />{" "}
      </>
    )}
    {user === undefined ? null : (
      <>
        user <Text text={user} most={40} />{" "}
      </>
    )}
    {address === undefined ? null : (
      <>
        address <Text text={address} />
      </>
    )}
  </>
);

const lift = (ban: Ban, again: () => void): void =>
  askFirst({
    title: "Lift the ban",
    effect: <Whom ban={ban} />,
    verb: "Lift it",
    bad: false,
    async act() {
      const { clientId, user, address } = ban;
      await ask("DELETE", "/bans", { query: { clientId, user, address } });
      tell("The ban is lifted");
      again();
    },
  });
