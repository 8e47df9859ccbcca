/** Servers of the cluster that has the sessions, and the routes that lead sessions to groups of them. */

import { type Static, Type } from "@sinclair/typebox";
import { SERVER_URL } from "../../config/servers-schema.ts";
import { isAddressRange } from "../../policy/addresses.ts";
import { choice, integer, NAME_PATTERN, texts } from "../../settings/kinds.ts";
import { BALANCES, type ServerStatus } from "../../upstream/servers/settings.ts";
import { Server as ServerRow } from "../answers/upstream.ts";
import { listQuery, pageOf, pageOfArray } from "../lists.ts";
import type { ApiPorts, RouteWish, UpstreamPort } from "../ports.ts";
import { Refused, wrongField } from "../problem.ts";
import { Answer, route } from "../route.ts";

const VERSIONS = { 4: "3.1.1", 5: "5.0" } as const;

const rowOf = ({ version, roundTrip, lastFailure, ...row }: ServerStatus): Static<typeof ServerRow> => ({
  ...row,
  ...(version === undefined ? {} : { version: VERSIONS[version] }),
  ...(roundTrip === undefined ? {} : { roundTrip }),
  ...(lastFailure === undefined ? {} : { lastFailure }),
});

const Drain = Type.Object({
  group: Type.String({ description: "Name of the group." }),
  url: Type.String({ description: "The server, as the list of servers names it." }),
  draining: Type.Boolean({ description: "false takes it back.", default: true }),
});

const conditions = {
  gateways: Type.Optional(texts({ description: "Gateways, such as mqtt or coap." })),
  listeners: Type.Optional(texts({ description: "Names of listeners." })),
  addresses: Type.Optional(texts({ description: "Addresses or ranges of devices." })),
  clientId: Type.Optional(
    Type.String({ minLength: 1, description: "Client ids, with * for any text and ? for one character." }),
  ),
  username: Type.Optional(Type.String({ minLength: 1, description: "User names, as clientId." })),
  protocols: Type.Optional(
    texts({
      description: "MQTT for all versions, MQTT 3.1.1 or MQTT 5.0 for one; MQTT-SN, CoAP, LwM2M, STOMP.",
    }),
  ),
  order: Type.Optional(integer(0, 1_000_000, { description: "Lower ones are asked first.", default: 0 })),
};

const Server = Type.Object({
  url: Type.String({ pattern: SERVER_URL, description: "tcp://host:1883, tls://, ws:// or wss://." }),
  weight: Type.Optional(
    integer(0, 1_000_000, { description: "How much it takes beside the others.", default: 1 }),
  ),
  priority: Type.Optional(
    integer(0, 1_000, { description: "The lowest number at which one is well is used.", default: 0 }),
  ),
});

const Row = Type.Object({
  id: Type.String(),
  ...conditions,
  group: Type.String(),
  servers: Type.Optional(Type.Array(Server)),
  balance: Type.Optional(choice(BALANCES, { description: "Among its own servers." })),
  configured: Type.Boolean({ description: "It stands in the configuration, and is changed there." }),
});

/** A route that was made over the API, as a backup has it. */
export const SavedRoute = Type.Object({
  id: Type.String({ pattern: NAME_PATTERN }),
  ...conditions,
  group: Type.Optional(Type.String({ minLength: 1 })),
  servers: Type.Optional(Type.Array(Server, { minItems: 1 })),
  balance: Type.Optional(choice(BALANCES, { description: "Among its own servers." })),
});

const Node = Type.Object({
  host: Type.String({ minLength: 1 }),
  port: Type.Optional(integer(1, 65_535, { description: "Port.", default: 1883 })),
  weight: Type.Optional(integer(0, 1_000_000, { description: "Weight.", default: 1 })),
});

