/**
 * The HTTP forms of EMQ 2 and EMQ X 3 and 4 (`/api/v2`, `/api/v3`, `POST /mqtt/publish`, `GET /status`), and Easegress's
 * publish, so that what was written for them goes on working: their paths, fields, envelopes, paging and codes over the
 * same parts as `/api/v1`. Credentials, roles and access rules are those of this node.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { topicNameProblem } from "../../bus/topic.ts";
import { VIA } from "../../bus/via.ts";
import { Pauses } from "../../operate/pauses.ts";
import type { Least, Principal } from "../access/principal.ts";
import type { ApiPorts } from "../ports.ts";
import { Refused } from "../problem.ts";
import { callerOf } from "../serve.ts";
import { type Call, type Manual, text } from "./call.ts";
import { CODES, ManualError, numbered } from "./codes.ts";
import { manualLists } from "./lists.ts";
import { listeners, managementNode, metrics, monitoringNode, stats } from "./node.ts";
import { clientOf, connectedClient, type Rows, rowsOf, sessionOf, subscriptionsOf } from "./objects.ts";
import { manualPlugIns } from "./plug-ins.ts";
import { publishForm, publishManual } from "./publish.ts";
import { manualRules } from "./rules.ts";
import { manualUsers } from "./users.ts";

/** v2 answers `result`, v3 and later `data`. */
type Member = "result" | "data";

/** One thing as the manuals answer it. */
const single = (object: object): { readonly objects: readonly object[] } => ({ objects: [object] });

/** `{node}` is this one, and no other. */
function here({ params, ports }: Call): void {
  const { node } = params;
  if (node !== undefined && node !== ports.node.name) throw new ManualError(CODES.rpc, `no node ${node}`);
}

const MANUALS: readonly Manual[] = [
  { method: "GET", path: "management/nodes", role: "viewer", handle: ({ ports }) => [managementNode(ports)] },
  {
    method: "GET",
    path: "management/nodes/:node",
    role: "viewer",
    handle: ({ ports }) => managementNode(ports),
  },
  { method: "GET", path: "monitoring/nodes", role: "viewer", handle: ({ ports }) => [monitoringNode(ports)] },
  {
    method: "GET",
    path: "monitoring/nodes/:node",
    role: "viewer",
    handle: ({ ports }) => monitoringNode(ports),
  },
  {
    method: "GET",
    path: "nodes/:node/clients",
    role: "viewer",
    handle: (call) => paged(call, rowsOf(call.ports, clientOf)),
  },
  {
    method: "GET",
    path: "nodes/:node/clients/:id",
    role: "viewer",
    handle: (call) => single(clientOf(connectedClient(call))),
  },
  {
    method: "GET",
    path: "clients/:id",
    role: "viewer",
    handle: (call) => single(clientOf(connectedClient(call))),
  },
  { method: "DELETE", path: "clients/:id", role: "operator", handle: kick },
  {
    method: "PUT",
    path: "clients/:id/clean_acl_cache",
    role: "operator",
    handle(call) {
      const { clientId } = connectedClient(call);
      call.ports.logins.forget({ clientId });
    },
  },
  {
    method: "GET",
    path: "nodes/:node/sessions",
    role: "viewer",
    handle: (call) => paged(call, rowsOf(call.ports, sessionOf)),
  },
  {
    method: "GET",
    path: "node/:node/sessions",
    role: "viewer",
    handle: (call) => paged(call, rowsOf(call.ports, sessionOf)),
  },
  {
    method: "GET",
    path: "nodes/:node/sessions/:id",
    role: "viewer",
    handle: (call) => single(sessionOf(connectedClient(call))),
  },
  {
    method: "GET",
    path: "sessions/:id",
    role: "viewer",
    handle: (call) => single(sessionOf(connectedClient(call))),
  },
  {
    method: "GET",
    path: "nodes/:node/subscriptions",
    role: "viewer",
    handle: (call) => paged(call, subscriptionsOf(call.ports)),
  },
  { method: "GET", path: "nodes/:node/subscriptions/:id", role: "viewer", handle: subscriptionsOfOne },
  { method: "GET", path: "subscriptions/:id", role: "viewer", handle: subscriptionsOfOne },
  {
    method: "GET",
    path: "routes",
    role: "viewer",
    handle: (call) => paged(call, routesOf(call.ports, undefined)),
  },
  // A topic that begins with a slash is sent as it is: `routes//World`.
  {
    method: "GET",
    path: "routes/*",
    role: "viewer",
    handle: async (call) => {
      const objects: object[] = [];
      for await (const route of inSlices(routesOf(call.ports, call.params["*"] ?? ""))) objects.push(route);
      return { objects };
    },
  },
  ...manualLists,
  ...manualPlugIns,
  ...manualUsers,
  ...manualRules,
  { method: "POST", path: "mqtt/publish", role: "publisher", audited: false, handle: publishManual },
  { method: "POST", path: "mqtt/subscribe", role: "operator", handle: subscribe },
  { method: "POST", path: "mqtt/unsubscribe", role: "operator", handle: unsubscribe },
  {
    method: "GET",
    path: "monitoring/listeners",
    role: "viewer",
    handle: ({ ports }) => ({ [ports.node.name]: listeners(ports) }),
  },
  {
    method: "GET",
    path: "monitoring/listeners/:node",
    role: "viewer",
    handle: ({ ports }) => listeners(ports),
  },
  {
    method: "GET",
    path: "monitoring/metrics",
    role: "viewer",
    handle: ({ ports }) => ({ [ports.node.name]: metrics(ports) }),
  },
  { method: "GET", path: "monitoring/metrics/:node", role: "viewer", handle: ({ ports }) => metrics(ports) },
  {
    method: "GET",
    path: "monitoring/stats",
    role: "viewer",
    handle: async ({ ports }) => ({ [ports.node.name]: await stats(ports) }),
  },
  { method: "GET", path: "monitoring/stats/:node", role: "viewer", handle: ({ ports }) => stats(ports) },
];

