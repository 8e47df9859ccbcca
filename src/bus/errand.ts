import type { Message } from "./message.ts";

/** One thing more that the answer to a publisher waits for; what is given is called when it is over. */
export type Holding = () => { add(): () => void };

/** What of a message goes somewhere else. */
export interface Parcel {
  /** There is no room for it, and it may not be dropped. */
  readonly full: boolean;
  send(message: Message, holding: Holding): void;
}

/** What is done with a message when it passes the gate, beside giving it to subscribers or instead of that. */
export class Errand {
  /** No subscriber and no rule is given the message. */
  readonly swallows: boolean;
  readonly #parcels: readonly Parcel[];

  constructor(swallows: boolean, parcels: readonly Parcel[]) {
    this.swallows = swallows;
    this.#parcels = parcels;
  }

  /** This one and what was to be done already. */
  behind(former: Errand | undefined): Errand {
    if (former === undefined) return this;
    return new Errand(this.swallows || former.swallows, [...former.#parcels, ...this.#parcels]);
  }

  get full(): boolean {
    return this.#parcels.some(({ full }) => full);
  }

  run(message: Message, holding: Holding): void {
    for (const parcel of this.#parcels) parcel.send(message, holding);
  }
}
