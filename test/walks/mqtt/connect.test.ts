import { describe, expect, it } from "vitest";
import type { Refusal } from "#core/contract/answers.ts";
import { seconds } from "#core/lib/time.ts";
import { mqttSite } from "../../support/mqtt-device.ts";

const reasonOf = (packet: Record<string, unknown> | undefined) => packet?.["reasonCode"];
const codeOf = (packet: Record<string, unknown> | undefined) => packet?.["returnCode"];

describe("CONNACK of MQTT 5", () => {
  it("tells what the server does not do, and its limits (MQTT 5 §3.2.2.3)", () => {
    const config = {
      maximumQoS: 1,
      retainAvailable: false,
      wildcardSubscriptions: false,
      sharedSubscriptions: false,
      subscriptionIdentifiers: false,
      receiveMaximum: 7,
      topicAliasMaximum: 3,
      responseInformation: "answers/%c/",
    } as const;
    const site = mqttSite(config, { limits: { packetSize: 4096 } });
    const [connack] = site.device(5).connect("", { properties: { requestResponseInformation: true } });
    expect(connack?.["properties"]).toEqual({
      receiveMaximum: 7,
      maximumPacketSize: 4096,
      topicAliasMaximum: 3,
      maximumQoS: 1,
      retainAvailable: false,
      wildcardSubscriptionAvailable: false,
      sharedSubscriptionAvailable: false,
      subscriptionIdentifiersAvailable: false,
      assignedClientIdentifier: expect.stringMatching(/^auto-[0-9a-f]{24}$/),
      responseInformation: expect.stringMatching(/^answers\/auto-[0-9a-f]{24}\/$/),
    });
  });

  it("holds no response information unless the client asks (MQTT 5 §3.1.2.11.6)", () => {
    const [connack] = mqttSite({ responseInformation: "answers/" }).device(5).connect("dev");
    expect(connack?.["properties"]).not.toHaveProperty("responseInformation");
  });

  it.each([
    ["unauthenticated", 0x86, 4],
    ["forbidden", 0x87, 5],
    ["banned", 0x8a, 5],
    ["malformed", 0x85, 2],
    ["congested", 0x9f, 3],
    ["quota", 0x97, 3],
    ["too-large", 0x95, 3],
    ["unavailable", 0x88, 3],
  ] satisfies [Refusal, number, number][])(
    "says why a client is %s (0x%s, MQTT 3.1.1: %i)",
    (refusal, reason, code) => {
      const site = mqttSite({}, {}, { authenticate: () => ({ ok: false, refusal, reason: "because" }) });
      const device = site.device(5);
      const [connack] = device.connect("dev");
      expect(connack).toMatchObject({ reasonCode: reason, properties: { reasonString: "because" } });
      expect(device.closed).toBe(true);
      const old = site.device(4);
      expect(codeOf(old.connect("dev")[0])).toBe(code);
      expect(old.closed).toBe(true);
    },
  );

  it("names another server while this one is unavailable (MQTT 5 §4.13)", () => {
    const config = { serverReference: "other.example:1883" };
    const site = mqttSite(
      config,
      {},
      {
        authenticate: () => ({ ok: false, refusal: "unavailable", reason: "no" }),
      },
    );
    expect(site.device(5).connect("dev")[0]).toMatchObject({
      reasonCode: 0x9c,
      properties: { serverReference: "other.example:1883" },
    });
  });
});

