/** One client: who it is, its session, its sleep, what waits for it, what it hears and says; and what can be done to it. */
import { useState } from "preact/hooks";
import type { ClientDetail, Subscription } from "../../api/answers/clients.ts";
import type { Published } from "../../api/answers/messages.ts";
import { address, addressOf, change, go, idIn, withId } from "../lib/address.ts";
import { apiPart, ask, type Query } from "../lib/api.ts";
import { useAsk } from "../lib/asking.ts";
import { placeOf } from "../lib/clients.ts";
import { age, due, moment } from "../lib/format.ts";
import { bytes, count, length } from "../lib/quantities.ts";
import { may } from "../lib/session.ts";
import { plain } from "../lib/visible.ts";
import {
  Button,
  Choice,
  Empty,
  Facts,
  Field,
  Gateway,
  Input,
  Level,
  Link,
  Part,
  State,
  Tabs,
  Text,
  ToChanges,
  When,
} from "../parts/basic.tsx";
import { askFirst, carryOut, tell } from "../parts/dialog.tsx";
import { Icon } from "../parts/icons.tsx";
import { SleepClock } from "../parts/sleep-clock.tsx";
import { StateHistory } from "../parts/state-history.tsx";
import { Table } from "../parts/table.tsx";
import { Value } from "../parts/value.tsx";
import { Waiting } from "./client-waiting.tsx";
import { LiveMessages } from "./live-messages.tsx";

export function Client() {
  const { query } = address.value;
  const id = idIn(address.value);
  const gateway = query.get("gateway") ?? undefined;
  const tab = query.get("tab") ?? "session";
  const { part, query: byQuery } = apiPart(id);
  const which = { ...byQuery, gateway };
  const asked = useAsk<ClientDetail>(`/clients/${part}`, which, 2);
  return (
    <>
      <p>
        <Link to={addressOf("/clients")} at="Escape">
          Clients
        </Link>
      </p>
      {asked.problem?.status === 404 ? (
        <Empty>
          <Named id={id} />
          <p>There is no client of this id, connected or away.</p>
        </Empty>
      ) : (
        <>
          {asked.data === undefined ? <Named id={id} /> : null}
          <When asked={asked} lines={6}>
            {(client) => (
              <div class="stack">
                <Head client={client} path={`/clients/${part}`} which={which} again={asked.again} />
                <Part>
                  <SleepClock client={client} />
                </Part>
                <StateHistory path={`/clients/${part}`} which={{ ...which, gateway: client.gateway }} />
                <Tabs
                  at={tab}
                  onTab={(to) => change({ tab: to === "session" ? undefined : to })}
                  tabs={[
                    ["session", "Session"],
                    ["waiting", `Waiting ${count(client.waiting + client.onItsWay)}`],
                    ["subscriptions", `Subscriptions ${count(client.subscriptions)}`],
                    ["messages", "Live messages"],
                    ["protocol", "Protocol"],
                  ]}
                />
                {tab === "waiting" ? (
                  <Waiting client={client} path={`/clients/${part}`} which={which} again={asked.again} />
                ) : null}
                {tab === "subscriptions" ? (
                  <Subscriptions path={`/clients/${part}`} which={which} again={asked.again} />
                ) : null}
                {tab === "messages" ? <LiveMessages id={id} /> : null}
                {tab === "protocol" ? (
                  <Part title="What its gateway knows of it">
                    <Value
                      value={{
                        ...client.detail,
                        ...(client.session?.memo === undefined ? {} : { remembered: client.session.memo }),
                      }}
                    />
                  </Part>
                ) : null}
                {tab === "session" ? <Session client={client} /> : null}
              </div>
            )}
          </When>
        </>
      )}
    </>
  );
}

const Named = ({ id }: { readonly id: string }) => (
  <h1>
    <Text text={id} most={64} />
  </h1>
);

interface HeadProps {
  readonly client: ClientDetail;
  readonly path: string;
  readonly which: Query;
  again(): void;
}

