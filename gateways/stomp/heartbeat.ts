import { after, type Duration, FOREVER, type Instant, milliseconds, NEVER, ZERO } from "#core/lib/time.ts";
import type { StompConfig } from "./config.ts";

/** What one side of a connection can do and would like, as in the header `heart-beat`; 0 is never. */
export interface Offer {
  readonly send: Duration;
  readonly receive: Duration;
}
export const NO_HEART_BEATS: Offer = { send: ZERO, receive: ZERO };

const HEART_BEAT = /^(\d{1,9}),(\d{1,9})$/;

/** Two numbers of milliseconds and a comma; undefined when it is anything else. */
export function parseHeartBeat(value: string): Offer | undefined {
  const parts = HEART_BEAT.exec(value);
  return parts === null
    ? undefined
    : { send: milliseconds(Number(parts[1])), receive: milliseconds(Number(parts[2])) };
}

export const formatHeartBeat = (offer: Offer): string => `${offer.send},${offer.receive}`;

/** What this gateway offers; `forever` is as good as never. */
export const offerOf = (config: StompConfig["heartBeat"]): Offer => ({
  send: config.send === FOREVER ? ZERO : config.send,
  receive: config.receive === FOREVER ? ZERO : config.receive,
});

/** A period in one direction: none when one side cannot or will not, else the slower of the two. */
const agreed = (can: Duration, wants: Duration): Duration =>
  can === ZERO || wants === ZERO ? ZERO : (Math.max(can, wants) as Duration);

/** How early a heart-beat goes out, because timers are late: a quarter of the period, at most a second. */
const EARLY_SHARE = 4;
const EARLY_MAX = 1000;

/** When something must be sent, and when the other side counts as lost (STOMP 1.2 Heart-beating). */
export class HeartBeat {
  /** 0 for none. */
  readonly sendPeriod: Duration;
  readonly receivePeriod: Duration;
  readonly #sendAfter: Duration;
  readonly #lostAfter: Duration;
  #sent: Instant;
  #heard: Instant;

  constructor(client: Offer, server: Offer, config: StompConfig["heartBeat"], now: Instant) {
    this.sendPeriod = agreed(server.send, client.receive);
    this.receivePeriod = agreed(client.send, server.receive);
    const early = Math.min(this.sendPeriod / EARLY_SHARE, EARLY_MAX);
    this.#sendAfter = this.sendPeriod === ZERO ? FOREVER : milliseconds(this.sendPeriod - early);
    this.#lostAfter =
      this.receivePeriod === ZERO
        ? FOREVER
        : milliseconds(this.receivePeriod * config.tolerance + config.grace);
    this.#sent = now;
    this.#heard = now;
  }

  /** Any octet is a sign of life. */
  heard(now: Instant): void {
    this.#heard = now;
  }

  sent(now: Instant): void {
    this.#sent = now;
  }

  get sendDue(): Instant {
    return this.#sendAfter === FOREVER ? NEVER : after(this.#sent, this.#sendAfter);
  }

  get lostAt(): Instant {
    return this.#lostAfter === FOREVER ? NEVER : after(this.#heard, this.#lostAfter);
  }
}
