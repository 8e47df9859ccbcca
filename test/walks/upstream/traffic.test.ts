/** Messages between devices and a server elsewhere (upstream sheet U-055 to U-059, U-066, U-088 to U-090). */
import { describe, expect, it } from "vitest";
import { hours, minutes, seconds } from "#core/lib/time.ts";
import { engineOf } from "../../support/engine-of-run.ts";
import {
  answersPublish,
  commands,
  KEPT,
  type ScriptedSite,
  said,
  scriptedSite,
  swallowsPublish,
  texts,
  wanted,
  ZZ,
} from "../../support/scripted-site.ts";

describe("what a device publishes is acknowledged when the server has acknowledged it, and not before (U-055)", () => {
  it.each([
    [1, "puback"],
    [2, "pubrec"],
  ] as const)("MQTT at QoS %i", (qos, answer) => {
    const site = scriptedSite(swallowsPublish);
    const device = site.device();
    device.connect("dev", KEPT);
    expect(device.publish("a", "x", { qos, messageId: 7 })).toEqual([]);
    site.world.advance(seconds(20));
    expect(device.take()).toEqual([]);
    const [publish] = site.got("dev", "publish");
    site.servers.last("dev").say({ cmd: answer, messageId: publish?.["messageId"], reasonCode: 0 });
    site.world.settle();
    expect(device.take()).toMatchObject([{ cmd: answer, messageId: 7 }]);
  });

  it("MQTT-SN at QoS 1; REGISTER stays here (U-050)", () => {
    const site = scriptedSite(swallowsPublish);
    const sensor = site.sensor();
    sensor.connect("dev");
    expect(sensor.register("a/b", 3)).toEqual(["REGACK 1 #3 code 0"]);
    expect(sensor.publish(1, "x", { qos: 1, id: 4 })).toEqual([]);
    site.world.settle();
    expect(commands(site.servers.last("dev").packets)).toEqual(["connect", "publish"]);
    const [publish] = site.got("dev", "publish");
    expect(publish).toMatchObject({ topic: "a/b", qos: 1 });
    site.servers.last("dev").say({ cmd: "puback", messageId: publish?.["messageId"], reasonCode: 0 });
    site.world.settle();
    expect(sensor.hear()).toEqual(["PUBACK 1 #4 code 0"]);
  });

  it("CoAP, as a separate response where it takes long (U-051)", () => {
    const site = scriptedSite();
    site.scriptForAll = swallowsPublish;
    const device = site.coap();
    device.send({ code: "PUT", path: "ps/a", payload: "x", token: "t" });
    site.world.advance(seconds(5));
    expect(device.take().map(({ type, code }) => `${type} ${code}`)).toEqual(["ACK 0.00"]);
    const line = site.servers.lines.find((each) => each.got("publish").length > 0);
    line?.say({ cmd: "puback", messageId: line.got("publish")[0]?.["messageId"], reasonCode: 0 });
    site.world.settle();
    expect(device.take()).toMatchObject([{ type: "CON", code: "2.04", token: "t" }]);
  });

  it("STOMP: RECEIPT (U-053)", () => {
    const site = scriptedSite(swallowsPublish);
    const backend = site.stomp("dev");
    backend.say("SEND", { destination: "a", receipt: "r" }, "x");
    site.world.settle();
    expect(backend.next()).toBeUndefined();
    const [publish] = site.got("dev", "publish");
    expect(publish).toMatchObject({ topic: "a", qos: 1 });
    site.servers.last("dev").say({ cmd: "puback", messageId: publish?.["messageId"], reasonCode: 0 });
    site.world.settle();
    expect(said(backend.next())).toBe("RECEIPT r");
  });

  it("QoS 0 that finds no room is dropped, and counted", () => {
    const site = scriptedSite(() => undefined, { options: { buffer: { messages: 2, bytes: 1 << 20 } } });
    const device = site.device();
    device.connect("dev", KEPT);
    site.world.settle();
    site.down = true;
    site.cut("dev");
    for (let n = 0; n < 5; n++) device.publish("a", `${n}`);
    site.down = false;
    site.world.advance(seconds(10));
    expect([texts(site.got("dev", "publish")), site.counters.droppedQos0.value]).toEqual([["0", "1"], 3]);
  });

  /** Reason of PUBACK, as MQTT 5, MQTT 3.1.1, MQTT-SN, CoAP and STOMP devices hear it. */
  it.each([
    ["no matching subscribers (0x10)", 0x10, "puback", 0, "2.04", "RECEIPT r"],
    ["not authorized (0x87)", 0x87, "puback", 3, "4.01", "ERROR access refused"],
    ["quota exceeded (0x97)", 0x97, "closed", 1, "4.29", "ERROR too busy"],
    ["topic name invalid (0x90)", 0x90, "puback", 2, "4.00", "ERROR malformed name"],
    ["payload format invalid (0x99)", 0x99, "puback", 2, "4.00", "ERROR malformed name"],
    ["implementation specific error (0x83)", 0x83, "closed", 1, "5.03", "ERROR not available"],
  ] as const)("%s is said in each protocol's own words", (_what, reasonCode, old, sn, coap, stomp) => {
    const site = scriptedSite();
    site.scriptForAll = answersPublish(reasonCode);
    const publish = (version: 4 | 5) => {
      const device = site.device(version);
      device.connect(`v${version}`, { clean: true });
      const heard = device.publish("a", "x", { qos: 1, messageId: 7 });
      site.world.settle();
      return { device, heard: [...heard, ...device.take()] };
    };
    expect(publish(5).heard).toMatchObject([{ cmd: "puback", messageId: 7, reasonCode }]);
    const { device, heard } = publish(4);
    expect(device.closed ? "closed" : heard[0]?.cmd).toBe(old);
    const sensor = site.sensor();
    sensor.connect("sn");
    expect(sensor.publish(ZZ, "x", { qos: 1, type: 2, id: 7 })).toEqual([`PUBACK ${ZZ} #7 code ${sn}`]);
    expect(site.coap().ask({ code: "PUT", path: "ps/a", payload: "x" }).code).toBe(coap);
    const backend = site.stomp("st");
    backend.say("SEND", { destination: "a", receipt: "r" }, "x");
    site.world.settle();
    expect(said(backend.next())).toBe(stomp);
  });
});

