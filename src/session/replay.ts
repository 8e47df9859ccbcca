import type { Grant } from "../bus/bus.ts";
import type { Message, QoS } from "../bus/message.ts";
import { Outgoing } from "./outgoing.ts";

interface Replay {
  readonly messages: readonly Message[];
  next: number;
  readonly grant: Grant;
}

/** Retained messages that are still to be sent for subscribes; each is made a delivery when its turn comes. */
export class Replays {
  readonly #waiting: Replay[] = [];

  get left(): number {
    let left = 0;
    for (const replay of this.#waiting) left += replay.messages.length - replay.next;
    return left;
  }

  add(messages: readonly Message[], grant: Grant): void {
    this.#waiting.push({ messages, next: 0, grant });
  }

  /** The next delivery, or undefined when all are done. */
  take(topicOf: (message: Message) => string): Outgoing | undefined {
    for (let replay = this.#waiting[0]; replay !== undefined; replay = this.#waiting[0]) {
      const message = replay.messages[replay.next];
      if (message !== undefined) {
        replay.next++;
        const { grant } = replay;
        const qos: QoS = message.qos < grant.qos ? message.qos : grant.qos;
        return new Outgoing(message, topicOf(message), qos, true, grant.identifiers, undefined);
      }
      this.#waiting.shift();
    }
    return undefined;
  }

  /** The one just taken could not be handed out: it is the next again. */
  putBack(): void {
    this.#waiting[0]!.next--;
  }
}
