import type { PublishAnswer, SubscribeAnswer, Ticket } from "#core/contract/answers.ts";
import type { ConnectAnswer } from "#core/contract/client.ts";
import { SmallMap } from "#core/lib/small-map.ts";
import type { Instant } from "#core/lib/time.ts";

type Answer = PublishAnswer | SubscribeAnswer;

/** What goes on when the core has answered, by ticket. Bounded by the requests that a peer may have open. */
export class Waiting {
  #answers: SmallMap<Ticket, (answer: Answer, now: Instant) => void> | undefined = undefined;
  #connects: SmallMap<Ticket, (answer: ConnectAnswer, now: Instant) => void> | undefined = undefined;

  answer(ticket: Ticket, then: (answer: Answer, now: Instant) => void): void {
    this.#answers ??= new SmallMap();
    this.#answers.set(ticket, then);
  }

  connect(ticket: Ticket, then: (answer: ConnectAnswer, now: Instant) => void): void {
    this.#connects ??= new SmallMap();
    this.#connects.set(ticket, then);
  }

  answered(ticket: Ticket, answer: Answer, now: Instant): void {
    const then = this.#answers?.get(ticket);
    this.#answers?.delete(ticket);
    if (this.#answers?.size === 0) this.#answers = undefined;
    then?.(answer, now);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    const then = this.#connects?.get(ticket);
    this.#connects?.delete(ticket);
    if (this.#connects?.size === 0) this.#connects = undefined;
    then?.(answer, now);
  }

  get empty(): boolean {
    return this.#answers === undefined && this.#connects === undefined;
  }
}
