import { Message } from "../bus/message.ts";
import type { Delivery } from "../contract/delivery.ts";
import { type Alarms, CallbackAlarm } from "../lib/alarm.ts";
import { Ring } from "../lib/ring.ts";
import { after, between, type Duration, FOREVER, type Instant, NEVER } from "../lib/time.ts";
import type { Drop, Occupant, SessionContext } from "../session/context.ts";
import { newSessionCounters } from "../session/counters.ts";
import type { Session } from "../session/session.ts";
import type { Sessions } from "../session/sessions.ts";
import {
  type Connector,
  DoubtfulFailure,
  failureOf,
  type Item,
  SinkFailure,
  UnexpectedFailure,
} from "./connector.ts";
import { Deadline } from "./deadline.ts";
import { decodeItem, encodeItem } from "./item-codec.ts";
import { type Entry, type Lane, laneOf, takeBatch } from "./lane.ts";
import type { CommonSettings } from "./settings.ts";
import { newSinkCounters, type SinkCounters } from "./sink-counters.ts";
import { within } from "./within.ts";

/** The gateway that sessions of connectors belong to. */
export const CONNECTORS = "connector";

/** connecting: nothing is known yet. */
export type SinkState = "connecting" | "connected" | "disconnected" | "stopped";

/** What becomes of an item, for its action's counters. */
export type Fate = "success" | "failed" | "dropped";

export interface SinkParts {
  readonly name: string;
  readonly settings: CommonSettings;
  readonly connector: Connector;
  readonly sessions: Sessions;
  readonly alarms: Alarms;
  now(): Instant;
  /** Brings the time up to date: something has come from outside. */
  tick(): void;
  chance(): number;
  /** Publishes what the sink will never take. */
  dead(sink: string, item: Item | undefined, payload: Uint8Array, reason: string): void;
  told(item: Item, fate: Fate): void;
  changed(sink: string, state: SinkState, reason: string | undefined): void;
  /** An error of the connector itself, or of its library. */
  unexpected(sink: string, failure: UnexpectedFailure): void;
}

const GRANT = { qos: 1, retainAsPublished: false, identifiers: [], group: undefined } as const;
/** How long a connector may take to say goodbye, in milliseconds: what it has not got is kept. */
const GOODBYE = 2_000;
/** Deliveries that may be out: some batches wait in their lanes, and those of a client that waits must not keep back others. */
const CREDIT_MAX = 50_000;
const CREDIT_MIN = 2_000;
const BATCHES_AHEAD = 4;
/** Tries of what may heal or not: it must not hold up others for long. */
const DOUBTFUL_TRIES = 7;

/**
 * A connector as the client of a durable session: what rules hand over waits there, in memory and on disk, and is settled
 * when the sink has acknowledged it. What was not when the process ended is handed out again in the next one.
 */
export class Sink implements Occupant {
  readonly held = false;
  readonly name: string;
  readonly settings: CommonSettings;
  readonly counters: SinkCounters;
  state: SinkState = "connecting";
  /** Why it is disconnected. */
  reason: string | undefined = undefined;
  /** How long the sink took to acknowledge the last batch. */
  took: Duration | undefined = undefined;
  /** Stays when all is well again. */
  lastFailure: { readonly reason: string; readonly at: Instant } | undefined = undefined;
  readonly #parts: SinkParts;
  readonly #lanes: readonly Lane[];
  readonly #session: Session;
  /** Told when an item is over, whatever became of it: by whoever has the session then. */
  readonly #holds: Map<Message, () => void>;
  readonly #stop = new AbortController();
  readonly #gather = new CallbackAlarm(() => this.#startAll());
  readonly #health = new CallbackAlarm(() => void this.#check());
  /** What is tried again later. */
  readonly #pauses = new Set<CallbackAlarm>();
  #inflight = 0;
  #gathering = false;