/** As `management.max_row_limit` bounds it. */
const ROWS_MAX = 10_000;
const PAGE_SIZE = 20;

/** Others have their turn in between. */
async function* inSlices(rows: Rows): AsyncGenerator<object> {
  const pause = new Pauses();
  for (const row of rows) {
    if (row !== undefined) yield row;
    if (pause.due) await pause.take();
  }
}

async function paged({ query }: Call, rows: Rows): Promise<object> {
  const page = numbered(query["curr_page"] ?? query["_page"] ?? "1", "curr_page");
  const size = Math.min(
    numbered(query["page_size"] ?? query["_limit"] ?? String(PAGE_SIZE), "page_size"),
    ROWS_MAX,
  );
  const objects: object[] = [];
  const first = (page - 1) * size;
  let total = 0;
  for await (const row of inSlices(rows)) {
    if (total >= first && objects.length < size) objects.push(row);
    if (++total >= ROWS_MAX) break;
  }
  return {
    current_page: page,
    page_size: size,
    total_num: total,
    total_page: Math.max(1, Math.ceil(total / size)),
    objects,
  };
}

function kick(call: Call): void {
  const { gateway, clientId } = connectedClient(call);
  call.ports.operator.clients.kick(gateway, clientId);
  call.changed({ object: `client ${gateway}/${clientId}` });
}

function subscriptionsOfOne(call: Call): object {
  const { gateway, clientId } = connectedClient(call);
  const own = call.ports.operator.clients.subscriptions(gateway, clientId) ?? [];
  return {
    objects: own.map(({ filter, options }) => ({ client_id: clientId, topic: filter, qos: options.qos })),
  };
}

function* routesOf({ topics, node }: ApiPorts, topic: string | undefined): Generator<object | undefined> {
  // A topic is among the filters that match it.
  const walk = topics.walk(topic === undefined || topicNameProblem(topic) !== undefined ? undefined : topic);
  for (let next = walk.next(); next.done !== true; next = walk.next()) {
    const { filter } = next.value;
    yield topic === undefined || filter === topic ? { topic: filter, node: node.name } : undefined;
  }
}

function subscribe(call: Call): void {
  const { gateway, clientId } = connectedClient({ ...call, params: { id: text(call, "client_id") } });
  const qos = numbered(String(call.body["qos"] ?? 0), "qos", 0);
  if (qos > 2) throw new ManualError(CODES.type, "qos is 0, 1 or 2");
  const done = call.ports.operator.clients.subscribe(gateway, clientId, text(call, "topic"), {
    qos: qos as 0 | 1 | 2,
  });
  if (!done.ok) throw new ManualError(CODES.unknown, done.reason);
}

function unsubscribe(call: Call): void {
  const { gateway, clientId } = connectedClient({ ...call, params: { id: text(call, "client_id") } });
  const done = call.ports.operator.clients.unsubscribe(gateway, clientId, text(call, "topic"));
  if (!done.ok && done.refusal !== "unknown") throw new ManualError(CODES.unknown, done.reason);
}

/** `result`, `data` or `message` beside it. */
interface Enveloped {
  readonly code: number;
  readonly [member: string]: unknown;
}

