import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Peer } from "../contract/peer.ts";
import type { Arrival } from "./arrival.ts";
import { answer, CARRIAGES, type Carriage, decline, readBody, SockJsSession } from "./sockjs.ts";
import type { SocketLimits } from "./tcp.ts";
import type { AcceptStream } from "./transport.ts";
import type { WebSocketOptions } from "./websocket-handshake.ts";

/** Seconds that a browser may remember what it was told about another origin. */
const PREFLIGHT_AGE = "31536000";

/** Messages of the largest size that one `xhr_send` may hold: clients send together what they have. */
const SENT_TOGETHER = 6;

/**
 * SockJS beside WebSocket on the same listener: `info`, and the transports over plain HTTP. It carries messages; what is
 * in them (`o`, `h`, `a[...]`, `c[...]`) is the gateway's, as it is over SockJS's own `websocket` transport.
 */
export class SockJsServer {
  readonly #prefixes: readonly string[];
  readonly #options: WebSocketOptions;
  readonly #limits: SocketLimits;
  readonly #accept: AcceptStream;
  readonly #sessions = new Map<string, SockJsSession>();

  constructor(options: WebSocketOptions, limits: SocketLimits, accept: AcceptStream) {
    this.#options = options;
    this.#limits = limits;
    this.#accept = accept;
    this.#prefixes = (options.sockjs ?? []).map((prefix) => prefix.replace(/\/+$/, ""));
  }

  /** Answers a request below one of the prefixes; false for any other. */
  serve(request: IncomingMessage, response: ServerResponse, path: string, arrival: Arrival): boolean {
    const prefix = this.#prefixes.find((each) => path === each || path.startsWith(`${each}/`));
    if (prefix === undefined) return false;
    // One request a connection: how long each may take is then bounded as a handshake is.
    response.setHeader("connection", "close");
    response.setHeader("cache-control", "no-store, no-cache, no-transform, must-revalidate, max-age=0");
    if (!this.#allowsOrigin(request, response)) answer(response, 403, "origin not allowed");
    else this.#dispatch(request, response, path.slice(prefix.length), prefix, arrival);
    return true;
  }

  #allowsOrigin(request: IncomingMessage, response: ServerResponse): boolean {
    const { origin } = request.headers;
    const { origins } = this.#options;
    if (origin !== undefined && origins.length > 0 && !origins.includes(origin.toLowerCase())) return false;
    response.setHeader("access-control-allow-origin", origin ?? "*");
    response.setHeader("vary", "Origin");
    if (origin !== undefined) response.setHeader("access-control-allow-credentials", "true");
    return true;
  }

  #dispatch(
    request: IncomingMessage,
    response: ServerResponse,
    rest: string,
    prefix: string,
    arrival: Arrival,
  ): void {
    if (rest === "" || rest === "/") {
      answer(response, 200, "Welcome to SockJS!\n");
      return;
    }
    if (rest === "/info") {
      this.#info(request, response);
      return;
    }
    const [server, session, transport, more] = rest.slice(1).split("/");
    const carriage = CARRIAGES[transport ?? ""];
    const named = isName(server) && isName(session) && more === undefined;
    if (!named || (carriage === undefined && transport !== "xhr_send")) {
      answer(response, 404, "");
      return;
    }
    const method = carriage?.method ?? "POST";
    if (request.method === "OPTIONS") preflight(request, response, method);
    else if (request.method !== method) answer(response, 405, "");
    else if (carriage === undefined) this.#send(request, response, `${prefix} ${session}`);
    else
      this.#wait(
        response,
        `${prefix}/${server}/${session}/websocket`,
        `${prefix} ${session}`,
        carriage,
        arrival,
      );
  }

  #info(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === "OPTIONS") {
      preflight(request, response, "GET");
      return;
    }
    const entropy = randomBytes(4).readUInt32BE();
    const info = { websocket: true, origins: ["*:*"], cookie_needed: false, entropy };
    answer(response, 200, JSON.stringify(info), "application/json");
  }

  #send(request: IncomingMessage, response: ServerResponse, key: string): void {
    const session = this.#sessions.get(key);
    if (session === undefined) {
      answer(response, 404, "");
      return;
    }
    const gather = (more: number): void => session.gather(more);
    readBody(request, SENT_TOGETHER * this.#options.messageSizeMax, gather, (body) => {
      if (body === undefined) answer(response, 413, "");
      else if (body.length === 0) answer(response, 500, "Payload expected.");
      else if (this.#sessions.has(key)) this.#sessions.get(key)?.take(body, response);
      else answer(response, 404, "");
    });
  }

  #wait(response: ServerResponse, path: string, key: string, carriage: Carriage, arrival: Arrival): void {
    arrival.leave();
    const known = this.#sessions.get(key);
    if (known !== undefined) {
      known.wait(response, carriage);
      return;
    }
    const { transport, address, port, identity } = arrival;
    const peer: Peer = { transport, address, port, identity, path };
    const session = new SockJsSession(peer, this.#limits, () => this.#sessions.delete(key));
    this.#sessions.set(key, session);
    const receiver = this.#accept(session);
    if (receiver === undefined) {
      session.destroy();
      decline(response, carriage, 'c[1013,"Try again later"]');
      return;
    }
    session.receiver = receiver;
    session.wait(response, carriage);
  }
}

const isName = (segment: string | undefined): boolean => segment !== undefined && /^[^.]+$/.test(segment);

function preflight(request: IncomingMessage, response: ServerResponse, method: "GET" | "POST"): void {
  response.setHeader("access-control-allow-methods", `OPTIONS, ${method}`);
  const asked = request.headers["access-control-request-headers"];
  if (asked !== undefined) response.setHeader("access-control-allow-headers", asked);
  response.setHeader("access-control-max-age", PREFLIGHT_AGE);
  response.setHeader("cache-control", "public, max-age=31536000");
  response.writeHead(204);
  response.end();
}
