import type { Client, ConnectAnswer, Credentials, SingleRequest } from "#core/contract/client.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { SmallMap } from "#core/lib/small-map.ts";
import { after, type Instant } from "#core/lib/time.ts";
import type { CoapConfig } from "../config.ts";
import type { CoapPeer } from "../stack/site.ts";
import type { Operation } from "./operation.ts";
import type { Query } from "./query.ts";
import { refusalResponse } from "./refusals.ts";
import type { Asker, Waiting } from "./waiting.ts";

export const PROTOCOL = "CoAP";

/** Who a request says it is, as one key. */
export const identityKey = ({ clientId, username, password }: Readonly<Query>): string =>
  clientId === undefined && username === undefined && password === undefined
    ? ""
    : JSON.stringify([clientId, username, password]);

/** The part of a connect that the query decides. */
export const credentialsOf = (query: Readonly<Query>): Credentials => ({
  clientId: query.clientId ?? "",
  username: query.username,
  password: query.password === undefined ? undefined : utf8(query.password),
});

/** A client who was let in for single requests. Whoever is forgotten ends when nothing that was asked in its name is due. */
class Identity implements Asker {
  due = 0;
  readonly client: Client;
  readonly until: Instant;
  #forgotten = false;

  constructor(client: Client, until: Instant) {
    this.client = client;
    this.until = until;
  }

  forget(): void {
    this.#forgotten = true;
    if (this.due === 0) this.idle();
  }

  idle(): void {
    if (this.#forgotten) this.client.end("closed");
  }
}

/**
 * The identities under which one peer makes single requests. Each request is checked by its own credentials; the
 * outcome is remembered for a short while, so that a sensor that sends every second is not hashed every second.
 */
export class Identities {
  readonly #config: CoapConfig;
  readonly #peer: CoapPeer;
  readonly #waiting: Waiting;
  readonly #known = new SmallMap<string, Identity>();

  constructor(config: CoapConfig, peer: CoapPeer, waiting: Waiting) {
    this.#config = config;
    this.#peer = peer;
    this.#waiting = waiting;
  }

  /** Calls `then` with the client of this request, at once or later; a refusal is answered here. */
  with(operation: Operation, now: Instant, then: (client: Client, now: Instant) => void): void {
    const key = identityKey(operation.query);
    const known = this.#known.get(key);
    if (known !== undefined && known.until > now) {
      this.#act(known, now, then);
      return;
    }
    if (known !== undefined) this.#forget(key);
    const ticket = this.#peer.ticket();
    const request: SingleRequest = {
      kind: "single",
      ...credentialsOf(operation.query),
      protocol: PROTOCOL,
    };
    const answer = this.#peer.connect(request, ticket);
    if (answer !== "pending") {
      this.#connected(operation, key, answer, now, then);
      return;
    }
    operation.detach();
    this.#waiting.connect(ticket, (late, at) => this.#connected(operation, key, late, at, then));
  }

  #connected(
    operation: Operation,
    key: string,
    answer: ConnectAnswer,
    now: Instant,
    then: (client: Client, now: Instant) => void,
  ): void {
    if (!answer.ok) {
      operation.request.respond(refusalResponse(answer.refusal, operation.anonymous));
      return;
    }
    // Another request was checked beside this one: what both ask for stays in order.
    const known = this.#known.get(key);
    if (known !== undefined && known.until > now) {
      answer.client.end("closed");
      this.#act(known, now, then);
      return;
    }
    const { remember, perPeer } = this.#config.credentials;
    const identity = new Identity(answer.client, after(now, remember));
    this.#forget(key);
    if (remember > 0) {
      if (this.#known.size >= perPeer) this.#forget(this.#known.keys().next().value as string);
      this.#known.set(key, identity);
    }
    this.#act(identity, now, then);
    // What is not remembered serves this one request, until it has been answered.
    if (remember === 0) identity.forget();
  }

  #act(identity: Identity, now: Instant, then: (client: Client, now: Instant) => void): void {
    this.#waiting.by(identity, () => then(identity.client, now));
  }

  /** The core ended it. */
  drop(client: Client): void {
    for (const [key, known] of this.#known) if (known.client === client) this.#known.delete(key);
  }

  #forget(key: string): void {
    this.#known.get(key)?.forget();
    this.#known.delete(key);
  }
}
