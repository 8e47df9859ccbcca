import { describe, expect, it } from "vitest";
import type { Message } from "#core/bus/message.ts";
import { seconds } from "#core/lib/time.ts";
import { SlowStore } from "../../support/slow-store.ts";
import { TcpDevice, tcpListener } from "../../support/tcp-device.ts";
import { World } from "../../support/world.ts";

const open = (config: Record<string, unknown> = {}, policy = {}) => {
  const world = new World();
  const heard = world.listen("#");
  const listener = tcpListener(world, config, policy);
  return { world, heard, listener };
};
const text = (message: Message | undefined) => message && Buffer.from(message.payload).toString("utf8");
const WELCOME = "20 Connect Successfully";

describe("CONNECT", () => {
  it.each([0x10, 0x11])("with header %i is answered with CONNACK 0 and a client is there", (header) => {
    const { world, listener } = open();
    const device = new TcpDevice(listener).connect("meter", { header });
    expect(device.heard()).toEqual([WELCOME]);
    expect(world.connects.map(({ clientId, protocol }) => [clientId, protocol])).toEqual([
      ["meter", "TCP 1"],
    ]);
  });

  it("of another version is answered with ILLEGALVER, and the connection ends", () => {
    const { listener } = open();
    const device = new TcpDevice(listener).connect("meter", { header: 0x12 });
    expect(device.heard()[0]).toMatch(/^22 /);
    expect(device.stream.ended).toBe(true);
  });

  it("that is refused gets AUTHFAILED, the same for a wrong name and a wrong password", () => {
    const { listener } = open(
      {},
      { authenticate: () => ({ ok: false, refusal: "unauthenticated", reason: "no" }) },
    );
    const device = new TcpDevice(listener).connect("meter", { username: "ann", password: "x" });
    expect(device.heard()).toEqual(["21 Authentication failed"]);
    expect(device.stream.ended).toBe(true);
  });

  it.each(["a/b", "+", "#", "a#"])(
    "as %s, which would reach into topics of others, is refused",
    (clientId) => {
      const { world, listener } = open();
      const device = new TcpDevice(listener).connect(clientId);
      expect(device.heard()).toEqual(["21 Client id not valid"]);
      expect(device.stream.ended).toBe(true);
      expect(world.connects).toEqual([]);
    },
  );

  it.each([
    ["anything else first", "40"],
    ["data first", "30 0001 61"],
    ["a malformed CONNECT", "11 0001 3c"],
    ["a packet of the server", "20 0000"],
    ["a reserved type", "f0"],
  ])("%s ends the connection without a word", (_, hex) => {
    const { listener } = open();
    const device = new TcpDevice(listener);
    device.say(hex);
    expect(device.heard()).toEqual([]);
    expect(device.stream.ended).toBe(true);
  });

  it("a second time ends the connection", () => {
    const { listener } = open();
    const device = new TcpDevice(listener).connect("meter").connect("meter");
    expect(device.stream.ended).toBe(true);
  });

  it("that does not come in time ends the connection", () => {
    const { world, listener } = open();
    const device = new TcpDevice(listener);
    world.advance(seconds(11));
    expect(device.stream.ended).toBe(true);
  });
});

