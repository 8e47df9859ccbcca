/**
 * The requests to one device: in order, one outstanding at a time (LwM2M 1.1 §6.5, queue mode), and none
 * while the device sleeps. Each is settled exactly once.
 */

import { Ring } from "#core/lib/ring.ts";
import { SmallMap } from "#core/lib/small-map.ts";
import { type Duration, earliest, type Instant, NEVER } from "#core/lib/time.ts";
import { Response } from "#gateways/coap/stack/message/codes.ts";
import type {
  Acknowledgement,
  Ask,
  AskFailure,
  CoapPeer,
  IncomingResponse,
} from "#gateways/coap/stack/site.ts";
import type { Types } from "../content/value.ts";
import { type ObservationTable, type Observed, observedOf } from "../observing/observations.ts";
import { type Operation, observationKey } from "./operation.ts";
import { requestFor, type Target } from "./requests.ts";
import { type Answer, answerOf } from "./responses.ts";

/** What became of a request: an answer, or why there is none. `gone`: the peer is lost, nothing is known. */
export type Settlement =
  | { readonly kind: "answered"; readonly answer: Answer; readonly sequence: number | undefined }
  | { readonly kind: "failed"; readonly why: Failure };
export type Failure = "coap_timeout" | "coap_reset" | "expired" | "queue_full" | "gone";

export interface Waiting {
  readonly operation: Operation;
  /** When it is no longer worth sending. */
  readonly due: Instant;
  acknowledged?(now: Instant): void;
  settled(settlement: Settlement, now: Instant): void;
  /** Of an observation: a notification, that is, any answer after the first. */
  notified?(answer: Answer, sequence: number, now: Instant, acknowledgement?: Acknowledgement): void;
  /** Of an observation: it has ended, and will not be heard of again. */
  lost?(why: Failure, now: Instant): void;
  /** What an observation is remembered as. */
  readonly observed?: Pick<Observed, "echo" | "automatic">;
}

/** What the queue must know of its device. */
export interface Line {
  readonly peer: CoapPeer;
  readonly observations: ObservationTable;
  readonly target: Target & { readonly types: Types };
  awake(now: Instant): boolean;
  /** A request timed out: a sleeper is asleep until it is heard again. */
  silent(now: Instant): void;
  /** An observation began or ended: worth remembering. */
  observationsChanged(): void;
  /** How long a request may take whose body has so many bytes. */
  timeout(bodyLength: number): Duration;
}

const FAILURES: Readonly<Record<AskFailure, Failure>> = {
  timeout: "coap_timeout",
  reset: "coap_reset",
  blocks: "coap_timeout",
  gone: "gone",
  full: "queue_full",
};

export class RequestQueue {
  readonly #line: Line;
  /** Undefined while nothing waits, which is most of the time. */
  #waiting: Ring<Waiting> | undefined = undefined;
  #running: Waiting | undefined = undefined;
  /** Asks that have not been answered, so that they can be given up. */
  #asks: SmallMap<Waiting, Ask | undefined> | undefined = undefined;
  #due: Instant | undefined = undefined;
  #closed = false;

  constructor(line: Line) {
    this.#line = line;
  }

  get length(): number {
    return this.#waiting?.length ?? 0;
  }

  get busy(): boolean {
    return this.#running !== undefined || this.length > 0;
  }

  /** When the next request that waits expires. */
  get due(): Instant {
    return this.#due ?? NEVER;
  }

  /** True when it had to wait. */
  push(request: Waiting, now: Instant): boolean {
    this.#waiting ??= new Ring();
    this.#waiting.push(request);
    this.#due = earliest(this.due, request.due);
    this.pump(now);
    return this.#isWaiting(request);
  }

  /** Sends without waiting for its turn or for the device to wake. */
  sendNow(request: Waiting, now: Instant): void {
    this.#start(request, now, false);
  }

  pump(now: Instant): void {
    this.#expire(now);
    while (!this.#closed && this.#running === undefined && this.#line.awake(now)) {
      const next = this.#waiting?.shift();
      if (next === undefined) {
        this.#waiting = undefined;
        this.#due = undefined;
        return;
      }
      this.#start(next, now, true);
    }
  }

