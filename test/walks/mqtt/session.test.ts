import { describe, expect, it } from "vitest";
import { milliseconds, seconds } from "#core/lib/time.ts";
import type { Verdict } from "#core/policy/policy.ts";
import { type AnyPacket, mqttSite } from "../../support/mqtt-device.ts";
import { permissive } from "../../support/world.ts";

const kept = { clean: false, properties: { sessionExpiryInterval: 3600 } };
const idOf = (packet: AnyPacket | undefined) => packet?.["messageId"] as number;

describe("a session that outlives its connection", () => {
  it.each([4, 5] as const)("is present when the client comes back, level %i [MQTT-3.2.2-2]", (version) => {
    const site = mqttSite();
    const first = site.device(version);
    expect(first.connect("dev", kept)).toMatchObject([{ sessionPresent: false }]);
    first.subscribe("a/#", 1);
    first.stream.drop();
    site.world.publish("a/1", "kept", { qos: 1 });
    const second = site.device(version);
    const [connack, publish] = second.connect("dev", kept);
    expect(connack).toMatchObject({ cmd: "connack", sessionPresent: true });
    expect(publish).toMatchObject({ cmd: "publish", topic: "a/1", qos: 1, dup: false });
  });

  it("sends again what was not acknowledged, with DUP, the same packet id and in order [MQTT-4.4.0-1]", () => {
    const site = mqttSite();
    const first = site.device(4);
    first.connect("dev", kept);
    first.subscribe("a/#", 2);
    for (let index = 0; index < 4; index++) {
      site.world.publish("a/t", `${index}`, { qos: index % 2 === 0 ? 1 : 2 });
    }
    const before = first.take();
    expect(before.map(({ dup }) => dup)).toEqual([false, false, false, false]);
    first.send({ cmd: "puback", messageId: idOf(before[0]) });
    first.send({ cmd: "pubrec", messageId: idOf(before[1]) });
    first.stream.drop();
    const second = site.device(4);
    const [, ...again] = second.connect("dev", kept);
    expect(
      again.map(({ cmd, dup, messageId, payload }) => [cmd, dup, messageId, String(payload ?? "")]),
    ).toEqual([
      ["pubrel", false, idOf(before[1]), ""],
      ["publish", true, idOf(before[2]), "2"],
      ["publish", true, idOf(before[3]), "3"],
    ]);
    second.send({ cmd: "pubcomp", messageId: idOf(before[1]) });
    expect(site.world.sessionCounters.settled.value).toBe(2);
  });

  it("remembers inbound QoS 2 ids, so a repeated PUBLISH is not published twice [MQTT-4.3.3-2]", () => {
    const site = mqttSite();
    const heard = site.world.listen("a/b");
    const first = site.device(5);
    first.connect("dev", kept);
    first.publish("a/b", "once", { qos: 2, messageId: 9 });
    first.stream.drop();
    const second = site.device(5);
    second.connect("dev", kept);
    expect(second.publish("a/b", "once", { qos: 2, messageId: 9, dup: true })).toMatchObject([
      { cmd: "pubrec", messageId: 9, reasonCode: 0 },
    ]);
    expect(heard).toHaveLength(1);
    expect(second.send({ cmd: "pubrel", messageId: 9 })).toMatchObject([{ cmd: "pubcomp", reasonCode: 0 }]);
    second.publish("a/b", "again", { qos: 2, messageId: 9 });
    expect(heard).toHaveLength(2);
  });

  it("answers a PUBREL of an unknown id with 0x92 (MQTT 5 §3.7.2.1)", () => {
    const device = mqttSite().device(5);
    device.connect("dev");
    expect(device.send({ cmd: "pubrel", messageId: 3 })).toMatchObject([
      { cmd: "pubcomp", reasonCode: 0x92 },
    ]);
    expect(device.send({ cmd: "pubrec", messageId: 4 })).toMatchObject([{ cmd: "pubrel", reasonCode: 0x92 }]);
  });

  it("ends when its expiry has passed (MQTT 5 §3.1.2.11.2)", () => {
    const site = mqttSite();
    const first = site.device(5);
    first.connect("dev", { clean: false, properties: { sessionExpiryInterval: 10 } });
    first.stream.drop();
    site.world.advance(seconds(9));
    expect(site.world.sessions.count).toBe(1);
    site.world.advance(seconds(2));
    expect(site.world.sessions.count).toBe(0);
  });

  it("ends with its connection when no expiry was asked for", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev", { clean: false });
    device.stream.drop();
    expect(site.world.sessions.count).toBe(0);
  });

  it("takes another expiry from DISCONNECT (MQTT 5 §3.14.2.2.2)", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev", { clean: false, properties: { sessionExpiryInterval: 10 } });
    device.send({ cmd: "disconnect", reasonCode: 0, properties: { sessionExpiryInterval: 100 } });
    site.world.advance(seconds(50));
    expect(site.world.sessions.count).toBe(1);
    site.world.advance(seconds(51));
    expect(site.world.sessions.count).toBe(0);
  });

  it("cannot be revived by DISCONNECT when CONNECT said 0 (MQTT 5 §3.14.2.2.2)", () => {
    const device = mqttSite().device(5);
    device.connect("dev");
    const said = device.send({ cmd: "disconnect", reasonCode: 0, properties: { sessionExpiryInterval: 5 } });
    expect(said).toMatchObject([{ cmd: "disconnect", reasonCode: 0x82 }]);
    expect(device.closed).toBe(true);
  });

  it("is told how much of its expiry was granted [MQTT-3.2.2-21]", () => {
    const site = mqttSite({}, { expiryMax: seconds(60) });
    const asked = { clean: false, properties: { sessionExpiryInterval: 0xffffffff } };
    const [connack] = site.device(5).connect("dev", asked);
    expect(connack).toMatchObject({ properties: { sessionExpiryInterval: 60 } });
  });
});