const Wish = Type.Object({
  ...conditions,
  group: Type.Optional(Type.String({ minLength: 1, description: "A group of the configuration." })),
  servers: Type.Optional(
    Type.Array(Server, { minItems: 1, description: "Instead of a group: servers of this route's own." }),
  ),
  balance: Type.Optional(choice(BALANCES, { description: "Among its own servers; hash when absent." })),
  // As Apache APISIX writes the route of its mqtt-proxy.
  remote_addr: Type.Optional(Type.String({ description: "APISIX: the device's address or range." })),
  plugins: Type.Optional(
    Type.Object(
      {
        "mqtt-proxy": Type.Object(
          {
            protocol_name: Type.Literal("MQTT", { description: "MQTT." }),
            protocol_level: Type.Union([Type.Literal(4), Type.Literal(5)], {
              description: "4 for MQTT 3.1.1, 5 for MQTT 5.0.",
            }),
            upstream: Type.Optional(
              Type.Object(
                {
                  ip: Type.Optional(Type.String({ minLength: 1 })),
                  host: Type.Optional(Type.String({ minLength: 1 })),
                  port: integer(1, 65_535, { description: "Port." }),
                },
                { additionalProperties: false },
              ),
            ),
          },
          { additionalProperties: false },
        ),
      },
      { additionalProperties: false, description: "APISIX: the plug-in mqtt-proxy." },
    ),
  ),
  upstream: Type.Optional(
    Type.Object(
      {
        type: Type.Optional(choice(["chash", "roundrobin", "least_conn"], { description: "Balance." })),
        key: Type.Optional(Type.Literal("mqtt_client_id", { description: "What chash goes by." })),
        nodes: Type.Union([
          Type.Array(Node, { minItems: 1 }),
          Type.Record(Type.String(), integer(0, 1_000_000, { description: "Weight." }), { minProperties: 1 }),
        ]),
      },
      { additionalProperties: false, description: "APISIX: the route's servers." },
    ),
  ),
});
export type Wish = Static<typeof Wish>;

const wrong = (field: string, detail: string, fix: string, value?: unknown) =>
  wrongField({ in: "body", field, detail, fix, ...(value === undefined ? {} : { value }) });

const BALANCE_OF = { chash: "hash", roundrobin: "round-robin", least_conn: "least-connections" } as const;
/** By the protocol level of CONNECT. */
const PROTOCOLS_OF = { 4: ["MQTT 3.1", "MQTT 3.1.1"], 5: ["MQTT 5.0"] } as const;

const urlOf = (host: string, port = 1883): string =>
  `tcp://${host.includes(":") ? `[${host}]` : host}:${port}`;

function serversOf({ upstream, plugins }: Wish): RouteWish["servers"] {
  const proxied = plugins?.["mqtt-proxy"].upstream;
  if (proxied !== undefined) {
    const host = proxied.ip ?? proxied.host;
    if (host === undefined) throw wrong("/plugins/mqtt-proxy/upstream", "names no server", "give ip or host");
    return [{ url: urlOf(host, proxied.port), weight: 1, priority: 0 }];
  }
  if (upstream === undefined) return undefined;
  const { nodes } = upstream;
  if (Array.isArray(nodes)) {
    return nodes.map(({ host, port, weight = 1 }) => ({ url: urlOf(host, port), weight, priority: 0 }));
  }
  return Object.entries(nodes).map(([place, weight]) => ({ url: `tcp://${place}`, weight, priority: 0 }));
}

/** What is wished in our words, whichever it came in. */
export function wishOf(body: Wish): RouteWish {
  const { remote_addr, plugins, upstream, servers: own, addresses, protocols, balance, ...rest } = body;
  const level = plugins?.["mqtt-proxy"].protocol_level;
  const servers =
    own?.map(({ url, weight = 1, priority = 0 }) => ({ url, weight, priority })) ?? serversOf(body);
  const type = upstream?.type;
  const wish: RouteWish = {
    ...rest,
    order: rest.order ?? 0,
    addresses: addresses ?? (remote_addr === undefined ? undefined : [remote_addr]),
    protocols: protocols ?? (level === undefined ? undefined : [...PROTOCOLS_OF[level]]),
    servers,
    balance: balance ?? (type === undefined ? "hash" : BALANCE_OF[type]),
  };
  if ((wish.group === undefined) === (servers === undefined)) {
    throw wrong("", "leads nowhere, or to two places", "give either group or servers");
  }
  for (const [index, address] of (wish.addresses ?? []).entries()) {
    if (!isAddressRange(address)) {
      const field = addresses === undefined ? "/remote_addr" : `/addresses/${index}`;
      throw wrong(field, "is no address or range", "such as 10.1.2.3 or 10.0.0.0/8", address);
    }
  }
  for (const { url } of servers ?? []) {
    if (!new RegExp(SERVER_URL).test(url))
      throw wrong("/upstream/nodes", "names no server", "host:port", url);
  }
  return wish;
}

function portOf({ upstream }: ApiPorts): UpstreamPort {
  if (upstream !== undefined) return upstream;
  throw new Refused("conflict", "sessions are in this process (bus.engine: embedded): there are no servers");
}