  /** Gives everything back unanswered, in order: what runs, then what waits. */
  close(): Waiting[] {
    this.#closed = true;
    for (const ask of this.#asks?.values() ?? []) ask?.cancel();
    const rest = [...(this.#asks?.keys() ?? []), ...(this.#waiting ?? [])];
    this.#asks = undefined;
    this.#waiting = undefined;
    this.#running = undefined;
    this.#due = undefined;
    return rest;
  }

  #isWaiting(request: Waiting): boolean {
    for (const waiting of this.#waiting ?? []) if (waiting === request) return true;
    return false;
  }

  #expire(now: Instant): void {
    if (now < this.due) return;
    const expired = [...(this.#waiting ?? [])].filter((request) => request.due <= now);
    this.#waiting?.filter((request) => request.due > now);
    this.#due = undefined;
    for (const request of this.#waiting ?? []) this.#due = earliest(this.due, request.due);
    for (const request of expired) request.settled({ kind: "failed", why: "expired" }, now);
  }

  #start(request: Waiting, now: Instant, inTurn: boolean): void {
    const { operation } = request;
    const made = requestFor(operation, this.#line.target);
    if (!made.ok) {
      const answer: Answer = {
        code: Response.BadRequest,
        reason: `${made.error.clause}: ${made.error.problem}`,
      };
      request.settled({ kind: "answered", answer, sequence: undefined }, now);
      return;
    }
    if (inTurn) this.#running = request;
    const key = observationKey(operation);
    const running = key === undefined ? undefined : this.#line.observations.get(key);
    const asker = new RequestAsker(this, request, key);
    if (operation.kind === "cancel-observe" || operation.kind === "cancel-observe-composite") {
      this.#line.observations.delete(key as string);
      this.#line.observationsChanged();
      if (running?.ask?.active === true) {
        // The answer comes under the old token; nothing of ours is left to cancel.
        this.#remember(request, undefined);
        running.ask.deregister(asker);
        return;
      }
    }
    const ask = this.#line.peer.ask(
      { ...made.value, timeout: this.#line.timeout(made.value.payload?.length ?? 0) },
      asker,
      now,
    );
    this.#remember(request, ask);
    asker.ask = ask;
  }

  #remember(request: Waiting, ask: Ask | undefined): void {
    this.#asks ??= new SmallMap();
    this.#asks.set(request, ask);
  }

  /** The first answer, or the failure. */
  finish(request: Waiting, settlement: Settlement, now: Instant): void {
    if (this.#closed) return;
    this.#asks?.delete(request);
    if (this.#asks?.size === 0) this.#asks = undefined;
    if (this.#running === request) this.#running = undefined;
    if (settlement.kind === "failed" && settlement.why === "coap_timeout") this.#line.silent(now);
    request.settled(settlement, now);
    this.pump(now);
  }

  observing(request: Waiting, key: string, ask: Ask | undefined): void {
    const observed = observedOf(request.operation, request.observed);
    if (observed === undefined) return;
    // Only now: an observation that could not be begun anew goes on as it was.
    this.#line.observations.get(key)?.ask?.cancel();
    this.#line.observations.set(key, { ...observed, ask });
    this.#line.observationsChanged();
  }

  /** The observation of this ask, or one that was not begun yet, is none. */
  forget(key: string, ask: Ask | undefined): void {
    const known = this.#line.observations.get(key);
    if (known === undefined || (known.ask !== undefined && known.ask !== ask)) return;
    this.#line.observations.delete(key);
    this.#line.observationsChanged();
  }

  answer(request: Waiting, response: IncomingResponse): Answer {
    return answerOf(request.operation, response, this.#line.target);
  }
}

/** Hears one ask: the first answer settles the request, later ones are notifications. */
class RequestAsker {
  readonly #queue: RequestQueue;
  readonly #request: Waiting;
  readonly #key: string | undefined;
  #settled = false;
  ask: Ask | undefined = undefined;

  constructor(queue: RequestQueue, request: Waiting, key: string | undefined) {
    this.#queue = queue;
    this.#request = request;
    this.#key = key;
  }

  acknowledged(now: Instant): void {
    if (!this.#settled) this.#request.acknowledged?.(now);
  }

  response(response: IncomingResponse, now: Instant): void {
    const answer = this.#queue.answer(this.#request, response);
    const sequence = observeNumber(response);
    if (this.#settled) {
      if (!response.observing && this.#key !== undefined) this.#queue.forget(this.#key, this.ask);
      this.#request.notified?.(answer, sequence ?? 0, now, response.acknowledgement);
      return;
    }
    this.#settled = true;
    const { kind } = this.#request.operation;
    if ((kind === "observe" || kind === "observe-composite") && this.#key !== undefined) {
      if (response.observing) this.#queue.observing(this.#request, this.#key, this.ask);
      else this.#queue.forget(this.#key, this.ask);
    }
    this.#queue.finish(this.#request, { kind: "answered", answer, sequence }, now);
  }

  failed(why: AskFailure, now: Instant): void {
    if (this.#settled) {
      if (this.#key === undefined || why === "gone") return;
      this.#queue.forget(this.#key, this.ask);
      this.#request.lost?.(FAILURES[why], now);
      return;
    }
    this.#settled = true;
    this.#queue.finish(this.#request, { kind: "failed", why: FAILURES[why] }, now);
  }
}

const OBSERVE = 6;
const observeNumber = (response: IncomingResponse): number | undefined => response.message.uint(OBSERVE);