describe("a CONNECT that is refused", () => {
  it("for its protocol level: 0x84, and code 1 before MQTT 5 [MQTT-3.1.2-2]", () => {
    const site = mqttSite();
    const six = site.device(5);
    expect(reasonOf(six.hex("10 10 00 04 4d515454 06 02 0000 00 0003 646576")[0])).toBe(0x84);
    expect(six.closed).toBe(true);
    const two = site.device(4);
    expect(codeOf(two.hex("10 0f 00 04 4d515454 02 02 0000 0003 646576")[0])).toBe(1);
    expect(two.closed).toBe(true);
  });

  it("for a version that the configuration does not offer", () => {
    const site = mqttSite({ versions: ["3.1.1"] });
    expect(reasonOf(site.device(5).connect("dev")[0])).toBe(0x84);
    expect(codeOf(site.device(3).connect("dev")[0])).toBe(1);
    expect(codeOf(site.device(4).connect("dev")[0])).toBe(0);
  });

  it("without an answer when it is not MQTT at all [MQTT-3.1.2-1]", () => {
    const device = mqttSite().device(4);
    expect(device.hex("10 0f 00 04 4d515458 04 02 0000 0003 646576")).toEqual([]);
    expect(device.closed).toBe(true);
  });

  it("for an empty client id with a session to keep, before MQTT 5 [MQTT-3.1.3-8]", () => {
    const site = mqttSite();
    const device = site.device(4);
    expect(codeOf(device.hex("10 0c 00 04 4d515454 04 00 0000 0000")[0])).toBe(2);
    expect(device.closed).toBe(true);
    expect(codeOf(site.device(4).hex("10 0c 00 04 4d515454 04 02 0000 0000")[0])).toBe(0);
    // MQTT 3.1 knows no empty client id.
    expect(codeOf(site.device(3).hex("10 0e 00 06 4d5149736470 03 02 0000 0000")[0])).toBe(2);
  });

  it("for a client id of more than 23 characters in MQTT 3.1, where the configuration is strict", () => {
    const name = "x".repeat(24);
    expect(codeOf(mqttSite().device(3).connect(name)[0])).toBe(0);
    expect(codeOf(mqttSite({ strictClientIdLength: true }).device(3).connect(name)[0])).toBe(2);
    expect(reasonOf(mqttSite({ maximumClientIdLength: 23 }).device(5).connect(name)[0])).toBe(0x85);
  });

  it("for an authentication method, because none is offered (0x8C, MQTT 5 §4.12)", () => {
    const device = mqttSite().device(5);
    const [connack] = device.connect("dev", { properties: { authenticationMethod: "SCRAM-SHA-1" } });
    expect(reasonOf(connack)).toBe(0x8c);
    expect(device.closed).toBe(true);
  });

  it("for a will that the server cannot keep [MQTT-3.2.2-12, MQTT-3.2.2-13]", () => {
    const will = { topic: "w", payload: Buffer.from("gone"), qos: 2, retain: true };
    expect(reasonOf(mqttSite({ maximumQoS: 1 }).device(5).connect("dev", { will })[0])).toBe(0x9b);
    expect(reasonOf(mqttSite({ retainAvailable: false }).device(5).connect("dev", { will })[0])).toBe(0x9a);
  });

  it("for a will that is not the text it claims to be, when that is checked (MQTT 5 §3.1.3.2.3)", () => {
    const will = {
      topic: "w",
      payload: Buffer.from([0xff]),
      qos: 0,
      properties: { payloadFormatIndicator: true },
    };
    expect(reasonOf(mqttSite({ validatePayloadFormat: true }).device(5).connect("dev", { will })[0])).toBe(
      0x99,
    );
    expect(reasonOf(mqttSite().device(5).connect("dev", { will })[0])).toBe(0);
  });

  it("with its reason in MQTT 5 and silently before when it is malformed [MQTT-3.1.4-1]", () => {
    const site = mqttSite();
    const five = site.device(5);
    // The reserved connect flag is set.
    expect(reasonOf(five.hex("10 10 00 04 4d515454 05 03 0000 00 0003 646576")[0])).toBe(0x81);
    expect(five.closed).toBe(true);
    const four = site.device(4);
    expect(four.hex("10 0f 00 04 4d515454 04 03 0000 0003 646576")).toEqual([]);
    expect(four.closed).toBe(true);
    expect(site.world.notes.filter(({ note }) => note.event === "protocol-error")).toHaveLength(2);
  });
});

