/** Servers that are down, silent, slow or refuse, and gateways that end (upstream sheet U-074, U-080 to U-086). */
import { describe, expect, it } from "vitest";
import { after, type Duration, hours, type Instant, milliseconds, minutes, seconds } from "#core/lib/time.ts";
import { engineOf } from "../../support/engine-of-run.ts";
import {
  commands,
  isOwn,
  KEPT,
  type Script,
  type ScriptedSite,
  scriptedMeters,
  scriptedSite,
  ZZ,
} from "../../support/scripted-site.ts";
import { header } from "../../support/stomp-frames.ts";

const SHORT = { qos: 1, type: 2, id: 7 } as const;

const mute: Script = (_line, { cmd }) => cmd === "connect";
const refuses =
  (reasonCode: number): Script =>
  (line, { cmd }) => {
    if (cmd === "connect") line.say({ cmd: "connack", sessionPresent: false, reasonCode, properties: {} });
    return cmd === "connect";
  };

/** Nobody is there any more, and all connections are cut. */
function breakDown(site: ScriptedSite): void {
  site.down = true;
  for (const line of site.servers.lines) line.end();
  site.world.settle();
}

describe("a server that is not there when devices come (U-080)", () => {
  it.each([
    ["refuses connections", undefined],
    ["takes connections, and never says CONNACK", mute],
  ] as const)(
    "%s: they wait, and are told in their protocols' words when their patience is over",
    (_what, script) => {
      const site = scriptedSite();
      site.down = script === undefined;
      if (script !== undefined) site.servers.answer = script;
      const [fresh, old] = [site.device(5), site.device(4)];
      const sensor = site.sensor();
      const backend = site.backend();
      const device = site.coap();
      expect([...fresh.connect("new", KEPT), ...old.connect("old"), ...sensor.connect("sn")]).toEqual([]);
      backend.say("CONNECT", { "accept-version": "1.2", host: "h", "client-id": "st" });
      device.send({ code: "PUT", path: "ps/a", payload: "x", token: "t" });
      site.world.advance(seconds(9));
      expect([fresh.take(), old.take(), sensor.hear(), backend.heard()]).toEqual([[], [], [], []]);
      site.world.advance(seconds(2));
      expect(fresh.take()).toMatchObject([{ cmd: "connack", reasonCode: 0x88 }]);
      expect(old.take()).toMatchObject([{ cmd: "connack", returnCode: 3 }]);
      expect(sensor.hear()).toEqual(["CONNACK code 1"]);
      expect(header(backend.next(), "message")).toBe("not available");
      // What it has asked for is kept for `grace`; what comes later is told at once.
      site.world.advance(seconds(40));
      // Once, however often it was sent.
      const late = device.answerPings().filter(({ code }) => code !== "0.00");
      expect([...new Set(late.map(({ code, token }) => `${code} ${token}`))]).toEqual(["5.03 t"]);
      expect(late[0]?.number(14)).toBeGreaterThan(0);
      expect(device.ask({ code: "PUT", path: "ps/a", payload: "x", id: 900 }).code).toBe("5.03");
    },
  );

  it("a device that waits is let in when the server is there within its patience (U-082)", () => {
    const site = scriptedSite(() => undefined, { options: { patience: minutes(5) } });
    site.down = true;
    const device = site.device();
    expect(device.connect("dev", KEPT)).toEqual([]);
    site.world.advance(seconds(30));
    site.down = false;
    site.world.advance(minutes(4));
    expect(device.take()).toMatchObject([{ cmd: "connack", reasonCode: 0 }]);
  });

  it("a CONNACK that does not come within connackTimeout costs that connection, and another is made", () => {
    const site = scriptedSite(mute, { options: { patience: minutes(5), connackTimeout: seconds(10) } });
    site.device().connect("dev", KEPT);
    site.world.advance(milliseconds(9_900));
    expect(site.servers.of("dev").map(({ closed }) => closed)).toEqual([false]);
    site.world.advance(seconds(3));
    expect(site.servers.of("dev").map(({ closed }) => closed)).toEqual([true, false]);
  });
});

