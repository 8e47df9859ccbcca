/** What a server elsewhere cannot do, or refuses (upstream sheet U-048, U-060, U-061, U-087). */
import { describe, expect, it } from "vitest";
import {
  EVERYTHING,
  KEPT,
  type ScriptedSite,
  type Setting,
  said,
  scriptedSite,
  wanted,
  welcomes,
  ZZ,
} from "../../support/scripted-site.ts";

describe("shared subscriptions (U-060)", () => {
  it("go to the server as they are, and `$queue/`, which few servers know, as the shared group of that name", () => {
    const site = scriptedSite();
    const device = site.device();
    device.connect("dev", KEPT);
    device.subscribe("$share/g/a", 1);
    device.subscribe("$queue/a", 1);
    site.world.settle();
    expect(wanted(site.got("dev", "subscribe")).map((each) => each["topic"])).toEqual([
      "$share/g/a",
      "$share/$queue/a",
    ]);
    device.send({ cmd: "unsubscribe", messageId: 5, unsubscriptions: ["$queue/a"] });
    site.world.settle();
    expect(site.got("dev", "unsubscribe")).toMatchObject([{ unsubscriptions: ["$share/$queue/a"] }]);
  });

  it.each([
    [
      "a server says that it has none",
      { script: welcomes({ sharedSubscriptionAvailable: false }), setting: {} },
    ],
    [
      "its profile says so",
      {
        script: undefined,
        setting: { server: { version: "3.1.1", caps: { ...EVERYTHING, shared: false } } } as Setting,
      },
    ],
  ])("are refused with 0x9E where %s, and it is not asked", (_when, { script, setting }) => {
    const site = scriptedSite(script, setting);
    const device = site.device();
    device.connect("dev", KEPT);
    site.world.settle();
    device.take();
    const heard = [...device.subscribe("$share/g/a", 1, 4)];
    site.world.settle();
    expect([...heard, ...device.take()]).toMatchObject([{ cmd: "suback", granted: [0x9e] }]);
    expect(site.got("dev", "subscribe")).toEqual([]);
  });
});

describe("a subscription that the server refuses (U-061)", () => {
  it.each([
    ["unspecified (0x80)", 0x80, 3, "ERROR access refused"],
    ["not authorized (0x87)", 0x87, 3, "ERROR access refused"],
    ["topic filter invalid (0x8f)", 0x8f, 3, "ERROR malformed name"],
    ["quota exceeded (0x97)", 0x97, 1, "ERROR limit reached"],
    ["shared subscriptions not supported (0x9e)", 0x9e, 3, "ERROR access refused"],
    ["subscription identifiers not supported (0xa1)", 0xa1, 3, "ERROR access refused"],
    ["wildcard subscriptions not supported (0xa2)", 0xa2, 3, "ERROR access refused"],
  ] as const)("%s is said in each protocol's own words", (_what, code, sn, stomp) => {
    const site = scriptedSite((line, { cmd, messageId }) => {
      if (cmd === "subscribe") line.say({ cmd: "suback", messageId, granted: [code] });
      return cmd === "subscribe";
    });
    for (const version of [4, 5] as const) {
      const device = site.device(version);
      device.connect(`v${version}`, { clean: true });
      const heard = device.subscribe("a", 1, 9);
      site.world.settle();
      expect([...heard, ...device.take()]).toMatchObject([
        { cmd: "suback", messageId: 9, granted: [version === 5 ? code : 0x80] },
      ]);
    }
    const sensor = site.sensor();
    sensor.connect("sn");
    expect(sensor.subscribe("a/b", 1, 0, 6)).toEqual([
      expect.stringMatching(new RegExp(`^SUBACK .* #6 .*code ${sn}$`)),
    ]);
    const backend = site.stomp("st");
    backend.say("SUBSCRIBE", { destination: "a", id: "1", receipt: "r" });
    site.world.settle();
    expect(said(backend.next())).toBe(stomp);
    const [observed] = (() => {
      const device = site.coap();
      device.send({ path: "ps/a", token: "o", options: [[6, 0]] });
      site.world.settle();
      return device.take();
    })();
    expect(observed?.code).toMatch(/^[45]\./);
    expect(observed?.number(6)).toBeUndefined();
  });
});

