import type { Answer, RetainedAnswer, Ticket } from "#core/contract/answers.ts";
import type { ConnectAnswer } from "#core/contract/client.ts";
import { SmallMap } from "#core/lib/small-map.ts";
import type { Instant } from "#core/lib/time.ts";

/** In whose name something is asked: it has to stay as long as answers are due. */
export interface Asker {
  due: number;
  /** Nothing is due any more. */
  idle(): void;
}

/** What goes on when the core has answered, by ticket. Bounded by the requests that a peer may have open. */
export class Waiting {
  #answers: SmallMap<Ticket, (answer: Answer, now: Instant) => void> | undefined = undefined;
  #finds: SmallMap<Ticket, (answer: RetainedAnswer, now: Instant) => void> | undefined = undefined;
  #connects: SmallMap<Ticket, (answer: ConnectAnswer, now: Instant) => void> | undefined = undefined;
  #asker: Asker | undefined = undefined;

  /** Runs what asks in the name of `asker`; what the answers lead to does so, too. */
  by(asker: Asker, run: () => void): void {
    const before = this.#asker;
    this.#asker = asker;
    asker.due++;
    run();
    this.#asker = before;
    if (--asker.due === 0) asker.idle();
  }

  answer(ticket: Ticket, then: (answer: Answer, now: Instant) => void): void {
    this.#answers ??= new SmallMap();
    this.#answers.set(ticket, this.#inName(then));
  }

  find(ticket: Ticket, then: (answer: RetainedAnswer, now: Instant) => void): void {
    this.#finds ??= new SmallMap();
    this.#finds.set(ticket, this.#inName(then));
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

  found(ticket: Ticket, answer: RetainedAnswer, now: Instant): void {
    const then = this.#finds?.get(ticket);
    this.#finds?.delete(ticket);
    if (this.#finds?.size === 0) this.#finds = undefined;
    then?.(answer, now);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    const then = this.#connects?.get(ticket);
    this.#connects?.delete(ticket);
    if (this.#connects?.size === 0) this.#connects = undefined;
    then?.(answer, now);
  }

  get empty(): boolean {
    return this.#answers === undefined && this.#finds === undefined && this.#connects === undefined;
  }

  #inName<Given>(then: (answer: Given, now: Instant) => void): typeof then {
    const asker = this.#asker;
    if (asker === undefined) return then;
    asker.due++;
    return (answer, now) => {
      asker.due--;
      this.by(asker, () => then(answer, now));
    };
  }
}