describe("a server that refuses (U-080)", () => {
  it("a session that was connected, by its login: the device is told, and nobody tries again", () => {
    const site = scriptedSite();
    const device = site.device();
    device.connect("dev", KEPT);
    site.world.settle();
    site.script = refuses(0x86);
    site.cut("dev");
    site.world.advance(minutes(10));
    expect([site.servers.of("dev").length, site.counters.denied.value]).toEqual([2, 1]);
    expect(device.take()).toMatchObject([{ cmd: "disconnect", reasonCode: 0x87 }]);
  });

  it.each([
    ["unavailable", 0x88],
    ["busy", 0x89],
    ["rate exceeded", 0x9f],
  ])(
    "a session that was connected, because it is %s: tried again, ever more seldom, and the device stays",
    (_what, reason) => {
      const site = scriptedSite(() => undefined, { options: { grace: hours(3) } });
      const device = site.device();
      device.connect("dev", KEPT);
      site.world.settle();
      site.script = refuses(reason);
      site.cut("dev");
      const triesIn = (length: Duration): number => {
        const before = site.servers.of("dev").length;
        site.world.advance(length);
        return site.servers.of("dev").length - before;
      };
      expect(triesIn(minutes(1))).toBeGreaterThan(2);
      expect(triesIn(hours(1))).toBeLessThan(120);
      site.script = () => undefined;
      site.world.advance(minutes(3));
      expect(device.closed).toBe(false);
      expect(device.publish("a", "x", { qos: 1, messageId: 1 })).toMatchObject([
        { cmd: "puback", reasonCode: 0 },
      ]);
    },
  );

  it("the login of the gateway's own connections is not hammered at: the first pause is as long as any", () => {
    const site = scriptedSite();
    site.servers.answer = refuses(0x86);
    engineOf(site.world).start();
    site.world.settle();
    site.world.advance(hours(1));
    const tries = site.servers.lines.filter(({ clientId }) => isOwn(clientId)).length;
    // Up to two minutes between two, one on the average.
    expect(tries).toBeGreaterThan(25);
    expect(tries).toBeLessThan(110);
  });
});

describe("a connection that is cut without a word (U-081)", () => {
  it("is found by the PINGREQ that nobody answers, and made anew; what was on its way goes again", () => {
    const options = { keepAlive: seconds(10), pingTimeout: seconds(5) };
    const site = scriptedSite(undefined, { options });
    const device = site.device();
    device.connect("dev", KEPT);
    site.world.settle();
    const broken = site.servers.last("dev");
    site.script = (line) => line === broken;
    expect(device.publish("a", "x", { qos: 1, messageId: 1 })).toEqual([]);
    site.world.advance(milliseconds(14_900));
    expect([commands(broken.packets), broken.closed]).toEqual([["connect", "publish", "pingreq"], false]);
    site.world.advance(seconds(2));
    expect([broken.closed, site.servers.of("dev").length, site.counters.cuts.value]).toEqual([true, 2, 1]);
    expect(site.got("dev", "publish")).toHaveLength(1);
    expect(device.take()).toMatchObject([{ cmd: "puback", messageId: 1, reasonCode: 0 }]);
  });

  it("holds no more than its limits: the server's Receive Maximum under way and `buffer` behind it, then congestion", () => {
    const site = scriptedSite(undefined, { options: { buffer: { messages: 3, bytes: 1 << 20 } } });
    site.servers.answer = (line, { cmd }) => {
      if (cmd === "connect") line.welcome(false, { receiveMaximum: 2 });
      return true;
    };
    const device = site.coap();
    for (let n = 1; n <= 7; n++)
      device.send({ code: "PUT", path: "ps/a", payload: "x", id: n, token: `${n}` });
    site.world.settle();
    expect(device.take().map(({ code, token }) => `${code} ${token}`)).toEqual(["4.29 6", "4.29 7"]);
    expect(site.own("publish")).toHaveLength(2);
    expect(site.counters.refused.value).toBe(2);
  });
});

