/** Load on a gateway, from its first client to its last: `isthmus bench`. */
import { lookup } from "node:dns/promises";
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { utf8 } from "../lib/bytes.ts";
import { seconds } from "../lib/time.ts";
import { Dialler } from "../net/dial.ts";
import { Field } from "../sim/field.ts";
import { Declined, type LoadClient, type LoadUser } from "./client.ts";
import { CoapClient } from "./coap-client.ts";
import { MqttClient } from "./mqtt-client.ts";
import { MqttSnClient } from "./mqtt-sn-client.ts";
import type { LoadOptions, LoadStatus, Spread } from "./options.ts";
import { clock, stamped, stampOf } from "./stamp.ts";

/** How often it is looked which clients connect and which messages are due, in milliseconds. */
const BEAT = 5;
/** How often clients look after themselves. */
const TICK = 1_000;
/** Clients that say goodbye at one time. */
const LEAVING = 500;
/** Messages that one client without a window sends before others have their turn. */
const BURST = 256;
/** Reasons that are told apart; one more stands for all others. */
const REASONS_MAX = 20;
const NANOSECONDS = 1e6;

export class Load implements LoadUser {
  readonly #options: LoadOptions;
  readonly #field: Field;
  readonly #clients: LoadClient[];
  readonly #connected = new Set<LoadClient>();
  /** Its place, and how many messages it has sent. */
  readonly #known = new Map<LoadClient, { readonly index: number; sent: number }>();
  readonly #failed = new Map<string, number>();
  readonly #lost = new Map<string, number>();
  readonly #spreads = { connect: createHistogram(), answer: createHistogram(), delivery: createHistogram() };
  readonly #startedAt = performance.now();
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  #begun = 0;
  #tried = 0;
  /** All clients have had their answer since then. */
  #readyAt: number | undefined = undefined;
  #endedAt: number | undefined = undefined;
  #counts = { sent: 0, acknowledged: 0, refused: 0, skipped: 0, received: 0 };
  /** Messages that were due by their interval, sent or not. */
  #due = 0;
  #finish!: () => void;
  /** There is nothing more to do: as many messages as were asked for, or no client that could. */
  readonly finished = new Promise<void>((resolve) => {
    this.#finish = resolve;
  });

