/** What sessions and gateways may expect of a bus, whatever engine is behind it. */
import { describe, expect, it } from "vitest";
import type { Bus, Grant, Subscriber, Subscription } from "#core/bus/bus.ts";
import { Message, type QoS } from "#core/bus/message.ts";
import { type Duration, FOREVER, type Instant, after as later, seconds } from "#core/lib/time.ts";

/** An engine, and a clock that the suite moves; `pass` returns when all that is due has happened. */
export interface BusUnderTest {
  readonly bus: Bus;
  now(): Instant;
  pass(by: Duration): Promise<void> | void;
}

class Listener implements Subscriber {
  readonly key: string;
  available = true;
  readonly heard: { message: Message; grant: Grant }[] = [];
  constructor(key: string) {
    this.key = key;
  }
  deliver(message: Message, grant: Grant): void {
    this.heard.push({ message, grant });
  }
  take(): string[] {
    return this.heard.splice(0).map(({ message }) => Buffer.from(message.payload).toString());
  }
}

const at = (qos: QoS, more: Partial<Subscription> = {}): Subscription => ({
  qos,
  noLocal: false,
  retainAsPublished: false,
  identifier: undefined,
  ...more,
});

export function busContract(name: string, make: () => BusUnderTest): void {
  const open = () => {
    const under = make();
    const publish = (
      topic: string,
      payload: string,
      { retain = false, expiry = FOREVER, from }: { retain?: boolean; expiry?: Duration; from?: object } = {},
    ) => {
      const bytes = Buffer.from(payload);
      return under.bus.route(new Message(topic, bytes, 1, retain, under.now(), undefined, expiry), from);
    };
    return { ...under, publish };
  };

  describe(`the bus, ${name}`, () => {
    it("delivers to those who match, in the order of publishing, and says whether anybody did", () => {
      const { bus, publish } = open();
      const [one, two] = [new Listener("1"), new Listener("2")];
      bus.subscribe(one, "a/+", at(1));
      bus.subscribe(two, "a/#", at(0));
      expect(publish("a/b", "first")).toBe("matched");
      expect(publish("a", "second")).toBe("matched");
      expect(publish("b", "third")).toBe("none");
      expect([one.take(), two.take()]).toEqual([["first"], ["first", "second"]]);
    });

    it("knows whether somebody hears a topic, alone or in a group", () => {
      const { bus } = open();
      const listener = new Listener("1");
      bus.subscribe(listener, "a/+", at(0));
      bus.subscribe(listener, "$share/g/b", at(0));
      expect(["a/b", "b", "a", "c"].map((topic) => bus.hears(topic))).toEqual([true, true, false, false]);
      bus.unsubscribe(listener, "a/+");
      bus.unsubscribe(listener, "$share/g/b");
      expect(["a/b", "b"].map((topic) => bus.hears(topic))).toEqual([false, false]);
    });

    it("merges overlapping subscriptions of one subscriber", () => {
      const { bus, publish } = open();
      const one = new Listener("1");
      bus.subscribe(one, "a/+", at(0, { identifier: 4 }));
      bus.subscribe(one, "a/b", at(1, { identifier: 5 }));
      publish("a/b", "m");
      expect(one.heard.map(({ grant }) => [grant.qos, [...grant.identifiers].sort()])).toEqual([[1, [4, 5]]]);
    });

    it("replaces a subscription of the same filter, and ends it once", () => {
      const { bus, publish } = open();
      const one = new Listener("1");
      expect(bus.subscribe(one, "a", at(0))).toBe(true);
      expect(bus.subscribe(one, "a", at(1))).toBe(false);
      expect(bus.unsubscribe(one, "a")).toBe(true);
      expect(bus.unsubscribe(one, "a")).toBe(false);
      expect(publish("a", "m")).toBe("none");
      expect(one.take()).toEqual([]);
    });

    it("keeps no-local apart by subscriber, and by owner where subscribers have one", () => {
      const { bus, publish } = open();
      const owner = {};
      const [one, two] = [new Listener("1"), Object.assign(new Listener("2"), { owner })];
      for (const each of [one, two]) bus.subscribe(each, "a", at(1, { noLocal: true }));
      publish("a", "of one", { from: one });
      publish("a", "of the owner", { from: owner });
      expect([one.take(), two.take()]).toEqual([["of the owner"], ["of one"]]);
    });

    it("gives a shared message to one member of each group, and ordinary subscribers their own", () => {
      const { bus, publish } = open();
      const members = ["1", "2", "3"].map((key) => new Listener(key));
      for (const member of members) bus.subscribe(member, "$share/g/a/+", at(1));
      bus.subscribe(members[0]!, "$queue/a/+", at(1));
      const plain = new Listener("plain");
      bus.subscribe(plain, "a/b", at(1));
      for (let index = 0; index < 30; index++) publish("a/b", String(index));
      const taken = members.map((member) => member.take().length);
      expect(taken.reduce((sum, count) => sum + count)).toBe(60);
      expect(plain.take()).toHaveLength(30);
      for (const member of members) bus.unsubscribe(member, "$share/g/a/+");
      publish("a/b", "rest");
      expect(members.map((member) => member.take())).toEqual([["rest"], [], []]);
    });

    it("keeps the last retained message of a topic, until it is cleared or expires", async () => {
      const { bus, publish, now, pass } = open();
      publish("a/1", "old", { retain: true });
      publish("a/1", "new", { retain: true });
      publish("a/2", "short", { retain: true, expiry: seconds(5) });
      publish("a/3", "cleared", { retain: true });
      publish("a/3", "", { retain: true });
      const found = () => bus.retained("a/+", 10).map(({ payload }) => Buffer.from(payload).toString());
      expect(found().sort()).toEqual(["new", "short"]);
      expect(bus.retained("#", 1)).toHaveLength(1);
      const before = now();
      await pass(seconds(6));
      expect(now()).toBeGreaterThanOrEqual(later(before, seconds(6)));
      expect(found()).toEqual(["new"]);
    });

    it("never matches a wildcard at the first level with a $ topic [MQTT-4.7.2-1]", () => {
      const { bus, publish } = open();
      const one = new Listener("1");
      bus.subscribe(one, "#", at(1));
      bus.subscribe(one, "+/x", at(1));
      expect(publish("$SYS/x", "m")).toBe("none");
      bus.subscribe(one, "$SYS/#", at(1));
      expect(publish("$SYS/x", "m")).toBe("matched");
      expect(one.take()).toEqual(["m"]);
    });
  });
}
