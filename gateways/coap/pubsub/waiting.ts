import type { Answer, RetainedAnswer, Ticket } from "#core/contract/answers.ts";
import type { ConnectAnswer } from "#core/contract/client.ts";
import { SmallMap } from "#core/lib/small-map.ts";
import type { Instant } from "#core/lib/time.ts";

/** What goes on when the core has answered, by ticket. Bounded by the requests that a peer may have open. */
export class Waiting {
  #answers: SmallMap<Ticket, (answer: Answer, now: Instant) => void> | undefined = undefined;
  #finds: SmallMap<Ticket, (answer: RetainedAnswer, now: Instant) => void> | undefined = undefined;
  #connects: SmallMap<Ticket, (answer: ConnectAnswer, now: Instant) => void> | undefined = undefined;

  #idle: readonly (() => void)[] | undefined = undefined;

  answer(ticket: Ticket, then: (answer: Answer, now: Instant) => void): void {
    this.#answers ??= new SmallMap();
    this.#answers.set(ticket, then);
  }

  find(ticket: Ticket, then: (answer: RetainedAnswer, now: Instant) => void): void {
    this.#finds ??= new SmallMap();
    this.#finds.set(ticket, then);
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
    this.#checkIdle();
  }

  found(ticket: Ticket, answer: RetainedAnswer, now: Instant): void {
    const then = this.#finds?.get(ticket);
    this.#finds?.delete(ticket);
    if (this.#finds?.size === 0) this.#finds = undefined;
    then?.(answer, now);
    this.#checkIdle();
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    const then = this.#connects?.get(ticket);
    this.#connects?.delete(ticket);
    if (this.#connects?.size === 0) this.#connects = undefined;
    then?.(answer, now);
    this.#checkIdle();
  }

  get empty(): boolean {
    return this.#answers === undefined && this.#finds === undefined && this.#connects === undefined;
  }

  /** Runs once nothing is awaited any more: now, if nothing is. */
  whenEmpty(run: () => void): void {
    if (this.empty) run();
    else this.#idle = [...(this.#idle ?? []), run];
  }

  #checkIdle(): void {
    const idle = this.#idle;
    if (idle === undefined || !this.empty) return;
    this.#idle = undefined;
    for (const run of idle) run();
  }
}