describe("a connection that does not log in", () => {
  it("is closed when its first packet is not CONNECT [MQTT-3.1.0-1]", () => {
    const device = mqttSite().device(4);
    expect(device.hex("c000")).toEqual([]);
    expect(device.closed).toBe(true);
  });

  it("is closed when CONNECT does not come in time", () => {
    const site = mqttSite({}, { limits: { connectTimeout: seconds(10) } });
    const silent = site.device(4);
    const slow = site.device(4);
    site.world.advance(seconds(9));
    slow.hex("10 0f 00 04 4d51");
    expect(silent.closed).toBe(false);
    site.world.advance(seconds(1));
    expect(silent.closed).toBe(true);
    expect(slow.closed).toBe(true);
  });

  it("is closed at the fixed header of a CONNECT that is too large, whatever it sends then", () => {
    const device = mqttSite({ maximumConnectSize: 1024 }).device(4);
    device.hex("10 80 08");
    expect(device.closed).toBe(true);
  });

  it("is ended by a second CONNECT with a protocol error [MQTT-3.1.0-2]", () => {
    const device = mqttSite().device(5);
    device.connect("dev");
    expect(device.connect("dev")).toMatchObject([{ cmd: "disconnect", reasonCode: 0x82 }]);
    expect(device.closed).toBe(true);
  });

  it("may send packets right behind CONNECT (MQTT 5 §3.1.4)", () => {
    const device = mqttSite().device(4);
    const said = device.send(
      { cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clean: true, clientId: "dev" },
      { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 0 }] },
      { cmd: "publish", topic: "a", payload: "me", qos: 0 },
    );
    expect(said.map(({ cmd }) => cmd)).toEqual(["connack", "suback", "publish"]);
  });
});