const params = Type.Object({
  id: Type.String({ pattern: NAME_PATTERN, minLength: 1, maxLength: 64, description: "Name of the route." }),
});

export const upstreamRoutes = [
  route({
    method: "GET",
    path: "/upstream/servers",
    role: "viewer",
    tag: "upstream",
    summary: "The servers that have the sessions, and how they fare",
    query: Type.Object(listQuery),
    answer: pageOf(ServerRow),
    example: {},
    handle: ({ ports, query }) => pageOfArray((ports.upstream?.servers() ?? []).map(rowOf), query),
  }),
  route({
    method: "PUT",
    path: "/upstream/servers/drain",
    role: "operator",
    tag: "upstream",
    summary: "Send no session to a server any more and move those that are there away, or take that back",
    body: Drain,
    refusals: [{ code: "conflict", body: { group: "default", url: "tcp://broker:1883" } }],
    handle: ({ ports, body, changed }) => {
      const { group, url, draining = true } = body;
      if (!portOf(ports).drain(group, url, draining))
        throw new Refused("not-found", "no such server in this group");
      changed({ object: `server ${url}`, after: { draining } });
    },
  }),
  route({
    method: "GET",
    path: "/upstream/routes",
    role: "viewer",
    tag: "upstream",
    summary: "Which sessions go to which group of servers: the first route of which all conditions hold",
    query: Type.Object(listQuery),
    answer: pageOf(Row),
    example: {},
    handle: ({ ports, query }) => pageOfArray(ports.upstream?.routes() ?? [], query),
  }),
  route({
    method: "GET",
    path: "/upstream/routes/{id}",
    role: "viewer",
    tag: "upstream",
    summary: "One route",
    params,
    answer: Row,
    refusals: [{ code: "not-found", path: { id: "meters" } }],
    handle: ({ ports, path }) => {
      const found = ports.upstream?.routes().find(({ id }) => id === path.id);
      if (found === undefined) throw new Refused("not-found", `there is no route ${path.id}`);
      return found;
    },
  }),
  route({
    method: "PUT",
    path: "/upstream/routes/{id}",
    role: "operator",
    tag: "upstream",
    summary: "Make a route, or change it; sessions that are connected stay where they are",
    description:
      "Kept over a restart. Also takes the form in which Apache APISIX is told a stream route with its plug-in mqtt-proxy (`remote_addr`, `plugins`, `upstream`).",
    params,
    body: Wish,
    answer: Row,
    otherAnswers: { 201: { description: "It was not there before.", schema: Row } },
    refusals: [
      { code: "conflict", path: { id: "meters" }, body: { group: "default", clientId: "meter-*" } },
      { code: "invalid-request", path: { id: "meters" }, body: {} },
      { code: "invalid-request", path: { id: "meters" }, body: { servers: [{ url: "broker" }] } },
      { code: "invalid-request", path: { id: "meters" }, body: { group: "default", remote_addr: "10.0" } },
    ],
    handle: ({ ports, path: { id }, body, changed }) => {
      const wish = wishOf(body);
      const port = portOf(ports);
      const before = port.routes().find((each) => each.id === id);
      if (before?.configured === true) {
        throw new Refused("conflict", `route ${id} stands in the configuration, and is changed there`);
      }
      if (wish.group !== undefined && !port.groups().includes(wish.group)) {
        throw wrong("/group", "is no group", `one of ${port.groups().join(", ")}, or servers`, wish.group);
      }
      const after = port.put(id, wish);
      changed({ object: `route ${id}`, before, after });
      return before === undefined ? new Answer(201, after) : after;
    },
  }),
  route({
    method: "DELETE",
    path: "/upstream/routes/{id}",
    role: "operator",
    tag: "upstream",
    summary: "End a route; sessions that are connected stay, unless it had servers of its own",
    params,
    refusals: [{ code: "not-found", path: { id: "meters" } }],
    handle: ({ ports, path: { id }, changed }) => {
      const before = ports.upstream?.routes().find((each) => each.id === id);
      if (before === undefined) throw new Refused("not-found", `there is no route ${id}`);
      if (before.configured) {
        throw new Refused("conflict", `route ${id} stands in the configuration, and is changed there`);
      }
      ports.upstream?.remove(id);
      changed({ object: `route ${id}`, before });
    },
  }),
];
