import { describe, expect, it } from "vitest";
import type { Delivery } from "#core/contract/delivery.ts";
import type { Session } from "#core/session/session.ts";
import { checkRecords } from "#core/store/check.ts";
import { Life } from "../../support/durable-life.ts";
import { MemoryEngine } from "../../support/memory-engine.ts";
import { mulberry32 } from "../../support/random.ts";

const SEEDS = Number(process.env["STORE_SEEDS"] ?? 150);
const STEPS = 300;
const START = 1_700_000_000_000;

interface Publish {
  readonly payload: string;
  readonly qos: 1 | 2;
  readonly id: number;
  /** `sent`, `releasing`: this life has the message, or its release, and the answer is due. */
  state: "due" | "sent" | "released" | "releasing";
}

/** Publishers and a subscriber that outlive processes, over a store whose commits fail and are cut off. */
class Simulation {
  readonly engine = new MemoryEngine();
  readonly heard: string[] = [];
  readonly acknowledged: string[] = [];
  readonly #random: () => number;
  readonly #inFlight: Publish[] = [];
  /** QoS 2 ids that the subscriber has and that are not released (method B). */
  readonly #received = new Set<number>();
  readonly #unanswered: Delivery[] = [];
  /** What a second durable subscriber has not acknowledged: messages are shared. */
  #witnessed: (() => void)[] = [];
  #life: Life;
  #subscriber: Session | undefined;
  /** Ends the commit that runs. */
  #land: ((kept: boolean) => void) | undefined;
  #count = 0;
  #broken = false;

  constructor(seed: number) {
    this.#random = mulberry32(seed);
    this.engine.beforeCommit = () =>
      new Promise((resolve, reject) => {
        // A process that is gone begins no commit any more.
        if (this.#crashed) return;
        this.#land = (kept) => {
          this.#land = undefined;
          if (kept) resolve();
          else reject(new Error("cut off"));
        };
      });
    this.#life = new Life(this.engine, START);
    this.#connect();
    this.#connectWitness();
  }

  async run(): Promise<void> {
    for (let step = 0; step < STEPS; step++) {
      this.#step();
      await settle();
      this.#restart();
    }
    this.#broken = false;
    for (let turn = 0; turn < 400; turn++) {
      if (this.#subscriber === undefined) this.#connect();
      this.#publishDue();
      this.#answer();
      for (const acknowledge of this.#witnessed.splice(0)) acknowledge();
      this.#life.elapse();
      this.#land?.(true);
      await settle();
    }
    expect(this.#inFlight).toEqual([]);
    expect(checkRecords(this.engine).problems).toEqual([]);
  }

  #step(): void {
    const dice = this.#random();
    if (dice < 0.3) this.#publish();
    else if (dice < 0.5) this.#answer();
    else if (dice < 0.65) this.#life.elapse();
    else if (dice < 0.86) this.#land?.(!this.#broken);
    else if (dice < 0.9) this.#publishDue();
    else if (dice < 0.93) this.#leave();
    else if (dice < 0.96) this.#connect();
    else if (dice < 0.975) this.#broken = !this.#broken;
    else if (dice < 0.98) this.#replaceWitness();
    else this.#crash();
  }

  #connect(): void {
    if (this.#subscriber !== undefined) return;
    const session = this.#life.open("subscriber");
    this.#subscriber = session;
    const deliver = (delivery: Delivery): void => {
      if (this.#subscriber === session) this.#hear(delivery);
    };
    this.#life.sessions.occupy(session, { held: false, deliver, evict: () => {} }, 4);
    if (!session.subscriptions.has("t")) this.#life.sessions.subscribe(session, "t", { qos: 2 });
  }

  /** Its session ends, with all that waits in it, and another one begins. */
  #replaceWitness(): void {
    this.#life.sessions.discard(this.#life.open("witness"));
    this.#connectWitness();
  }

  #connectWitness(): void {
    this.#witnessed = [];
    const session = this.#life.open("witness");
    const deliver = ({ id }: Delivery): void => {
      this.#witnessed.push(() => session.settle(id, "done"));
    };
    this.#life.sessions.occupy(session, { held: false, deliver, evict: () => {} }, 4);
    if (!session.subscriptions.has("t")) this.#life.sessions.subscribe(session, "t", { qos: 1 });
  }

  #leave(): void {
    if (this.#subscriber === undefined) return;
    this.#unanswered.length = 0;
    this.#life.sessions.leave(this.#subscriber, "closed", this.#life.now);
    this.#subscriber = undefined;
  }

  #hear(delivery: Delivery): void {
    const { id, qos, stage } = delivery;
    if (stage === "publish" && !(qos === 2 && this.#received.has(id))) {
      this.heard.push(new TextDecoder().decode(delivery.message.payload));
    }
    if (stage === "publish" && qos === 2) this.#received.add(id);
    this.#unanswered.push({ ...delivery, id, qos, stage });
  }

  /** The subscriber acknowledges what it has: PUBACK, or PUBREC and, once its step is kept, PUBCOMP. */
  #answer(): void {
    if (this.#random() < 0.5) this.#witnessed.shift()?.();
    const session = this.#subscriber;
    const next = this.#unanswered.shift();
    if (session === undefined || next === undefined) return;
    if (next.qos === 2 && next.stage === "publish") {
      // Its release comes as a delivery, when that is kept.
      if (session.received(next.id) === "accepted") this.#complete(session, next);
      return;
    }
    this.#complete(session, next);
  }

  #complete(session: Session, { id }: Delivery): void {
    this.#received.delete(id);
    session.settle(id, "done");
  }