describe("before MQTT 5 there is no Receive Maximum (U-056)", () => {
  it("what is over the buffer is not read from the server until the device has taken what is here", () => {
    const site = scriptedSite(undefined, {
      server: { version: "3.1.1" },
      options: { buffer: { messages: 3, bytes: 1 << 20 } },
    });
    const device = site.device();
    device.connect("dev", { clean: false, properties: { sessionExpiryInterval: 100, receiveMaximum: 1 } });
    site.world.settle();
    for (let messageId = 1; messageId <= 20; messageId++) {
      site.servers
        .last("dev")
        .say({ cmd: "publish", topic: "a", payload: `${messageId}`, qos: 1, messageId });
      site.world.settle();
    }
    const [session] = engineOf(site.world).sessions();
    expect(session?.queued).toBeLessThanOrEqual(4);
    const got: string[] = [];
    const taken = device.take();
    for (let next = taken.shift(); next !== undefined; next = taken.shift()) {
      got.push(String(next["payload"]));
      taken.push(...device.send({ cmd: "puback", messageId: next["messageId"] }), ...device.take());
    }
    expect(got).toEqual(Array.from({ length: 20 }, (_, index) => `${index + 1}`));
  });
});

describe("packet ids over a cut of the connection (U-057, U-082)", () => {
  const cutting = (present: boolean) => {
    let silent = true;
    const site: ScriptedSite = scriptedSite((line, packet) => {
      if (packet.cmd === "connect") line.answer(packet, present && site.servers.of("dev").length > 1);
      return packet.cmd === "connect" || (silent && ["publish", "pubrel"].includes(packet.cmd));
    });
    const device = site.device();
    device.connect("dev", KEPT);
    const cut = () => {
      site.cut("dev");
      site.world.advance(seconds(5));
      return site.servers.last("dev");
    };
    const answers = () => {
      silent = false;
    };
    return { site, device, cut, answers };
  };

  it("what was sent and not acknowledged goes again first, under its id, with DUP where the server has the session", () => {
    for (const present of [true, false]) {
      const { site, device, cut, answers } = cutting(present);
      device.publish("a", "1", { qos: 1, messageId: 11 });
      device.publish("a", "2", { qos: 2, messageId: 12 });
      device.publish("a", "3", { qos: 1, messageId: 13 });
      site.world.settle();
      const before = site.got("dev", "publish");
      answers();
      const line = cut();
      const heard = device.take();
      heard.push(...device.send({ cmd: "pubrel", messageId: 12 }));
      heard.push(...device.publish("a", "4", { qos: 1, messageId: 14 }));
      site.world.settle();
      const again = line.got("publish");
      expect(texts(again)).toEqual(["1", "2", "3", "4"]);
      expect(again.slice(0, 3).map(({ messageId }) => messageId)).toEqual(
        before.map(({ messageId }) => messageId),
      );
      expect(again.map(({ dup }) => dup)).toEqual([present, present, present, false]);
      expect(site.counters.resent.value).toBeGreaterThan(0);
      expect([...heard, ...device.take()].map(({ cmd, messageId }) => `${cmd} ${messageId}`)).toEqual([
        ...["puback 11", "pubrec 12", "pubcomp 12", "puback 13", "puback 14"],
      ]);
    }
  });

  it("between PUBREC and PUBCOMP it is PUBREL that goes again, and the message does not", () => {
    const { site, device, cut, answers } = cutting(true);
    device.publish("a", "1", { qos: 2, messageId: 12 });
    site.world.settle();
    site.servers.last("dev").say({ cmd: "pubrec", messageId: 12, reasonCode: 0 });
    site.world.settle();
    expect(commands(device.take())).toEqual(["pubrec"]);
    expect(device.send({ cmd: "pubrel", messageId: 12 })).toEqual([]);
    site.world.settle();
    answers();
    const line = cut();
    expect([line.got("publish"), line.got("pubrel")]).toMatchObject([[], [{ messageId: 12 }]]);
    expect(device.take()).toMatchObject([{ cmd: "pubcomp", messageId: 12 }]);
  });

  it("a PUBREL that finds nothing at the server (0x92) ends its exchange, and nothing goes again (MQTT 5 §4.3.3)", () => {
    // What was lost is the server's PUBCOMP, or its session.
    for (const present of [true, false]) {
      const { site, device, cut } = cutting(present);
      device.publish("a", "1", { qos: 2, messageId: 12 });
      site.world.settle();
      site.servers.last("dev").say({ cmd: "pubrec", messageId: 12, reasonCode: 0 });
      site.world.settle();
      expect(commands(device.take())).toEqual(["pubrec"]);
      const release = () => void device.send({ cmd: "pubrel", messageId: 12 });
      if (present) release();
      site.world.settle();
      const line = cut();
      if (!present) release();
      site.world.settle();
      expect([line.got("publish"), line.got("pubrel")]).toMatchObject([[], [{ messageId: 12 }]]);
      expect(device.take()).toEqual([]);
      line.say({ cmd: "pubcomp", messageId: 12, reasonCode: 0x92 });
      site.world.settle();
      expect(device.take()).toMatchObject([{ cmd: "pubcomp", messageId: 12 }]);
      // Its packet id is free.
      device.publish("a", "2", { qos: 2, messageId: 12 });
      site.world.settle();
      expect(line.got("publish").map(({ messageId, dup }) => [messageId, dup])).toEqual([[12, false]]);
      expect(texts(line.got("publish"))).toEqual(["2"]);
    }
  });

  it("a PUBREC that finds nothing at the server (PUBREL 0x92) ends its exchange: the device has the message once", () => {
    const site = scriptedSite((line, { cmd, messageId }) => {
      if (cmd === "pubrec") line.say({ cmd: "pubrel", messageId, reasonCode: 0x92 });
      return cmd === "pubrec";
    });
    const device = site.device();
    device.connect("dev", KEPT);
    site.servers.last("dev").say({ cmd: "publish", topic: "a", payload: "x", qos: 2, messageId: 5 });
    site.world.settle();
    expect(device.take()).toMatchObject([{ cmd: "publish", qos: 2, messageId: 5 }]);
    device.send({ cmd: "pubrec", messageId: 5 });
    site.world.settle();
    expect(site.got("dev", "pubrec")).toHaveLength(1);
    device.send({ cmd: "pubcomp", messageId: 5 });
    site.world.settle();
    expect(device.take().filter(({ cmd }) => cmd === "publish")).toEqual([]);
    expect(site.got("dev", "pubcomp")).toMatchObject([{ messageId: 5 }]);
  });

  it("what a device had not acknowledged when it was lost is the server's to send to it again", () => {
    const { site, device } = cutting(true);
    site.world.settle();
    site.servers.last("dev").say({ cmd: "publish", topic: "a", payload: "x", qos: 1, messageId: 5 });
    site.world.settle();
    expect(device.take()).toMatchObject([{ cmd: "publish", messageId: 5, dup: false }]);
    device.stream.drop();
    site.world.advance(minutes(1));
    const again = site.device();
    expect(again.connect("dev", KEPT)).toMatchObject([{ cmd: "connack", sessionPresent: true }]);
    site.servers
      .last("dev")
      .say({ cmd: "publish", topic: "a", payload: "x", qos: 1, messageId: 5, dup: true });
    site.world.settle();
    expect(again.take()).toMatchObject([{ cmd: "publish", messageId: 5, dup: true }]);
    again.send({ cmd: "puback", messageId: 5 });
    site.world.settle();
    expect(site.got("dev", "puback")).toMatchObject([{ messageId: 5 }]);
  });
});

