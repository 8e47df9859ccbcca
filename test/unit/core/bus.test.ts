import { describe, expect, it } from "vitest";
import type { Grant, Subscriber } from "#core/bus/bus.ts";
import { EmbeddedBus, type EmbeddedBusOptions } from "#core/bus/embedded.ts";
import { Gate } from "#core/bus/gate.ts";
import { Message, type QoS } from "#core/bus/message.ts";
import { Deadlines } from "#core/drive/deadlines.ts";
import { type Duration, FOREVER, type Instant, seconds } from "#core/lib/time.ts";
import { fc } from "../../support/property.ts";
import { mulberry32 } from "../../support/random.ts";

class Heard implements Subscriber {
  readonly key: string;
  available = true;
  readonly messages: Message[] = [];
  readonly grants: Grant[] = [];
  onMessage: (() => void) | undefined = undefined;
  constructor(key: string) {
    this.key = key;
  }
  deliver(message: Message, grant: Grant): void {
    this.messages.push(message);
    this.grants.push(grant);
    this.onMessage?.();
  }
  get texts(): string[] {
    return this.messages.map((message) => new TextDecoder().decode(message.payload));
  }
}

let now = 1_000_000 as Instant;

function newBus(options: Partial<EmbeddedBusOptions> = {}) {
  now = 1_000_000 as Instant;
  const deadlines = new Deadlines(now);
  const bus = new EmbeddedBus(
    {
      retained: { messages: 3, payloadSize: 10, bytes: 10_000 },
      shareStrategy: "round_robin",
      shareStrategies: {},
      routeCache: 4,
      ...options,
    },
    { now: () => now },
    mulberry32(3),
  );
  const gate = new Gate(bus, {
    alarms: deadlines,
    delayed: { messages: 2, bytes: 1 << 20 },
    unheard: { value: 0 },
  });
  return { bus, gate, deadlines };
}

const message = (topic: string, payload: string, retain = false, qos: QoS = 0, expiry: Duration = FOREVER) =>
  new Message(topic, new TextEncoder().encode(payload), qos, retain, now, undefined, expiry);
const plain = (qos: QoS = 0) => ({ qos, noLocal: false, retainAsPublished: false, identifier: undefined });

describe("routing", () => {
  it("reaches each matching subscriber once, at the highest QoS of its overlapping subscriptions [MQTT-3.3.4-2]", () => {
    const { bus } = newBus();
    const a = new Heard("a");
    bus.subscribe(a, "x/+", { ...plain(1), identifier: 7 });
    bus.subscribe(a, "x/#", { ...plain(2), identifier: 9 });
    bus.subscribe(a, "y", plain());
    expect(bus.route(message("x/1", "m"), undefined)).toBe("matched");
    expect(a.texts).toEqual(["m"]);
    expect(a.grants[0]!.qos).toBe(2);
    expect([...a.grants[0]!.identifiers].sort()).toEqual([7, 9]);
  });

  it("says that nobody was subscribed", () => {
    const { bus } = newBus();
    expect(bus.route(message("x", "m"), undefined)).toBe("none");
  });

  it("keeps a client's own message from its no-local subscription only (MQTT 5 §3.8.3.1)", () => {
    const { bus } = newBus();
    const a = new Heard("a");
    bus.subscribe(a, "x", { ...plain(2), noLocal: true });
    bus.route(message("x", "1"), a);
    expect(a.texts).toEqual([]);
    bus.subscribe(a, "#", plain(1));
    bus.route(message("x", "2"), a);
    bus.route(message("x", "3"), undefined);
    expect(a.texts).toEqual(["2", "3"]);
    expect(a.grants.map((grant) => grant.qos)).toEqual([1, 2]);
  });

  it("follows every subscribe and unsubscribe though routes are cached", () => {
    const { bus } = newBus();
    const a = new Heard("a");
    const b = new Heard("b");
    bus.subscribe(a, "x/1", plain());
    bus.route(message("x/1", "1"), undefined);
    bus.subscribe(b, "x/+", plain());
    bus.route(message("x/1", "2"), undefined);
    expect(bus.unsubscribe(a, "x/1")).toBe(true);
    expect(bus.unsubscribe(a, "x/1")).toBe(false);
    bus.route(message("x/1", "3"), undefined);
    bus.unsubscribe(b, "x/+");
    expect(bus.route(message("x/1", "4"), undefined)).toBe("none");
    expect(a.texts).toEqual(["1", "2"]);
    expect(b.texts).toEqual(["2", "3"]);
    expect(bus.filters).toBe(0);
  });

  it("delivers what a delivery publishes after the message that caused it, to all in one order", () => {
    const { bus, gate } = newBus();
    const a = new Heard("a");
    const b = new Heard("b");
    bus.subscribe(a, "#", plain());
    bus.subscribe(b, "#", plain());
    a.onMessage = () => {
      if (a.messages.length < 3) gate.publish(message("n", `echo ${a.messages.length}`), a, "client");
    };
    gate.publish(message("n", "first"), undefined, "client");
    expect(a.texts).toEqual(["first", "echo 1", "echo 2"]);
    expect(b.texts).toEqual(a.texts);
  });
});

