import { describe, expect, it } from "vitest";
import { days } from "#core/lib/time.ts";
import { mqttSite } from "../../support/mqtt-device.ts";
import { snWorld } from "../../support/mqtt-sn-device.ts";
import { fc } from "../../support/property.ts";
import { stompListener } from "../../support/stomp-client.ts";
import { frame as stompFrame } from "../../support/stomp-frames.ts";
import { World } from "../../support/world.ts";

const MB = 1 << 20;
const NO_LIMIT = Number.POSITIVE_INFINITY;
const limits = (changes: object) => ({
  total: NO_LIMIT,
  beforeLogin: NO_LIMIT,
  connection: NO_LIMIT,
  ...changes,
});
const events = (world: World) =>
  world.notes.map(({ note }) => note.event).filter((event) => event.startsWith("memory"));
/** The beginning of a packet that says it is long. */
const half = (type: number, length: number, announced = 2 * MB): Buffer => {
  const bytes = Buffer.alloc(length);
  bytes[0] = type;
  for (let rest = announced, at = 1; ; at++, rest >>= 7) {
    bytes[at] = (rest & 127) | (rest > 127 ? 128 : 0);
    if (rest <= 127) return bytes;
  }
};

describe("the account of memory", () => {
  it("is back at nothing when all that was held has gone, whatever came before", () => {
    const step = fc.record({
      kind: fc.constantFrom(
        "join",
        "subscribe",
        "publish",
        "half",
        "read",
        "settle",
        "drop",
        "delayed",
        "pass",
      ),
      who: fc.nat(3),
      size: fc.nat(2_000),
      flag: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { world, device } = mqttSite(
          {},
          { session: { queue: { messages: 20, bytes: 20_000, drop: "qos0-first" } } },
        );
        const clients = [0, 1, 2, 3].map(() => ({ client: device(5), joined: false }));
        for (const { kind, who, size, flag } of steps) {
          const one = clients[who]!;
          if (kind === "join" || !one.joined) {
            one.client = device(5);
            one.client.connect(`c${who}`, {
              clean: flag,
              properties: { sessionExpiryInterval: flag ? 0 : 100, receiveMaximum: 3 },
            });
            one.joined = true;
          } else if (one.client.stream.ended) one.joined = false;
          else if (kind === "subscribe") one.client.subscribe("t/#", flag ? 1 : 2);
          else if (kind === "publish")
            one.client.publish(`t/${size % 3}`, Buffer.alloc(size), {
              qos: flag ? 1 : 0,
              messageId: 1,
              retain: size % 2 === 0,
            });
          else if (kind === "delayed") one.client.publish("$delayed/5/t/1", Buffer.alloc(size), { qos: 0 });
          else if (kind === "half") {
            one.client.raw(half(0x30, size + 8));
            one.client.stream.drop();
            one.joined = false;
          } else if (kind === "read") one.client.take();
          else if (kind === "settle")
            for (const { cmd, messageId, qos } of one.client.take())
              if (cmd === "publish" && qos === 1) one.client.send({ cmd: "puback", messageId });
          if (kind === "drop") {
            one.client.stream.drop();
            one.joined = false;
          }
          if (kind === "pass") world.advance(size as never);
          expect(world.core.memory.held).toBeGreaterThanOrEqual(0);
        }
        for (const { client } of clients) client.stream.drop();
        world.advance(days(1));
        for (const topic of ["t/0", "t/1", "t/2"]) world.publish(topic, "", { retain: true });
        for (const session of [...world.sessions.all()]) world.sessions.discard(session);
        expect([world.core.memory.held, world.core.memory.strangers, world.core.memory.burdens.size]).toEqual(
          [0, 0, 0],
        );
      }),
      { numRuns: 60 },
    );
  });

  it("has a message that waits in many queues once", () => {
    const { world, device } = mqttSite();
    for (let number = 0; number < 50; number++) {
      const client = device(4);
      client.connect(`c${number}`, { clean: false });
      client.subscribe("t", 1);
      client.stream.drop();
    }
    const before = world.core.memory.held;
    world.publish("t", Buffer.alloc(100_000), { qos: 1 });
    expect(world.core.memory.held - before).toBeGreaterThan(100_000);
    expect(world.core.memory.held - before).toBeLessThan(120_000);
  });
});

