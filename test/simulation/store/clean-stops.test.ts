/** Clients of every kind come, go and are handed messages; then the gateway is stopped, and what it leaves fits together. */
import { describe, expect, it } from "vitest";
import type { Delivery } from "#core/contract/delivery.ts";
import { seconds, ZERO } from "#core/lib/time.ts";
import type { Session } from "#core/session/session.ts";
import { checkRecords } from "#core/store/check.ts";
import { Life } from "../../support/durable-life.ts";
import { MemoryEngine } from "../../support/memory-engine.ts";
import { mulberry32 } from "../../support/random.ts";

const SEEDS = Number(process.env["STORE_SEEDS"] ?? 300);
const STEPS = 120;
const START = 1_700_000_000_000;
const CLIENTS = ["a", "b", "c", "d", "e"];
const TOPICS = ["t", "u"];
const FILTERS = ["t", "u", "#", "$share/g/t", "$share/g/u", "$queue/t"];

class Simulation {
  readonly engine = new MemoryEngine();
  readonly #random: () => number;
  readonly #held = new Map<Session, Delivery[]>();
  #life: Life;
  #now = START;

  constructor(seed: number) {
    this.#random = mulberry32(seed);
    this.engine.beforeCommit = () =>
      this.#random() < 0.1 ? Promise.reject(new Error("no")) : Promise.resolve();
    this.#life = this.#begin();
  }

  /** How many records of no owner the next process has found. */
  async run(): Promise<number> {
    for (let step = 0; step < STEPS; step++) {
      await this.#step();
      // Time enough for one commit, for several, or for none.
      for (let turn = this.#pick(8); turn > 0; turn--) await Promise.resolve();
    }
    return this.#restart();
  }

  #begin(): Life {
    // A short queue, so that what does not fit is dropped.
    return new Life(this.engine, this.#now, 4);
  }

  #pick(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #oneOf<Value>(values: readonly Value[]): Value {
    return values[this.#pick(values.length)]!;
  }

  async #step(): Promise<void> {
    const dice = this.#random();
    if (dice < 0.3) this.#publish();
    else if (dice < 0.42) this.#come();
    else if (dice < 0.5) this.#go();
    else if (dice < 0.6) this.#subscribe();
    else if (dice < 0.75) this.#settle();
    else if (dice < 0.9) this.#life.elapse();
    else if (dice < 0.95) this.#life.advance(seconds(this.#pick(40)));
    else if (dice < 0.97) this.#life.sessions.setExpiry(this.#session(), this.#expiry());
    else if (dice < 0.98) this.#life.sessions.remount(this.#session(), this.#oneOf(["", "m/"]));
    else expect(await this.#restart()).toBe(0);
  }

  /** Stopped cleanly: what waits for a commit is committed. */
  async #restart(): Promise<number> {
    for (const [session] of this.#held) this.#leave(session, "lost");
    this.#held.clear();
    this.engine.beforeCommit = () => Promise.resolve();
    await this.#life.store.close();
    expect(checkRecords(this.engine).problems).toEqual([]);
    this.#now = this.#life.now + 1;
    this.#life = this.#begin();
    return this.#life.restored.orphans;
  }

  #expiry = (): typeof ZERO => (this.#random() < 0.3 ? ZERO : seconds(this.#pick(60)));

  #session(): Session {
    const [first] = this.#held.keys();
    const known = this.#life.sessions.get("mqtt", this.#oneOf(CLIENTS));
    return known ?? first ?? this.#come();
  }

  #come(): Session {
    const session = this.#life.open(this.#oneOf(CLIENTS), this.#expiry(), this.#random() < 0.2);
    if (session.occupant !== undefined) return session;
    const held: Delivery[] = [];
    this.#held.set(session, held);
    const deliver = (delivery: Delivery): void => void held.push({ ...delivery });
    const evict = (): void => this.#leave(session, "closed");
    this.#life.sessions.occupy(session, { held: false, deliver, evict }, this.#pick(4));
    return session;
  }

  #go(): void {
    const [session] = this.#held.keys();
    if (session !== undefined) this.#leave(session, this.#oneOf(["closed", "lost", "expected"] as const));
  }

  #leave(session: Session, how: "closed" | "lost" | "expected"): void {
    this.#held.delete(session);
    if (session.occupant !== undefined) this.#life.sessions.leave(session, how, this.#life.now);
  }

  #subscribe(): void {
    const session = this.#session();
    const filter = this.#oneOf(FILTERS);
    if (this.#random() < 0.3) this.#life.sessions.unsubscribe(session, filter);
    else if (this.#random() < 0.1) this.#life.sessions.revoke(session, filter);
    else this.#life.sessions.subscribe(session, filter, { qos: this.#oneOf([0, 1, 2]) });
  }

  #publish(): void {
    const expiry = this.#random() < 0.2 ? { expiry: seconds(this.#pick(20)) } : {};
    const how = { qos: this.#oneOf([0, 1, 2] as const), retain: this.#random() < 0.5, ...expiry };
    this.#life.publish(this.#oneOf(TOPICS), "x".repeat(this.#pick(20)), how);
  }

  #settle(): void {
    const [session, held] = this.#oneOf([...this.#held, undefined]) ?? [];
    const delivery = held?.shift();
    if (session === undefined || delivery === undefined) return;
    if (delivery.qos === 2 && this.#random() < 0.3) session.received(delivery.id);
    session.settle(delivery.id, this.#oneOf(["done", "done", "again", "dead"] as const));
  }
}

describe("a gateway that is stopped in the middle of everything", () => {
  it("leaves no record that nobody owns", { timeout: 20_000 + SEEDS * 50 }, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      expect(await new Simulation(seed).run(), `seed ${seed}`).toBe(0);
    }
  });
});
