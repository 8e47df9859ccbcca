/** Puts declared routes on the HTTP server: who asks, may they, is it well formed; then the answer, and the audit log. */
import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Access, Caller } from "./access/access.ts";
import type { Principal } from "./access/principal.ts";
import { requestChecker } from "./check-request.ts";
import { SentEvents } from "./event-stream.ts";
import type { ApiPorts } from "./ports.ts";
import { PROBLEM_JSON, type Problem, Refused } from "./problem.ts";
import { Answer, type Asked, Download, isAudited, type Live, type Route } from "./route.ts";

const EVENT_STREAM = "text/event-stream";

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
  /** Places by who has them: taken before anything is made for a stream. */
  readonly #taken = new Map<object, string>();
  readonly #open = new Set<SentEvents>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Throws `Refused` when there is no room; returns what gives the place back. */
  take(by: string): () => void {
    let own = 0;
    for (const other of this.#taken.values()) if (other === by) own++;
    if (this.#taken.size < this.#max && own < Math.max(1, Math.floor(this.#max / 2))) {
      const place = {};
      this.#taken.set(place, by);
      return () => this.#taken.delete(place);
    }
    throw new Refused(
      "too-many-requests",
      `${this.#taken.size} event streams are open, ${own} of them yours, and api.streams allows ${this.#max} and half of that`,
      {},
      { "retry-after": "10" },
    );
  }

  opened(stream: SentEvents): void {
    this.#open.add(stream);
  }

  ended(stream: SentEvents): void {
    this.#open.delete(stream);
  }

  closeAll(): void {
    for (const stream of [...this.#open]) stream.close();
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
      if (route.answerType !== EVENT_STREAM) return answer(route, await route.handle(asked), reply);
      const leave = parts.streams.take(`${asked.who.name} ${request.ip}`);
      try {
        return live((await route.handle(asked)) as Live, leave, request, reply, parts);
      } catch (error) {
        leave();
        throw error;
      }
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

function answer(route: Route, found: unknown, reply: FastifyReply): unknown {
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

/** `leave` gives the stream's place back. */
function live(
  found: Live,
  leave: () => void,
  request: FastifyRequest,
  reply: FastifyReply,
  { streams, renew }: ServeParts,
): FastifyReply {
  const headers = reply.getHeaders() as Record<string, string>;
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    ...headers,
    "content-type": EVENT_STREAM,
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  const lastSeen = request.headers["last-event-id"];
  const stream = new SentEvents(raw, typeof lastSeen === "string" ? lastSeen : undefined, () =>
    renew(request),
  );
  streams.opened(stream);
  let stop: (() => void) | undefined;
  const end = (): void => {
    stream.ended();
    streams.ended(stream);
    leave();
    stop?.();
    stop = undefined;
  };
  raw.on("close", end);
  raw.on("error", end);
  stop = found.begin(stream);
  // Who has gone while its stream was made is not heard going any more.
  if (raw.closed || raw.destroyed) end();
  return reply;
}