describe("who has not logged in", () => {
  it("holds no more than memory.beforeLogin together: those who hold most are ended, and it is said", () => {
    const { world, listener } = mqttSite({}, { memory: limits({ beforeLogin: MB }) });
    const streams = Array.from({ length: 100 }, (_, index) => {
      const stream = listener.connect();
      stream.send(half(0x10, index === 50 ? 100 : 60_000, 100_000));
      expect(world.core.memory.strangers).toBeLessThanOrEqual(MB + 140_000);
      return stream;
    });
    expect(streams.filter(({ ended }) => ended).length).toBeGreaterThan(50);
    expect(streams[50]!.ended).toBe(false);
    expect(world.core.counters.memoryEnded.value).toBeGreaterThan(0);
    expect(events(world)).toContain("memory-strangers");
  });
});

describe("one connection", () => {
  it("that makes the gateway hold more than memory.connection is ended: half packets, transactions, what it does not read", () => {
    const mqtt = mqttSite({}, { memory: limits({ connection: 200_000 }) });
    const client = mqtt.device(5);
    client.connect("c");
    client.take();
    client.raw(half(0x30, 150_000, 900_000));
    expect(client.stream.ended).toBe(false);
    client.raw(Buffer.alloc(200_000));
    expect(client.stream.ended).toBe(true);

    const world = new World({ memory: limits({ connection: 200_000 }) });
    const stream = stompListener(world).connect();
    stream.send(stompFrame("CONNECT", { "accept-version": "1.2", host: "x" }));
    stream.send(stompFrame("BEGIN", { transaction: "t" }));
    for (let count = 0; count < 30 && !stream.ended; count++)
      stream.send(stompFrame("SEND", { destination: "d", transaction: "t" }, "x".repeat(10_000)));
    expect(stream.ended).toBe(true);
    expect(world.core.memory.held).toBe(0);
  });
});

describe("what a client holds beside messages", () => {
  const long = (name: string): string => `${name}/${"x".repeat(50_000)}`;

  it("counts: subscriptions, wills, topic aliases, topic names of MQTT-SN, and goes with it", () => {
    const { world, device } = mqttSite();
    const { memory } = world.core;
    const client = device(5);
    const will = { topic: "w", payload: Buffer.alloc(50_000), qos: 0, retain: false };
    client.connect("c", { will });
    const steps = [memory.held];
    client.subscribe(long("f"));
    steps.push(memory.held);
    client.publish(long("t"), "", { properties: { topicAlias: 1 } });
    client.publish(long("t"), "", { properties: { topicAlias: 1 } });
    steps.push(memory.held);
    expect(steps.map((held, index) => held - (steps[index - 1] ?? 0) > 50_000)).toEqual([true, true, true]);
    expect(memory.held).toBeLessThan(155_000);
    client.stream.drop();
    expect(memory.held).toBe(0);

    const { world: other, device: sensors } = snWorld();
    const sensor = sensors();
    sensor.connect("s", { clean: false });
    const before = other.core.memory.held;
    sensor.register("n".repeat(200));
    expect(other.core.memory.held - before).toBeGreaterThan(200);
  });

  it("is not taken in at 85 % from who holds much, and who holds most of it is ended when memory is full", () => {
    const { world, device } = mqttSite({}, { memory: limits({ total: 4 * MB }) });
    const hoarder = device(5);
    hoarder.connect("hoarder", { clean: false, properties: { sessionExpiryInterval: 100 } });
    const modest = device(5);
    modest.connect("modest");
    modest.subscribe("a");
    for (let count = 0; count < 100 && !world.core.memory.refuses; count++) {
      hoarder.subscribe(long(`f${count}`));
      world.advance(100 as never);
    }
    expect(hoarder.subscribe(long("more"))).toMatchObject([{ granted: [0x97] }]);
    expect(modest.subscribe("b")).toMatchObject([{ granted: [0] }]);
    hoarder.stream.drop();
    world.core.memory.held += MB;
    world.core.memory.check();
    world.core.memory.held -= MB;
    expect(world.sessions.get("mqtt", "hoarder")).toBeUndefined();
    expect(world.sessions.get("mqtt", "modest")).toBeDefined();
    expect(world.core.memory.held).toBeLessThan(10_000);
  });
});

