/** Requests over datagrams: sent again until their answer comes, or until it is given up. */
import type { Field } from "./field.ts";
import { Over } from "./timers.ts";

/** Of what a device says last, in milliseconds: it does not stay for long. */
export const GOODBYE_PATIENCE: readonly number[] = [700, 1_000, 1_500];

/** Nobody has answered. */
export class Unanswered extends Error {}

interface Waiting<Packet> {
  readonly isAnswer: (packet: Packet) => boolean;
  readonly done: (packet: Packet) => void;
}

export class Awaited<Packet> {
  readonly #field: Field;
  readonly #waiting = new Set<Waiting<Packet>>();

  constructor(field: Field) {
    this.#field = field;
  }

  /** Whether somebody has waited for it. */
  heard(packet: Packet): boolean {
    for (const each of this.#waiting) {
      if (!each.isAnswer(packet)) continue;
      each.done(packet);
      return true;
    }
    return false;
  }

  /**
   * `patience`: how long it is waited for an answer each time. `promise.received` is for protocols that acknowledge a
   * request before they answer it: then it is not repeated any more.
   */
  ask(
    send: (repeated: boolean) => void,
    isAnswer: (packet: Packet) => boolean,
    patience: readonly number[],
  ): Promise<Packet> & { received(within: number): void } {
    const { timers, counts } = this.#field;
    let forget = (): void => {};
    let received = (_within: number): void => {};
    const answer = new Promise<Packet>((resolve, reject) => {
      const waiting: Waiting<Packet> = {
        isAnswer,
        done: (packet) => {
          forget();
          this.#waiting.delete(waiting);
          resolve(packet);
        },
      };
      const fail = (error: Error): void => {
        this.#waiting.delete(waiting);
        reject(error);
      };
      const giveUp = (): void => {
        counts.one("unanswered");
        fail(new Unanswered());
      };
      const attempt = (index: number): void => {
        const length = patience[index];
        if (length === undefined) {
          giveUp();
          return;
        }
        if (index > 0) counts.one("repeated");
        send(index > 0);
        forget = timers.after(
          length,
          () => attempt(index + 1),
          () => fail(new Over()),
        );
      };
      received = (within) => {
        if (!this.#waiting.has(waiting)) return;
        forget();
        forget = timers.after(within, giveUp, () => fail(new Over()));
      };
      this.#waiting.add(waiting);
      attempt(0);
    });
    return Object.assign(answer, { received: (within: number) => received(within) });
  }
}
