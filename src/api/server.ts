import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from "fastify";
import { FairRoom } from "../lib/fair-room.ts";
import { PROBLEM_JSON, type Problem, problem } from "./problem.ts";

/** One thing that must be true before the gateway should be sent clients. */
export interface ReadyCheck {
  readonly name: string;
  readonly ok: boolean;
  /** What is wrong, for people. */
  readonly detail?: string;
}

/** What the API reads; it knows nothing else of the gateway. */
export interface ApiPorts {
  readonly version: string;
  readonly node: string;
  /** In whole seconds. */
  uptime(): number;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  /** All listeners open, the store fine, ... */
  readiness(): readonly ReadyCheck[];
}

export interface ApiOptions {
  readonly bind: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Host names that requests may be meant for; empty accepts all. */
  readonly hosts?: readonly string[];
}

export interface Api {
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

const CONNECTIONS_MAX = 100;
const BODY_BYTES_MAX = 65_536;
const REQUEST_TIMEOUT_MS = 5_000;
/** How late Node may notice that a request takes too long; it would look every 30 s. */
const TIMEOUT_CHECK_MS = 1_000;
const IDLE_TIMEOUT_MS = 30_000;

/** Opens the HTTP port. Rejects with the system's error when the address cannot be bound. */
export async function openApi(options: ApiOptions, ports: ApiPorts): Promise<Api> {
  const server = fastify({
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: IDLE_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    forceCloseConnections: true,
    http: { headersTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: TIMEOUT_CHECK_MS },
    routerOptions: { maxParamLength: 512 },
  });
  shareConnections(server.server);
  if (options.hosts !== undefined && options.hosts.length > 0) checkHost(server, options.hosts);
  answerErrors(server);
  addRoutes(server, ports);
  await server.listen({ host: options.bind, port: options.port });
  const bound = server.server.address() as { address: string; port: number };
  return { address: bound.address, port: bound.port, close: () => server.close() };
}

// Bytes, because to text Fastify adds a charset that the media type does not have.
const send = (reply: FastifyReply, body: Problem): FastifyReply =>
  reply
    .code(body.status)
    .type(PROBLEM_JSON)
    .send(Buffer.from(JSON.stringify(body)));

type Connection = FastifyRequest["raw"]["socket"];

/** Half requests and idle connections of one address keep nobody out: who asks last, and is complete, stays longest. */
function shareConnections(server: FastifyInstance["server"]): void {
  const room = new FairRoom<Connection>(CONNECTIONS_MAX, 0);
  server.on("connection", (socket: Connection) => {
    room.enter(socket, socket.remoteAddress ?? "", performance.now())?.destroy();
    socket.on("close", () => room.leave(socket));
  });
  server.on("request", ({ socket }: FastifyRequest["raw"]) => room.renew(socket, performance.now()));
}

/** A page in somebody's browser that has its own name point here (DNS rebinding) asks under that name. */
function checkHost(server: FastifyInstance, hosts: readonly string[]): void {
  const accepted = new Set(hosts.map((host) => host.toLowerCase()));
  server.addHook("onRequest", async (request, reply) => {
    const host = (request.headers.host ?? "").toLowerCase().replace(/:\d*$/, "");
    if (accepted.has(host) || accepted.has(host.replace(/^\[(.*)\]$/, "$1"))) return;
    return send(
      reply,
      problem(421, "Misdirected Request", `api.hosts does not list "${host.slice(0, 200)}"`),
    );
  });
}

function answerErrors(server: FastifyInstance): void {
  server.setNotFoundHandler((request, reply) =>
    send(
      reply,
      problem(404, "Not Found", `there is nothing at ${request.method} ${request.url.slice(0, 200)}`),
    ),
  );
  server.setErrorHandler((error: FastifyError, _request, reply) => {
    const status = error.statusCode ?? 500;
    // What went wrong inside is nobody's business outside.
    send(reply, status < 500 ? problem(status, error.message) : problem(500, "Internal Server Error"));
  });
}

function addRoutes(server: FastifyInstance, ports: ApiPorts): void {
  const { version, node } = ports;
  let scrape: Promise<string> | undefined;
  server.get("/metrics", async (_request, reply) => {
    // However many ask at once, the numbers are put together once.
    scrape ??= ports.metrics.text().finally(() => {
      scrape = undefined;
    });
    return reply.type(ports.metrics.contentType).send(await scrape);
  });
  server.get("/health", () => ({ status: "ok", node, version, uptime: ports.uptime() }));
  server.get("/ready", (_request, reply) => {
    const checks = ports.readiness();
    const failing = checks.filter((check) => !check.ok);
    if (failing.length === 0) return { status: "ready", checks };
    const detail = failing
      .map(({ name, detail }) => (detail === undefined ? name : `${name}: ${detail}`))
      .join("; ");
    return send(reply, problem(503, "Not ready", detail, { checks }));
  });
}
