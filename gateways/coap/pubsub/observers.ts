import type { StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { SmallMap } from "#core/lib/small-map.ts";
import { type Instant, ZERO } from "#core/lib/time.ts";
import { Response } from "../stack/message/codes.ts";
import { credentialsOf, identityKey, PROTOCOL } from "./identities.ts";
import { ObservingClient, type ObservingPeer } from "./observing-client.ts";
import type { Operation } from "./operation.ts";
import { refusalResponse } from "./refusals.ts";

const FORBIDDEN = { code: Response.Forbidden, payload: utf8("the rules have changed") };
const ENDED = { code: Response.ServiceUnavailable, payload: utf8("observe again: this session was ended") };

/** Clients that exist because a request without a connection observes: one for each identity of the peer. */
export class Observers {
  readonly #of: ObservingPeer;
  readonly #byKey = new SmallMap<string, ObservingClient>();
  readonly #byClient = new SmallMap<Client, ObservingClient>();
  /** Observations that wait for the answer to a connect that another one has begun. */
  readonly #connecting = new SmallMap<string, Operation[]>();

  constructor(of: ObservingPeer) {
    this.#of = of;
  }

  get size(): number {
    return this.#byKey.size + this.#connecting.size;
  }

  find(key: string): ObservingClient | undefined {
    return this.#byKey.get(key);
  }

  of(client: Client): ObservingClient | undefined {
    return this.#byClient.get(client);
  }

  observe(operation: Operation, now: Instant): void {
    const key = identityKey(operation.query);
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      known.observe(operation, now);
      return;
    }
    const others = this.#connecting.get(key);
    if (others !== undefined) {
      others.push(operation.detach());
      return;
    }
    const { peer, waiting, config } = this.#of;
    const ticket = peer.ticket();
    const named = operation.query.clientId !== undefined;
    const answer = peer.connect(
      {
        kind: "session",
        ...credentialsOf(operation.query),
        // Without a client id nobody could come back to the session.
        cleanStart: !named,
        sessionExpiry: named ? config.subscribe.sessionExpiry : ZERO,
        credit: 0,
        protocol: PROTOCOL,
      },
      ticket,
    );
    if (answer !== "pending") {
      this.#connected(key, [operation], answer, now);
      return;
    }
    const waitingFor = [operation.detach()];
    this.#connecting.set(key, waitingFor);
    waiting.connect(ticket, (late, at) => {
      this.#connecting.delete(key);
      this.#connected(key, waitingFor, late, at);
    });
  }

  #connected(key: string, operations: readonly Operation[], answer: ConnectAnswer, now: Instant): void {
    if (!answer.ok) {
      for (const { request, anonymous } of operations)
        request.respond(refusalResponse(answer.refusal, anonymous));
      return;
    }
    const observing = new ObservingClient(answer, this.#of);
    this.#byKey.set(key, observing);
    this.#byClient.set(answer.client, observing);
    for (const operation of operations) observing.observe(operation, now);
  }

  /** Its last observation has ended: the client leaves, its session lives on as configured. */
  unwatched(observing: ObservingClient, how: "closed" | "lost"): void {
    if (this.#remove(observing)) observing.end(how);
  }

  /** The core ends this client. False when it is not one of these. */
  stop(client: Client, reason: StopReason): boolean {
    const observing = this.#byClient.get(client);
    if (observing === undefined) return false;
    this.#remove(observing);
    observing.dismiss(reason === "forbidden" ? FORBIDDEN : ENDED);
    return true;
  }

  #remove(observing: ObservingClient): boolean {
    if (!this.#byClient.delete(observing.client)) return false;
    for (const [key, each] of this.#byKey) if (each === observing) this.#byKey.delete(key);
    return true;
  }
}
