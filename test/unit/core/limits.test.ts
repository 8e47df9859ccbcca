import { describe, expect, it } from "vitest";
import { seconds, ZERO } from "#core/lib/time.ts";
import { messageOf, Puppets, text } from "../../support/puppet.ts";
import { World, type WorldOptions } from "../../support/world.ts";

const limited = (limits: WorldOptions["limits"], policy: WorldOptions["policy"] = {}) => {
  const world = new World({ limits: limits ?? {}, policy });
  const puppets = new Puppets();
  return { world, puppets };
};

describe("limits of a stream listener", () => {
  it("bound how many connections are open", () => {
    const { world, puppets } = limited({ connections: 2 });
    const listener = world.streams("puppet", puppets);
    const [first, , third] = [listener.connect(), listener.connect(), listener.connect()];
    expect(third.closed).toBe(true);
    first.drop();
    expect(listener.connect().closed).toBe(false);
  });

  it("put a client that publishes too fast off, by not reading on until its debt is paid", () => {
    const { world, puppets } = limited({ messageRate: 10 });
    const stream = world.streams("puppet", puppets).connect();
    const client = puppets.last.connect("c");
    puppets.last.onReceive = () => void client.publish(messageOf("t", "m"), 1);
    for (let sent = 0; sent < 30; sent++) stream.send(text("x"));
    expect(stream.readingPaused).toBe(true);
    const first = puppets.last.received.length;
    expect(first).toBeLessThan(15);
    world.advance(seconds(1));
    const inOneSecond = puppets.last.received.length - first;
    expect(inOneSecond).toBeGreaterThanOrEqual(9);
    expect(inOneSecond).toBeLessThanOrEqual(11);
    world.advance(seconds(5));
    expect(puppets.last.received).toHaveLength(30);
  });

  it("tell channels the largest packet and the time for a login", () => {
    const { world, puppets } = limited({ packetSize: 77, connectTimeout: seconds(3) });
    world.streams("puppet", puppets).connect();
    expect(puppets.last.host.limits).toMatchObject({ packetSize: 77, connectTimeout: seconds(3) });
  });

  it("bound the depth of a will's topic like that of any other", () => {
    const { world, puppets } = limited({ topicLevels: 2 });
    const stream = world.streams("puppet", puppets).connect();
    const heard = world.listen("#");
    const will = { payload: text("w"), qos: 0, retain: false, delay: ZERO, options: {} } as const;
    puppets.last.connect("c", { will: { ...will, topic: "a/b/c" } });
    stream.drop();
    expect(heard).toEqual([]);
  });
});

describe("limits of a datagram listener", () => {
  it("bound how many devices are known", () => {
    const { world, puppets } = limited({ connections: 2 });
    const network = world.datagrams("puppet", puppets);
    for (const port of [1, 2, 3]) network.device(port).send(text("x"));
    expect(puppets.all).toHaveLength(2);
    puppets.all[0]?.host.close("done");
    network.device(3).send(text("x"));
    expect(puppets.all).toHaveLength(3);
  });

  it("ask the rules about the first datagram of an address only", () => {
    let asked = 0;
    const admit = () => (++asked > 1 ? "congested" : "accepted") as "accepted";
    const { world, puppets } = limited({}, { admit });
    const network = world.datagrams("puppet", puppets);
    for (const port of [1, 1, 2, 1]) network.device(port).send(text("x"));
    expect(puppets.all.map(({ received }) => received.length)).toEqual([3]);
  });

  it("drop what is larger than a packet may be, and count it", () => {
    const { world, puppets } = limited({ packetSize: 10 });
    const network = world.datagrams("puppet", puppets);
    network.device().send(new Uint8Array(11));
    expect([puppets.all.length, network.runtime.dropped]).toEqual([0, 1]);
    network.device().send(new Uint8Array(10));
    expect(puppets.all).toHaveLength(1);
  });

  it.each(["a session", "single requests"])("refuse messages above the rate of a client with %s", (kind) => {
    const { world, puppets } = limited({ messageRate: 10, byteRate: 1000 });
    const network = world.datagrams("puppet", puppets);
    network.device().send(text("x"));
    const single = kind === "single requests";
    const client = puppets.last.connect("c", { kind: single ? "single" : "session" });
    const publish = (payload: string) =>
      (single ? puppets.last.connect("c", { kind: single ? "single" : "session" }) : client).publish(
        messageOf("t", payload),
        1,
      );
    const answers = Array.from({ length: 20 }, () => publish("m"));
    expect(answers.filter((answer) => answer === "congested")).toHaveLength(10);
    world.advance(seconds(1));
    expect(publish("m")).toBe("no-subscribers");
    expect(publish("x".repeat(998))).toBe("no-subscribers");
    expect(publish("m")).toBe("no-subscribers");
    expect(publish("m")).toBe("congested");
  });
});
