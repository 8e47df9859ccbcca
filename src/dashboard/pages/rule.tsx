/** One rule: its numbers, its statement and actions, and what it would make of an event. */

import { useState } from "preact/hooks";
import type { Action, Rule, Tested } from "../../api/answers/rules.ts";
import { addressOf } from "../lib/address.ts";
import { ask, Problem, request } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { count, rate } from "../lib/quantities.ts";
import { may } from "../lib/session.ts";
import { Button, Choice, Facts, Failed, Field, Input, Link, Part, Text, When } from "../parts/basic.tsx";
import { tell } from "../parts/dialog.tsx";
import { NAME, NAME_HINT, Orders, Origin, Runs, readJson, refuseTaken, Writing } from "../parts/section.tsx";
import { Table } from "../parts/table.tsx";
import { Trial } from "../parts/trial.tsx";
import { Value } from "../parts/value.tsx";

interface Definition {
  readonly description?: string;
  readonly sql?: string;
  readonly ack?: string;
  readonly actions?: readonly unknown[];
}

interface OneRule extends Rule {
  readonly definition?: Definition;
  readonly origin?: string;
}

/** What stands in the fields. */
interface Draft {
  readonly description: string;
  readonly sql: string;
  readonly ack: string;
  readonly actions: string;
}

const draftOf = ({ description = "", sql = "", ack = "store", actions = [] }: Definition): Draft => ({
  ...{ description, sql, ack },
  actions: JSON.stringify(actions, undefined, 2),
});

export function RulePage({ id }: { readonly id: string }) {
  const asked = useAsk<OneRule>(`/rules/${encodeURIComponent(id)}`, {}, 2);
  return (
    <>
      <p>
        <Link to={addressOf("/rules")} at="Escape">
          Rules
        </Link>
      </p>
      <div class="heading">
        <h1>
          <Text text={id} most={64} />
        </h1>
        {asked.data === undefined ? null : (
          <>
            <Runs enable={asked.data.enable} />
            <div class="actions">
              <Orders
                section="rules"
                name={id}
                enable={asked.data.enable}
                origin={asked.data.origin}
                end="It is run for nothing any more. What it has given to connectors stays there."
                again={asked.again}
              />
            </div>
          </>
        )}
      </div>
      <When asked={asked} lines={8}>
        {(rule) => <Body rule={rule} again={asked.again} />}
      </When>
    </>
  );
}

function Body({ rule, again }: { readonly rule: OneRule; again(): void }) {
  const [draft, setDraft] = useState(() => draftOf(rule.definition ?? rule));
  return (
    <div class="stack">
      <Part>
        <Facts
          facts={[
            ["Run for", count(rule.matched)],
            ["With an output", count(rule.passed)],
            ["Conditions said no", count(rule.noResult)],
            ["Failed", count(rule.failed)],
            ["Left out, since they came from it or came back", count(rule.loops)],
            ["Now", rate(rule.rate.current)],
            ["In five minutes", rate(rule.rate.last5m)],
            ["At most", rate(rule.rate.max)],
            ["Stands in", <Origin origin={rule.origin} />],
          ]}
        />
        <Actions actions={rule.actions} />
      </Part>
      <div class="halves">
        <Part title="Statement and actions">
          <Trial
            of={JSON.stringify(draft)}
            wrong={wrongIn(draft)}
            send={(how) => request("PUT", `/rules/${rule.id}`, { ...how, body: bodyOf(draft, rule.enable) })}
            done={() => {
              tell(`${rule.id} is changed`);
              again();
            }}
          >
            <Fields draft={draft} onDraft={setDraft} />
          </Trial>
        </Part>
        <TryRule path={`/rules/${rule.id}/test`} draft={draft} />
      </div>
    </div>
  );
}

const Actions = ({ actions }: { readonly actions: readonly Action[] }) =>
  actions.length === 0 ? (
    <p class="second">It has no action: it only counts.</p>
  ) : (
    <Table
      caption="Actions"
      rows={actions.map((action, index) => ({ ...action, index }))}
      keyOf={({ index }) => String(index)}
      columns={[
        {
          name: "to",
          title: "Action",
          phone: "title",
          cell: ({ kind, to }) =>
            kind === to ? (
              kind
            ) : (
              <>
                {kind} to{" "}
                <Link to={addressOf(`/connectors/${encodeURIComponent(to)}`)}>
                  <Text text={to} />
                </Link>
              </>
            ),
        },
        { name: "matched", title: "Given", numeric: true, cell: (row) => count(row.matched) },
        { name: "success", title: "Arrived", numeric: true, cell: (row) => count(row.success) },
        { name: "failed", title: "Failed", numeric: true, cell: (row) => count(row.failed) },
        { name: "dropped", title: "Dropped", numeric: true, cell: (row) => count(row.dropped) },
      ]}
    />
  );

function wrongIn({ sql, actions }: Draft): string | undefined {
  if (sql.trim() === "") return "A statement is missing.";
  const { wrong } = readJson(actions, "list");
  return wrong === undefined ? undefined : `What stands under Actions ${wrong}`;
}

const bodyOf = ({ description, sql, ack, actions }: Draft, enable: boolean): object => ({
  ...{ enable, description, sql, ack },
  actions: readJson(actions, "list").value,
});

