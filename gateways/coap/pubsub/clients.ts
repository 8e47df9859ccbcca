import type { StopReason } from "#core/contract/channel.ts";
import type { Client } from "#core/contract/client.ts";
import { utf8 } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";
import { Response } from "../stack/message/codes.ts";
import { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import { Identities, identityKey } from "./identities.ts";
import { Observers } from "./observers.ts";
import type { ObservingClient, ObservingPeer } from "./observing-client.ts";
import type { Operation } from "./operation.ts";
import { NO_QUERY, type Query } from "./query.ts";

const CONNECT_FIRST = {
  code: Response.BadRequest,
  payload: utf8("clientid and token of POST mqtt/connection are missing"),
};

/** Acts for a client; its asks take the tickets of `of`. */
type Act = (client: Client, now: Instant, of: ObservingPeer) => void;

const usesConnection = (query: Readonly<Query>): boolean => query !== NO_QUERY && query.token !== undefined;

/**
 * In whose name the requests of a peer act: of a connection, by its token; of a client that observes here under the
 * same credentials; or of whoever the credentials of this one request prove.
 */
export class Clients {
  readonly #of: ObservingPeer;
  readonly #connections: Connections;
  readonly #identities: Identities;
  readonly observers: Observers;

  constructor(of: ObservingPeer, connections: Connections) {
    this.#of = of;
    this.#connections = connections;
    this.#identities = new Identities(of.config, of.peer, of.waiting);
    this.observers = new Observers(of);
  }

  /** Calls `act` with the client of this request, at once or later; a refusal is answered here. */
  as(operation: Operation, now: Instant, act: Act): void {
    const { query, request } = operation;
    if (usesConnection(query)) this.#connected(operation, now, ({ client }, of) => act(client, now, of));
    else if (this.#of.config.connection.required) request.respond(CONNECT_FIRST);
    else {
      const observing = this.observers.find(identityKey(query));
      if (observing !== undefined) act(observing.client, now, this.#of);
      else this.#identities.with(operation, now, (client, at) => act(client, at, this.#of));
    }
  }

  observe(operation: Operation, now: Instant): void {
    if (usesConnection(operation.query))
      this.#connected(operation, now, (observing) => observing.observe(operation, now));
    else if (this.#of.config.connection.required) operation.request.respond(CONNECT_FIRST);
    else this.observers.observe(operation, now);
  }

  /** The observing client that a query names, if this peer may use it. */
  named(query: Readonly<Query>): ObservingClient | undefined {
    if (!usesConnection(query)) return this.observers.find(identityKey(query));
    const found = this.#connections.find(query, this.#of.peer);
    return found instanceof Connection ? found.observing : undefined;
  }

  #connected(
    operation: Operation,
    now: Instant,
    act: (observing: ObservingClient, of: ObservingPeer) => void,
  ): void {
    const found = this.#connections.find(operation.query, this.#of.peer);
    if (!(found instanceof Connection) || found.observing === undefined) {
      const by = (): string => "connection mode: no connection has this clientid and token";
      const { clientId: asked } = operation.query;
      this.#of.peer.host.refused({ what: "connect", asked, refusal: "unauthenticated", by });
      operation.request.respond(found instanceof Connection ? CONNECT_FIRST : found);
      return;
    }
    found.heard(now);
    if (found.of.peer.host !== this.#of.peer.host) operation.via = this.#of.peer;
    act(found.observing, found.of);
  }

  unwatched(observing: ObservingClient, how: "closed" | "lost"): void {
    this.observers.unwatched(observing, how);
  }

  /** The core ended this client. */
  stop(client: Client, reason: StopReason): void {
    if (!this.observers.stop(client, reason)) this.#identities.drop(client);
  }
}
