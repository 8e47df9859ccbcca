/** Clients of all protocols as rows of one list. */

import { Type } from "@sinclair/typebox";
import { type ClientState, STATES, stateOf } from "../operate/client-state.ts";
import type { ClientFilter, ClientSummary, Clients } from "../operate/clients.ts";
import { AddressSet, isAddressRange } from "../policy/addresses.ts";
import { choice } from "../settings/kinds.ts";
import type { ClientRow } from "./answers/clients.ts";
import { time } from "./answers/parts.ts";
import { wrongField } from "./problem.ts";
import { timeText } from "./schemas.ts";
import type { Keyed } from "./snapshots.ts";

const at = (value: number | undefined): string | undefined =>
  value === undefined || !Number.isFinite(value) ? undefined : timeText(value);
const given = (name: string, value: unknown): object => (value === undefined ? {} : { [name]: value });

type Written<Row> = { readonly [Field in keyof Row]: Row[Field] | undefined };

/** What is undefined is left out where it is written. One literal: spreading others into it costs ten times as much. */
export const rowOf = (client: ClientSummary, now: number): Written<ClientRow> => ({
  clientId: client.clientId,
  gateway: client.gateway,
  endpoint: client.endpointName,
  user: client.username,
  state: stateOf(client, now),
  phase: client.state,
  protocol: client.protocol,
  listener: client.listener,
  transport: client.transport,
  address: client.address,
  port: client.port,
  node: client.node,
  since: at(client.since),
  heardAt: at(client.heardAt),
  dueAt: at(client.dueAt),
  keepAlive: client.keepAlive,
  subscriptions: client.subscriptions,
  waiting: client.queued,
  waitingBytes: client.queuedBytes,
  onItsWay: client.unsettled,
  lost: client.lost,
});

export const SORTS = ["clientId", "heardAt", "dueAt", "since", "waiting", "lost", "subscriptions"] as const;

const VALUES: Readonly<
  Record<(typeof SORTS)[number], (client: ClientSummary) => string | number | undefined>
> = {
  clientId: ({ clientId }) => clientId,
  heardAt: ({ heardAt }) => heardAt,
  dueAt: ({ dueAt }) => dueAt,
  since: ({ since }) => since,
  waiting: ({ queued }) => queued,
  lost: ({ lost }) => lost,
  subscriptions: ({ subscriptions }) => subscriptions,
};

export const clientFilters = {
  gateway: Type.Optional(Type.String({ maxLength: 64, description: "Only clients of this gateway." })),
  listener: Type.Optional(Type.String({ maxLength: 64, description: "Only clients of this listener." })),
  protocol: Type.Optional(Type.String({ maxLength: 64, description: "Only this protocol: MQTT 5.0." })),
  clientId: Type.Optional(Type.String({ maxLength: 1_024, description: "Only this client id." })),
  user: Type.Optional(Type.String({ maxLength: 1_024, description: "Only this user name." })),
  address: Type.Optional(
    Type.String({ maxLength: 64, description: "Only from this address or range: 10.0.0.0/8." }),
  ),
  state: Type.Optional(choice(STATES, { description: "Only in this state." })),
  prefix: Type.Optional(
    Type.String({
      maxLength: 256,
      description: "Only client ids, endpoint names and user names that begin so.",
    }),
  ),
  text: Type.Optional(
    Type.String({
      maxLength: 256,
      description: "Only with this text in client id, endpoint name, user name or address.",
    }),
  ),
  heardBefore: Type.Optional(time("Only those from whom nothing has come since.")),
  waitingOver: Type.Optional(
    Type.Integer({ minimum: 0, description: "Only those for whom more messages wait." }),
  ),
  sinceBefore: Type.Optional(time("Only those that are connected, or away, since before.")),
  sinceAfter: Type.Optional(time("Only those that are connected, or away, since then or later.")),
  cleanStart: Type.Optional(
    Type.Boolean({ description: "Only those that began anew when they connected, or only the others." }),
  ),
};

export interface ClientQuery {
  readonly gateway?: string;
  readonly listener?: string;
  readonly protocol?: string;
  readonly clientId?: string;
  readonly user?: string;
  readonly address?: string;
  readonly state?: ClientState;
  readonly prefix?: string;
  readonly text?: string;
  readonly heardBefore?: string;
  readonly waitingOver?: number;
  readonly sinceBefore?: string;
  readonly sinceAfter?: string;
  readonly cleanStart?: boolean;
}

/** What of a query the directory looks at itself. */
export const filterOf = ({
  gateway,
  listener,
  protocol,
  clientId,
  user,
  text,
}: ClientQuery): ClientFilter => ({
  ...given("gateway", gateway),
  ...given("listener", listener),
  ...given("protocol", protocol),
  ...given("clientId", clientId),
  ...given("username", user),
  ...given("text", text),
});

/** The rest of it; throws `Refused` for an address that is none. */
export function passes(query: ClientQuery, now: number): (client: ClientSummary) => boolean {
  const { address, state, prefix, heardBefore, waitingOver, cleanStart } = query;
  if (address !== undefined && !isAddressRange(address)) {
    throw wrongField({
      in: "query",
      field: "address",
      value: address,
      detail: "is no address or range",
      fix: "such as 10.1.2.3 or 10.0.0.0/8",
    });
  }
  const range = address === undefined ? undefined : new AddressSet([address]);
  const before = heardBefore === undefined ? undefined : Date.parse(heardBefore);
  const inTime = sincePasses(query);
  return (client) => {
    if (cleanStart !== undefined && client.cleanStart !== cleanStart) return false;
    if (inTime !== undefined && (client.since === undefined || !inTime(client.since))) return false;
    if (state !== undefined && stateOf(client, now) !== state) return false;
    if (waitingOver !== undefined && client.queued <= waitingOver) return false;
    if (before !== undefined && (client.heardAt === undefined || client.heardAt >= before)) return false;
    if (range !== undefined && (client.address === undefined || !range.has(client.address))) return false;
    if (prefix === undefined) return true;
    return [client.clientId, client.endpointName, client.username].some((text) => text?.startsWith(prefix));
  };
}

function sincePasses({ sinceBefore, sinceAfter }: ClientQuery): ((since: number) => boolean) | undefined {
  if (sinceBefore === undefined && sinceAfter === undefined) return undefined;
  const before = sinceBefore === undefined ? Number.POSITIVE_INFINITY : Date.parse(sinceBefore);
  const from = sinceAfter === undefined ? Number.NEGATIVE_INFINITY : Date.parse(sinceAfter);
  return (since) => since >= from && since < before;
}

const STEP = 32;

/** All that pass, a few looked at in each step, so that whoever sorts them can pause in between. */
export function* keysOf(
  clients: Clients,
  query: ClientQuery,
  sort: (typeof SORTS)[number],
  now: number,
): Generator<Keyed | undefined> {
  const filter = filterOf(query);
  const pass = passes(query, now);
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page = clients.page(filter, { after, limit: STEP, looks: STEP });
    for (const client of page.items) {
      if (pass(client)) yield { number: client.number, value: VALUES[sort](client) };
    }
    yield undefined;
    after = page.next;
  }
}