function Fields({ draft, onDraft }: { readonly draft: Draft; onDraft(draft: Draft): void }) {
  const set = (name: keyof Draft) => (text: string) => onDraft({ ...draft, [name]: text });
  return (
    <>
      <Field label="What for" wide>
        <Input value={draft.description} onText={set("description")} />
      </Field>
      <Writing label="Statement" text={draft.sql} onText={set("sql")} />
      <Writing
        label="Actions"
        text={draft.actions}
        hint={'A list in JSON, such as [{ "kind": "republish", "topic": "alerts" }]'}
        onText={set("actions")}
      />
      <Field label="Publishers are answered">
        <Choice
          value={draft.ack}
          of={[
            ["store", "when it is kept on disk"],
            ["after_sink", "when the sinks have it"],
          ]}
          onChoice={set("ack")}
        />
      </Field>
    </>
  );
}

const EXAMPLE: Definition = {
  sql: 'SELECT clientid, payload.t AS t FROM "sensors/#" WHERE payload.t > 30',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: templates of actions
  actions: [{ kind: "republish", topic: "alerts/${clientid}", payload: "${t}" }],
};

export function NewRule({ done }: { done(id: string): void }) {
  const [id, setId] = useState("");
  const [draft, setDraft] = useState(() => draftOf(EXAMPLE));
  return (
    <div class="halves">
      <Trial
        of={JSON.stringify([id, draft])}
        wrong={id !== "" && !NAME.test(id) ? `The name: ${NAME_HINT}` : wrongIn(draft)}
        send={async (how) => {
          await refuseTaken("rules", id);
          return request("PUT", `/rules/${id}`, { ...how, body: bodyOf(draft, true) });
        }}
        done={() => {
          tell(`${id} runs`);
          done(id);
        }}
      >
        <Field label="Name" hint={NAME_HINT}>
          <Input value={id} onText={setId} required autocomplete="off" />
        </Field>
        <Fields draft={draft} onDraft={setDraft} />
      </Trial>
      <TryRule path="/rules/test" draft={draft} />
    </div>
  );
}

const EVENTS = [
  ["message_publish", "a message is published"],
  ["message_delivered", "a message is delivered"],
  ["message_acked", "a delivery is acknowledged"],
  ["message_dropped", "nobody is subscribed"],
  ["delivery_dropped", "a delivery is dropped"],
  ["client_connected", "a client connects"],
  ["client_disconnected", "a client disconnects"],
  ["session_subscribed", "a client subscribes"],
  ["session_unsubscribed", "a client unsubscribes"],
] as const;

/** With what stands in the fields, whether that was applied or not. */
function TryRule({ path, draft }: { readonly path: string; readonly draft: Draft }) {
  const [event, setEvent] = useState<string>("message_publish");
  const [topic, setTopic] = useState("sensors/1");
  const [client, setClient] = useState("meter-7");
  const [payload, setPayload] = useState('{"t": 31.5}');
  const [more, setMore] = useState("{}");
  const [tested, setTested] = useState<Tested | Problem | undefined>(undefined);
  const { value: others, wrong } = readJson(more, "object");
  const run = async (): Promise<void> => {
    const fields = { topic, clientid: client, payload, ...(others as object) };
    const actions = readJson(draft.actions, "list").value ?? [];
    try {
      setTested(await ask<Tested>("POST", path, { body: { sql: draft.sql, actions, event, fields } }));
    } catch (error) {
      if (error instanceof Problem) setTested(error);
      else throw error;
    }
  };
  return (
    <Part title="Try it on an event">
      <form
        class="form"
        onSubmit={(submitted) => {
          submitted.preventDefault();
          if (may("operator") && wrong === undefined) void run();
        }}
      >
        <Field label="When" hint="Nothing is done: it shows what would be.">
          <Choice value={event} of={EVENTS} onChoice={setEvent} />
        </Field>
        <div class="row">
          <Field label="Topic">
            <Input value={topic} onText={setTopic} />
          </Field>
          <Field label="Client id">
            <Input value={client} onText={setClient} />
          </Field>
        </div>
        <Writing label="Payload" text={payload} onText={setPayload} />
        <Writing
          label="Other fields"
          text={more}
          hint={'In JSON, such as {"username": "ana", "qos": 1}'}
          error={wrong}
          onText={setMore}
        />
        <div class="buttons">
          <Button type="submit" needs="operator" icon="play" disabled={wrong !== undefined}>
            Run it
          </Button>
        </div>
        <div role="status">{tested === undefined ? null : <Outcome tested={tested} />}</div>
      </form>
    </Part>
  );
}

function Outcome({ tested }: { readonly tested: Tested | Problem }) {
  if (tested instanceof Problem) return <Failed problem={tested} />;
  const { outputs, actions, failure } = tested;
  if (failure !== undefined) {
    return (
      <p class="bad-text">
        The run fails: <Text text={failure} mono={false} />
      </p>
    );
  }
  if (outputs.length === 0) return <p>No output: the conditions say no.</p>;
  return (
    <div class="form">
      <h3>{outputs.length === 1 ? "One output" : `${outputs.length} outputs`}</h3>
      {outputs.map((output, index) => (
        <Value key={index} value={output} />
      ))}
      {actions.map(({ kind, to, parameters }, index) => (
        <div key={index}>
          <h3>
            {kind === to ? kind : `${kind} to `}
            {kind === to ? null : <Text text={to} />} would be given
          </h3>
          <Value value={parameters} />
        </div>
      ))}
    </div>
  );
}