describe("the end of a connection", () => {
  it("publishes the will when the connection is lost [MQTT-3.1.2-8]", () => {
    const site = mqttSite();
    const heard = site.world.listen("w");
    const device = site.device(4);
    device.connect("dev", { will: { topic: "w", payload: Buffer.from("gone"), qos: 1 } });
    device.stream.drop();
    expect(heard.map(({ payload }) => String(Buffer.from(payload)))).toEqual(["gone"]);
  });

  it("drops the will on DISCONNECT [MQTT-3.14.4-3]", () => {
    const site = mqttSite();
    const heard = site.world.listen("w");
    const device = site.device(4);
    device.connect("dev", { will: { topic: "w", payload: Buffer.from("gone"), qos: 1 } });
    device.send({ cmd: "disconnect" });
    expect(device.closed).toBe(true);
    expect(heard).toEqual([]);
  });

  it("publishes the will on DISCONNECT with reason 0x04 (MQTT 5 §3.14.2.1)", () => {
    const site = mqttSite();
    const heard = site.world.listen("w");
    const device = site.device(5);
    device.connect("dev", { will: { topic: "w", payload: Buffer.from("gone"), qos: 1 } });
    device.send({ cmd: "disconnect", reasonCode: 4 });
    expect(heard).toHaveLength(1);
  });

  it("waits with the will as its delay says, with all its properties (MQTT 5 §3.1.3.2)", () => {
    const site = mqttSite();
    const heard = site.world.listen("w");
    const device = site.device(5);
    device.connect("dev", {
      clean: false,
      properties: { sessionExpiryInterval: 100 },
      will: {
        topic: "w",
        payload: Buffer.from("gone"),
        qos: 1,
        properties: {
          willDelayInterval: 5,
          contentType: "text/plain",
          messageExpiryInterval: 60,
          userProperties: { a: ["1", "2"] },
        },
      },
    });
    device.stream.drop();
    site.world.advance(seconds(4));
    expect(heard).toEqual([]);
    site.world.advance(seconds(2));
    expect(heard[0]?.properties).toEqual({
      contentType: "text/plain",
      userProperties: [
        ["a", "1"],
        ["a", "2"],
      ],
    });
    expect(heard[0]?.expiresAt).toBe((heard[0]?.publishedAt ?? 0) + 60_000);
  });

  it("publishes the will after a protocol error [MQTT-3.1.2-8]", () => {
    const site = mqttSite();
    const heard = site.world.listen("w");
    const device = site.device(5);
    device.connect("dev", { will: { topic: "w", payload: Buffer.from("gone"), qos: 1 } });
    device.hex("f0 00 00");
    expect(heard).toHaveLength(1);
  });

  it("tells MQTT 5 clients when the gateway stops (0x8B), and where to go (0x9C)", () => {
    const stopped = mqttSite();
    const device = stopped.device(5);
    device.connect("dev");
    for (const loop of stopped.listener.loops()) loop.stop("shutdown");
    expect(device.take()).toMatchObject([{ cmd: "disconnect", reasonCode: 0x8b }]);
    const moved = mqttSite({ serverReference: "other.example" });
    const other = moved.device(5);
    other.connect("dev");
    for (const loop of moved.listener.loops()) loop.stop("shutdown");
    expect(other.take()).toMatchObject([
      { cmd: "disconnect", reasonCode: 0x9c, properties: { serverReference: "other.example" } },
    ]);
  });

  it.each([
    ["kicked", 0x98],
    ["expired", 0xa0],
    ["rate", 0x96],
    ["overload", 0x97],
  ] as const)("tells MQTT 5 clients that they are ended for: %s", (why, reason) => {
    const site = mqttSite();
    const device = site.device(5);
    device.connect("dev");
    for (const loop of site.listener.loops()) loop.stop(why);
    expect(device.take()).toMatchObject([{ cmd: "disconnect", reasonCode: reason }]);
    expect(device.closed).toBe(true);
  });

  it("refuses AUTH, since no authentication has begun with one [MQTT-4.12.0-7]", () => {
    const device = mqttSite().device(5);
    device.connect("dev");
    const auth = { cmd: "auth", reasonCode: 0x19, properties: { authenticationMethod: "SCRAM-SHA-1" } };
    expect(device.send(auth)).toMatchObject([{ cmd: "disconnect", reasonCode: 0x82 }]);
    expect(device.closed).toBe(true);
  });
});

describe("what is wrong with a CONNECT is found before anybody is let in", () => {
  it("a will whose Response Topic is no topic name [MQTT-3.3.2-14]", () => {
    const device = mqttSite().device(5);
    const will = { topic: "w", payload: Buffer.from("x"), qos: 0, retain: false };
    const properties = { responseTopic: "a/+" };
    const answer = device.connect("dev", { will: { ...will, properties } });
    expect(answer).toMatchObject([{ cmd: "connack", reasonCode: 0x82 }]);
    expect(device.closed).toBe(true);
  });

  const withFlags = (version: 3 | 4 | 5) => {
    const device = mqttSite().device(version);
    const bytes = device.encode({
      cmd: "connect",
      protocolId: version === 3 ? "MQIsdp" : "MQTT",
      protocolVersion: version,
      clean: true,
      clientId: "dev",
      keepalive: 0,
    });
    bytes[0] = 0x1a;
    return { device, answer: device.raw(bytes) };
  };

  it("not the flags of its header in MQTT 3.1, which leaves them open (MQTT 3.1 §2.1)", () => {
    const { device, answer } = withFlags(3);
    expect(answer).toMatchObject([{ cmd: "connack", returnCode: 0 }]);
    expect(device.closed).toBe(false);
  });

  it("but those of the later versions [MQTT-2.1.3-1]", () => {
    expect(withFlags(4)).toMatchObject({ answer: [], device: { closed: true } });
    expect(withFlags(5).answer).toMatchObject([{ cmd: "connack", reasonCode: 0x81 }]);
  });
});