describe("a server that is there, and acknowledges nothing", () => {
  const slow = () => {
    const site = scriptedSite();
    site.servers.answer = (_line, { cmd }) => ["publish", "subscribe", "unsubscribe"].includes(cmd);
    return site;
  };

  it("what is asked of it at QoS 1 is answered as by no server after `grace`, in each protocol's own words", () => {
    const site = slow();
    const device = site.device();
    device.connect("dev", KEPT);
    const sensor = site.sensor();
    sensor.connect("sn");
    const backend = site.stomp("st");
    const coap = site.coap();
    expect(device.publish("a", "x", { qos: 1, messageId: 1 })).toEqual([]);
    expect(device.subscribe("a", 1, 2)).toEqual([]);
    expect(sensor.publish(ZZ, "x", SHORT)).toEqual([]);
    expect(sensor.subscribe("a/b", 1, 0, 5)).toEqual([]);
    backend.say("SEND", { destination: "a", receipt: "r" }, "x");
    coap.send({ code: "PUT", path: "ps/a", payload: "1", token: "t" });
    site.world.advance(seconds(29));
    expect([device.take(), sensor.hear(), backend.heard()]).toEqual([[], [], []]);
    site.world.advance(seconds(3));
    expect(device.take()).toMatchObject([
      { cmd: "puback", messageId: 1, reasonCode: 0x83 },
      { cmd: "suback", messageId: 2, granted: [0x83] },
    ]);
    expect(sensor.hear()).toEqual([
      `PUBACK ${ZZ} #7 code 1`,
      expect.stringMatching(/^SUBACK .*#5.* code 1$/),
    ]);
    expect(header(backend.next(), "message")).toBe("not available");
    expect(coap.answerPings().find(({ token }) => token === "t")?.code).toBe("5.03");
    expect([device.closed, site.servers.last("dev").closed]).toEqual([false, false]);
  });

  it("at QoS 2 the device is sent away and repeats itself, for the server may have the message", () => {
    const site = slow();
    const device = site.device();
    device.connect("dev", KEPT);
    expect(device.publish("a", "x", { qos: 2, messageId: 1 })).toEqual([]);
    site.world.advance(seconds(32));
    expect(device.take()).toMatchObject([{ cmd: "disconnect", reasonCode: 0x89 }]);
    site.script = () => undefined;
    const again = site.device();
    again.connect("dev", KEPT);
    expect(again.publish("a", "x", { qos: 2, messageId: 1, dup: true })).toMatchObject([
      { cmd: "pubrec", messageId: 1, reasonCode: 0 },
    ]);
    site.world.settle();
    expect(site.got("dev", "publish")).toMatchObject([{ messageId: 1 }]);
  });
});

describe("an outage (U-074)", () => {
  const outage = () => {
    const reconnect = { first: seconds(1), longest: seconds(3) };
    const site = scriptedSite(undefined, { options: { reconnect } });
    const device = site.device();
    device.connect("dev", KEPT);
    const sensor = site.sensor();
    sensor.connect("sn", { keepAlive: 3_600 });
    const backend = site.stomp("st");
    const coap = site.coap();
    expect(coap.ask({ code: "PUT", path: "ps/a", payload: "0", id: 50 }).code).toBe("2.04");
    site.world.settle();
    breakDown(site);
    return { site, device, sensor, backend, coap };
  };

  it("within `grace` devices stay and what they publish waits; then it goes on, and is acknowledged", () => {
    const { site, device, sensor, backend, coap } = outage();
    expect(device.publish("a", "x", { qos: 1, messageId: 1 })).toEqual([]);
    expect(sensor.publish(ZZ, "x", SHORT)).toEqual([]);
    backend.say("SEND", { destination: "a", receipt: "r" }, "x");
    coap.send({ code: "PUT", path: "ps/a", payload: "1", token: "t", id: 51 });
    site.world.advance(seconds(15));
    site.down = false;
    site.world.advance(seconds(14));
    expect([device.closed, backend.closed]).toEqual([false, false]);
    expect(device.take()).toMatchObject([{ cmd: "puback", messageId: 1, reasonCode: 0 }]);
    expect(sensor.hear()).toEqual([`PUBACK ${ZZ} #7 code 0`]);
    expect(header(backend.next(), "receipt-id")).toBe("r");
    expect(coap.answerPings().find(({ token }) => token === "t")?.code).toBe("2.04");
  });

  it("then each protocol has its own word: MQTT 0x89 and 0x88, MQTT-SN congestion, CoAP 5.03 with Max-Age, STOMP ERROR", () => {
    const { site, device, sensor, backend, coap } = outage();
    expect(sensor.publish(ZZ, "x", SHORT)).toEqual([]);
    site.world.advance(seconds(31));
    expect(device.take()).toMatchObject([{ cmd: "disconnect", reasonCode: 0x89 }]);
    expect([device.closed, backend.heard().map(({ command }) => command)]).toEqual([true, ["ERROR"]]);
    expect(sensor.hear()).toEqual([`PUBACK ${ZZ} #7 code 1`]);
    expect(sensor.publish(ZZ, "x", { ...SHORT, id: 8 })).toEqual([`PUBACK ${ZZ} #8 code 1`]);
    const answer = coap.ask({ code: "PUT", path: "ps/a", payload: "1", id: 51 });
    expect([answer.code, answer.number(14)]).toEqual(["5.03", 5]);
    expect(engineOf(site.world).healthy).toBe(false);
    const again = site.device();
    again.connect("dev", KEPT);
    site.world.advance(seconds(11));
    expect(again.take()).toMatchObject([{ cmd: "connack", reasonCode: 0x88 }]);
    site.down = false;
    site.world.advance(minutes(3));
    expect(engineOf(site.world).healthy).toBe(true);
    expect(site.device().connect("dev", KEPT)).toMatchObject([{ cmd: "connack", reasonCode: 0 }]);
    expect(sensor.publish(ZZ, "x", { ...SHORT, id: 9 })).toEqual([`PUBACK ${ZZ} #9 code 0`]);
  });

  it("an LwM2M device stays registered, and is told 5.03 to what it asks then", () => {
    const { site, meter } = scriptedMeters();
    const device = meter("dev");
    device.register({ lt: "86400" });
    site.world.settle();
    breakDown(site);
    site.world.advance(minutes(2));
    site.down = false;
    site.world.advance(minutes(3));
    expect(device.update().code).toBe("2.04");
    expect(site.servers.last("dev").closed).toBe(false);
  });
});

describe("thousands of devices at once (U-073, U-074)", () => {
  it("connections begin no faster than `connects.rate`, and no more than `connects.parallel` wait for CONNACK", () => {
    let held = true;
    const begun: Instant[] = [];
    const site: ScriptedSite = scriptedSite(
      (_line, { cmd }) => {
        if (cmd === "connect") begun.push(site.world.now);
        return held && cmd === "connect";
      },
      { options: { connects: { rate: 20, parallel: 5 }, patience: minutes(10), connackTimeout: minutes(1) } },
    );
    const devices = Array.from({ length: 100 }, () => site.device());
    for (const [index, device] of devices.entries()) device.connect(`d-${index}`, { clean: true });
    site.world.advance(seconds(10));
    expect([begun.length, engineOf(site.world).context.budget.waiting]).toEqual([5, 95]);
    held = false;
    for (const line of [...site.servers.lines]) line.welcome();
    site.world.settle();
    site.world.advance(seconds(10));
    expect(devices.every((device) => commands(device.take()).includes("connack"))).toBe(true);
    for (const from of begun) {
      const within = begun.filter((at) => at >= from && at < after(from, seconds(1)));
      // A tenth of a second's worth may begin at once.
      expect(within.length).toBeLessThanOrEqual(22);
    }
  });

  it("they come back spread over the whole pause (full jitter)", () => {
    const begun: number[] = [];
    let cutAt = 0;
    const site: ScriptedSite = scriptedSite((line, { cmd }) => {
      if (cmd === "connect" && site.servers.of(line.clientId).length === 2)
        begun.push(site.world.now - cutAt);
      return undefined;
    });
    for (let index = 0; index < 100; index++) site.device().connect(`d-${index}`, KEPT);
    site.world.settle();
    cutAt = site.world.now;
    for (const line of [...site.servers.lines]) line.end();
    site.world.settle();
    site.world.advance(seconds(2));
    expect(begun).toHaveLength(100);
    for (const quarter of [0, 250, 500, 750]) {
      const within = begun.filter((at) => at >= quarter && at < quarter + 250).length;
      expect(within).toBeGreaterThan(8);
      expect(within).toBeLessThan(48);
    }
  });
});

describe("a gateway that stops (U-085, U-086)", () => {
  it("says DISCONNECT for each device, without its will and with its session's own expiry", () => {
    const site = scriptedSite();
    const will = { topic: "w", payload: "gone", qos: 1, retain: false } as const;
    site.device().connect("kept", { ...KEPT, will });
    site.device().connect("clean", { clean: true, will });
    site.sensor().asleep("sleeper", "a");
    site.world.settle();
    engineOf(site.world).stop();
    site.world.settle();
    const goodbye = (id: string) => site.got(id, "disconnect")[0];
    expect(goodbye("kept")).toMatchObject({ reasonCode: 0 });
    expect(goodbye("kept")?.["properties"] ?? {}).not.toHaveProperty("sessionExpiryInterval", 0);
    expect(goodbye("clean")).toMatchObject({ reasonCode: 0, properties: { sessionExpiryInterval: 0 } });
    expect(site.servers.lines.flatMap((line) => line.got("publish"))).toEqual([]);
    expect(site.servers.lines.every(({ closed }) => closed)).toBe(true);
  });

  it("keeps no connection for a device that is away: its session is at the server, under the same id", () => {
    const site = scriptedSite();
    const device = site.device();
    device.connect("dev", KEPT);
    device.send({ cmd: "disconnect", reasonCode: 0 });
    site.world.advance(minutes(10));
    expect(site.servers.of("dev").map(({ closed }) => closed)).toEqual([true]);
    expect(site.device().connect("dev", KEPT)).toMatchObject([{ cmd: "connack", reasonCode: 0 }]);
    expect(site.got("dev", "connect")).toMatchObject([{ clean: false }]);
  });
});