describe("retained messages and subscription options (U-059)", () => {
  it("of a device of MQTT 5 are the server's; for the others nothing is asked for but what 3.1.1 has", () => {
    const site = scriptedSite();
    const device = site.device();
    device.connect("dev", KEPT);
    const options = { topic: "a", qos: 1, nl: true, rap: true, rh: 2 };
    device.send({ cmd: "subscribe", messageId: 1, subscriptions: [options] });
    const old = site.device(4);
    old.connect("old");
    old.subscribe("a", 1);
    const sensor = site.sensor();
    sensor.connect("sn");
    sensor.subscribe("a/b", 1);
    site.world.settle();
    expect(wanted(site.got("dev", "subscribe"))).toMatchObject([options]);
    expect(wanted(site.got("old", "subscribe"))).toMatchObject([{ nl: false, rap: false, rh: 0 }]);
    expect(wanted(site.got("sn", "subscribe"))).toMatchObject([{ nl: false, rap: false, rh: 0 }]);
  });

  it.each([true, false])("RETAIN %s goes on as the server says it, either way", (retain) => {
    const site = scriptedSite();
    const device = site.device();
    device.connect("dev", KEPT);
    device.subscribe("a", 1);
    device.publish("a", "x", { qos: 1, messageId: 3, retain });
    site.world.settle();
    expect(site.got("dev", "publish")).toMatchObject([{ retain }]);
    device.take();
    site.servers.last("dev").say({ cmd: "publish", topic: "a", payload: "x", qos: 1, messageId: 1, retain });
    site.world.settle();
    expect(device.take()).toMatchObject([{ cmd: "publish", retain }]);
  });
});

