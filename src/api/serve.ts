/** Puts declared routes on the HTTP server: who asks, may they, is it well formed; then the answer, and the audit log. */
import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Access, Caller } from "./access/access.ts";
import type { Principal } from "./access/principal.ts";
import { requestChecker } from "./check-request.ts";
import { SentEvents } from "./event-stream.ts";
import type { ApiPorts } from "./ports.ts";
import { PROBLEM_JSON, type Problem, Refused } from "./problem.ts";
import { Answer, type Asked, Download, isAudited, Live, type Route } from "./route.ts";

export const API_PREFIX = "/api/v1";

export interface ServeParts {
  readonly access: Access;
  readonly ports: ApiPorts;
  readonly bodyMax: number;
  readonly streams: Streams;
  /** Keeps the connection of a live stream from making room for others. */
  renew(request: FastifyRequest): void;
}

/** Live streams that are open, and how many may be: together, and for one who asks. */
export class Streams {
  readonly #max: number;
  readonly #open = new Map<SentEvents, string>();

  constructor(max: number) {
    this.#max = max;
  }

  get open(): number {
    return this.#open.size;
  }

  /** Throws `Refused` when there is no room. */
  mayOpen(by: string): void {
    let own = 0;
    for (const other of this.#open.values()) if (other === by) own++;
    if (this.#open.size < this.#max && own < Math.max(1, Math.floor(this.#max / 2))) return;
    throw new Refused(
      "too-many-requests",
      `${this.#open.size} event streams are open, ${own} of them yours, and api.streams allows ${this.#max} and half of that`,
      {},
      { "retry-after": "10" },
    );
  }

  opened(stream: SentEvents, by: string): void {
    this.#open.set(stream, by);
  }

  ended(stream: SentEvents): void {
    this.#open.delete(stream);
  }

  closeAll(): void {
    for (const stream of [...this.#open.keys()]) stream.close();
  }
}

export const sendProblem = (
  reply: FastifyReply,
  body: Problem,
  headers: Readonly<Record<string, string>> = {},
): FastifyReply =>
  // Bytes, because to text Fastify adds a charset that the media type does not have.
  reply
    .code(body.status)
    .headers(headers)
    .type(PROBLEM_JSON)
    .send(Buffer.from(JSON.stringify(body)));

export const callerOf = (request: FastifyRequest): Caller => ({
  headers: request.headers,
  address: request.ip,
  forwarded: request.headers["x-forwarded-for"] !== undefined || request.headers["forwarded"] !== undefined,
});

/** `/clients/{id}` as Fastify writes it. */
const pattern = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ":$1");

interface Judged {
  who: Principal | undefined;
  object?: string | undefined;
  before?: unknown;
  after?: unknown;
}

export function serveRoute(server: FastifyInstance, route: Route, parts: ServeParts): void {
  const { access, ports, bodyMax } = parts;
  const check = requestChecker(route);
  const judged = new WeakMap<FastifyRequest, Judged>();
  server.route({
    method: route.method,
    url: API_PREFIX + pattern(route.path),
    bodyLimit: route.bodyMax ?? bodyMax,
    // Before the body is read: who may not ask shall not be listened to.
    onRequest: async (request) => {
      const noted: Judged = { who: undefined };
      judged.set(request, noted);
      const caller = callerOf(request);
      noted.who = access.identify(caller);
      access.admit(noted.who, route, caller);
    },
    preValidation: async (request) => {
      check({ path: request.params, query: request.query as object, body: request.body });
    },
    handler: async (request, reply) => {
      const noted = judged.get(request)!;
      const asked: Asked = {
        path: request.params,
        query: request.query,
        body: request.body,
        who: noted.who!,
        address: request.ip,
        header: (name) => {
          const value = request.headers[name];
          return Array.isArray(value) ? value[0] : value;
        },
        ports,
        changed: (change) => void Object.assign(noted, change),
      };
      return answer(route, await route.handle(asked), request, reply, parts);
    },
    onResponse: async (request, reply) => {
      const noted = judged.get(request);
      judged.delete(request);
      if (noted === undefined || !isAudited(route) || reply.statusCode === 401) return;
      const { who, object, before, after } = noted;
      access.audit.note({
        at: ports.now(),
        who: who?.name ?? "",
        kind: who?.kind ?? "nobody",
        address: request.ip,
        action: `${request.method} ${request.url.slice(0, 500)}`,
        object,
        before,
        after,
        result: reply.statusCode < 400 ? "done" : String(reply.statusCode),
      });
    },
  });
}

function answer(
  route: Route,
  found: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  parts: ServeParts,
): unknown {
  if (found instanceof Live) return live(found, request, reply, parts);
  if (found instanceof Download) {
    reply.type(found.contentType);
    if (found.fileName !== undefined) {
      reply.header(
        "content-disposition",
        `attachment; filename="${found.fileName.replaceAll(/[^\w.-]/g, "_")}"`,
      );
    }
    return reply.send(Readable.from(found.chunks));
  }
  if (found instanceof Answer) {
    reply.code(found.status).headers(found.headers);
    return found.body === undefined ? reply.send() : reply.send(found.body);
  }
  if (found === undefined) return reply.code(route.status ?? 204).send();
  reply.code(route.status ?? 200);
  if (route.answerType !== undefined) reply.type(route.answerType);
  return reply.send(found);
}

function live(found: Live, request: FastifyRequest, reply: FastifyReply, parts: ServeParts): FastifyReply {
  const { streams, access } = parts;
  const by = `${access.identify(callerOf(request)).name} ${request.ip}`;
  streams.mayOpen(by);
  const headers = reply.getHeaders() as Record<string, string>;
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    ...headers,
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  const lastSeen = request.headers["last-event-id"];
  const stream = new SentEvents(raw, typeof lastSeen === "string" ? lastSeen : undefined, () =>
    parts.renew(request),
  );
  streams.opened(stream, by);
  let stop: (() => void) | undefined;
  const end = (): void => {
    stream.ended();
    streams.ended(stream);
    stop?.();
    stop = undefined;
  };
  raw.on("close", end);
  raw.on("error", end);
  stop = found.begin(stream);
  return reply;
}
