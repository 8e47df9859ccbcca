import type { Ticket } from "../contract/answers.ts";
import {
  type Dissected,
  type Dissection,
  type Dissector,
  type Sender,
  unreadable,
} from "../contract/dissection.ts";
import { isStream } from "../contract/peer.ts";
import type { ChannelDriver } from "../door/channel-driver.ts";
import { sameBytes } from "../lib/bytes.ts";
import type { Cause } from "./cause.ts";
import { type CutFrame, FrameCutter } from "./frame-cutter.ts";
import type { Place } from "./rows.ts";

/** Makes the dissector of a channel's gateway. */
export type Dissectors = (gateway: string, of: Dissected) => Dissector | undefined;

/** Of a gateway that was stopped, or that has no dissector. */
export const GONE: Dissector = {
  dissect: (frame) => unreadable(frame, "its gateway has nobody to read it"),
};

/** A fault in a dissector is ours, and nobody else's to feel. */
export function safely(dissector: Dissector, frame: Uint8Array, from: Sender): Dissection {
  try {
    return dissector.dissect(frame, from);
  } catch (error) {
    return unreadable(frame, `cannot be shown: ${String(error)}`);
  }
}

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
  /** As the channel last said. */
  state: string;
  readonly #dissectors: Dissectors;
  /** Made when the first frame is read: by then it is known which protocol is spoken. */
  #reader: Dissector | undefined = undefined;
  readonly #cutters: Readonly<Record<Sender, FrameCutter>> | undefined;
  #exchanges: Map<string, Exchange> | undefined = undefined;
  #asks: Map<Ticket, Cause> | undefined = undefined;

  constructor(number: number, driver: ChannelDriver, dissectors: Dissectors) {
    this.number = number;
    this.driver = driver;
    this.#dissectors = dissectors;
    this.state = stateOf(driver);
    if (!isStream(driver.peer.transport)) return;
    const dissector = this.#dissector();
    this.#cutters = {
      device: new FrameCutter(dissector, "device"),
      gateway: new FrameCutter(dissector, "gateway"),
    };
  }

  #dissector(): Dissector {
    const { peer, door } = this.driver;
    const { listener } = door.policy;
    const protocol = this.driver.clients()[0]?.protocol;
    return this.#dissectors(this.gateway, { peer, listener, protocol }) ?? GONE;
  }

  /** Frames that were not read when they came may be read later, or never. */
  dissect(frame: Uint8Array, from: Sender): Dissection {
    this.#reader ??= this.#dissector();
    return safely(this.#reader, frame, from);
  }

  /** Something that is followed has begun here and may go on: each frame has to be read. */
  get exchanging(): boolean {
    return this.#exchanges !== undefined;
  }

  get gateway(): string {
    return (this.driver.clients()[0]?.door ?? this.driver.door).gateway;
  }

  isOf(client: string): boolean {
    const clients = this.driver.clients();
    for (let index = 0; index < clients.length; index++) if (clients[index]!.id === client) return true;
    return false;
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
    return this.#cutters === undefined ? [{ bytes, end: bytes.length }] : this.#cutters[from].cut(bytes);
  }

  exchangeOf({ exchanges }: Dissection): Exchange | undefined {
    if (this.#exchanges === undefined) return undefined;
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
    if (part.exchanges.length > 0) this.#exchanges ??= new Map();
    for (const name of part.exchanges) remember(this.#exchanges!, name, exchange);
    return 0;
  }

  asks(ticket: Ticket, cause: Cause): void {
    this.#asks ??= new Map();
    remember(this.#asks, ticket, cause);
  }

  answers(ticket: Ticket): Cause | undefined {
    const cause = this.#asks?.get(ticket);
    this.#asks?.delete(ticket);
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