describe("DATATRANS", () => {
  it("is published to the device's own topic", () => {
    const { heard, listener } = open();
    new TcpDevice(listener).connect("meter").data("21.5");
    expect(heard.map((message) => [message.topic, text(message), message.qos])).toEqual([
      ["tcp/meter/up", "21.5", 0],
    ]);
  });

  it("brings what is published to the device's other topic", () => {
    const { world, listener } = open();
    const device = new TcpDevice(listener).connect("meter");
    device.heard();
    world.publish("tcp/meter/dn", "open", { qos: 1 });
    world.publish("tcp/other/dn", "no", { qos: 1 });
    expect(device.heard()).toEqual(["30 open"]);
  });

  it("that no packet can carry is settled as dead and counted, and the next goes on", () => {
    const { world, listener } = open();
    const device = new TcpDevice(listener).connect("meter");
    device.heard();
    world.publish("tcp/meter/dn", "x".repeat(65_536), { qos: 1 });
    world.publish("tcp/meter/dn", "y", { qos: 1 });
    expect(device.heard()).toEqual(["30 y"]);
    expect(world.counters.get("undeliverable")?.value).toBe(1);
  });

  it("fills both forms of placeholders in both topics", () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of the configuration
    const { heard, listener } = open({ upTopic: "up/%u/%c/%a", dnTopic: "dn/${username}/${clientid}" });
    new TcpDevice(listener, { address: "10.1.2.3" }).connect("meter", { username: "ann" }).data("1");
    expect(heard[0]?.topic).toBe("up/ann/meter/10.1.2.3");
  });

  it("that is refused is counted; the device, which cannot be told, goes on", () => {
    const { world, heard, listener } = open({}, { mayPublish: () => false });
    const device = new TcpDevice(listener).connect("meter");
    device.data("1");
    device.say("40");
    expect(heard).toEqual([]);
    expect(device.heard()).toEqual([WELCOME, "50"]);
    expect(world.counters.get("publishes_refused")?.value).toBe(1);
  });

  it("stops being read while too much of it waits for the store, and goes on in order", () => {
    const store = new SlowStore();
    const world = new World({ commits: store.commits });
    store.keepAllOf(world);
    const heard = world.listen("tcp/#");
    const device = new TcpDevice(tcpListener(world, { upQos: 1, pendingPublishes: 2 })).connect("meter");
    for (const n of ["1", "2", "3", "4"]) device.data(n);
    expect(heard.map(text)).toEqual(["1", "2"]);
    expect(device.stream.readingPaused).toBe(true);
    while (store.due.length > 0) {
      store.answer();
      world.settle();
    }
    expect(heard.map(text)).toEqual(["1", "2", "3", "4"]);
    expect(device.stream.readingPaused).toBe(false);
  });

  it("waits for a device that is away, where sessions last", () => {
    const { world, listener } = open({ sessionExpiry: "1h" });
    const first = new TcpDevice(listener).connect("meter");
    first.say("60");
    world.publish("tcp/meter/dn", "open", { qos: 1 });
    const second = new TcpDevice(listener).connect("meter");
    expect(second.heard()).toEqual([WELCOME, "30 open"]);
  });
});

describe("PING, DISCONNECT and silence", () => {
  it("PING is answered with PONG", () => {
    const { listener } = open();
    const device = new TcpDevice(listener).connect("meter");
    device.heard();
    device.say("40 40");
    expect(device.heard()).toEqual(["50", "50"]);
  });

  it("DISCONNECT ends the connection", () => {
    const { world, listener } = open();
    const device = new TcpDevice(listener).connect("meter");
    device.say("60");
    expect(device.stream.ended).toBe(true);
    expect(world.disconnects).toHaveLength(1);
  });

  it("a device is lost after one and a half times its keep-alive, and not before", () => {
    const { world, listener } = open();
    const device = new TcpDevice(listener).connect("meter", { keepAlive: 10 });
    world.advance(seconds(14));
    device.say("40");
    world.advance(seconds(14));
    expect(device.stream.ended).toBe(false);
    world.advance(seconds(2));
    expect(device.stream.ended).toBe(true);
    expect(world.disconnects).toMatchObject([{ reason: "silent for too long", how: "silent" }]);
  });

  it("a device without a keep-alive is lost after idleTimeout", () => {
    const { world, listener } = open({ idleTimeout: "20s" });
    const device = new TcpDevice(listener).connect("meter", { keepAlive: 0 });
    world.advance(seconds(19));
    expect(device.stream.ended).toBe(false);
    world.advance(seconds(2));
    expect(device.stream.ended).toBe(true);
  });

  it("the same client id elsewhere takes the place of the first", () => {
    const { listener } = open();
    const first = new TcpDevice(listener).connect("meter");
    new TcpDevice(listener).connect("meter");
    expect(first.stream.ended).toBe(true);
  });
});