describe("a client id that connects twice", () => {
  it("ends the first connection with 0x8E, and keeps the session [MQTT-3.1.4-3]", () => {
    const site = mqttSite();
    const first = site.device(5);
    first.connect("dev", kept);
    first.subscribe("a/b", 1);
    const second = site.device(5);
    expect(second.connect("dev", kept)).toMatchObject([{ cmd: "connack", sessionPresent: true }]);
    expect(first.take()).toMatchObject([{ cmd: "disconnect", reasonCode: 0x8e }]);
    expect(first.closed).toBe(true);
    site.world.publish("a/b", "to the second", { qos: 1 });
    expect(second.take()).toMatchObject([{ cmd: "publish" }]);
  });

  it("closes an MQTT 3.1.1 connection without a word", () => {
    const site = mqttSite();
    const first = site.device(4);
    first.connect("dev");
    site.device(4).connect("dev");
    expect(first.take()).toEqual([]);
    expect(first.closed).toBe(true);
  });
});

describe("an authentication that takes its time", () => {
  const slow = () => {
    const answers: ((verdict: Verdict) => void)[] = [];
    const allow = permissive("mqtt").authenticate;
    const site = mqttSite(
      {},
      {},
      {
        authenticate: (request, peer, now) => {
          if (request.username !== "slow") return allow(request, peer, now);
          return new Promise((resolve) => {
            answers.push(() => resolve(allow(request, peer, now) as Verdict));
          });
        },
      },
    );
    return { site, answers };
  };

  it("keeps what the client sends meanwhile, and answers CONNACK first (MQTT 5 §3.1.4)", async () => {
    const { site, answers } = slow();
    const heard = site.world.listen("#");
    const device = site.device(5);
    const connect = { cmd: "connect", protocolId: "MQTT", protocolVersion: 5, clean: true, clientId: "dev" };
    device.send(
      { ...connect, username: "slow" },
      { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 0 }] },
      { cmd: "publish", topic: "a", payload: "early", qos: 0 },
    );
    expect(device.stream.readingPaused).toBe(true);
    expect(heard).toHaveLength(0);
    answers[0]?.({} as Verdict);
    await Promise.resolve();
    await Promise.resolve();
    site.world.settle();
    expect(device.take().map(({ cmd }) => cmd)).toEqual(["connack", "suback", "publish"]);
    expect(device.stream.readingPaused).toBe(false);
    expect(heard).toHaveLength(1);
  });

  it("hands a resumed session's messages out behind CONNACK", async () => {
    const { site, answers } = slow();
    const first = site.device(5);
    first.connect("dev", kept);
    first.subscribe("a", 1);
    first.stream.drop();
    site.world.publish("a", "kept", { qos: 1 });
    const second = site.device(5);
    second.connect("dev", { ...kept, username: "slow" });
    answers[0]?.({} as Verdict);
    await Promise.resolve();
    await Promise.resolve();
    site.world.settle();
    expect(second.take().map(({ cmd }) => cmd)).toEqual(["connack", "publish"]);
  });
});

describe("the keep alive", () => {
  it("loses a client after one and a half times its length, with 0x8D [MQTT-3.1.2-22]", () => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev", { keepalive: 10 });
    site.world.advance(seconds(14));
    device.send({ cmd: "pingreq" });
    site.world.advance(milliseconds(14_999));
    expect(device.closed).toBe(false);
    site.world.advance(milliseconds(2));
    expect(device.take()).toMatchObject([{ cmd: "disconnect", reasonCode: 0x8d }]);
    expect(site.world.disconnects).toMatchObject([{ reason: "nothing came in time", how: "silent" }]);
    expect(device.closed).toBe(true);
  });

  it("does not count the time in which the gateway did not read", () => {
    const site = mqttSite({}, { limits: { messageRate: 1 } });
    const device = site.device(5);
    device.connect("dev", { keepalive: 10 });
    const publish = { cmd: "publish", topic: "a", payload: "", qos: 0 };
    const packets = Array.from({ length: 200 }, () => device.encode(publish));
    // The last one has begun and not ended: its own time does not run either.
    device.raw(Buffer.concat([...packets, Buffer.from("c0", "hex")]));
    expect(device.stream.readingPaused).toBe(true);
    device.stream.send(Buffer.from("00", "hex"));
    site.world.advance(seconds(150));
    expect(device.closed).toBe(false);
    site.world.advance(seconds(60));
    expect(device.take()).toMatchObject([{ cmd: "pingresp" }]);
  });

  it("is off when it is 0 [MQTT-3.1.2-21]", () => {
    const site = mqttSite();
    const device = site.device(4);
    device.connect("dev", { keepalive: 0 });
    site.world.advance(seconds(1_000_000));
    expect(device.closed).toBe(false);
  });

  it("is the server's where that is shorter, which CONNACK tells [MQTT-3.2.2-21]", () => {
    const site = mqttSite({ serverKeepAlive: seconds(20) });
    const device = site.device(5);
    expect(device.connect("dev", { keepalive: 0 })).toMatchObject([{ properties: { serverKeepAlive: 20 } }]);
    site.world.advance(seconds(31));
    expect(device.closed).toBe(true);
  });
});