describe("retained messages", () => {
  it("keeps the last one of a topic, finds it by filter and clears it by an empty payload [MQTT-3.3.1-5, -6]", () => {
    const { bus } = newBus();
    bus.route(message("a/1", "old", true), undefined);
    bus.route(message("a/1", "new", true), undefined);
    bus.route(message("b", "b", true), undefined);
    expect(bus.retained("a/+", 10).map((found) => found.topic)).toEqual(["a/1"]);
    expect(new TextDecoder().decode(bus.retained("a/1", 10)[0]!.payload)).toBe("new");
    bus.route(message("a/1", "", true), undefined);
    expect(bus.retained("#", 10).map((found) => found.topic)).toEqual(["b"]);
    expect(bus.retainedMessages.count).toBe(1);
  });

  it("does not find expired ones, and sweeps them", () => {
    const { bus } = newBus();
    bus.route(message("a", "1", true, 0, seconds(5)), undefined);
    bus.route(message("b", "2", true), undefined);
    now = (now + 5000) as Instant;
    expect(bus.retained("#", 10).map((found) => found.topic)).toEqual(["b"]);
    expect(bus.retainedMessages.count).toBe(2);
    bus.retainedMessages.sweep(now, 100);
    expect(bus.retainedMessages.count).toBe(1);
  });

  it("keeps no more than its limits of count and size, counts refusals, and never leaves a stale value", () => {
    const { bus } = newBus();
    for (const topic of ["a", "b", "c", "d"]) bus.route(message(topic, topic, true), undefined);
    expect(bus.retainedMessages.count).toBe(3);
    bus.route(message("a", "x".repeat(11), true), undefined);
    expect(
      bus
        .retained("#", 10)
        .map((found) => found.topic)
        .sort(),
    ).toEqual(["b", "c"]);
    expect(bus.retainedMessages.refused).toBe(2);
    bus.route(message("b", "", true), undefined);
    bus.route(message("c", "", true), undefined);
    expect(bus.retainedMessages.bytes).toBe(0);
  });

  it("does not hold on to the buffer that a payload was read in", () => {
    const { bus } = newBus();
    const chunk = new Uint8Array(65_536);
    bus.route(new Message("a", chunk.subarray(0, 4), 0, true, now), undefined);
    expect(bus.retained("a", 1)[0]!.payload.buffer.byteLength).toBeLessThan(1000);
  });
});