describe("properties of messages (U-066)", () => {
  const PROPERTIES = {
    payloadFormatIndicator: true,
    contentType: "text/plain",
    responseTopic: "answers",
    correlationData: Buffer.from("7"),
    userProperties: { a: "b" },
  };

  it("pass either way as they are", () => {
    const site = scriptedSite();
    const device = site.device();
    device.connect("dev", KEPT);
    device.publish("a", "x", { qos: 1, messageId: 3, properties: PROPERTIES });
    site.world.settle();
    device.take();
    expect(site.got("dev", "publish")).toMatchObject([{ properties: PROPERTIES }]);
    const message = { cmd: "publish", topic: "a", payload: "x", qos: 1, messageId: 1 };
    site.servers.last("dev").say({ ...message, properties: PROPERTIES });
    site.world.settle();
    expect(device.take()).toMatchObject([{ properties: PROPERTIES }]);
  });

  it.each(["auto", "3.1.1"] as const)(
    "those of the user in SUBSCRIBE, UNSUBSCRIBE and DISCONNECT are said to the server, if it speaks MQTT 5: %s",
    (version) => {
      const site = scriptedSite(undefined, { server: { version } });
      const device = site.device();
      device.connect("dev", KEPT);
      const of = (a: string) => ({ userProperties: { a } });
      const subscriptions = [
        { topic: "a", qos: 1 },
        { topic: "b", qos: 1 },
      ];
      const properties = { ...of("s"), subscriptionIdentifier: 7 };
      device.send({ cmd: "subscribe", messageId: 1, subscriptions, properties });
      site.world.settle();
      // What is said once is not said again.
      device.subscribe("c", 1);
      site.world.settle();
      device.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: ["a"], properties: of("u") });
      site.world.settle();
      const line = site.servers.last("dev");
      device.send({ cmd: "disconnect", reasonCode: 0, properties: { ...of("d"), reasonString: "enough" } });
      site.world.settle();
      const heard = ["subscribe", "unsubscribe", "disconnect"].map((cmd) =>
        line.got(cmd).map((packet) => (packet["properties"] as { userProperties?: object })?.userProperties),
      );
      expect(JSON.parse(JSON.stringify(heard))).toEqual(
        version === "auto"
          ? [[{ a: "s" }, { a: "s" }, null], [{ a: "u" }], [{ a: "d" }]]
          : [[null, null, null], [null], [null]],
      );
      if (version === "auto")
        expect(line.got("disconnect")).toMatchObject([{ properties: { reasonString: "enough" } }]);
    },
  );

  it("Message Expiry Interval is counted down by the time that a message waited here (MQTT 5 §3.3.2.3.3)", () => {
    const site = scriptedSite(() => undefined, { options: { grace: hours(1) } });
    const device = site.device();
    device.connect("dev", KEPT);
    site.world.settle();
    site.down = true;
    site.cut("dev");
    const publish = (messageId: number, messageExpiryInterval: number) =>
      device.publish("a", `${messageId}`, { qos: 1, messageId, properties: { messageExpiryInterval } });
    publish(3, 1_000);
    publish(4, 10);
    site.world.advance(seconds(60));
    site.down = false;
    site.world.advance(minutes(3));
    const [message, ...more] = site.got("dev", "publish");
    const { messageExpiryInterval: left } = (message?.["properties"] ?? {}) as Record<string, number>;
    expect(left).toBeLessThanOrEqual(940);
    expect(left).toBeGreaterThan(700);
    expect([more, site.counters.expired.value]).toEqual([[], 1]);
  });

  it("what waits for a device behind others, and whose time is over, is acknowledged and not delivered (U-090)", () => {
    const site = scriptedSite();
    const device = site.device();
    device.connect("dev", { clean: true, properties: { receiveMaximum: 1 } });
    site.world.settle();
    const line = site.servers.last("dev");
    for (const messageId of [1, 2]) {
      const properties = messageId === 2 ? { messageExpiryInterval: 5 } : {};
      line.say({ cmd: "publish", topic: "a", payload: `${messageId}`, qos: 1, messageId, properties });
    }
    site.world.settle();
    expect(texts(device.take())).toEqual(["1"]);
    site.world.advance(seconds(6));
    expect(device.send({ cmd: "puback", messageId: 1 })).toEqual([]);
    site.world.settle();
    expect(line.got("puback").map(({ messageId }) => messageId)).toEqual([1, 2]);
    expect(site.counters.expired.value).toBe(1);
  });
});

