import type { PublishAnswer, ServerWords } from "#core/contract/answers.ts";
import { Ring } from "#core/lib/ring.ts";

/** What is to be answered to a publish; `payload-unfit`: not the text that it was declared to be. */
export type PublishVerdict = PublishAnswer | "payload-unfit";

export interface Waiting {
  readonly ticket: number;
  readonly qos: 1 | 2;
  readonly packetId: number;
  verdict: PublishVerdict | undefined;
  /** Of a server behind the gateway, where it has said more than the verdict does. */
  words: ServerWords | undefined;
}

/**
 * Publishes whose answer is pending, and those behind them: PUBACK and PUBREC go out in the order in which the
 * PUBLISH packets came [MQTT-4.6.0-2, MQTT-4.6.0-3]. Empty but for the time that the store takes.
 */
export class AnswersInOrder {
  readonly #waiting = new Ring<Waiting>();

  get length(): number {
    return this.#waiting.length;
  }

  /** `verdict` undefined: it comes under the ticket. */
  push(ticket: number, qos: 1 | 2, packetId: number, verdict: PublishVerdict | undefined): void {
    this.#waiting.push({ ticket, qos, packetId, verdict, words: undefined });
  }

  /** Notes an answer. What waited for it, if anything did. */
  answered(ticket: number, answer: PublishAnswer, words: ServerWords | undefined): Waiting | undefined {
    for (let index = 0; index < this.#waiting.length; index++) {
      const waiting = this.#waiting.at(index) as Waiting;
      if (waiting.ticket !== ticket) continue;
      waiting.verdict = answer;
      waiting.words = words;
      return waiting;
    }
    return undefined;
  }

  /** A QoS 2 message under this packet id waits for its answer. */
  awaits(packetId: number): boolean {
    for (const waiting of this.#waiting) if (waiting.qos === 2 && waiting.packetId === packetId) return true;
    return false;
  }

  /** Gives the answers whose turn it is. */
  drain(
    give: (qos: 1 | 2, packetId: number, verdict: PublishVerdict, words: ServerWords | undefined) => void,
  ): void {
    for (let first = this.#waiting.peek(); first?.verdict !== undefined; first = this.#waiting.peek()) {
      this.#waiting.shift();
      give(first.qos, first.packetId, first.verdict, first.words);
    }
  }
}