function Head({ client, path, which, again }: HeadProps) {
  const { clientId, gateway, state, endpoint, waiting } = client;
  const [publishing, setPublishing] = useState(false);
  const name = <Text text={clientId} most={64} />;
  const connected = client.state !== "away" && client.phase !== "away";
  return (
    <>
      <div class="heading">
        <h1>{name}</h1>
        <State state={state} />
        <Gateway name={gateway} />
        <div class="actions">
          <Link to={addressOf("/translation", { client: clientId })} class="button" at="t">
            <Icon name="translation" />
            <span>Translation</span>
          </Link>
          {gateway === "lwm2m" ? (
            <Link to={withId("/lwm2m", endpoint ?? clientId)} class="button">
              <Icon name="object" />
              <span>Objects</span>
            </Link>
          ) : null}
          <ToChanges object={`client ${gateway}/${clientId}`} />
          <Button
            icon="publish"
            pressed={publishing}
            needs="operator"
            onClick={() => setPublishing(!publishing)}
          >
            Publish to it
          </Button>
          <Button
            needs="operator"
            disabled={!connected}
            onClick={() =>
              askFirst({
                title: <>Kick {name}</>,
                effect:
                  "Ends its connection. Its session lives on by its expiry, and what waits for it stays.",
                verb: "Kick",
                async act() {
                  await ask("DELETE", path, { query: which });
                  tell("Kicked");
                  again();
                },
              })
            }
          >
            Kick
          </Button>
          <Button
            needs="operator"
            onClick={() =>
              askFirst({
                title: <>Ban {name}</>,
                effect: "Ends its connection, and refuses its client id until the ban is lifted.",
                verb: "Ban",
                async act() {
                  await ask("POST", "/bans", { body: { clientId, reason: "banned by hand" } });
                  tell("Banned");
                  again();
                },
              })
            }
          >
            Ban
          </Button>
          <Button
            needs="operator"
            onClick={() =>
              askFirst({
                title: <>Clear the session of {name}</>,
                effect: `Ends the connection and deletes ${count(waiting)} waiting messages and ${count(client.subscriptions)} subscriptions.`,
                verb: "Clear session",
                async act() {
                  await ask("DELETE", `${path}/session`, { query: which });
                  tell("Its session is cleared");
                  go(addressOf("/clients"));
                },
              })
            }
          >
            Clear session
          </Button>
        </div>
      </div>
      {publishing ? <PublishTo path={path} which={which} /> : null}
    </>
  );
}