describe("when memory is scarce", () => {
  const site = () =>
    mqttSite(
      {},
      {
        memory: limits({ total: 10 * MB }),
        session: { queue: { messages: 1_000, bytes: 4 * MB, drop: "oldest" } },
      },
    );
  function absent({ device }: ReturnType<typeof site>, name: string) {
    const client = device(4);
    client.connect(name, { clean: false });
    client.subscribe(name, 1);
    client.send({ cmd: "disconnect" });
  }

  it("who makes the gateway hold more is read from slowly, newcomers are refused, and then queues drop: each said once", () => {
    const it = site();
    const { world, device, listener } = it;
    const publisher = device(4);
    publisher.connect("p");
    publisher.take();
    const bystander = device(4);
    bystander.connect("b");
    let throttled = 0;
    for (let round = 0; round < 400; round++) {
      const name = `a${round % 40}`;
      if (round < 40 && !world.core.memory.refuses) absent(it, name);
      publisher.publish(name, Buffer.alloc(100_000), { qos: 1, messageId: 1 });
      if (publisher.stream.readingPaused) throttled++;
      world.advance(100 as never);
      world.core.memory.check();
    }
    expect(throttled).toBeGreaterThan(0);
    expect(world.core.memory.held).toBeLessThan(10 * MB);
    expect(world.core.memory.refuses).toBe(true);
    expect(listener.connect().ended || listener.connect().destroyed).toBe(true);
    expect(world.sessionCounters.droppedFull.value).toBeGreaterThan(0);
    expect(events(world)).toEqual(["memory-scarce", "memory-refusing"]);
    // Those who are here are served.
    bystander.take();
    bystander.subscribe("x", 0);
    world.publish("x", "hello");
    expect(bystander.take().map(({ cmd }) => cmd)).toEqual(["publish"]);
    for (const session of [...world.sessions.all()])
      if (session.occupant === undefined) world.sessions.discard(session);
    world.core.memory.check();
    expect(events(world)).toEqual(["memory-scarce", "memory-refusing", "memory-free"]);
    expect(listener.connect().ended).toBe(false);
  });

  it("and full though those who hold most are gone, leaves alone who holds next to nothing", () => {
    const it = site();
    const { world } = it;
    absent(it, "large");
    const innocent = it.device(4);
    innocent.connect("innocent");
    innocent.subscribe("innocent", 0);
    for (let index = 0; index < 30; index++) world.publish("large", Buffer.alloc(100_000, index), { qos: 1 });
    // What ending them does not give back at once.
    world.core.memory.held += 20 * MB;
    world.core.memory.check();
    world.core.memory.held -= 20 * MB;
    expect(world.sessions.get("mqtt", "large")!.queued).toBe(0);
    expect(world.disconnects.map(({ event }) => event.clientId)).not.toContain("innocent");
    expect(world.sessions.get("mqtt", "innocent")!.occupant).toBeDefined();
  });

  it("and full, what holds most goes first, and only as much as is needed", () => {
    const it = site();
    const { world } = it;
    absent(it, "small");
    absent(it, "large");
    const fill = (topic: string, count: number) => {
      for (let index = 0; index < count; index++)
        world.publish(topic, Buffer.alloc(100_000, index), { qos: 1 });
    };
    fill("small", 5);
    fill("large", 30);
    // What cannot be refused, such as what is handed out and never acknowledged.
    world.core.memory.held += 7 * MB;
    world.core.memory.check();
    world.core.memory.held -= 7 * MB;
    expect(world.sessions.get("mqtt", "large")!.queued).toBe(0);
    expect(world.sessions.get("mqtt", "small")!.queued).toBe(5);
    expect(world.sessionCounters.droppedMemory.value).toBe(30);
    expect(events(world)).toContain("memory-full");
  });
});
