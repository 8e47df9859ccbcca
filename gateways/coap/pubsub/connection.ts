import type { StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { after, type Duration, type Instant, NEVER } from "#core/lib/time.ts";
import { Method, Response } from "../stack/message/codes.ts";
import { type CoapPeer, type CoapRequest, type CoapResponse, respondWith } from "../stack/site.ts";
import type { Connections } from "./connections.ts";
import { credentialsOf, PROTOCOL } from "./identities.ts";
import { ObservingClient, type ObservingPeer } from "./observing-client.ts";
import type { Query } from "./query.ts";

const CHANGED = respondWith(Response.Changed);
const DELETED = respondWith(Response.Deleted);
const refused = (code: CoapResponse["code"], text: string) => ({ code, payload: utf8(text) });
const NO_CLIENT_ID = refused(Response.BadRequest, "clientid is missing");
const ALREADY = refused(Response.BadRequest, "connected already: end that connection first");
const NOT_ACCEPTED = refused(Response.BadRequest, "not accepted");
const METHOD = refused(Response.MethodNotAllowed, "POST connects, PUT keeps alive, DELETE ends");
const FORBIDDEN = refused(Response.Forbidden, "the rules have changed");
const ENDED = refused(Response.ServiceUnavailable, "the connection was ended");

/** Silence that ends a connection, in heartbeats. */
const PATIENCE = 1.5;

/**
 * Connection mode: `POST mqtt/connection` gives a token, which then stands for client id and credentials, from
 * whatever address it comes. It belongs to the peer that asked for it, which has one.
 */
export class Connection {
  readonly of: ObservingPeer;
  readonly #connections: Connections;
  #state: "none" | "connecting" | "connected" = "none";
  #clientId = "";
  #token = "";
  #observing: ObservingClient | undefined = undefined;
  #due: Instant = NEVER;

  constructor(of: ObservingPeer, connections: Connections) {
    this.of = of;
    this.#connections = connections;
  }

  /** Whether a request of this peer may use it: by the listener's `roaming`, from its own peer always. */
  servesFrom({ host }: CoapPeer): boolean {
    const own = this.of.peer.host;
    if (host === own) return true;
    return (
      host.roaming === "anywhere" || (host.roaming === "same-host" && host.peer.address === own.peer.address)
    );
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
    const { method } = request;
    if (method === Method.POST) this.#connect(request, query, now);
    else if (method === Method.PUT) {
      const found = this.#connections.find(query, this.of.peer);
      if (found instanceof Connection) found.heard(now);
      request.respond(found instanceof Connection ? CHANGED : found);
    } else if (method === Method.DELETE) this.#disconnect(request, query);
    else request.respond(METHOD);
  }

  #connect(request: CoapRequest, query: Readonly<Query>, now: Instant): void {
    const { peer, waiting, config } = this.of;
    if (query.clientId === undefined) {
      request.respond(NO_CLIENT_ID);
      return;
    }
    // Who has the token may begin anew without waiting for the end of what it has.
    if (this.#isNamedBy(query)) this.#end("closed");
    if (this.#state !== "none") {
      request.respond(ALREADY);
      return;
    }
    this.#state = "connecting";
    this.#clientId = query.clientId;
    const ticket = peer.ticket();
    const answer = peer.connect(
      {
        kind: "session",
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
    const { peer } = this.of;
    this.#state = "connected";
    // 64 bits of chance as decimal digits: what clients of this form expect, and nobody guesses.
    this.#token = Buffer.from(peer.host.random(8)).readBigUInt64BE().toString();
    this.#observing = new ObservingClient(answer, this.of);
    this.#due = after(now, this.#patience);
    this.#connections.enter(this.#clientId, this.#token, this);
    request.respond({ code: Response.Created, payload: utf8(this.#token) });
  }

  /** Answers 2.02 also when there is no connection, as clients of this form expect. */
  #disconnect(request: CoapRequest, query: Readonly<Query>): void {
    const found = this.#connections.find(query, this.of.peer);
    const isMine = this.#state === "connected" && query.clientId === this.#clientId;
    if (found instanceof Connection) found.finish();
    else if (isMine && query.token !== undefined) {
      request.respond(found);
      return;
    }
    request.respond(DELETED);
  }

  #isNamedBy({ clientId, token }: Readonly<Query>): boolean {
    return this.#state === "connected" && clientId === this.#clientId && token === this.#token;
  }

  /** Ended by a request, perhaps of another peer. */
  finish(): void {
    this.of.peer.turn(() => this.#end("closed"));
  }

  wake(now: Instant): void {
    if (this.#due <= now) this.#end("silent");
  }

  /** The core ends this client. False when it is not this connection's. */
  stop(client: Client, reason: StopReason): boolean {
    if (this.#observing?.client !== client) return false;
    this.#forget(reason === "forbidden" ? FORBIDDEN : ENDED);
    return true;
  }

  #end(how: "closed" | "silent"): void {
    const observing = this.#observing;
    this.#forget();
    observing?.end(how);
  }

  #forget(why = ENDED): void {
    const observing = this.#observing;
    this.#observing = undefined;
    this.#state = "none";
    this.#due = NEVER;
    this.#connections.leave(this.#clientId, this.#token);
    this.#token = "";
    observing?.dismiss(why);
  }

  get #patience(): Duration {
    return (PATIENCE * this.of.config.connection.heartbeat) as Duration;
  }
}
