import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from "fastify";
import { FairRoom } from "../lib/fair-room.ts";
import { readBodies, refuseCodings, weighBodies } from "./bodies.ts";
import { serveManuals } from "./compat/manuals.ts";
import { serveDashboard } from "./dashboard.ts";
import { openApiDocument } from "./openapi.ts";
import type { ApiPorts } from "./ports.ts";
import { PROBLEM_JSON, PROBLEMS, type ProblemCode, problem, Refused } from "./problem.ts";
import { ROUTES } from "./routes.ts";
import { API_PREFIX, callerOf, Streams, sendProblem, serveRoute } from "./serve.ts";
import { answerUnreadable } from "./unreadable.ts";

export interface ApiOptions {
  readonly bind: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Host names that requests may be meant for; empty accepts all. */
  readonly hosts: readonly string[];
  /** Below which path it is reached behind a proxy. */
  readonly basePath: string;
  /** Addresses of proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  readonly connections: number;
  readonly streams: number;
  /** In bytes. */
  readonly bodyMax: number;
  readonly metricsLogin: boolean;
  /** The forms of other products' manuals, too. */
  readonly manuals: boolean;
  readonly tls: TlsPair | undefined;
  /** Serve the dashboard, which `npm run build` has made. */
  readonly dashboard: boolean;
}

export interface TlsPair {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly passphrase?: string | undefined;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
}

export interface Api {
  readonly address: string;
  readonly port: number;
  /** New keys and certificates for connections from now on. */
  renew(tls: TlsPair): void;
  close(): Promise<void>;
}

const REQUEST_TIMEOUT_MS = 5_000;
/** How late Node may notice that a request takes too long; it would look every 30 s. */
const TIMEOUT_CHECK_MS = 1_000;
const IDLE_TIMEOUT_MS = 30_000;
/** A request without Host is refused as all others are (`checkHost`), and not by Node. */
const HTTP = {
  headersTimeout: REQUEST_TIMEOUT_MS,
  connectionsCheckingInterval: TIMEOUT_CHECK_MS,
  requireHostHeader: false,
};
/** Ids and topics in paths, each octet of which may be written as three. */
const PARAMETER_LENGTH_MAX = 12_000;

/** What is asked is checked by `check-request.ts`; without these fastify would load compilers that nothing uses. */
const unused = (): never => {
  throw new TypeError("routes are given to fastify without schemas");
};
const NO_COMPILERS = { buildValidator: unused, buildSerializer: unused };

/** Opens the HTTP port. Rejects with the system's error when the address cannot be bound. */
export async function openApi(options: ApiOptions, ports: ApiPorts): Promise<Api> {
  const { basePath, trustedProxies, tls } = options;
  const headersNow = headersOf(ports, tls !== undefined);
  const server = fastify({
    bodyLimit: options.bodyMax,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: IDLE_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    forceCloseConnections: true,
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    ...(tls === undefined ? { http: HTTP } : { https: { ...HTTP, ...tls } }),
    // A topic may begin with a slash, and hold empty levels.
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX, ignoreDuplicateSlashes: false },
    rewriteUrl: ({ url = "/" }) => withoutBase(url, basePath),
    frameworkErrors: ({ code }: FastifyError, _request: FastifyRequest, reply: FastifyReply) => {
      const [known, detail] = CODES[code] ?? ["internal"];
      sendProblem(reply, problem(known, detail), headersNow());
    },
    clientErrorHandler: (error: NodeJS.ErrnoException, socket: Duplex) =>
      answerUnreadable(error, socket, headersNow()),
    schemaController: { compilersFactory: NO_COMPILERS },
  } as object) as unknown as FastifyInstance;
  const room = shareConnections(server.server, options.connections);
  const streams = new Streams(options.streams);
  secureAnswers(server, headersNow);
  refuseExpectations(server.server, headersNow);
  checkHost(server, options.hosts);
  answerErrors(server);
  readBodies(server);
  refuseCodings(server);
  weighBodies(server, ports.memory, options.bodyMax);
  addOperatorRoutes(server, ports, options.metricsLogin);
  let document: ReturnType<typeof openApiDocument> | undefined;
  server.get(`${API_PREFIX}/openapi.json`, () => {
    document ??= openApiDocument(ROUTES, ports.node.version);
    return document;
  });
  addProblemPages(server);
  const renew = ({ raw: { socket } }: FastifyRequest): void => room.renew(socket, performance.now());
  for (const route of ROUTES) {
    serveRoute(server, route, { access: ports.access, ports, bodyMax: options.bodyMax, streams, renew });
  }
  if (options.manuals) serveManuals(server, ports);
  if (options.dashboard) serveDashboard(server, basePath);
  // Workers share the ports of devices, and none of them this one.
  await server.listen({ host: options.bind, port: options.port, exclusive: true });
  const bound = server.server.address() as { address: string; port: number };
  return {
    address: bound.address,
    port: bound.port,
    renew: (renewed) => (server.server as unknown as SecureServer).setSecureContext?.(renewed),
    close: async () => {
      streams.closeAll();
      await server.close();
    },
  };
}

