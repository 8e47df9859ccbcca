/** What needs attention, the node's numbers over time, its health, and what was changed last. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { Alarm } from "../../api/answers/alarms.ts";
import type { Change } from "../../api/answers/changes.ts";
import type { Listener } from "../../api/answers/gateways.ts";
import type { Check } from "../../api/answers/node.ts";
import { address, addressOf, change, withId } from "../lib/address.ts";
import { nodeNow, type Page } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import type { ClientRow } from "../lib/clients.ts";
import { age, clock, due } from "../lib/format.ts";
import { SPANS, useHistory } from "../lib/history.ts";
import { numbers } from "../lib/live.ts";
import { type History, type Line, sums } from "../lib/points.ts";
import { bytes, count, rate } from "../lib/quantities.ts";
import { Button, Empty, Failed, Level, Lines, Link, Part, Text, When } from "../parts/basic.tsx";
import { Icon, type IconName } from "../parts/icons.tsx";
import { loadDrawing, Plot } from "../parts/plot.tsx";
import { StartFleet } from "../parts/simulator.tsx";

export function Overview() {
  const span = SPANS.find(({ name }) => name === address.value.query.get("span")) ?? SPANS[0]!;
  const { history, problem, again } = useHistory(span);
  useEffect(() => void loadDrawing(), []);
  const values = numbers.value;
  const clients = ["awake", "asleep", "overdue", "away"].reduce<number | undefined>((sum, state) => {
    const value = values[`clients.${state}`];
    return value === undefined ? sum : (sum ?? 0) + value;
  }, undefined);
  return (
    <>
      <div class="heading">
        <h1>Overview</h1>
        <div class="actions" role="group" aria-label="window of the plots">
          {SPANS.map(({ name }) => (
            <Button
              small
              pressed={name === span.name}
              onClick={() => change({ span: name === SPANS[0]!.name ? undefined : name })}
            >
              {name}
            </Button>
          ))}
        </div>
      </div>
      {clients === 0 ? <NobodyYet /> : null}
      <Attention history={history} name={span.name} />
      {problem === undefined ? null : <Failed problem={problem} again={again} />}
      {history === undefined ? <Lines count={6} /> : <Plots history={history} clients={clients} />}
      <div class="two">
        <Health />
        <LastChanges />
      </div>
    </>
  );
}

// ---- nobody yet

function NobodyYet() {
  const asked = useAsk<readonly Listener[]>("/listeners");
  const open = asked.data?.filter((one) => one.open) ?? [];
  const portOf = (gateway: string, transport: string): number | undefined =>
    open.find((one) => one.gateway === gateway && one.transport === transport)?.port;
  const host = location.hostname;
  const mqtt = portOf("mqtt", "tcp");
  const coap = portOf("coap", "udp");
  return (
    <Part class="nobody" title="No client yet">
      <p>Connect a first device:</p>
      <pre>
        {mqtt === undefined ? null : `mosquitto_pub -h ${host} -p ${mqtt} -t room/7/temp -m 21.5\n`}
        {coap === undefined ? null : `coap-client -m put -e 21.5 "coap://${host}:${coap}/ps/room/7/temp"\n`}
      </pre>
      <StartFleet />
    </Part>
  );
}

// ---- attention

const total = (parts: readonly (readonly [string, number])[]): number =>
  parts.reduce((sum, [, value]) => sum + value, 0);
const many = (sum: number, one: string, more: string): string =>
  `${count(sum)} ${Math.round(sum) === 1 ? one : more}`;
const listed = (parts: readonly (readonly [string, number])[]): string =>
  parts.map(([name, value]) => `${name.replaceAll("-", " ")} ${count(value)}`).join(", ");

function Attention({ history, name }: { readonly history: History | undefined; readonly name: string }) {
  const overdue = numbers.value["clients.overdue"] ?? 0;
  const worst = useAsk<Page<ClientRow>>(
    overdue > 0 ? "/clients" : undefined,
    { state: "overdue", sort: "dueAt", limit: 1 },
    10,
  );
  const alarms = useAsk<Page<Alarm>>("/alarms", { limit: 5 }, 5);
  const refused = sums(history, "refused.");
  const lost = sums(history, "lost.", ["away"]);
  const first = worst.data?.items[0];
  const rows: ComponentChildren[] = [];
  for (const { name: alarm, severity, message, raisedAt } of alarms.data?.items ?? []) {
    rows.push(
      <Row
        key={alarm}
        icon="alarm"
        level={severity === "warning" ? "warning" : "bad"}
        what={`Alarm ${alarm}`}
        to={addressOf("/alarms")}
      >
        <Text text={message} mono={false} />, for {age(raisedAt)}
      </Row>,
    );
  }
  if (overdue > 0) {
    rows.push(
      <Row
        key="overdue"
        icon="overdue"
        level="bad"
        what={many(overdue, "client overdue", "clients overdue")}
        to={addressOf("/clients", { state: "overdue", sort: "dueAt" })}
      >
        {first === undefined ? null : (
          <>
            worst{" "}
            <Link to={withId("/clients", first.clientId, { gateway: first.gateway })}>
              <Text text={first.clientId} most={32} />
            </Link>
            , due {due(first.dueAt)}
          </>
        )}
      </Row>,
    );
  }
  if (refused.length > 0) {
    rows.push(
      <Row
        key="refused"
        icon="refused"
        level="warning"
        what={many(total(refused), "refusal", "refusals")}
        to={addressOf("/refusals")}
      >
        {listed(refused)}
      </Row>,
    );
  }
  if (lost.length > 0) {
    rows.push(
      <Row
        key="lost"
        icon="lost"
        level="warning"
        what={many(total(lost), "message lost", "messages lost")}
        to={addressOf("/clients", { sort: "-lost" })}
      >
        {listed(lost)}
      </Row>,
    );
  }
  return (
    <Part title="Needs attention" actions={<span class="second">last {name}</span>} class="attention">
      {alarms.problem === undefined ? null : <Failed problem={alarms.problem} again={alarms.again} />}
      {rows.length > 0 ? (
        <ul>{rows}</ul>
      ) : alarms.data === undefined ? (
        <Lines count={1} />
      ) : (
        <p class="well">
          <Icon name="done" /> Nothing needs attention <span class="second">at {clock(nodeNow())}</span>
        </p>
      )}
    </Part>
  );
}

interface RowProps {
  readonly icon: IconName;
  readonly level: "warning" | "bad";
  readonly what: string;
  readonly to: string;
  readonly children?: ComponentChildren;
}

const Row = ({ icon, level, what, to, children }: RowProps) => (
  <li>
    <Level level={level}>
      <Icon name={icon} /> {what}
    </Level>
    <span>{children}</span>
    <Link to={to} class="button small" label={`show ${what}`}>
      show
    </Link>
  </li>
);

// ---- plots

const GATEWAYS = ["mqtt", "mqtt-sn", "coap", "lwm2m", "stomp", "http"];

/** Those of the gateways that have something in the window. */
function byGateway(history: History, direction: "in" | "out"): readonly Line[] {
  const all = GATEWAYS.flatMap((name) => {
    const points = history.points[`${direction}.${name}`];
    return points === undefined ? [] : [{ name, points }];
  });
  const busy = all.filter(({ points }) => points.some((point) => (point ?? 0) > 0));
  return busy.length > 0 ? busy : all.slice(0, 1);
}