describe("what a server cannot do is answered here, in each protocol's own words (U-048, U-087)", () => {
  const limited = (properties: object): ScriptedSite => {
    const site = scriptedSite();
    site.scriptForAll = welcomes(properties);
    return site;
  };

  it("Maximum QoS: MQTT 5 devices are told, what others publish and subscribe to goes at the highest that there is", () => {
    const site = limited({ maximumQoS: 1 });
    expect(site.device().connect("dev", KEPT)).toMatchObject([{ properties: { maximumQoS: 1 } }]);
    const sensor = site.sensor();
    sensor.connect("sn");
    expect(sensor.publish(ZZ, "x", { qos: 2, type: 2, id: 7 })).toEqual(["PUBREC #7"]);
    expect(sensor.pubrel(7)).toEqual(["PUBCOMP #7"]);
    sensor.subscribe("a/b", 2);
    site.world.settle();
    expect(site.got("sn", "publish")).toMatchObject([{ qos: 1 }]);
    expect(wanted(site.got("sn", "subscribe"))).toMatchObject([{ qos: 1 }]);
    expect(site.counters.lowered.value).toBe(1);
  });

  it("Retain Available 0", () => {
    const site = limited({ retainAvailable: false });
    expect(site.device().connect("dev", KEPT)).toMatchObject([{ properties: { retainAvailable: false } }]);
    const sensor = site.sensor();
    sensor.connect("sn");
    expect(sensor.publish(ZZ, "x", { qos: 1, type: 2, id: 7, retain: true })).toEqual([
      `PUBACK ${ZZ} #7 code 3`,
    ]);
    const put = { code: "PUT", path: "ps/a", query: ["retain=true"], payload: "x" } as const;
    expect(site.coap().ask(put).code).toBe("4.01");
    const backend = site.stomp("st");
    backend.say("SEND", { destination: "a", retain: "true", receipt: "r" }, "x");
    site.world.settle();
    expect(said(backend.next())).toBe("ERROR access refused");
    expect(site.servers.lines.flatMap((line) => line.got("publish"))).toEqual([]);
  });

  it("Maximum Packet Size", () => {
    const site = limited({ maximumPacketSize: 100 });
    const long = "x".repeat(200);
    expect(site.device().connect("dev", KEPT)).toMatchObject([{ properties: { maximumPacketSize: 100 } }]);
    const sensor = site.sensor();
    sensor.connect("sn");
    expect(sensor.publish(ZZ, long, { qos: 1, type: 2, id: 7 })).toEqual([`PUBACK ${ZZ} #7 code 3`]);
    expect(site.coap().ask({ code: "PUT", path: "ps/a", payload: long }).code).toBe("4.13");
    const backend = site.stomp("st");
    backend.say("SEND", { destination: "a", receipt: "r" }, long);
    site.world.settle();
    expect(said(backend.next())).toBe("ERROR too large");
    expect(site.servers.lines.flatMap((line) => line.got("publish"))).toEqual([]);
  });

  it.each([
    [
      "Wildcard Subscription Available 0",
      { wildcardSubscriptionAvailable: false },
      { topic: "a/+" },
      {},
      0xa2,
    ],
    [
      "Subscription Identifier Available 0",
      { subscriptionIdentifiersAvailable: false },
      { topic: "a" },
      { subscriptionIdentifier: 7 },
      0xa1,
    ],
  ])("%s: the server is not asked", (_what, properties, filter, own, code) => {
    const site = limited(properties);
    const device = site.device();
    expect(device.connect("dev", KEPT)).toMatchObject([{ properties }]);
    const subscribe = {
      cmd: "subscribe",
      messageId: 3,
      subscriptions: [{ qos: 1, ...filter }],
      properties: own,
    };
    const heard = device.send(subscribe);
    site.world.settle();
    const answers = [...heard, ...device.take()];
    // A client that was told so may be sent away for it as well.
    expect(answers[0]).toMatchObject(
      answers[0]?.cmd === "suback" ? { granted: [code] } : { cmd: "disconnect", reasonCode: code },
    );
    expect(site.got("dev", "subscribe")).toEqual([]);
  });

  it("Topic Alias Maximum: no alias above the smaller of its number and ours", () => {
    const site = scriptedSite(welcomes({ topicAliasMaximum: 2 }), { options: { topicAliases: 5 } });
    const device = site.device();
    device.connect("dev", KEPT);
    for (const topic of ["a", "b", "c", "a", "b", "c"]) device.publish(topic, "x");
    site.world.settle();
    const sent = site.got("dev", "publish").map(({ topic, properties }) => {
      const { topicAlias } = (properties ?? {}) as { topicAlias?: number };
      return `${topic} ${topicAlias ?? ""}`;
    });
    expect(sent).toEqual(["a 1", "b 2", "c ", " 1", " 2", "c "]);
  });

  it("a topic over which it closes the connection, by its profile: a dot or a blank at NATS", () => {
    const caps = { ...EVERYTHING, maximumQoS: 1, shared: false, notInTopics: ". " } as const;
    const site = scriptedSite(undefined, { server: { version: "3.1.1", caps } });
    const device = site.device();
    device.connect("dev", KEPT);
    expect(device.publish("a.b", "x", { qos: 1, messageId: 7 })).toMatchObject([{ reasonCode: 0x87 }]);
    const sensor = site.sensor();
    sensor.connect("sn");
    expect(sensor.register("a b", 3)).toEqual(["REGACK 1 #3 code 0"]);
    expect(sensor.publish(1, "x", { qos: 1, id: 7 })).toEqual(["PUBACK 1 #7 code 3"]);
    expect(site.coap().ask({ code: "PUT", path: "ps/a.b", payload: "x" }).code).toBe("4.01");
    const backend = site.stomp("st");
    backend.say("SEND", { destination: "a.b", receipt: "r" }, "x");
    expect(said(backend.next())).toBe("ERROR access refused");
    site.world.settle();
    expect(site.servers.lines.flatMap((line) => line.got("publish"))).toEqual([]);
    expect(site.counters.unfit.value).toBe(4);
  });
});
