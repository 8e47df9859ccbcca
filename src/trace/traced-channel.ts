import type { Ticket } from "../contract/answers.ts";
import type { Dissection, Dissector, Sender } from "../contract/dissection.ts";
import { isStream } from "../contract/peer.ts";
import type { ChannelDriver } from "../door/channel-driver.ts";
import { copyOf, sameBytes } from "../lib/bytes.ts";
import type { Cause } from "./cause.ts";
import { type CutFrame, FrameCutter } from "./frame-cutter.ts";
import type { Place } from "./rows.ts";

/** Exchanges and asks of one channel that are remembered; the oldest go. */
const EXCHANGES_MAX = 512;

/** What is remembered of an exchange: what began it, with which frame, and how often that was sent. */
export interface Exchange {
  readonly cause: Cause;
  readonly name: string;
  readonly from: Sender;
  readonly bytes: Uint8Array;
  times: number;
  /** The other side has sent something of it. */
  answered: boolean;
}

/** What a trace knows of one channel. */
export class TracedChannel {
  readonly number: number;
  readonly driver: ChannelDriver;
  readonly dissector: Dissector;
  /** As the channel last said. */
  state: string;
  readonly #cutters: Readonly<Record<Sender, FrameCutter>> | undefined;
  readonly #exchanges = new Map<string, Exchange>();
  readonly #asks = new Map<Ticket, Cause>();

  constructor(number: number, driver: ChannelDriver, dissector: Dissector) {
    this.number = number;
    this.driver = driver;
    this.dissector = dissector;
    this.state = stateOf(driver);
    this.#cutters = isStream(driver.peer.transport)
      ? { device: new FrameCutter(dissector, "device"), gateway: new FrameCutter(dissector, "gateway") }
      : undefined;
  }

  get place(): Place {
    const { driver, number: channel } = this;
    const { transport, address, port, node } = driver.peer;
    const clients = driver.clients();
    const { gateway, policy } = clients[0]?.door ?? driver.door;
    const ids = clients.map(({ id }) => id);
    return { channel, gateway, listener: policy.listener, transport, address, port, node, clients: ids };
  }

  frames(bytes: Uint8Array, from: Sender): CutFrame[] {
    return this.#cutters === undefined
      ? [{ bytes: copyOf(bytes), end: bytes.length }]
      : this.#cutters[from].cut(bytes);
  }

  exchangeOf({ exchanges }: Dissection): Exchange | undefined {
    for (const name of exchanges) {
      const known = this.#exchanges.get(name);
      if (known !== undefined) return known;
    }
    return undefined;
  }

  /** What a frame repeats that was sent before and has no answer yet. */
  repeatedBy(part: Dissection, from: Sender, bytes: Uint8Array): Exchange | undefined {
    const known = this.exchangeOf(part);
    if (known === undefined || known.answered || known.from !== from || known.name !== part.name)
      return undefined;
    // A repeat has the same octets, but for a flag that may say that it is one.
    return known.bytes.length === bytes.length && sameBytes(known.bytes.subarray(3), bytes.subarray(3))
      ? known
      : undefined;
  }

  /** A frame of `cause` goes on with these exchanges, or begins them. Returns how often it was sent before. */
  took(part: Dissection, from: Sender, bytes: Uint8Array, cause: Cause): number {
    const repeated = this.repeatedBy(part, from, bytes);
    if (repeated !== undefined) return ++repeated.times;
    const known = this.exchangeOf(part);
    if (known !== undefined && known.from !== from) known.answered = true;
    const exchange: Exchange = { cause, name: part.name, from, bytes, times: 0, answered: false };
    for (const name of part.exchanges) remember(this.#exchanges, name, exchange);
    return 0;
  }

  asks(ticket: Ticket, cause: Cause): void {
    remember(this.#asks, ticket, cause);
  }

  answers(ticket: Ticket): Cause | undefined {
    const cause = this.#asks.get(ticket);
    this.#asks.delete(ticket);
    return cause;
  }
}

/** How the first of its clients is; empty before there is one. */
export const stateOf = (driver: ChannelDriver): string => {
  const client = driver.clients()[0];
  return client === undefined || driver.closed ? "" : driver.channel.status(client, driver.core.now);
};

function remember<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= EXCHANGES_MAX) return;
  const oldest = map.keys().next();
  if (oldest.done !== true) map.delete(oldest.value);
}
