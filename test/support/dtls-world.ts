/** A DTLS listener in virtual time, and a network that loses, doubles and reorders as a seed says. */

import { Deadlines } from "#core/drive/deadlines.ts";
import type { Association } from "#core/dtls/association.ts";
import type { Crypto } from "#core/dtls/crypto.ts";
import { DtlsListener } from "#core/dtls/listener.ts";
import { DtlsMemory } from "#core/dtls/memory.ts";
import type { DroppedRecord, DtlsNote, DtlsPorts, Keeper } from "#core/dtls/ports.ts";
import type { Credentials, DtlsSettings } from "#core/dtls/settings.ts";
import { SUITES } from "#core/dtls/suites.ts";
import { CallbackAlarm } from "#core/lib/alarm.ts";
import { after, type Duration, days, type Instant, milliseconds, seconds } from "#core/lib/time.ts";
import { nodeCrypto } from "#core/net/dtls-crypto.ts";
import { mulberry32 } from "./random.ts";

export const SETTINGS: DtlsSettings = {
  suites: SUITES,
  extendedMasterSecret: "prefer",
  protocols: [],
  retransmission: { first: seconds(1), longest: seconds(60), repetitions: 5 },
  handshakeTimeout: seconds(60),
  datagramSize: 1200,
  recordSize: 16_384,
  handshakeMessageMax: 16_384,
  connectionId: { length: 6, draft: false, padTo: 1 },
  resumption: { ids: true, tickets: true, lifetime: days(1) },
  limits: {
    associations: 100_000,
    handshakes: 1000,
    handshakesPerAddress: 1000,
    idle: days(30),
    sessions: 1000,
  },
};

export const pskCredentials = (keys: Readonly<Record<string, Uint8Array>>): Credentials => ({
  presharedKeys: true,
  identityHint: undefined,
  presharedKey: (identity) => keys[identity],
  serverKeys: [],
  clientCertificate: "none",
  clientX509: false,
  clientRawKeys: false,
  publicKeyOf: () => undefined,
  verifyChain: () => ({ identity: undefined }),
  verifyRawKey: () => ({ identity: undefined }),
  stamp: "test",
});

export interface Received {
  readonly association: Association;
  readonly identity: string | undefined;
  readonly bytes: Uint8Array;
  readonly from: string;
}

export interface NetworkOptions {
  readonly seed?: number;
  /** Chance of each datagram to be lost, to come twice, and the longest time on its way. */
  readonly loss?: number;
  readonly double?: number;
  readonly delay?: Duration;
  /** What becomes of the datagram of this number, of both directions, the first being 0. */
  readonly fate?: (number: number) => Fate;
}

/** `late`: behind those that follow it, and before anybody repeats it. */
export type Fate = "once" | "lost" | "twice" | "late";

export interface DtlsWorldOptions extends NetworkOptions {
  readonly settings?: Partial<DtlsSettings>;
  readonly credentials?: Credentials;
  readonly keeper?: Keeper;
  readonly memory?: DtlsMemory;
  readonly keyLog?: (clientRandom: Uint8Array, masterSecret: Uint8Array) => void;
  readonly start?: number;
  readonly crypto?: Crypto;
}

const WAITS: Readonly<Record<Fate, readonly number[]>> = {
  once: [10],
  lost: [],
  twice: [10, 15],
  late: [400],
};

export class DtlsWorld {
  readonly deadlines: Deadlines;
  readonly listener: DtlsListener;
  readonly received: Received[] = [];
  readonly notes: DtlsNote[] = [];
  readonly outcomes: string[] = [];
  readonly dropped: DroppedRecord[] = [];
  readonly closed: { association: Association; why: string }[] = [];
  /** Everything that the listener has sent, lost or not. */
  readonly sent: { bytes: Uint8Array; to: string }[] = [];
  /** Datagrams of both directions so far, where each has its fate. */
  carried = 0;
  readonly #devices = new Map<string, (bytes: Uint8Array) => void>();
  readonly #random: () => number;
  readonly #options: DtlsWorldOptions;
  #now: Instant;

  constructor(options: DtlsWorldOptions = {}) {
    this.#options = options;
    this.#now = (options.start ?? 1_700_000_000_000) as Instant;
    this.#random = mulberry32(options.seed ?? 1);
    this.deadlines = new Deadlines(this.#now);
    const ports: DtlsPorts = {
      crypto: options.crypto ?? nodeCrypto,
      alarms: this.deadlines,
      now: () => this.#now,
      send: (bytes, address, port) => {
        this.sent.push({ bytes, to: `${address} ${port}` });
        this.#carry(() => this.#devices.get(`${address} ${port}`)?.(bytes));
      },
      deliver: (association, content) =>
        this.received.push({
          association,
          identity: association.identity,
          bytes: new Uint8Array(content),
          from: `${association.address} ${association.port}`,
        }),
      closed: (association, why) => this.closed.push({ association, why }),
      note: (note) => this.notes.push(note),
      handshakeEnded: (suite, outcome) => this.outcomes.push(`${suite} ${outcome}`),
      recordDropped: (why) => this.dropped.push(why),
      memory: options.memory ?? new DtlsMemory(Number.POSITIVE_INFINITY),
      keeper: options.keeper,
    };
    this.listener = new DtlsListener(
      ports,
      { ...SETTINGS, ...options.settings },
      options.credentials ?? pskCredentials({ dev1: KEY }),
      new Uint8Array(32).fill(7),
      options.keyLog,
    );
  }

  get settings(): DtlsSettings {
    return { ...SETTINGS, ...this.#options.settings };
  }

  get now(): Instant {
    return this.#now;
  }

  /** Who hears what is sent to an address. */
  attach(address: string, port: number, hear: (bytes: Uint8Array) => void): void {
    this.#devices.set(`${address} ${port}`, hear);
  }

  detach(address: string, port: number): void {
    this.#devices.delete(`${address} ${port}`);
  }

  /** Sends a datagram to the listener, over the network. */
  send(bytes: Uint8Array, address: string, port: number): void {
    const copy = new Uint8Array(bytes);
    this.#carry(() => this.listener.receive(copy, address, port, this.#now));
  }

  /** Sets an alarm of a device. */
  later(wait: Duration, run: () => void): () => void {
    const alarm = new CallbackAlarm(run);
    this.deadlines.arm(alarm, after(this.#now, wait));
    return () => this.deadlines.disarm(alarm);
  }

  /** Moves the clock; everything due happens on the way, in order. */
  pass(time: Duration): void {
    const end = after(this.#now, time);
    for (let next = this.deadlines.next(); next <= end; next = this.deadlines.next()) {
      this.#now = Math.max(next, this.#now) as Instant;
      this.deadlines.advance(this.#now);
    }
    this.#now = end;
    this.deadlines.advance(end);
  }

  #carry(arrive: () => void): void {
    const { loss = 0, double = 0, delay = milliseconds(0), fate } = this.#options;
    if (fate !== undefined) {
      const kind = fate(this.carried++);
      for (const wait of WAITS[kind]) this.later(milliseconds(wait), arrive);
      return;
    }
    if (loss === 0 && double === 0 && delay === 0) {
      arrive();
      return;
    }
    if (this.#random() < loss) return;
    const times = this.#random() < double ? 2 : 1;
    for (let time = 0; time < times; time++) {
      this.later(milliseconds(1 + Math.floor(this.#random() * delay)), arrive);
    }
  }
}

export const KEY = Uint8Array.of(1, 2, 3, 4, 5);