describe("a mountpoint is the device's own, whichever connection speaks for it", () => {
  it("stands before its topics, filters and will at the server, and before nothing that the device hears", () => {
    const world = { policy: { mountpoint: () => "t/1/" } };
    const site = scriptedSite(undefined, { world });
    const device = site.device();
    const will = { topic: "w", payload: "gone", qos: 1, retain: false };
    device.connect("dev", { ...KEPT, will });
    device.subscribe("a/#", 1);
    device.subscribe("$share/g/b", 1);
    device.publish("a", "x", { qos: 1, messageId: 3 });
    site.world.settle();
    device.take();
    expect(site.got("dev", "connect")[0]).toMatchObject({ will: { topic: "t/1/w" } });
    expect(wanted(site.got("dev", "subscribe")).map((each) => each["topic"])).toEqual([
      "t/1/a/#",
      "$share/g/t/1/b",
    ]);
    expect(site.got("dev", "publish")).toMatchObject([{ topic: "t/1/a" }]);
    site.servers.last("dev").say({ cmd: "publish", topic: "t/1/a/b", payload: "x", qos: 0 });
    site.world.settle();
    expect(device.take()).toMatchObject([{ topic: "a/b" }]);
    const asking = site.coap();
    expect(asking.ask({ code: "PUT", path: "ps/c", payload: "1" }).code).toBe("2.04");
    asking.send({ path: "ps/c", id: 7 });
    site.world.settle();
    expect([site.own("publish")[0]?.["topic"], wanted(site.own("subscribe"))]).toMatchObject([
      "t/1/c",
      [{ topic: "t/1/c" }],
    ]);
  });
});