interface SecureServer {
  setSecureContext?(tls: object): void;
}

/** Behind a proxy that passes on what lies below a path. */
function withoutBase(url: string, base: string): string {
  if (base === "/" || !url.startsWith(base)) return url;
  const rest = url.slice(base.length);
  return rest.startsWith("/") || rest.startsWith("?") || rest === "" ? `/${rest.replace(/^\//, "")}` : url;
}

type Connection = FastifyRequest["raw"]["socket"];

/** Half requests and idle connections of one address keep nobody out: who asks last, and is complete, stays longest. */
function shareConnections(server: FastifyInstance["server"], places: number): FairRoom<Connection> {
  const room = new FairRoom<Connection>(places, 0);
  server.on("connection", (socket: Connection) => {
    room.enter(socket, socket.remoteAddress ?? "", performance.now())?.destroy();
    socket.on("close", () => room.leave(socket));
  });
  server.on("request", ({ socket }: FastifyRequest["raw"]) => room.renew(socket, performance.now()));
  return room;
}

/** Nothing here is a page, is kept by caches, or is anybody else's business. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "",
  "x-frame-options": "DENY",
  "cache-control": "no-store",
};

/** By the clock of the node, so that a wrong one in a browser harms nothing. */
function headersOf({ now }: Pick<ApiPorts, "now">, tls: boolean): () => Readonly<Record<string, string>> {
  const headers = tls
    ? { ...SECURITY_HEADERS, "strict-transport-security": "max-age=31536000" }
    : SECURITY_HEADERS;
  return () => ({ ...headers, "isthmus-time": String(now()) });
}

function secureAnswers(server: FastifyInstance, headersNow: () => Readonly<Record<string, string>>): void {
  server.addHook("onRequest", async (_request, reply) => {
    reply.headers(headersNow());
  });
}

/** Node would answer with the status alone (RFC 9110 §10.1.1). */
function refuseExpectations(
  server: FastifyInstance["server"],
  headersNow: () => Readonly<Record<string, string>>,
): void {
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    const body = problem(
      "unknown-expectation",
      `Expect: ${(request.headers.expect ?? "").slice(0, 100)} is not known here; send 100-continue or none`,
    );
    const text = JSON.stringify(body);
    response.writeHead(body.status, {
      ...headersNow(),
      "content-type": PROBLEM_JSON,
      "content-length": Buffer.byteLength(text),
      // A body that nobody reads may follow.
      connection: "close",
    });
    response.end(text);
  });
}

