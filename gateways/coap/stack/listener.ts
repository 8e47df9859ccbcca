import type { Client } from "#core/contract/client.ts";
import type { GatewayHost } from "#core/contract/gateway.ts";
import type { Counter } from "#core/contract/note.ts";
import type { Instant } from "#core/lib/time.ts";
import { szxFor } from "./blockwise/block.ts";
import { Reply } from "./blockwise/reply.ts";
import { BodyBudget } from "./blockwise/transfer.ts";
import { CoapMessage, decodeDatagram, type FormatError } from "./message/message.ts";
import { MessageWriter } from "./message/writer.ts";
import { UnprovenObservations } from "./observe/unproven-observations.ts";
import { ExchangeMemory } from "./reliability/deduplication.ts";
import { type Transmission, transmission } from "./reliability/transmission.ts";
import type { StackSettings } from "./settings.ts";
import type { PeerSite, Site } from "./site.ts";

/** Numbers that an operator watches; names are kinds of `isthmus_<gateway>_stack_total`. */
export interface StackCounters {
  readonly malformed: Counter;
  readonly duplicates: Counter;
  readonly retransmissions: Counter;
  readonly timeouts: Counter;
  readonly heldBack: Counter;
  readonly dropped: Counter;
  /** Observations that were not entered, and those of unproven addresses that gave way to others. */
  readonly refused: Counter;
  readonly evicted: Counter;
}

/** What all peers of one listener share: its sites, settings, budgets and scratch space. */
export class Listener {
  readonly sites: readonly Site[];
  readonly settings: StackSettings;
  readonly transmission: Transmission;
  readonly memory: ExchangeMemory;
  readonly budget: BodyBudget;
  readonly counters: StackCounters;
  /** Scratch: inputs of one process are never nested, so one of each serves all peers. */
  readonly message = new CoapMessage();
  readonly writer = new MessageWriter();
  readonly reply = new Reply();
  readonly szxMax: number;
  /** Which site of which peer a client belongs to. */
  readonly owners = new WeakMap<Client, PeerSite>();
  observations = 0;
  readonly unproven: UnprovenObservations;
  /** Tokens of our own observations, on datagrams: whoever notifies under one is the peer that we observe. */
  readonly observed = new Set<string>();
  /** The time of the input at hand. */
  now: Instant;
  #decoded: Uint8Array | undefined = undefined;
  #problem: FormatError | undefined = undefined;

  constructor(sites: readonly Site[], settings: StackSettings, host: GatewayHost) {
    this.now = 0 as Instant;
    this.sites = sites;
    this.settings = settings;
    this.transmission = transmission(settings);
    this.memory = new ExchangeMemory(settings.exchanges);
    this.budget = new BodyBudget(settings.blockwise);
    this.unproven = new UnprovenObservations(settings.observe.unproven);
    this.szxMax = szxFor(settings.blockwise.maxBlockSize);
    const counter = (kind: string) => host.counter("stack", "Events of the CoAP message layer.", kind);
    // A number that nothing can move is not shown.
    const observable = sites.some((site) => site.observable === true);
    const ofObservations = (kind: string): Counter => (observable ? counter(kind) : { value: 0 });
    this.counters = {
      malformed: counter("malformed"),
      duplicates: counter("duplicate"),
      retransmissions: counter("retransmission"),
      timeouts: counter("timeout"),
      heldBack: counter("held-back"),
      dropped: ofObservations("notification-dropped"),
      refused: ofObservations("observation-refused"),
      evicted: ofObservations("observation-evicted"),
    };
  }

  /** Decodes a datagram into `message`, for who decides where it belongs. */
  decode(bytes: Uint8Array): FormatError | undefined {
    this.#decoded = bytes;
    this.#problem = decodeDatagram(bytes, this.message);
    return this.#problem;
  }

  /** The same for who handles it: what has just been decoded is not decoded again. */
  decodeOnce(bytes: Uint8Array): FormatError | undefined {
    if (bytes !== this.#decoded) return decodeDatagram(bytes, this.message);
    this.#decoded = undefined;
    return this.#problem;
  }

  /** Index of the site that serves this path; -1 for none. */
  siteOf(message: CoapMessage): number {
    const { sites } = this;
    for (let index = 0; index < sites.length; index++) {
      const { prefixes } = sites[index] as Site;
      for (const prefix of prefixes) {
        if (prefix === "" ? message.pathLength() === 0 : message.pathStartsWith(prefix)) return index;
      }
    }
    return -1;
  }
}