const nowOf = (start: string): number | undefined => {
  const found = Object.entries(numbers.value).filter(([name]) => name.startsWith(start));
  return found.length === 0 ? undefined : found.reduce((sum, [, value]) => sum + value, 0);
};

function Plots({ history, clients }: { readonly history: History; readonly clients: number | undefined }) {
  const of = (names: readonly string[], cut: number): readonly Line[] =>
    names.flatMap((name) =>
      history.points[name] === undefined ? [] : [{ name: name.slice(cut), points: history.points[name]! }],
    );
  const states = of(["clients.awake", "clients.asleep", "clients.overdue", "clients.away"], 8);
  const reasons = (start: string): readonly Line[] => {
    const all = of(
      Object.keys(history.points).filter((name) => name.startsWith(start)),
      start.length,
    );
    const seen = all.filter(({ points }) => points.some((point) => (point ?? 0) > 0));
    return seen.length > 0 ? seen : all.slice(0, 1);
  };
  return (
    <div class="plots">
      <Figure title="In" figure={rate(nowOf("in."))} note="from clients">
        <Plot title="Messages in" times={history.times} lines={byGateway(history, "in")} label={rate} />
      </Figure>
      <Figure title="Out" figure={rate(nowOf("out."))} note="to clients">
        <Plot title="Messages out" times={history.times} lines={byGateway(history, "out")} label={rate} />
      </Figure>
      <Figure title="Clients" figure={count(clients)} note="of all gateways">
        <Plot title="Clients" times={history.times} lines={states} label={count} whole />
      </Figure>
      <Figure
        title="Waiting"
        figure={count(numbers.value["waiting"])}
        note={bytes(numbers.value["waiting.bytes"])}
      >
        <Plot title="Messages waiting" times={history.times} lines={of(["waiting"], 0)} label={count} whole />
      </Figure>
      <Figure title="Refused" figure={rate(nowOf("refused."))} note="by reason">
        <Plot title="Refusals" times={history.times} lines={reasons("refused.")} label={rate} />
      </Figure>
      <Figure title="Lost" figure={rate(nowOf("lost."))} note="by reason">
        <Plot title="Messages lost" times={history.times} lines={reasons("lost.")} label={rate} />
      </Figure>
    </div>
  );
}

const Figure = ({
  title,
  figure,
  note,
  children,
}: {
  readonly title: string;
  readonly figure: string;
  readonly note: string;
  readonly children: ComponentChildren;
}) => (
  <Part>
    <div class="figure">
      <h2>{title}</h2>
      <b>{figure}</b>
      <span class="second">{note}</span>
    </div>
    {children}
  </Part>
);

// ---- health, changes

function Health() {
  const asked = useAsk<readonly Check[]>("/health", {}, 10);
  return (
    <Part title="Health">
      <When asked={asked} lines={2}>
        {(checks) => (
          <ul class="health">
            {checks.map(({ name, ok, detail }) => (
              <li>
                <Level level={ok ? "ok" : "bad"}>
                  <Icon name={ok ? "done" : "lost"} /> {name.replaceAll("-", " ")}
                </Level>
                {detail === undefined ? null : (
                  <span class="second">
                    <Text text={detail} mono={false} />
                  </span>
                )}
              </li>
            ))}
          </ul>
        )}
      </When>
    </Part>
  );
}

function LastChanges() {
  const asked = useAsk<Page<Change>>("/changes", { limit: 5 }, 10);
  return (
    <Part title="Recent changes" actions={<Link to={addressOf("/changes")}>all changes</Link>}>
      <When asked={asked} lines={3}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty>Nothing was changed.</Empty>
          ) : (
            <ul class="changes">
              {items.map(({ id, at, who, action, object }) => (
                <li key={id}>
                  <time>{clock(at)}</time> <Text text={who} mono={false} />{" "}
                  <Text text={object ?? action} most={60} />
                </li>
              ))}
            </ul>
          )
        }
      </When>
    </Part>
  );
}