/** A page in somebody's browser that has its own name point here (DNS rebinding) asks under that name. */
function checkHost(server: FastifyInstance, hosts: readonly string[]): void {
  // Whoever stands before us may have looked at the other one (RFC 9112 §3.2).
  server.addHook("onRequest", async ({ raw: { rawHeaders, httpVersion } }) => {
    const names = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === "host");
    if (names.length > 1) throw new Refused("invalid-request", "the request has more than one Host header");
    if (names.length === 0 && httpVersion !== "1.0")
      throw new Refused("invalid-request", "the request has no Host header");
  });
  if (hosts.length === 0) return;
  const accepted = new Set(hosts.map((host) => host.toLowerCase()));
  server.addHook("onRequest", async (request) => {
    const host = (request.headers.host ?? "").toLowerCase().replace(/:\d*$/, "");
    if (accepted.has(host) || accepted.has(host.replace(/^\[(.*)\]$/, "$1"))) return;
    throw new Refused("misdirected", `api.hosts does not list "${host.slice(0, 200)}"`);
  });
}

/** What Fastify itself refuses. */
const CODES: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ["too-large", "the body is larger than is read here"],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ["unsupported-media-type", "send application/json"],
  FST_ERR_CTP_INVALID_JSON_BODY: ["malformed-json", "the body is not JSON"],
  FST_ERR_CTP_EMPTY_JSON_BODY: ["malformed-json", "the body is empty"],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ["invalid-request", "Content-Length is not the length of the body"],
  FST_ERR_BAD_URL: ["malformed-address", "the address holds a broken percent escape"],
  FST_ERR_MAX_PARAM_LENGTH: ["header-too-large", "a part of the address is too long"],
};

function answerErrors(server: FastifyInstance): void {
  server.setNotFoundHandler((request, reply) =>
    sendProblem(
      reply,
      problem(
        "no-route",
        `there is nothing at ${request.method} ${request.url.split("?", 1)[0]!.slice(0, 200)}`,
      ),
    ),
  );
  server.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof Refused) return sendProblem(reply, error.problem, error.headers);
    const [code, detail] = CODES[error.code] ?? [];
    if (code !== undefined) return sendProblem(reply, problem(code, detail));
    const status = error.statusCode ?? 500;
    if (status < 500) {
      const known = Object.entries(PROBLEMS).find(([, [of]]) => of === status)?.[0] as
        | ProblemCode
        | undefined;
      return sendProblem(reply, problem(known ?? "invalid-request", error.message));
    }
    request.server.failed?.(error);
    // What went wrong inside is nobody's business outside.
    return sendProblem(reply, problem("internal"));
  });
}

declare module "fastify" {
  interface FastifyInstance {
    /** Hears of our own bugs. */
    failed?: (error: Error) => void;
  }
}

/** What watches the gateway, for which nobody logs in unless the configuration says so. */
function addOperatorRoutes(server: FastifyInstance, ports: ApiPorts, metricsLogin: boolean): void {
  const { node, metrics, health, access } = ports;
  let scrape: Promise<string> | undefined;
  server.get("/metrics", async (request, reply) => {
    if (metricsLogin) {
      const caller = callerOf(request);
      access.admit(access.identify(caller), { role: "viewer", method: "GET" }, caller);
    }
    // However many ask at once, the numbers are put together once.
    scrape ??= metrics.text().finally(() => {
      scrape = undefined;
    });
    return reply.type(metrics.contentType).send(await scrape);
  });
  server.get("/health", () => ({
    status: "ok",
    node: node.name,
    version: node.version,
    uptime: Math.floor((ports.now() - node.startedAt) / 1000),
  }));
  server.get("/ready", () => {
    const checks = health.readiness();
    const failing = checks.filter((check) => !check.ok);
    if (failing.length === 0) return { status: "ready", checks };
    const detail = failing
      .map(({ name, detail }) => (detail === undefined ? name : `${name}: ${detail}`))
      .join("; ");
    throw new Refused("unavailable", detail, { checks });
  });
}

/** Where `type` of a problem points to. */
function addProblemPages(server: FastifyInstance): void {
  server.get<{ Params: { code: string } }>(`${API_PREFIX}/problems/:code`, ({ params: { code } }) => {
    const found = Object.hasOwn(PROBLEMS, code) ? PROBLEMS[code as ProblemCode] : undefined;
    if (found === undefined) throw new Refused("not-found", "there is no such kind of problem");
    return { code, status: found[0], meaning: found[1] };
  });
}
