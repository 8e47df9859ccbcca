/** One connector: its sink, its queue, how it is configured, and making one. Secrets never come here. */
import { useState } from "preact/hooks";
import type { OneConnector, Reached } from "../../api/answers/rules.ts";
import { addressOf } from "../lib/address.ts";
import { ask, request } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { age, moment } from "../lib/format.ts";
import { bytes, count, length } from "../lib/quantities.ts";
import { Button, Choice, Facts, Field, Input, Link, Part, Text, When } from "../parts/basic.tsx";
import { carryOut, tell } from "../parts/dialog.tsx";
import {
  latency,
  NAME,
  NAME_HINT,
  Orders,
  Origin,
  readJson,
  refuseTaken,
  SinkState,
  Writing,
} from "../parts/section.tsx";
import { Trial } from "../parts/trial.tsx";

const SECRETS =
  "In JSON. Secrets are references, file:<path> or env:<name>; one that is set is shown as (hidden), and stays when it is left so.";

const written = (definition: unknown): string => JSON.stringify(definition ?? {}, undefined, 2);

export function ConnectorPage({ name }: { readonly name: string }) {
  const path = `/connectors/${encodeURIComponent(name)}`;
  const asked = useAsk<OneConnector>(path, {}, 2);
  return (
    <>
      <p>
        <Link to={addressOf("/connectors")} at="Escape">
          Connectors
        </Link>
      </p>
      <div class="heading">
        <h1>
          <Text text={name} most={64} />
        </h1>
        {asked.data === undefined ? null : (
          <>
            <SinkState state={asked.data.state} />
            <div class="actions">
              <Reach path={path} />
              <Orders
                section="connectors"
                name={name}
                enable={asked.data.enable}
                origin={asked.data.origin}
                end={`Nothing is given to its sink any more. ${count(asked.data.queuing)} that wait are kept for a week, in case it comes back.`}
                again={asked.again}
              />
            </div>
          </>
        )}
      </div>
      <When asked={asked} lines={8}>
        {(connector) => <Body connector={connector} again={asked.again} />}
      </When>
    </>
  );
}

/** Asks the sink, and gives it nothing. */
function Reach({ path }: { readonly path: string }) {
  return (
    <Button
      needs="operator"
      icon="search"
      onClick={() =>
        void ask<Reached>("POST", `${path}/test`).then(
          ({ reached, detail, milliseconds }) =>
            tell(
              reached
                ? `The sink is there: it has answered in ${length(milliseconds)}`
                : `The sink is away: ${detail ?? "no reason is known"}`,
              { bad: !reached },
            ),
          (error: unknown) => carryOut("", () => Promise.reject(error)),
        )
      }
    >
      Ask the sink
    </Button>
  );
}

function Body({ connector, again }: { readonly connector: OneConnector; again(): void }) {
  const [text, setText] = useState(() => written(connector.definition));
  const { lastFailure, reason } = connector;
  const { value, wrong } = readJson(text, "object");
  return (
    <div class="stack">
      {reason === undefined ? null : (
        <p class="bad-text">
          <Text text={reason} mono={false} />
        </p>
      )}
      <Part>
        <Facts
          facts={[
            ["Kind", connector.kind],
            ["Waiting", `${count(connector.queuing)}, ${bytes(connector.queuedBytes)}`],
            ["With the sink", count(connector.inflight)],
            ["The last batch took", latency(connector)],
            ["Given to it", count(connector.taken)],
            ["Waited at the start", count(connector.restored)],
            ["Arrived", count(connector.success)],
            ["Of that after retries", count(connector.retriedSuccess)],
            ["Dead-lettered", count(connector.failed)],
            ["Expired", count(connector.expired)],
            ["Dropped, the queue was full", count(connector.full)],
            ["Left out, since they had come before", count(connector.cameAgain)],
            ["Requests", `${count(connector.tries)} in ${count(connector.batches)} batches`],
            [
              "Last failure",
              lastFailure === undefined ? (
                "none"
              ) : (
                <span title={moment(lastFailure.at)}>
                  {age(lastFailure.at)} ago: <Text text={lastFailure.reason} mono={false} most={120} />
                </span>
              ),
            ],
            ["Stands in", <Origin origin={connector.origin} />],
          ]}
        />
      </Part>
      <Part title="Configuration">
        <Trial
          of={text}
          wrong={wrong === undefined ? undefined : `What stands here ${wrong}`}
          send={(how) => request("PUT", `/connectors/${connector.name}`, { ...how, body: value })}
          done={() => {
            tell(`${connector.name} is changed`);
            again();
          }}
        >
          <Writing label="Keys" text={text} hint={SECRETS} onText={setText} />
        </Trial>
      </Part>
    </div>
  );
}

/** What each kind cannot do without. */
const KINDS: Readonly<Record<string, object>> = {
  http: { url: "http://127.0.0.1:9000" },
  postgres: { host: "127.0.0.1", user: "isthmus", password: "env:DB_PASSWORD" },
  mysql: { host: "127.0.0.1", user: "isthmus", password: "env:DB_PASSWORD" },
  kafka: { brokers: ["127.0.0.1:9092"] },
  influxdb: { url: "http://127.0.0.1:8086", database: "isthmus" },
  redis: { host: "127.0.0.1" },
  mqtt: { url: "tcp://127.0.0.1:1883" },
  file: { path: "readings.jsonl" },
};

export function NewConnector({ done }: { done(name: string): void }) {
  const [name, setName] = useState("");
  const [kind, setKind] = useState("http");
  const [text, setText] = useState(() => written(KINDS["http"]));
  const { value, wrong } = readJson(text, "object");
  const nameWrong = name !== "" && !NAME.test(name) ? `The name: ${NAME_HINT}` : undefined;
  return (
    <Trial
      of={JSON.stringify([name, kind, text])}
      wrong={nameWrong ?? (wrong === undefined ? undefined : `What stands under Keys ${wrong}`)}
      send={async (how) => {
        await refuseTaken("connectors", name);
        return request("PUT", `/connectors/${name}`, { ...how, body: { kind, ...(value as object) } });
      }}
      done={() => {
        tell(`${name} runs`);
        done(name);
      }}
    >
      <div class="row">
        <Field label="Name">
          <Input value={name} onText={setName} required autocomplete="off" />
        </Field>
        <Field label="Kind">
          <Choice
            value={kind}
            of={Object.keys(KINDS)}
            onChoice={(to) => {
              setKind(to);
              setText(written(KINDS[to]));
            }}
          />
        </Field>
      </div>
      <Writing label="Keys" text={text} hint={SECRETS} onText={setText} />
    </Trial>
  );
}
