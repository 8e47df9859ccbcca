import type { Counter } from "../contract/note.ts";
import type { Refused, RefusedTo } from "../contract/refused.ts";
import { addressBlock } from "../lib/address-block.ts";
import { after, type Instant, minutes } from "../lib/time.ts";
import type { Log } from "./log.ts";

/** One row: the same refusal to the same client, however often. */
export interface Refusal extends RefusedTo, Omit<Refused, "by" | "gateway"> {
  readonly by: string;
  readonly count: number;
  readonly first: Instant;
  readonly last: Instant;
}

/** Makes the cell of `isthmus_refusals_total` for a gateway, what was asked for, and why it was refused. */
export type CountRefusal = (labels: Readonly<Record<"gateway" | "what" | "reason", string>>) => Counter;

export interface RefusalLimits {
  /** Rows that are remembered; the oldest go. */
  readonly rows: number;
  /** Of one network among them (an IPv4 address, the /64 of an IPv6 address), so that a scanner washes nobody out. */
  readonly rowsOfNetwork: number;
  /** Lines in the log a minute, for all and for one network; what is above is summed up in one line. */
  readonly lines: number;
  readonly linesOfNetwork: number;
}

export const REFUSAL_LIMITS: RefusalLimits = {
  rows: 10_000,
  rowsOfNetwork: 200,
  lines: 600,
  linesOfNetwork: 20,
};

const QUIET = minutes(1);

/** Longer names are cut: strangers choose them, and many are remembered. */
const NAME_MAX = 256;
const cut = (name: string | undefined): string | undefined =>
  name === undefined || name.length <= NAME_MAX ? name : `${name.slice(0, NAME_MAX)}…`;

interface Row {
  readonly to: RefusedTo;
  readonly refused: Omit<Refused, "by" | "gateway">;
  readonly by: string;
  readonly network: Network;
  count: number;
  readonly first: Instant;
  last: Instant;
}

/** What is counted for one network of addresses. */
interface Network {
  readonly rows: Set<string>;
  lines: number;
}

/** One client's lines: the next may be written then, and how many were not. */
interface Voice {
  until: Instant;
  unsaid: number;
}

/**
 * What was refused, to whom, and by which rule. Each refusal is counted; each client leaves a line in the log once a
 * minute; and the last ones are remembered, one row for what is repeated.
 */
export class Refusals {
  readonly #log: Log;
  readonly #count: CountRefusal;
  readonly #limits: RefusalLimits;
  /** In the order of their last refusal. */
  readonly #rows = new Map<string, Row>();
  readonly #networks = new Map<string, Network>();
  readonly #counters = new Map<string, Counter>();
  /** Of this minute. */
  readonly #voices = new Map<string, Voice>();
  #minute: Instant = 0 as Instant;
  #lines = 0;
  #unwritten = 0;

  constructor(log: Log, count: CountRefusal, limits: RefusalLimits = REFUSAL_LIMITS) {
    this.#log = log;
    this.#count = count;
    this.#limits = limits;
  }

  get size(): number {
    return this.#rows.size;
  }

  /** The latest first. */
  *rows(): Generator<Refusal> {
    for (const { to, refused, by, count, first, last } of [...this.#rows.values()].reverse()) {
      yield { ...to, ...refused, by, count, first, last };
    }
  }

  note(whom: RefusedTo, { what, asked: wanted, refusal, by }: Refused, now: Instant): void {
    const to = { ...whom, clientId: cut(whom.clientId), username: cut(whom.username) };
    const asked = cut(wanted);
    this.#counter(to.gateway, what, refusal).value++;
    if (now >= this.#minute) this.#nextMinute(now);
    const key = [to.gateway, to.clientId ?? to.address, to.username, what, asked, refusal].join("\n");
    const row = this.#rows.get(key) ?? this.#newRow(to, { what, asked, refusal }, by(), now);
    row.count++;
    row.last = now;
    // Moves to the end: the order is that of the last refusal.
    this.#rows.delete(key);
    this.#rows.set(key, row);
    this.#keep(key, row);
    this.#say(row, now);
  }

  /** How often something was refused for this reason, in all gateways. */
  countOf(reason: string): number {
    let count = 0;
    for (const [key, { value }] of this.#counters) if (key.endsWith(`\n${reason}`)) count += value;
    return count;
  }

  #counter(gateway: string, what: string, reason: string): Counter {
    const key = `${gateway}\n${what}\n${reason}`;
    let counter = this.#counters.get(key);
    if (counter === undefined) {
      counter = this.#count({ gateway, what, reason });
      this.#counters.set(key, counter);
    }
    return counter;
  }

  #newRow(to: RefusedTo, refused: Omit<Refused, "by">, by: string, now: Instant): Row {
    const block = addressBlock(to.address, 32);
    let network = this.#networks.get(block);
    if (network === undefined) {
      network = { rows: new Set(), lines: 0 };
      this.#networks.set(block, network);
    }
    return { to, refused, by, network, count: 0, first: now, last: now };
  }

  /** One more row of a network that has its share takes the place of that network's oldest. */
  #keep(key: string, { network }: Row): void {
    network.rows.delete(key);
    network.rows.add(key);
    if (network.rows.size > this.#limits.rowsOfNetwork) this.#forget(network.rows.values().next().value);
    if (this.#rows.size > this.#limits.rows) this.#forget(this.#rows.keys().next().value);
  }

  #forget(key: string | undefined): void {
    const row = key === undefined ? undefined : this.#rows.get(key);
    if (key === undefined || row === undefined) return;
    this.#rows.delete(key);
    row.network.rows.delete(key);
    if (row.network.rows.size === 0) this.#networks.delete(addressBlock(row.to.address, 32));
  }

  // ---- lines in the log

  #say({ to, refused, by, network }: Row, now: Instant): void {
    const speaker = [to.gateway, to.clientId ?? to.address].join("\n");
    const voice = this.#voices.get(speaker);
    if (voice !== undefined && now < voice.until) {
      voice.unsaid++;
      return;
    }
    const full = this.#lines >= this.#limits.lines || network.lines >= this.#limits.linesOfNetwork;
    if (full) {
      this.#unwritten++;
      return;
    }
    this.#lines++;
    network.lines++;
    const more = voice === undefined || voice.unsaid === 0 ? {} : { more: voice.unsaid };
    this.#voices.set(speaker, { until: after(now, QUIET), unsaid: 0 });
    const { gateway, listener, address, port, clientId: client, username: user } = to;
    const { what, asked, refusal } = refused;
    const detail = {
      gateway,
      listener,
      peer: `${address}:${port}`,
      client,
      user,
      what,
      asked,
      refusal,
      by,
      ...more,
    };
    this.#log.info("refused", detail);
  }

  /** Voices of clients that have been silent for a minute go, with what was not said of them in one line. */
  #nextMinute(now: Instant): void {
    this.#minute = after(now, QUIET);
    let unsaid = this.#unwritten;
    for (const [speaker, voice] of this.#voices) {
      if (now < voice.until) continue;
      // One that goes on being refused says itself how many there were in between.
      if (now < after(voice.until, QUIET)) continue;
      unsaid += voice.unsaid;
      this.#voices.delete(speaker);
    }
    if (unsaid > 0) this.#log.info("more-refused", { refused: unsaid });
    this.#unwritten = 0;
    this.#lines = 0;
    for (const network of this.#networks.values()) network.lines = 0;
  }
}