describe("shared subscriptions", () => {
  const members = (strategy: EmbeddedBusOptions["shareStrategy"], filter = "$share/g/x") => {
    const { bus } = newBus({ shareStrategy: strategy });
    const all = ["a", "b", "c"].map((key) => new Heard(key));
    for (const member of all) bus.subscribe(member, filter, plain(1));
    return { bus, all };
  };

  it("gives each message to one member in turn (round_robin)", () => {
    const { bus, all } = members("round_robin");
    for (let n = 0; n < 6; n++) bus.route(message("x", `${n}`), undefined);
    expect(all.map((member) => member.texts)).toEqual([
      ["0", "3"],
      ["1", "4"],
      ["2", "5"],
    ]);
  });

  it("stays with one member until it is not available (sticky)", () => {
    const { bus, all } = members("sticky");
    bus.route(message("x", "1"), undefined);
    bus.route(message("x", "2"), undefined);
    all[0]!.available = false;
    bus.route(message("x", "3"), undefined);
    all[0]!.available = true;
    bus.route(message("x", "4"), undefined);
    expect(all.map((member) => member.texts)).toEqual([["1", "2"], ["3", "4"], []]);
  });

  it("keeps one publisher's messages with one member (hash)", () => {
    const { bus, all } = members("hash");
    for (let n = 0; n < 30; n++) {
      const one = message("x", `${n % 3}`);
      one.publisher = `device-${n % 3}`;
      bus.route(one, undefined);
    }
    for (const publisher of ["0", "1", "2"]) {
      expect(all.filter((member) => member.texts.includes(publisher))).toHaveLength(1);
    }
  });

  it("reaches every member sooner or later, and one at a time (random)", () => {
    const { bus, all } = members("random");
    for (let n = 0; n < 100; n++) bus.route(message("x", `${n}`), undefined);
    const counts = all.map((member) => member.messages.length);
    expect(counts.reduce((sum, count) => sum + count)).toBe(100);
    for (const count of counts) expect(count).toBeGreaterThan(10);
  });

  it("falls back to a member that is away when none is available, so that its session can queue", () => {
    const { bus, all } = members("round_robin", "$queue/x");
    for (const member of all) member.available = false;
    bus.route(message("x", "1"), undefined);
    expect(all[0]!.texts).toEqual(["1"]);
  });

  it("offers what a member leaves unsettled to another, and to nobody when it was the last", () => {
    const { bus, all } = members("round_robin");
    bus.route(message("x", "1"), undefined);
    const group = all[0]!.grants[0]!.group!;
    expect(group.redeliver(all[0]!.messages[0]!, all[0]!)).toBe(true);
    expect(all[1]!.texts).toEqual(["1"]);
    for (const member of all) bus.unsubscribe(member, "$share/g/x");
    expect(group.redeliver(all[0]!.messages[0]!, all[0]!)).toBe(false);
    expect(bus.filters).toBe(0);
  });

  it("leaves ordinary subscribers of the same filter alone (MQTT 5 §4.8.2)", () => {
    const { bus, all } = members("round_robin");
    const ordinary = new Heard("ordinary");
    bus.subscribe(ordinary, "x", plain());
    bus.route(message("x", "1"), undefined);
    expect(ordinary.texts).toEqual(["1"]);
    expect(all[0]!.texts).toEqual(["1"]);
  });
});

describe("delayed messages", () => {
  it("publishes when the time has come, and refuses more than its limit", () => {
    const { bus, gate, deadlines } = newBus();
    const a = new Heard("a");
    bus.subscribe(a, "#", plain());
    const at = (delay: number) => (now + delay) as Instant;
    expect(gate.delayed.add(message("x", "late"), at(2000))).toBe(true);
    expect(gate.delayed.add(message("x", "soon"), at(1000))).toBe(true);
    expect(gate.delayed.add(message("x", "too many"), at(1000))).toBe(false);
    deadlines.advance(at(1000));
    expect(a.texts).toEqual(["soon"]);
    deadlines.advance(at(2000));
    expect(a.texts).toEqual(["soon", "late"]);
    expect(gate.delayed.waiting).toBe(0);
  });
});

describe("a message that is kept", () => {
  it("is one and the same copy in however many queues, and itself where it owns its bytes", () => {
    const slab = new Uint8Array(100_000);
    const view = new Message("t", slab.subarray(10, 20), 1, false, now);
    const kept = view.kept();
    expect(kept).not.toBe(view);
    expect(kept.payload.buffer.byteLength).toBeLessThan(100_000);
    expect([view.kept(), kept.kept()]).toEqual([kept, kept]);
    expect(view.kept()).toBe(kept);
    expect(kept.kept()).toBe(kept);
  });
});

describe("the route cache", () => {
  it("never changes who hears what, whatever is subscribed, shared and ended in between", () => {
    const topics = ["a", "a/b", "a/c", "$SYS/x", "b"];
    const filters = ["a", "a/+", "a/#", "#", "+/b", "$SYS/#", "$share/g/a/+", "$queue/a/b"];
    const step = fc.record({
      who: fc.integer({ min: 0, max: 2 }),
      filter: fc.constantFrom(...filters),
      end: fc.boolean(),
    });
    const run = (routeCache: number, steps: readonly { who: number; filter: string; end: boolean }[]) => {
      const { bus } = newBus({ routeCache });
      const heard = ["x", "y", "z"].map((key) => new Heard(key));
      for (const { who, filter, end } of steps) {
        if (end) bus.unsubscribe(heard[who]!, filter);
        else bus.subscribe(heard[who]!, filter, plain(1));
        for (const topic of topics) bus.route(message(topic, filter), undefined);
      }
      return heard.map(({ texts, messages }) => [texts, messages.map(({ topic }) => topic)]);
    };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const without = run(0, steps);
        for (const size of [1, 2, 100]) expect(run(size, steps)).toEqual(without);
      }),
    );
  });
});
