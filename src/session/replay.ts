import type { Grant } from "../bus/bus.ts";
import type { Message, QoS } from "../bus/message.ts";
import { Outgoing } from "./outgoing.ts";
import type { Turns, Waiting } from "./turns.ts";

interface Replay {
  readonly filter: string;
  readonly grant: Grant;
  /** A walk over what is retained, which holds no more than where it is. */
  readonly rest: Iterator<Message>;
  next: Message;
}

/**
 * Retained messages that are still to be sent for subscribes. They are not held here, however many they are: each is
 * looked up and made a delivery when its turn comes.
 */
export class Replays implements Waiting {
  readonly #waiting: Replay[] = [];
  /** So many may be taken in this turn. */
  #share = 0;
  readonly #session: { flush(): void };
  readonly #turns: Turns | undefined;
  /** Taken last, and what could not be handed out of it. */
  #taken: Outgoing | undefined = undefined;
  #back: Outgoing | undefined = undefined;

  constructor(session: { flush(): void }, turns: Turns | undefined) {
    this.#session = session;
    this.#turns = turns;
  }

  /** At least so many are left: one of each subscribe. */
  get left(): number {
    return this.#waiting.length + (this.#back === undefined ? 0 : 1);
  }

  /** A subscribe that is repeated begins anew; what was left of the former one is part of it. */
  add(filter: string, messages: Iterator<Message>, grant: Grant): void {
    this.drop(filter);
    const first = messages.next();
    if (first.done !== true) this.#waiting.push({ filter, grant, rest: messages, next: first.value });
  }

  /** The subscription has ended. */
  drop(filter: string): void {
    const index = this.#waiting.findIndex((replay) => replay.filter === filter);
    if (index >= 0) this.#waiting.splice(index, 1);
  }

  /** One more may be taken. Else they stand in line for their next turn. */
  mayTake(): boolean {
    if (this.#turns === undefined || this.left === 0 || this.#share-- > 0) return true;
    this.#share = 0;
    this.#turns.wait(this);
    return false;
  }

  takeTurn(share: number): number {
    this.#share = share;
    this.#session.flush();
    const left = this.#share;
    this.#share = 0;
    return left;
  }

  /** The next delivery, or undefined when all are done. */
  take(topicOf: (message: Message) => string): Outgoing | undefined {
    this.#taken = this.#back ?? this.#takeNext(topicOf);
    this.#back = undefined;
    return this.#taken;
  }

  /** What of them can wait: not at QoS 0, and of no topic of which something newer waits: it would come after that. */
  *pending(topicOf: (message: Message) => string, newer: ReadonlySet<string>): Generator<Outgoing> {
    for (let next = this.take(topicOf); next !== undefined; next = this.take(topicOf))
      if (next.qos > 0 && !newer.has(next.topic)) yield next;
  }

  #takeNext(topicOf: (message: Message) => string): Outgoing | undefined {
    const replay = this.#waiting[0];
    if (replay === undefined) return undefined;
    const { next: message, grant } = replay;
    const following = replay.rest.next();
    if (following.done === true) this.#waiting.shift();
    else replay.next = following.value;
    const qos: QoS = message.qos < grant.qos ? message.qos : grant.qos;
    return new Outgoing(message, topicOf(message), qos, true, grant.identifiers, undefined);
  }

  /** The one just taken could not be handed out: it is the next again. */
  putBack(): void {
    this.#back = this.#taken;
  }
}