  private constructor(options: LoadOptions, field: Field, dialler: Dialler | undefined) {
    this.#options = options;
    this.#field = field;
    const make = (id: string): LoadClient => {
      if (dialler !== undefined) return new MqttClient(id, dialler, options, this);
      return options.protocol === "coap"
        ? new CoapClient(id, field, options, this)
        : new MqttSnClient(id, field, options, this);
    };
    const { clients, prefix, firstNumber } = options;
    this.#clients = Array.from({ length: clients }, (_, index) => make(`${prefix}${firstNumber + index}`));
    for (const [index, client] of this.#clients.entries()) this.#known.set(client, { index, sent: 0 });
  }

  /** Throws `ListenError` where a certificate cannot be used. */
  static async start(options: LoadOptions): Promise<Load> {
    const { protocol, host, port, tls, username, password, interval } = options;
    const dialler =
      protocol === "mqtt"
        ? new Dialler({
            ...{ transport: tls === undefined ? "tcp" : "tls", host, port, timeout: seconds(30) },
            ...{ highWaterMark: 256 * 1024, linger: seconds(1), noDelay: true },
            ...(tls === undefined ? {} : { tls: { ...tls, minVersion: "TLSv1.2" as const } }),
          })
        : undefined;
    const { address } = await lookup(host);
    const field = new Field(
      {
        ...{ host, ports: { [protocol]: port }, loss: 0, natLife: undefined, interval, seed: process.pid },
        ...{ username, password },
      },
      address,
    );
    const load = new Load(options, field, dialler);
    load.#timers.push(setInterval(() => load.#beat(), BEAT));
    load.#timers.push(setInterval(() => load.#tick(), TICK));
    return load;
  }

  get status(): LoadStatus {
    const { kind, protocol, clients } = this.#options;
    const end = this.#endedAt ?? performance.now();
    const passed = (end - this.#startedAt) / 1000;
    const working = this.#readyAt === undefined ? 0 : (end - this.#readyAt) / 1000;
    const connecting = ((this.#readyAt ?? end) - this.#startedAt) / 1000;
    const rate = (count: number, length: number): number =>
      length <= 0 ? 0 : Math.round((count / length) * 10) / 10;
    const { sent, received } = this.#counts;
    return {
      ...{ kind, protocol, seconds: Math.round(passed * 10) / 10, clients, connected: this.#connected.size },
      ...this.#counts,
      connecting: this.#begun - this.#tried,
      failed: Object.fromEntries(this.#failed),
      lost: Object.fromEntries(this.#lost),
      rates: {
        connected: rate(this.#spreads.connect.count, connecting),
        sent: rate(sent, working),
        received: rate(received, working),
      },
      latency: Object.fromEntries(
        Object.entries(this.#spreads).flatMap(([name, spread]) =>
          spread.count === 0 ? [] : [[name, spreadOf(spread)]],
        ),
      ),
    };
  }

  /** Clients say goodbye. */
  async stop(): Promise<void> {
    this.#endedAt ??= performance.now();
    for (const timer of this.#timers) clearInterval(timer);
    this.#field.ending = true;
    const all = [...this.#clients];
    while (all.length > 0) await Promise.all(all.splice(0, LEAVING).map((client) => client.end()));
    this.#field.timers.end();
  }

  // ---- connecting

  #beat(): void {
    const { connectRate, clients } = this.#options;
    const passed = (performance.now() - this.#startedAt) / 1000;
    const wanted = Math.min(clients, Math.ceil(passed * connectRate));
    while (this.#begun < wanted) void this.#enter(this.#begun++);
    if (this.#readyAt !== undefined && this.#options.kind === "publish") this.#publishDue(this.#readyAt);
  }

  async #enter(index: number): Promise<void> {
    const client = this.#clients[index]!;
    const { kind, qos } = this.#options;
    const since = performance.now();
    try {
      await client.connect();
      record(this.#spreads.connect, performance.now() - since);
      this.#connected.add(client);
      if (kind === "subscribe") await client.subscribe(this.#topicOf(client, index, 0), qos);
    } catch (error) {
      count(this.#failed, error instanceof Declined ? error.message : String(error));
      this.#connected.delete(client);
    }
    if (++this.#tried < this.#options.clients) return;
    this.#readyAt = performance.now();
    if (this.#connected.size === 0) this.#finish();
    else if (kind === "publish" && this.#options.interval === 0)
      for (const each of this.#clients) this.writable(each);
  }

  // ---- publishing

  /** Messages come evenly, one client after the other. */
  #publishDue(since: number): void {
    const { interval } = this.#options;
    if (interval === 0) return;
    const clients = this.#clients.length;
    const due = Math.floor(((performance.now() - since) / interval) * clients);
    for (; this.#due < due && !this.#complete; this.#due++) {
      const client = this.#clients[this.#due % clients]!;
      if (!this.#connected.has(client)) continue;
      if (client.full) this.#counts.skipped++;
      else this.#publish(client);
    }
    if (this.#complete) this.#finishWhenAnswered();
  }

  /** As many messages as were asked for have been sent. */
  get #complete(): boolean {
    const { limit } = this.#options;
    return limit !== undefined && this.#counts.sent >= limit;
  }

  #publish(client: LoadClient): void {
    const { size, payload } = this.#options;
    const known = this.#known.get(client)!;
    this.#counts.sent++;
    const at = clock();
    client.publish(
      this.#topicOf(client, known.index, known.sent++),
      payload === undefined ? stamped(size, at) : utf8(payload),
      at,
    );
  }

  /** `%i`, `%c`, `%u`, `%s`. */
  #topicOf({ id }: LoadClient, index: number, count: number): string {
    const { topic, username = "", firstNumber } = this.#options;
    if (!topic.includes("%")) return topic;
    const values: Readonly<Record<string, string | number>> = {
      ...{ i: firstNumber + index, c: id, u: username, s: count },
    };
    return topic.replace(/%([icus])/g, (_, name: string) => String(values[name]));
  }

  get #answers(): boolean {
    return this.#options.qos > 0 || this.#options.protocol === "coap";
  }

  #finishWhenAnswered(): void {
    const { sent, acknowledged, refused } = this.#counts;
    if (!this.#answers || acknowledged + refused >= sent) this.#finish();
  }

  // ---- what clients tell

  answered(_client: LoadClient, sentAt: number, good: boolean): void {
    // What is on its way when it ends is neither.
    if (!good && this.#endedAt !== undefined) return;
    if (good) record(this.#spreads.answer, clock() - sentAt);
    this.#counts[good ? "acknowledged" : "refused"]++;
    if (this.#complete) this.#finishWhenAnswered();
  }

  /** Without an interval it goes on at once. */
  writable(client: LoadClient): void {
    const { kind, interval } = this.#options;
    if (kind !== "publish" || interval !== 0 || this.#readyAt === undefined || this.#endedAt !== undefined)
      return;
    for (let burst = 0; burst < BURST && !client.full; burst++) {
      if (this.#complete) {
        this.#finishWhenAnswered();
        return;
      }
      this.#publish(client);
    }
    if (!client.full) setImmediate(() => this.writable(client));
  }

  received(payload: Uint8Array): void {
    this.#counts.received++;
    const sentAt = stampOf(payload);
    if (sentAt !== undefined) record(this.#spreads.delivery, clock() - sentAt);
    const { kind, limit = Number.POSITIVE_INFINITY } = this.#options;
    if (kind === "subscribe" && this.#counts.received >= limit) this.#finish();
  }

  lost(client: LoadClient, why: string): void {
    count(this.#lost, why);
    this.#connected.delete(client);
    if (this.#connected.size === 0 && this.#readyAt !== undefined) this.#finish();
  }

  #tick(): void {
    for (const client of this.#connected) client.tick();
  }
}

function count(reasons: Map<string, number>, why: string): void {
  const name = reasons.has(why) || reasons.size < REASONS_MAX ? why : "other";
  reasons.set(name, (reasons.get(name) ?? 0) + 1);
}

/** Nanoseconds, as a histogram has whole numbers; clocks of two processes may differ by a little. */
function record(histogram: RecordableHistogram, length: number): void {
  histogram.record(Math.max(1, Math.round(length * NANOSECONDS)));
}

function spreadOf(histogram: RecordableHistogram): Spread {
  const at = (percentile: number): number => milliseconds(histogram.percentile(percentile));
  return {
    count: histogram.count,
    mean: milliseconds(histogram.mean),
    p50: at(50),
    p90: at(90),
    p99: at(99),
    p999: at(99.9),
    max: milliseconds(histogram.max),
  };
}

const milliseconds = (length: number): number => Math.round(length / 1_000) / 1_000;