  #publish(): void {
    if (this.#inFlight.length >= 6) return;
    const count = ++this.#count;
    const qos = this.#random() < 0.5 ? 1 : 2;
    this.#inFlight.push({
      payload: `${qos}-${count}`,
      qos,
      id: this.#freeId(),
      state: "due",
    });
    this.#publishDue();
  }

  /** The lowest that is free: a client that uses its ids again as soon as it may. */
  #freeId(): number {
    let id = 1;
    while (this.#inFlight.some((publish) => publish.id === id)) id++;
    return id;
  }

  /** In order, as a connection has it; a release goes out again too. */
  #publishDue(): void {
    for (const publish of [...this.#inFlight]) {
      if (publish.state === "released") this.#release(publish);
      // While commits fail, the door refuses before anything happens.
      else if (publish.state === "due" && this.#life.store.failure === undefined) this.#send(publish);
    }
  }

  #send(publish: Publish): void {
    const life = this.#life;
    const session = life.open("publisher");
    if (session.occupant === undefined) life.connect(session, 0);
    publish.state = "sent";
    const before = life.store.writes;
    const receipt = publish.qos === 1 ? "new" : session.acceptInbound(publish.id);
    expect(receipt).not.toBe("full");
    const isNew = receipt === "new";
    if (isNew) life.publish("t", publish.payload, { qos: publish.qos });
    life.store.whenCommitted(
      (failure) => {
        if (life !== this.#life) return;
        // What was taken before is not refused: its answer waits.
        if (failure !== undefined && !isNew) publish.state = "due";
        else if (failure !== undefined) this.#refused(publish, session);
        else if (publish.qos === 1) this.#done(publish);
        else {
          this.acknowledged.push(publish.payload);
          publish.state = "released";
        }
      },
      publish.qos === 1 || isNew ? before : 0,
    );
  }

  /** It may or may not come; a QoS 2 publisher that is refused does not repeat. */
  #refused(publish: Publish, session: Session): void {
    if (publish.qos === 1) {
      publish.state = "due";
      return;
    }
    session.releaseInbound(publish.id);
    this.#inFlight.splice(this.#inFlight.indexOf(publish), 1);
  }

  /** Answered when the release is kept [MQTT-4.3.3-11]. */
  #release(publish: Publish): void {
    const life = this.#life;
    const before = life.store.writes;
    publish.state = "releasing";
    const known = life.open("publisher").releaseInbound(publish.id);
    life.store.whenCommitted(
      (failure) => {
        if (life !== this.#life) return;
        if (failure === undefined) this.#inFlight.splice(this.#inFlight.indexOf(publish), 1);
        else publish.state = "released";
      },
      known ? before : 0,
    );
  }

  #done(publish: Publish): void {
    this.acknowledged.push(publish.payload);
    this.#inFlight.splice(this.#inFlight.indexOf(publish), 1);
  }

  #crash(): void {
    this.#subscriber = undefined;
    this.#unanswered.length = 0;
    const former = this.#life;
    // What the old process does from here on, nobody sees.
    former.elapse = () => {};
    this.#crashed = true;
    this.#land?.(this.#random() < 0.5);
    for (const publish of this.#inFlight) {
      if (publish.state === "sent") publish.state = "due";
      if (publish.state === "releasing") publish.state = "released";
    }
    this.#life = new Life(new MemoryEngine(), former.now);
  }

  #crashed = false;
  /** The next process reads what the last commit has left. */
  #restart(): void {
    if (!this.#crashed) return;
    this.#crashed = false;
    expect(checkRecords(this.engine).problems).toEqual([]);
    this.#life = new Life(this.engine, this.#life.now + 1);
    expect(this.#life.restored.orphans).toBe(0);
    this.#connect();
    this.#connectWitness();
  }
}

/** Lets promises that are due run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 6; turn++) await Promise.resolve();
}

describe("over a store that fails and is cut off at any write", () => {
  it("nothing acknowledged is lost, QoS 2 comes once, and order is kept", {
    timeout: 20_000 + SEEDS * 50,
  }, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const simulation = new Simulation(seed);
      await simulation.run();
      const { heard, acknowledged } = simulation;
      const known = new Set(heard);
      const about = `seed ${seed}`;
      expect(
        acknowledged.filter((payload) => !known.has(payload)),
        `${about}: lost`,
      ).toEqual([]);
      const twice = heard.filter((payload, at) => payload.startsWith("2-") && heard.indexOf(payload) !== at);
      expect(twice, `${about}: QoS 2 twice`).toEqual([]);
      for (const qos of ["1-", "2-"]) {
        const first = [...known]
          .filter((payload) => payload.startsWith(qos))
          .map((payload) => Number(payload.slice(2)));
        expect(first, `${about}: order at QoS ${qos}`).toEqual(first.toSorted((a, b) => a - b));
      }
    }
  });
});