/** To what it is subscribed to; where that has wildcards, they are to be filled in. */
function PublishTo({ path, which }: { readonly path: string; readonly which: Query }) {
  const subscriptions = useAsk<readonly Subscription[]>(`${path}/subscriptions`, which);
  const [topic, setTopic] = useState<string | undefined>(undefined);
  const [payload, setPayload] = useState("");
  const [qos, setQos] = useState("1");
  const [answer, setAnswer] = useState<string | undefined>(undefined);
  const filters = subscriptions.data?.map(({ filter }) => filter) ?? [];
  const shown = topic ?? filters.find((filter) => !/[+#]/.test(filter)) ?? filters[0] ?? "";
  return (
    <Part title="Publish to it">
      <form
        class="form"
        onSubmit={async (event) => {
          event.preventDefault();
          setAnswer(undefined);
          await carryOut("Published", async () => {
            const { detail } = await ask<Published>("POST", "/publish", {
              body: { topic: shown, payload, qos: Number(qos) },
            });
            setAnswer(detail);
          });
        }}
      >
        <div class="row">
          <Field
            label="Topic"
            wide
            hint={
              filters.length === 0
                ? "It is subscribed to nothing."
                : `It is subscribed to ${plain(filters.slice(0, 5).join(", "))}`
            }
          >
            <Input value={shown} onText={setTopic} required />
          </Field>
          <Field label="QoS">
            <Choice value={qos} of={["0", "1", "2"]} onChoice={setQos} />
          </Field>
        </div>
        <Field label="Payload">
          <textarea value={payload} onInput={({ currentTarget }) => setPayload(currentTarget.value)} />
        </Field>
        <div class="row">
          <Button type="submit" kind="main" icon="publish">
            Publish
          </Button>
          {answer === undefined ? null : <output>{answer}</output>}
        </div>
      </form>
    </Part>
  );
}

function Session({ client }: { readonly client: ClientDetail }) {
  const { session } = client;
  const will = session?.will;
  return (
    <div class="two">
      <Part title="Identity">
        <Facts
          facts={[
            ["Client id", <Text text={client.clientId} />],
            ["User", <Text text={client.user} />],
            ["Endpoint name", <Text text={client.endpoint} />],
            ["Proven", <Text text={client.proven} />],
            ["By the transport", <Text text={client.identity} />],
            ["Address", <Text text={placeOf(client)} />],
            ["Transport", <Text text={client.transport} mono={false} />],
            ["Protocol", <Text text={client.protocol} mono={false} />],
            ["Listener", <Text text={client.listener} mono={false} />],
            ["Mountpoint", <Text text={client.mountpoint || undefined} />],
            ["Past the rules", client.superuser ? "yes, a superuser" : "no"],
            ["Login ends", client.loginEndsAt === undefined ? "never" : moment(client.loginEndsAt)],
          ]}
        />
      </Part>
      <Part title="Session">
        <Facts
          facts={[
            ["State, as its gateway says it", client.phase],
            [client.state === "away" ? "Away since" : "Connected since", moment(client.since)],
            ["Heard", client.heardAt === undefined ? "–" : `${age(client.heardAt)} ago`],
            ["Due", due(client.dueAt)],
            ["Keep-alive", client.keepAlive === 0 ? "none" : length(client.keepAlive * 1_000)],
            [
              "Lives on",
              session === undefined
                ? "no session"
                : session.expiry === undefined
                  ? "for ever"
                  : session.expiry === 0
                    ? "ends with the connection"
                    : length(session.expiry * 1_000),
            ],
            ["Session ends", session?.endsAt === undefined ? "–" : moment(session.endsAt)],
            ["Began clean", session === undefined ? "–" : session.cleanStart ? "yes" : "no"],
            ["Waiting", `${count(client.waiting)} (${bytes(client.waitingBytes)})`],
            ["On its way", count(client.onItsWay)],
            [
              "Lost since the start",
              client.lost ? <Level level="warning">{count(client.lost)}</Level> : count(client.lost),
            ],
            ["QoS 2 to be released", count(session?.unreleased)],
            [
              "Will",
              will === undefined ? (
                "none"
              ) : (
                <span>
                  <Text text={will.topic} />, QoS {will.qos}, {bytes(will.bytes)}
                  {will.delay > 0 ? `, after ${length(will.delay * 1_000)}` : ""}
                </span>
              ),
            ],
          ]}
        />
      </Part>
    </div>
  );
}

function Subscriptions({
  path,
  which,
  again,
}: {
  readonly path: string;
  readonly which: Query;
  again(): void;
}) {
  const asked = useAsk<readonly Subscription[]>(`${path}/subscriptions`, which, 4);
  const [filter, setFilter] = useState("");
  const [qos, setQos] = useState("1");
  const after = (): void => {
    asked.again();
    again();
  };
  return (
    <>
      <When asked={asked} lines={4}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty>It is subscribed to nothing.</Empty>
          ) : (
            <Table
              caption="Subscriptions of this client"
              rows={rows}
              keyOf={(row) => row.filter}
              columns={[
                {
                  name: "filter",
                  title: "Filter",
                  phone: "title",
                  cell: (row) => <Text text={row.filter} most={80} />,
                },
                { name: "qos", title: "QoS", numeric: true, cell: (row) => row.qos },
                {
                  name: "options",
                  title: "Options",
                  cell: (row) =>
                    [row.noLocal ? "not its own" : "", row.retainAsPublished ? "retain as published" : ""]
                      .filter(Boolean)
                      .join(", ") || "–",
                },
                {
                  name: "end",
                  title: "Act",
                  cell: (row) => (
                    <Button
                      small
                      needs="operator"
                      label={`end ${row.filter}`}
                      onClick={() =>
                        askFirst({
                          title: "End a subscription",
                          effect: (
                            <>
                              <Text text={row.filter} />: what waits because of it alone is dropped.
                            </>
                          ),
                          verb: "End it",
                          async act() {
                            await ask("DELETE", `${path}/subscriptions`, {
                              query: { ...which, filter: row.filter },
                            });
                            tell("The subscription is ended");
                            after();
                          },
                        })
                      }
                    >
                      End
                    </Button>
                  ),
                },
              ]}
            />
          )
        }
      </When>
      <form
        class="row"
        onSubmit={async (event) => {
          event.preventDefault();
          if (!may("operator")) return;
          if (
            await carryOut("Subscribed", () =>
              ask("POST", `${path}/subscriptions`, { query: which, body: { filter, qos: Number(qos) } }),
            )
          ) {
            setFilter("");
            after();
          }
        }}
      >
        <Field label="Subscribe it to">
          <Input value={filter} onText={setFilter} required placeholder="room/+/temp" />
        </Field>
        <Field label="QoS">
          <Choice value={qos} of={["0", "1", "2"]} onChoice={setQos} />
        </Field>
        <Button type="submit" needs="operator">
          Subscribe
        </Button>
      </form>
    </>
  );
}