describe("one device does not hold up another, nor one message a session", () => {
  it("a slow device fills its own Receive Maximum; what is for others goes on (U-088)", () => {
    const site = scriptedSite();
    const [slow, quick] = [site.device(), site.device()];
    slow.connect("slow", { clean: true, properties: { receiveMaximum: 1 } });
    quick.connect("quick", { clean: true });
    site.world.settle();
    for (let messageId = 1; messageId <= 10; messageId++)
      for (const id of ["slow", "quick"])
        site.servers.last(id).say({ cmd: "publish", topic: "a", payload: "x", qos: 1, messageId });
    site.world.settle();
    expect([slow.take().length, quick.take().length]).toEqual([1, 10]);
  });

  it("what a device can never take is acknowledged to the server as not taken, and counted (U-089)", () => {
    const site = scriptedSite();
    const sensor = site.sensor();
    sensor.connect("dev");
    sensor.subscribe("zz", 1);
    site.world.settle();
    const line = site.servers.last("dev");
    line.say({ cmd: "publish", topic: "zz", payload: "x".repeat(70_000), qos: 1, messageId: 1 });
    line.say({ cmd: "publish", topic: "zz", payload: "next", qos: 1, messageId: 2 });
    site.world.settle();
    expect(line.got("puback")).toMatchObject([{ messageId: 1, reasonCode: 0x80 }]);
    expect(sensor.hear().filter((each) => each.startsWith("PUBLISH"))).toEqual([
      expect.stringContaining('"next"'),
    ]);
    expect(site.counters.dead.value).toBe(1);
  });
});