  /** `before`: the same connector as it was configured before, which has taken what waits. */
  constructor(parts: SinkParts, before?: Sink) {
    this.#parts = parts;
    this.#holds = before === undefined ? new Map() : before.#holds;
    this.name = parts.name;
    this.settings = parts.settings;
    this.counters = before?.counters ?? newSinkCounters();
    const { concurrency, order } = parts.settings;
    const shared = new Ring<Entry>();
    this.#lanes = Array.from({ length: order === "all" ? 1 : concurrency }, () => ({
      waiting: order === "none" ? shared : new Ring<Entry>(),
      busy: false,
    }));
    this.#session = this.#open(parts.sessions);
    if (before === undefined) this.counters.restored = this.#session.queued + this.#session.unsettled;
  }

  #open(sessions: Sessions): Session {
    const opened = sessions.open({
      ...{ gateway: CONNECTORS, clientId: this.name, proven: undefined },
      ...{ cleanStart: false, expiry: FOREVER },
    });
    if (typeof opened === "string") throw new Error(`connector ${this.name}: ${opened}`);
    const { session } = opened;
    // It is ours: no limit for clients ends it while the process is away.
    session.expiry = FOREVER;
    return session;
  }

  /** What waits from the process before is handed out from now on. */
  begin(): void {
    const { sessions } = this.#parts;
    const { concurrency, batch, queue } = this.settings;
    const ahead = Math.max(
      concurrency * batch.messages * BATCHES_AHEAD,
      Math.min(CREDIT_MIN, queue.messages),
    );
    sessions.occupy(this.#session, this, Math.min(CREDIT_MAX, ahead));
    void this.#check();
  }

  /** Everything waits: nothing is given to the sink. */
  rest(): void {
    this.#become("stopped", undefined);
  }

  /** Throws `SinkFailure` where the sink is not there. */
  async reach(): Promise<void> {
    const deadline = new Deadline(this.settings.timeout, this.#stop.signal);
    try {
      await this.#parts.connector.check(deadline.signal);
    } catch (error) {
      throw failureOf(error, deadline.signal);
    } finally {
      deadline.end();
    }
  }

  // ---- taking

  take(item: Item, over: (() => void) | undefined): void {
    const { expiry } = this.settings.queue;
    const message = new Message(
      `$connector/${this.name}`,
      encodeItem(item),
      1,
      false,
      this.#parts.now(),
      undefined,
      expiry,
    );
    if (over !== undefined) this.#holds.set(message, over);
    this.counters.taken++;
    this.#session.deliver(message, GRANT);
  }

  get queuing(): number {
    return this.#session.queued + this.#waiting;
  }

  get inflight(): number {
    return this.#inflight;
  }

  get #waiting(): number {
    if (this.settings.order === "none") return this.#lanes[0]!.waiting.length;
    return this.#lanes.reduce((sum, { waiting }) => sum + waiting.length, 0);
  }

  get queuedBytes(): number {
    return this.#session.queuedBytes;
  }

  /** It would have to drop something, and may not. */
  get full(): boolean {
    const { queue } = this.settings;
    if (queue.full !== "refuse") return false;
    return this.#session.queued >= queue.messages || this.#session.queuedBytes >= queue.bytes;
  }

  /** The session's queue has dropped it. */
  dropped(delivery: Delivery, why: Drop): void {
    this.counters[why === "expired" ? "expired" : "full"]++;
    const item = decodeItem(delivery.message.payload);
    if (item !== undefined) this.#parts.told(item, "dropped");
    this.#over(delivery);
  }

  #over({ message }: Delivery): void {
    const over = this.#holds.get(message);
    this.#holds.delete(message);
    over?.();
  }

  // ---- handing over

  deliver(delivery: Delivery): void {
    const item = decodeItem(delivery.message.payload);
    if (item === undefined) {
      this.counters.failedUnread++;
      this.#bury({ delivery, item: undefined }, "it cannot be read: another version has written it", 1);
      return;
    }
    const lane = this.#laneOf(item);
    lane.waiting.push({ delivery, item });
    this.#kick(lane);
  }

  #laneOf({ client }: Item): Lane {
    const lanes = this.#lanes;
    if (this.settings.order === "none") return lanes.find(({ busy }) => !busy) ?? lanes[0]!;
    return lanes[laneOf(client, lanes.length)]!;
  }

  #kick(lane: Lane): void {
    if (lane.busy) return;
    const { time, messages } = this.settings.batch;
    if (time > 0 && lane.waiting.length < messages) {
      if (!this.#gathering) this.#parts.alarms.arm(this.#gather, after(this.#parts.now(), time));
      this.#gathering = true;
      return;
    }
    lane.busy = true;
    // Not within the delivery: what comes in the same breath goes in the same batch.
    queueMicrotask(() => void this.#run(lane));
  }

  #startAll(): void {
    this.#gathering = false;
    for (const lane of this.#lanes) {
      if (lane.busy || lane.waiting.length === 0) continue;
      lane.busy = true;
      void this.#run(lane);
    }
  }

  async #run(lane: Lane): Promise<void> {
    for (;;) {
      const batch = takeBatch(lane.waiting, this.settings.batch);
      if (batch.length === 0) break;
      this.#inflight += batch.length;
      await this.#through(batch);
      if (this.#stop.signal.aborted) return;
    }
    lane.busy = false;
  }

  /** Gives it to the sink until nothing of it is left, or the sink is closed. */
  async #through(batch: readonly Entry[]): Promise<void> {
    let left = batch;
    for (let attempt = 1; left.length > 0; attempt++) {
      left = this.#unexpired(left);
      if (left.length === 0) return;
      const began = this.#parts.now();
      const results = await this.#try(left);
      if (this.#stop.signal.aborted) return;
      this.#parts.tick();
      if (left.some((_, index) => results[index] === undefined))
        this.took = between(began, this.#parts.now());
      const again = left.filter((entry, index) => !this.#settled(entry, results[index], attempt));
      const failure = results.find((result) => result?.heals === true);
      if (attempt === 1) this.#tellUnexpected(results);
      this.#become(
        failure === undefined || again.length === 0 ? "connected" : "disconnected",
        failure?.message,
      );
      left = again;
      if (left.length > 0) await this.#pause(attempt, failure?.after ?? 0);
      if (this.#stop.signal.aborted) return;
    }
  }

  #unexpired(entries: readonly Entry[]): readonly Entry[] {
    const now = this.#parts.now();
    return entries.filter(({ delivery, item }) => {
      if (delivery.message.expiresAt === NEVER || delivery.message.expiresAt > now) return true;
      this.counters.expired++;
      this.#parts.told(item, "dropped");
      this.#settle(delivery);
      return false;
    });
  }

  async #try(batch: readonly Entry[]): Promise<readonly (SinkFailure | undefined)[]> {
    this.counters.batches++;
    const failure = await this.#attempt(batch);
    if (Array.isArray(failure)) return failure;
    if (failure === undefined) return [];
    if (isOfAll(failure as SinkFailure) || batch.length === 1) return batch.map(() => failure as SinkFailure);
    // One of them is at fault: which one, the sink says of each by itself.
    return this.#oneByOne(batch);
  }

  async #oneByOne(batch: readonly Entry[]): Promise<readonly (SinkFailure | undefined)[]> {
    const results: (SinkFailure | undefined)[] = [];
    for (const entry of batch) {
      const result = await this.#attempt([entry]);
      const failure = Array.isArray(result) ? result[0] : (result as SinkFailure | undefined);
      results.push(failure);
      // The rest comes to know that in its turn.
      if (failure !== undefined && isOfAll(failure)) break;
    }
    while (results.length < batch.length) results.push(new SinkFailure("one before it is tried again", true));
    return results;
  }

  async #attempt(
    batch: readonly Entry[],
  ): Promise<SinkFailure | readonly (SinkFailure | undefined)[] | undefined> {
    this.counters.tries++;
    const deadline = new Deadline(this.settings.timeout, this.#stop.signal);
    try {
      return await this.#parts.connector.send(
        batch.map(({ item }) => item),
        deadline.signal,
      );
    } catch (error) {
      if (deadline.late) this.counters.late++;
      return failureOf(error, deadline.signal);
    } finally {
      deadline.end();
    }
  }

  #tellUnexpected(results: readonly (SinkFailure | undefined)[]): void {
    const failure = results.find((result) => result instanceof UnexpectedFailure);
    if (failure !== undefined) this.#parts.unexpected(this.name, failure);
  }

  /** False when it has to be tried again. */
  #settled(entry: Entry, failure: SinkFailure | undefined, attempt: number): boolean {
    const { counters } = this;
    if (failure === undefined) {
      counters.success++;
      counters.latency += Math.max(0, this.#parts.now() - entry.item.at);
      if (attempt > 1) counters.retriedSuccess++;
      this.#parts.told(entry.item, "success");
      this.#settle(entry.delivery);
      return true;
    }
    const { attempts } = this.settings.retry;
    const tries = failure instanceof DoubtfulFailure ? Math.min(attempts, DOUBTFUL_TRIES) : attempts;
    if (failure.heals && attempt < tries) return false;
    this.#inflight--;
    const isUnexpected = failure instanceof UnexpectedFailure;
    counters[isUnexpected ? "failedUnexpected" : failure.heals ? "failedTried" : "failedRefused"]++;
    this.#bury(entry, failure.message, attempt);
    return true;
  }

  #settle(delivery: Delivery): void {
    this.#inflight--;
    this.#session.settle(delivery.id, "done");
    this.#over(delivery);
  }

  #bury(
    { delivery, item }: { readonly delivery: Delivery; readonly item: Item | undefined },
    reason: string,
    attempt: number,
  ): void {
    this.counters.failed++;
    this.#note(reason);
    if (attempt > 1) this.counters.retriedFailed++;
    // Published before it is settled: both are kept together, or neither is.
    this.#parts.dead(this.name, item, delivery.message.payload, reason);
    if (item !== undefined) this.#parts.told(item, "failed");
    this.#session.settle(delivery.id, "dead");
    this.#over(delivery);
  }

  /** Anything up to a bound that doubles, so that many who wait do not come at once. */
  #pause(attempt: number, atLeast: number): Promise<void> {
    const { first, longest } = this.settings.retry;
    const bound = Math.min(longest, first * 2 ** Math.min(attempt - 1, 30));
    const length = Math.max(atLeast, bound / 2 + (this.#parts.chance() * bound) / 2);
    return new Promise((resolve) => {
      const alarm = new CallbackAlarm(() => {
        this.#pauses.delete(alarm);
        resolve();
      });
      this.#pauses.add(alarm);
      this.#parts.alarms.arm(alarm, after(this.#parts.now(), length as Duration));
    });
  }

  // ---- whether it is there

  async #check(): Promise<void> {
    const { alarms, connector, now, tick } = this.#parts;
    const deadline = new Deadline(this.settings.timeout, this.#stop.signal);
    const before = this.counters.tries;
    const failure = await connector.check(deadline.signal).then(
      () => undefined,
      (error: unknown) => failureOf(error, deadline.signal),
    );
    deadline.end();
    if (this.#stop.signal.aborted) return;
    tick();
    if (this.state !== "disconnected") this.#tellUnexpected([failure]);
    // What was given to it meanwhile knows better.
    if (this.counters.tries === before)
      this.#become(failure === undefined ? "connected" : "disconnected", failure?.message);
    alarms.arm(this.#health, after(now(), this.settings.health));
  }

  #note(reason: string): void {
    this.lastFailure = { reason, at: this.#parts.now() };
  }

  #become(state: SinkState, reason: string | undefined): void {
    if (state === "disconnected") this.#note(reason ?? "no reason is known");
    const changes = this.state !== state;
    this.state = state;
    this.reason = state === "connected" ? undefined : reason;
    if (changes) this.#parts.changed(this.name, state, reason);
  }

  /** What is under way is given up, and handed out again by who takes its session next. */
  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    const { alarms, sessions, connector, now } = this.#parts;
    alarms.disarm(this.#gather);
    alarms.disarm(this.#health);
    for (const pause of this.#pauses) alarms.disarm(pause);
    this.#pauses.clear();
    sessions.leave(this.#session, "lost", now());
    this.#become("stopped", undefined);
    await within(AbortSignal.timeout(GOODBYE), connector.close()).catch(() => {});
  }

  /** No connector of its name comes after it: who waits for what is kept is told so, and waits for no sink. */
  release(): void {
    for (const over of this.#holds.values()) over();
    this.#holds.clear();
  }

  evict(): void {
    void this.close();
  }

  /** See `Connector.listening`. */
  get listening(): boolean | undefined {
    return this.#parts.connector.listening;
  }

  get waits(): number {
    return this.queuing + this.#inflight;
  }
}

/** The whole batch fails by it: what is the fault of one of them, each by itself shows. */
const isOfAll = (failure: SinkFailure): boolean => failure.heals && !(failure instanceof DoubtfulFailure);

/** What the sessions of one connector are told: its own limits, and its own numbers. */
export function contextOf(
  common: SessionContext,
  settings: CommonSettings,
  of: () => Sink | undefined,
): SessionContext {
  const { messages, bytes, full } = settings.queue;
  return {
    ...common,
    pressure: undefined,
    counters: newSessionCounters(),
    options: {
      ...common.options,
      queue: { messages, bytes, drop: full === "drop-oldest" ? "oldest" : "newest" },
    },
    watch: {
      waits() {},
      settled() {},
      dropped: (_, delivery, why) => of()?.dropped(delivery, why),
    },
  };
}
