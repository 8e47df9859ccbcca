import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { after, type Duration, type Instant, NEVER } from "#core/lib/time.ts";
import { Method, Response } from "../stack/codes.ts";
import { type CoapRequest, type CoapResponse, respondWith } from "../stack/site.ts";
import { credentialsOf, PROTOCOL } from "./identities.ts";
import { ObservingClient, type ObservingPeer } from "./observing-client.ts";
import type { Operation } from "./operation.ts";
import { claimName, type Query } from "./query.ts";

const CHANGED = respondWith(Response.Changed);
const DELETED = respondWith(Response.Deleted);
const refused = (code: CoapResponse["code"], text: string) => ({ code, payload: utf8(text) });
const NO_CLIENT_ID = refused(Response.BadRequest, "clientid is missing");
const ALREADY = refused(Response.BadRequest, "connected already: end that connection first");
const NOT_ACCEPTED = refused(Response.BadRequest, "not accepted");
const INCOMPLETE = refused(Response.BadRequest, "clientid and token belong together");
const WRONG_TOKEN = refused(Response.Unauthorized, "no connection has this clientid and token");
const METHOD = refused(Response.MethodNotAllowed, "POST connects, PUT keeps alive, DELETE ends");
const ENDED = refused(Response.ServiceUnavailable, "the connection was ended");

/** Silence that ends a connection, in heartbeats. */
const PATIENCE = 1.5;

/**
 * Connection mode: `POST mqtt/connection` gives a token, which then stands for client id and credentials, from
 * whatever address it comes. A peer has one connection.
 */
export class Connection {
  readonly #of: ObservingPeer;
  #state: "none" | "connecting" | "connected" = "none";
  #clientId = "";
  #token = "";
  #observing: ObservingClient | undefined = undefined;
  #due: Instant = NEVER;

  constructor(of: ObservingPeer) {
    this.#of = of;
  }

  get open(): boolean {
    return this.#state !== "none";
  }

  get observing(): ObservingClient | undefined {
    return this.#observing;
  }

  deadline(): Instant {
    return this.#due;
  }

  /** Any sign of life counts as a heartbeat. */
  heard(now: Instant): void {
    if (this.#state === "connected") this.#due = after(now, this.#patience);
  }

  /** `mqtt/connection` with any method. */
  request(request: CoapRequest, query: Readonly<Query>, now: Instant): void {
    if (request.method === Method.POST) this.#connect(request, query, now);
    else if (request.method === Method.PUT) request.respond(this.problem(query) ?? CHANGED);
    else if (request.method === Method.DELETE) this.#disconnect(request, query);
    else request.respond(METHOD);
  }

  /** Why a request may not use this connection; undefined when it may. */
  problem(query: Readonly<Query>): CoapResponse | undefined {
    if (query.clientId === undefined || query.token === undefined) return INCOMPLETE;
    const known =
      this.#state === "connected" && query.clientId === this.#clientId && sameText(query.token, this.#token);
    return known ? undefined : WRONG_TOKEN;
  }

  with(operation: Operation, then: (observing: ObservingClient) => void): void {
    const problem = this.problem(operation.query);
    if (problem !== undefined || this.#observing === undefined)
      operation.request.respond(problem ?? WRONG_TOKEN);
    else then(this.#observing);
  }

  #connect(request: CoapRequest, query: Readonly<Query>, now: Instant): void {
    const { peer, waiting, config } = this.#of;
    if (query.clientId === undefined) {
      request.respond(NO_CLIENT_ID);
      return;
    }
    if (this.#state !== "none") {
      request.respond(ALREADY);
      return;
    }
    this.#state = "connecting";
    this.#clientId = query.clientId;
    const ticket = peer.ticket();
    const answer = peer.connect(
      {
        ...credentialsOf(query),
        cleanStart: query.cleanStart ?? config.connection.cleanStart,
        sessionExpiry: config.connection.sessionExpiry,
        keepAlive: config.connection.heartbeat,
        credit: 0,
        protocol: PROTOCOL,
      },
      ticket,
    );
    if (answer === "pending") waiting.connect(ticket, (late, at) => this.#connected(request, late, at));
    else this.#connected(request, answer, now);
  }

  #connected(request: CoapRequest, answer: ConnectAnswer, now: Instant): void {
    if (!answer.ok) {
      this.#state = "none";
      request.respond(NOT_ACCEPTED);
      return;
    }
    const { peer } = this.#of;
    this.#state = "connected";
    // 64 bits of chance as decimal digits: what clients of this form expect, and nobody guesses.
    this.#token = Buffer.from(peer.host.random(8)).readBigUInt64BE().toString();
    this.#observing = new ObservingClient(answer, this.#of);
    this.#due = after(now, this.#patience);
    peer.host.claim(claimName(this.#clientId, this.#token));
    request.respond({ code: Response.Created, payload: utf8(this.#token) });
  }

  /** Answers 2.02 also when there is no connection, as clients of this form expect. */
  #disconnect(request: CoapRequest, query: Readonly<Query>): void {
    const named =
      this.#state === "connected" && query.clientId === this.#clientId && query.token !== undefined;
    if (named && this.problem(query) === undefined) this.#end("closed");
    else if (named) {
      request.respond(WRONG_TOKEN);
      return;
    }
    request.respond(DELETED);
  }

  wake(now: Instant): void {
    if (this.#due <= now) this.#end("lost");
  }

  /** The core ends this client. False when it is not this connection's. */
  stop(client: Client): boolean {
    if (this.#observing?.client !== client) return false;
    this.#forget();
    return true;
  }

  #end(how: "closed" | "lost"): void {
    const observing = this.#observing;
    this.#forget();
    observing?.end(how);
  }

  #forget(): void {
    const observing = this.#observing;
    this.#observing = undefined;
    this.#state = "none";
    this.#due = NEVER;
    this.#of.peer.host.unclaim(claimName(this.#clientId, this.#token));
    this.#token = "";
    observing?.dismiss(ENDED);
  }

  get #patience(): Duration {
    return (PATIENCE * this.#of.config.connection.heartbeat) as Duration;
  }
}

/** Takes as long for a wrong token as for a right one. */
function sameText(a: string, b: string): boolean {
  let different = a.length ^ b.length;
  for (let index = 0; index < b.length; index++) different |= a.charCodeAt(index) ^ b.charCodeAt(index);
  return different === 0;
}