/** What a change was of. */
interface Noted {
  readonly object: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/** Adds all of it to a server. */
export function serveManuals(server: FastifyInstance, ports: ApiPorts): void {
  server.addContentTypeParser(
    "application/x-www-form-urlencoded",
    { parseAs: "string" },
    (_request, body, done) => {
      done(null, Object.fromEntries(new URLSearchParams(body as string)));
    },
  );
  const judged = new WeakMap<FastifyRequest, Principal>();
  const noted = new WeakMap<FastifyRequest, Noted>();
  const admit = (role: Least) => async (request: FastifyRequest) => {
    const caller = callerOf(request);
    const who = ports.access.identify(caller);
    ports.access.admit(who, { role, method: request.method }, caller);
    judged.set(request, who);
  };
  const callOf = (request: FastifyRequest): Call => ({
    ports,
    who: judged.get(request)!,
    address: request.ip,
    via: request.headers[VIA]?.toString(),
    params: request.params as Call["params"],
    query: request.query as Call["query"],
    body: bodyOf(request.body),
    changed: (change) => void noted.set(request, change),
  });
  const note = (request: FastifyRequest, result: string): void => {
    const { name, kind } = judged.get(request)!;
    ports.access.audit.note({
      ...{ at: ports.now(), who: name, kind, address: request.ip, result },
      action: `${request.method} ${request.url.slice(0, 500)}`,
      ...noted.get(request),
    });
  };
  for (const [version, member] of [
    ["v2", "result"],
    ["v3", "data"],
  ] as const) {
    for (const manual of MANUALS) {
      const { audited = manual.method !== "GET" } = manual;
      const answer = async (request: FastifyRequest): Promise<object> => {
        const found = await enveloped(member, manual, () => callOf(request));
        if (audited) note(request, found.code === CODES.ok ? "done" : String(found.code));
        return found;
      };
      for (const url of spellings(`/api/${version}/${manual.path}`)) {
        server.route({
          method: manual.method,
          url,
          onRequest: admit(manual.role),
          handler: answer,
          errorHandler: answerNoJson,
          exposeHeadRoute: false,
        });
      }
    }
  }
  server.get("/status", (_request, reply) => status(ports, reply));
  server.post("/mqtt/publish", { onRequest: admit("publisher") }, (request, reply) =>
    publishForm(callOf(request), reply),
  );
  for (const version of ["v1", "v2"]) {
    server.post<{ Params: { name: string } }>(
      `/apis/${version}/mqttproxy/:name/topics/publish`,
      { onRequest: admit("publisher") },
      async (request, reply) => {
        await publishManual(callOf(request)).catch((error: unknown) => {
          throw error instanceof ManualError ? new Refused("invalid-request", error.message) : error;
        });
        return reply.code(200).send();
      },
    );
  }
}

/** The manuals write collections with a slash at the end and without. */
const spellings = (url: string): readonly string[] =>
  url.endsWith("*") || url.includes(":id") ? [url] : [url, `${url}/`];

function bodyOf(body: unknown): Call["body"] {
  if (body === undefined || body === null) return {};
  if (typeof body === "object" && !Array.isArray(body)) return body as Call["body"];
  throw new ManualError(CODES.notJson, "the body is no JSON object");
}

/** Errors have a code in the same envelope. */
async function enveloped(member: Member, manual: Manual, asked: () => Call): Promise<Enveloped> {
  try {
    const call = asked();
    here(call);
    return { code: CODES.ok, [member]: (await manual.handle(call)) ?? [] };
  } catch (error) {
    if (error instanceof ManualError) return { code: error.code, message: error.message };
    if (!(error instanceof Refused)) throw error;
    const code = error.problem.code === "invalid-request" ? CODES.type : CODES.unknown;
    return { code, message: error.message };
  }
}

/** A body that cannot be read is 109 in the envelope; every other refusal is that of the whole port. */
function answerNoJson(error: Error, _request: FastifyRequest, reply: FastifyReply): void {
  const { code = "" } = error as { readonly code?: string };
  if (!/^FST_ERR_CTP_(INVALID|EMPTY)_JSON_BODY$/.test(code)) throw error;
  void reply.send({ code: CODES.notJson, message: "the body is no JSON object" });
}

function status(ports: ApiPorts, reply: FastifyReply): FastifyReply {
  const failing = ports.health.readiness().filter(({ ok }) => !ok);
  const text =
    failing.length === 0 ? "is running" : `is not ready: ${failing.map(({ name }) => name).join(", ")}`;
  return reply
    .code(failing.length === 0 ? 200 : 503)
    .type("text/plain; charset=utf-8")
    .send(`Node ${ports.node.name} ${text}\n`);
}
