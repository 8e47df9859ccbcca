import { describe, expect, it } from "vitest";
import { days } from "#core/lib/time.ts";
import { messageOf, type Puppet, Puppets, text } from "../../support/puppet.ts";
import { World } from "../../support/world.ts";

const FAILURES_MAX = 3;
const fail = (): never => {
  throw new Error("a bug");
};

/** A client that comes back whenever its channel has failed, and a publisher. */
function returning(prepare: (puppet: Puppet) => void, qos: 1 | 2 = 1) {
  const world = new World({ mayFail: true, session: { failuresMax: FAILURES_MAX } });
  const puppets = new Puppets();
  const listener = world.streams("puppet", puppets);
  listener.connect();
  const publisher = puppets.last.connect("publisher");
  const seen: string[] = [];
  const arrive = () => {
    const stream = listener.connect();
    const puppet = puppets.last;
    puppet.onDeliver = (_client, { message }) => seen.push(Buffer.from(message.payload).toString());
    prepare(puppet);
    puppet.connect("c", { sessionExpiry: days(1) }).subscribe("t", { qos }, 1);
    world.settle();
    return stream;
  };
  const publish = (...payloads: string[]): void => {
    for (const payload of payloads) publisher.publish(messageOf("t", payload, qos), 1);
    world.settle();
  };
  const times = (payload: string): number => seen.filter((each) => each === payload).length;
  const left = (): number | undefined => world.sessions.get("puppet", "c")?.unsettled;
  return { world, arrive, publish, times, left };
}

/** Fails at a message of this payload. */
const failsAt = (payload: string) => (puppet: Puppet) => {
  const note = puppet.onDeliver;
  puppet.onDeliver = (client, delivery) => {
    note?.(client, delivery);
    if (Buffer.from(delivery.message.payload).toString() === payload) fail();
  };
};

describe("a delivery at which the channel fails", () => {
  it("is given up after the configured number of failures, counted and logged, and the next one arrives", () => {
    const { world, arrive, publish, times, left } = returning(failsAt("bad"));
    arrive();
    publish("bad", "good");
    for (let life = 0; life < 10; life++) arrive();
    expect(times("bad")).toBe(FAILURES_MAX);
    expect(times("good")).toBeGreaterThan(0);
    expect([world.sessionCounters.dead.value, left()]).toEqual([1, 1]);
    const dead = world.notes.filter(({ note }) => note.event === "delivery-dead");
    expect(dead.map(({ note }) => note.detail)).toEqual([{ topic: "t", failures: FAILURES_MAX }]);
  });

  it("is given up at QoS 2 likewise", () => {
    const { world, arrive, publish, times, left } = returning(failsAt("bad"), 2);
    arrive();
    publish("bad");
    for (let life = 0; life < 10; life++) arrive();
    expect(times("bad")).toBe(FAILURES_MAX);
    expect([world.sessionCounters.dead.value, left()]).toEqual([1, 0]);
  });

  it("at a later input is told from the others by handing them out one by one, and they are settled", () => {
    const settled: string[] = [];
    const { world, arrive, publish, left } = returning((puppet) => {
      puppet.onReceive = () => {
        for (const { client, delivery } of puppet.delivered.splice(0)) {
          const payload = Buffer.from(delivery.message.payload).toString();
          if (payload === "bad") fail();
          settled.push(payload);
          client.settle(delivery.id, "done");
        }
      };
    });
    let stream = arrive();
    publish("bad", "a", "b", "c");
    for (let input = 0; input < 40; input++) {
      stream.send(text("x"));
      world.settle();
      if (stream.closed) stream = arrive();
    }
    expect(settled).toEqual(["a", "b", "c"]);
    expect([world.sessionCounters.dead.value, left()]).toEqual([1, 0]);
  });

  it("does not cost those that were out beside it their place: after a plain loss all are handed out at once", () => {
    const { world, arrive, publish, times } = returning(() => {});
    const stream = arrive();
    publish("a", "b");
    stream.drop();
    world.settle();
    arrive();
    expect([times("a"), times("b")]).toEqual([2, 2]);
  });
});
