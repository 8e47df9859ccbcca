/** Traces, and each as a picture: what a device said, what became of it on the bus, and what others were given. */
import { useEffect, useMemo, useState } from "preact/hooks";
import type { Trace as TraceHead } from "../../api/answers/traces.ts";
import { address, addressOf, change, go } from "../lib/address.ts";
import { apiAddress, ask, type Page } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { causesOf } from "../lib/causes.ts";
import { clock, due, moment } from "../lib/format.ts";
import { bytes, count } from "../lib/quantities.ts";
import { may } from "../lib/session.ts";
import { useTrace } from "../lib/trace.ts";
import {
  Button,
  Choice,
  Empty,
  Failed,
  Field,
  Input,
  Level,
  Lines,
  Link,
  Part,
  Text,
  When,
} from "../parts/basic.tsx";
import { askFirst, carryOut, tell } from "../parts/dialog.tsx";
import { Icon } from "../parts/icons.tsx";
import { Picture } from "../parts/picture.tsx";
import { Table } from "../parts/table.tsx";

export function Translation() {
  const [, id] = address.value.parts;
  return id === undefined || id === "" ? <Traces /> : <Trace key={id} id={id} />;
}

const about = ({ client, topic, address: from, gateway }: TraceHead): string =>
  [
    client === undefined ? "" : `client ${client}`,
    topic === undefined ? "" : `topic ${topic}`,
    from === undefined ? "" : `address ${from}`,
    gateway === undefined ? "" : `gateway ${gateway}`,
  ]
    .filter(Boolean)
    .join(", ");

const ENDS: Readonly<Record<string, string>> = {
  stopped: "stopped",
  time: "its time was over",
  rows: "it was full",
  memory: "memory was short",
};

function Traces() {
  const asked = useAsk<Page<TraceHead>>("/traces", { sort: "-startedAt" }, 2);
  return (
    <>
      <div class="heading">
        <h1>Translation</h1>
      </div>
      <Start />
      <When asked={asked} lines={4}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty>
              No trace yet. Start one of a client, and see each message on its way through the gateway.
            </Empty>
          ) : (
            <Table
              caption="Traces"
              rows={items}
              keyOf={(row) => row.id}
              onOpen={(row) => go(addressOf(`/translation/${row.id}`))}
              columns={[
                {
                  name: "name",
                  title: "Trace",
                  phone: "title",
                  cell: (row) => (
                    <Link to={addressOf(`/translation/${row.id}`)}>
                      <Text text={row.name || row.id} most={40} mono={false} />
                    </Link>
                  ),
                },
                { name: "of", title: "Of", cell: (row) => <Text text={about(row)} most={60} /> },
                {
                  name: "state",
                  title: "State",
                  cell: (row) =>
                    row.running ? (
                      <Level level="ok">recording, ends {due(row.until)}</Level>
                    ) : (
                      <span class="second">{ENDS[row.ended ?? ""] ?? row.ended}</span>
                    ),
                },
                {
                  name: "rows",
                  title: "Rows",
                  numeric: true,
                  cell: (row) => `${count(row.rows)} of ${count(row.rowsMax)}`,
                },
                { name: "bytes", title: "Size", numeric: true, cell: (row) => bytes(row.bytes) },
                { name: "started", title: "Started", numeric: true, cell: (row) => moment(row.startedAt) },
                { name: "owner", title: "By", cell: (row) => <Text text={row.owner} mono={false} /> },
                {
                  name: "act",
                  title: "Act",
                  cell: (row) => (
                    <Button
                      small
                      needs="operator"
                      label={`forget the trace ${row.id}`}
                      onClick={() => forget(row, asked.again)}
                    >
                      Forget
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

const forget = ({ id, rows }: TraceHead, done: () => void): void =>
  askFirst({
    title: "Forget this trace",
    effect: `Its ${count(rows)} rows are deleted.`,
    verb: "Forget it",
    async act() {
      await ask("DELETE", `/traces/${encodeURIComponent(id)}`);
      tell("The trace is forgotten");
      done();
    },
  });

const KINDS = [
  ["client", "client"],
  ["topic", "topic filter"],
  ["address", "address"],
  ["gateway", "gateway"],
] as const;

function Start() {
  const { query } = address.value;
  const given = KINDS.find(([name]) => query.has(name))?.[0] ?? "client";
  const [kind, setKind] = useState<string>(given);
  const [what, setWhat] = useState(query.get(given) ?? "");
  const [seconds, setSeconds] = useState("600");
  useEffect(() => {
    setKind(given);
    setWhat(query.get(given) ?? "");
  }, [given, query.get(given)]);
  return (
    <Part title="Start a trace">
      <form
        class="row"
        onSubmit={async (event) => {
          event.preventDefault();
          if (!may("operator")) return;
          await carryOut("The trace records", async () => {
            const { id } = await ask<TraceHead>("POST", "/traces", {
              body: { [kind]: what, name: `${kind} ${what}`.slice(0, 128), seconds: Number(seconds) },
            });
            go(addressOf(`/translation/${id}`));
          });
        }}
      >
        <Field label="Of">
          <Choice value={kind} of={KINDS} onChoice={setKind} />
        </Field>
        <Field label={KINDS.find(([name]) => name === kind)?.[1] ?? ""}>
          <Input
            value={what}
            onText={setWhat}
            required
            placeholder={
              { client: "pump-7", topic: "room/#", address: "10.0.0.0/8", gateway: "mqtt-sn" }[kind]
            }
          />
        </Field>
        <Field label="For">
          <Choice
            value={seconds}
            of={[
              ["60", "1 min"],
              ["600", "10 min"],
              ["1800", "30 min"],
              ["3600", "1 h"],
            ]}
            onChoice={setSeconds}
          />
        </Field>
        <Button type="submit" kind="main" icon="translation" needs="operator">
          Start
        </Button>
      </form>
      <p class="second">
        Passwords and keys are masked. While a trace runs each message that concerns it costs a little more.
      </p>
    </Part>
  );
}

function Trace({ id }: { readonly id: string }) {
  const head = useAsk<TraceHead>(`/traces/${encodeURIComponent(id)}`, {}, 2);
  const { rows, problem, ended, gone } = useTrace(id);
  const { query } = address.value;
  const find = query.get("find") ?? "";
  const trouble = query.has("trouble");
  const only = query.get("cause") === null ? undefined : Number(query.get("cause"));
  // The head says each second how long it goes on: rows are looked through when there are more of them.
  const causes = useMemo(() => causesOf(rows), [rows]);
  const shown = useMemo(
    () =>
      rows.filter(
        (row) =>
          (only === undefined || row.cause === only) &&
          (!trouble || causes.get(row.cause)?.trouble === true) &&
          (find === "" || row.text.toLowerCase().includes(find.toLowerCase())),
      ),
    [causes, only, trouble, find],
  );
  const path = `/traces/${encodeURIComponent(id)}`;
  return (
    <>
      <p>
        <Link to={addressOf("/translation")} at="Escape">
          Translation
        </Link>
      </p>
      {head.data === undefined ? <h1>Translation</h1> : null}
      <When asked={head} lines={1}>
        {(trace) => (
          <div class="heading">
            <h1>
              <Text text={about(trace)} most={60} mono={false} />
            </h1>
            {trace.running ? (
              <Level level="ok">recording, ends {due(trace.until)}</Level>
            ) : (
              <span class="second">ended: {ENDS[trace.ended ?? ""] ?? trace.ended}</span>
            )}
            <div class="actions">
              {trace.running ? (
                <Button
                  needs="operator"
                  icon="pause"
                  onClick={() =>
                    void carryOut("The trace has stopped", () => ask("POST", `${path}/stop`)).then(head.again)
                  }
                >
                  Stop
                </Button>
              ) : null}
              {may("operator")
                ? (["pcapng", "json", "text"] as const).map((format) => (
                    <a class="button" href={apiAddress(`${path}/capture`, { format })} download key={format}>
                      <Icon name="download" />
                      <span>{format}</span>
                    </a>
                  ))
                : null}
              <Button needs="operator" onClick={() => forget(trace, () => go(addressOf("/translation")))}>
                Forget
              </Button>
            </div>
          </div>
        )}
      </When>
      <div class="filters">
        <Field label="Find">
          <Input
            type="search"
            value={find}
            onText={(text) => change({ find: text })}
            placeholder="words of a row"
          />
        </Field>
        <Button pressed={trouble} onClick={() => change({ trouble: trouble ? undefined : "1" })}>
          only trouble
        </Button>
        {only === undefined ? null : (
          <Button pressed onClick={() => change({ cause: undefined })}>
            only cause {only}
          </Button>
        )}
        <span class="second">
          {count(shown.length)} of {count(rows.length)} rows
          {gone > 0 ? `; the first ${count(gone)} are not kept on this page` : ""}
        </span>
      </div>
      {problem === undefined ? null : <Failed problem={problem} />}
      {rows.length === 0 ? (
        problem === undefined && !ended && (head.data === undefined || head.data.rows > 0) ? (
          <Lines />
        ) : (
          <Empty>
            {ended
              ? "It has recorded nothing."
              : `Nothing yet${head.data === undefined ? "" : ` since ${clock(head.data.startedAt)}`}. What concerns it stands here as it comes.`}
          </Empty>
        )
      ) : (
        <Picture rows={shown} causes={causes} live={!ended} />
      )}
    </>
  );
}
