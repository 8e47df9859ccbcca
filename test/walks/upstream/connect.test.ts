/** CONNECT of a session at a server elsewhere, and what CONNACK says (upstream sheet U-040 to U-049, U-054, U-062). */
import { describe, expect, it } from "vitest";
import type { Hook } from "#core/hooks/plugin.ts";
import { minutes, seconds } from "#core/lib/time.ts";
import { engineOf } from "../../support/engine-of-run.ts";
import type { AnyPacket } from "../../support/mqtt-device.ts";
import {
  commands,
  KEPT,
  type Script,
  type ScriptedSite,
  type Setting,
  scriptedMeters,
  scriptedSite,
  welcomes,
} from "../../support/scripted-site.ts";
import { header } from "../../support/stomp-frames.ts";

const OLD = { server: { version: "3.1.1" } } satisfies Setting;
const LINGER = 30;
/** The longest expiry that this world lets a session have. */
const LONGEST = 3650 * 86_400;

const properties = (packet: AnyPacket | undefined) => packet?.["properties"] as Record<string, unknown>;

describe("the client id at the server (U-040)", () => {
  it.each([
    // biome-ignore-start lint/suspicious/noTemplateCurlyInString: these are placeholders of the configuration
    ["${clientid}", "dev", "sensor"],
    ["plant-7/${clientid}", "plant-7/dev", "plant-7/sensor"],
    ["${gateway}:${clientid}", "mqtt:dev", "mqtt-sn:sensor"],
    // biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above
  ])("is made by the template %s", (clientId, ofDevice, ofSensor) => {
    const site = scriptedSite(undefined, { options: { clientId } });
    site.device().connect("dev", KEPT);
    site.sensor().connect("sensor");
    site.world.settle();
    expect([site.servers.of(ofDevice).length, site.servers.of(ofSensor).length]).toEqual([1, 1]);
  });

  it("names one session whichever gateway its device comes through: who comes second takes it", () => {
    const site = scriptedSite();
    const device = site.device();
    device.connect("dev", KEPT);
    site.world.settle();
    expect(site.sensor().connect("dev")).toEqual(["CONNACK code 0"]);
    expect(device.take()).toMatchObject([{ cmd: "disconnect", reasonCode: 0x8e }]);
    expect([device.closed, site.servers.of("dev").length]).toEqual([true, 2]);
  });

  it("is the same when the gateway comes back after a restart (U-085)", () => {
    const ids = [1, 2].map(() => {
      const site = scriptedSite();
      site.device().connect("dev", KEPT);
      site.sensor().connect("sensor", { clean: false });
      site.world.settle();
      return site.servers.lines.map(({ clientId }) => clientId).sort();
    });
    expect(ids[1]).toEqual(ids[0]);
    expect(ids[0]).toEqual(expect.arrayContaining(["dev", "sensor"]));
  });
});

describe("MQTT 3.1.1 servers say by closing that another connection has the session (U-041)", () => {
  const rival = () => {
    const site = scriptedSite(undefined, OLD);
    const device = site.device();
    device.connect("dev", KEPT);
    site.world.settle();
    const close = () => site.cut("dev");
    return { site, device, close };
  };

  it("three closes that follow each other quickly end the device: there is no ping-pong", () => {
    const { site, device, close } = rival();
    for (const _ of [1, 2]) {
      close();
      site.world.advance(seconds(5));
      expect(device.closed).toBe(false);
    }
    close();
    expect(device.take()).toMatchObject([{ cmd: "disconnect", reasonCode: 0x8e }]);
    site.world.advance(minutes(10));
    expect([site.servers.of("dev").length, site.counters.takeovers.value]).toEqual([3, 1]);
  });

  it("closes that are far apart do not", () => {
    const { site, device, close } = rival();
    for (let times = 0; times < 6; times++) {
      close();
      site.world.advance(minutes(2));
    }
    expect([device.closed, site.counters.takeovers.value]).toEqual([false, 0]);
  });
});

describe("clean start and expiry (U-042)", () => {
  const connect = (version: 4 | 5, options: Record<string, unknown>, setting: Setting = {}) => {
    const site = scriptedSite(undefined, setting);
    const device = site.device(version);
    device.connect("dev", options);
    site.world.settle();
    return { site, device, said: site.got("dev", "connect")[0] as AnyPacket };
  };

  it.each([
    ["Clean Session 1", 4, { clean: true }, true, LINGER],
    ["Clean Session 0", 4, { clean: false }, false, LONGEST],
    ["Clean Start 1, expiry 0", 5, { clean: true }, true, LINGER],
    ["Clean Start 0, an expiry", 5, KEPT, false, 100_000],
  ] as const)(
    "%s of MQTT %i: a session lives for as long, and at least until its connection may be mended",
    (_what, version, options, clean, expiry) => {
      const { said } = connect(version, options);
      expect([said["clean"], properties(said)["sessionExpiryInterval"]]).toEqual([clean, expiry]);
    },
  );

  it("a device that says goodbye takes with it what was asked for only so that its connection may be mended", () => {
    const { site, device } = connect(5, { clean: true });
    device.send({ cmd: "disconnect", reasonCode: 0 });
    site.world.settle();
    expect(site.got("dev", "disconnect")).toMatchObject([
      { reasonCode: 0, properties: { sessionExpiryInterval: 0 } },
    ]);
  });

  it("the device is told when the server grants less [MQTT-3.2.2-21]", () => {
    const site = scriptedSite(welcomes({ sessionExpiryInterval: 60 }));
    expect(site.device().connect("dev", KEPT)).toMatchObject([
      { cmd: "connack", properties: { sessionExpiryInterval: 60 } },
    ]);
  });

  it("before MQTT 5 the session is wiped first where it begins anew and stays, and wiped when its time is over", () => {
    const { site, device } = connect(5, { clean: true, properties: { sessionExpiryInterval: 100 } }, OLD);
    const cleans = () => site.servers.of("dev").map((line) => line.got("connect")[0]?.["clean"]);
    expect(cleans()).toEqual([true, false]);
    device.send({ cmd: "disconnect", reasonCode: 0 });
    site.world.advance(seconds(95));
    expect(cleans()).toEqual([true, false]);
    site.world.advance(seconds(10));
    expect(cleans()).toEqual([true, false, true]);
    expect(commands(site.servers.last("dev").packets)).toEqual(["connect", "disconnect"]);
  });
});

describe("devices of the other gateways (U-043)", () => {
  it.each([
    ["MQTT-SN CleanSession", { clean: true }, true],
    ["MQTT-SN without it", { clean: false }, false],
  ] as const)("%s is Clean Start", (_what, options, clean) => {
    const site = scriptedSite();
    expect(site.sensor().connect("dev", options)).toEqual(["CONNACK code 0"]);
    const [said] = site.got("dev", "connect");
    expect(said?.["clean"]).toBe(clean);
    if (clean) expect(properties(said)["sessionExpiryInterval"]).toBe(LINGER);
    else expect(properties(said)["sessionExpiryInterval"]).toBeGreaterThan(3600);
  });

  it("a sleeper that is held keeps its connection, which is kept alive from here", () => {
    const hold = { whileAsleep: "hold", holdFor: minutes(5) } as const;
    const site = scriptedSite(undefined, { options: { sleepers: hold } });
    const sensor = site.sensor().asleep("dev", "a");
    sensor.hear();
    site.world.advance(minutes(50));
    expect([site.servers.of("dev").length, site.servers.last("dev").closed]).toEqual([1, false]);
    expect(site.got("dev", "pingreq").length).toBeGreaterThanOrEqual(45);
    expect(site.got("dev", "disconnect")).toEqual([]);
  });

  it("LwM2M: a registration's session outlives its lifetime, and its end is DISCONNECT without the will (U-052)", () => {
    const { site, meter } = scriptedMeters();
    const device = meter("dev");
    device.register({ lt: "86400" });
    site.world.settle();
    const [said] = site.got("dev", "connect");
    expect(properties(said)["sessionExpiryInterval"]).toBeGreaterThan(86_400);
    device.update();
    site.world.settle();
    expect(site.servers.of("dev")).toHaveLength(1);
    expect(device.deregister().code).toBe("2.02");
    site.world.settle();
    expect(site.got("dev", "disconnect")).toMatchObject([{ reasonCode: 0 }]);
  });

  it("STOMP: a session ends with its connection (U-053)", () => {
    const site = scriptedSite();
    const backend = site.stomp("dev");
    site.world.settle();
    expect(site.got("dev", "connect")[0]).toMatchObject({ clean: true });
    backend.say("DISCONNECT", { receipt: "r" });
    site.world.settle();
    expect(site.got("dev", "disconnect")).toMatchObject([
      { reasonCode: 0, properties: { sessionExpiryInterval: 0 } },
    ]);
  });

  it("CoAP without a connection, and MQTT-SN at QoS -1, publish over connections of the gateway itself", () => {
    const site = scriptedSite();
    expect(site.coap().ask({ code: "PUT", path: "ps/a/b", payload: "1" }).code).toBe("2.04");
    // QoS -1 with a short topic name.
    site.sensor().raw("08 0c 62 7a7a 0000 32");
    site.world.settle();
    const published = site.own("publish").map(({ topic, payload }) => `${topic} ${payload}`);
    expect(published.sort()).toEqual(["a/b 1", "zz 2"]);
    expect(site.servers.lines.every(({ clientId }) => clientId.startsWith("gateway-"))).toBe(true);
  });
});

describe("session present (U-044)", () => {
  it.each([true, false])("%s goes through to an MQTT device that keeps its session", (present) => {
    const site = scriptedSite(welcomes({}, present));
    const [connack] = site.device().connect("dev", KEPT);
    expect(connack).toMatchObject({ cmd: "connack", sessionPresent: present });
  });

  it("a session that the server has lost while its device was connected is made again, and counted (U-084)", () => {
    const site = scriptedSite();
    const device = site.device();
    device.connect("dev", KEPT);
    device.subscribe("a", 1);
    device.send({ cmd: "subscribe", messageId: 2, subscriptions: [{ topic: "b/#", qos: 2 }] });
    site.world.settle();
    site.cut("dev");
    site.world.advance(seconds(5));
    const made = site.got("dev", "subscribe").flatMap(({ subscriptions }) => subscriptions as AnyPacket[]);
    expect(made.map(({ topic, qos }) => [topic, qos])).toEqual([
      ["a", 1],
      ["b/#", 2],
    ]);
    expect([site.counters.sessionsLost.value, device.closed]).toEqual([1, false]);
  });

  it("one that the server still has is left as it is: nothing is subscribed to again", () => {
    const site: ScriptedSite = scriptedSite((line, packet) => {
      if (packet.cmd !== "connect") return undefined;
      line.answer(packet, site.servers.of("dev").length > 1);
      return true;
    });
    const device = site.device();
    device.connect("dev", KEPT);
    device.subscribe("a", 1);
    site.world.settle();
    site.cut("dev");
    site.world.advance(seconds(5));
    expect(site.servers.of("dev")).toHaveLength(2);
    expect([site.got("dev", "subscribe"), site.counters.sessionsLost.value]).toEqual([[], 0]);
  });

  it("a device that comes back is told that its session is lost, and subscribes itself; hooks are told what ended with it", () => {
    const told: string[] = [];
    const hook: Hook = { unsubscribed: (_client, filter, why) => void told.push(`${filter} ${why}`) };
    const site = scriptedSite(undefined, { world: { hooks: [hook] } });
    const first = site.device();
    first.connect("dev", KEPT);
    first.subscribe("a", 1);
    first.send({ cmd: "disconnect", reasonCode: 0 });
    site.world.advance(minutes(1));
    const [connack] = site.device().connect("dev", KEPT);
    site.world.settle();
    expect([connack?.["sessionPresent"], site.got("dev", "subscribe")]).toEqual([false, []]);
    expect(told).toEqual(["a session-ended"]);
  });

  it("an MQTT-SN device cannot be told: its subscriptions are made again from what is remembered here", () => {
    const site = scriptedSite();
    const sensor = site.sensor();
    sensor.connect("dev", { clean: false });
    sensor.subscribe("a/b", 1);
    expect(sensor.disconnect()).toEqual(["DISCONNECT"]);
    site.world.advance(minutes(1));
    expect(sensor.connect("dev", { clean: false })).toEqual(["CONNACK code 0"]);
    site.world.settle();
    expect(site.servers.of("dev")).toHaveLength(2);
    expect(site.got("dev", "subscribe")).toMatchObject([{ subscriptions: [{ topic: "a/b", qos: 1 }] }]);
  });

  it("an LwM2M device neither", () => {
    const { site, meter } = scriptedMeters();
    meter("dev").register({ lt: "86400" });
    site.world.settle();
    const before = site.got("dev", "subscribe").map(({ subscriptions }) => subscriptions);
    expect(before.length).toBeGreaterThan(0);
    site.cut("dev");
    site.world.advance(seconds(5));
    expect(site.got("dev", "subscribe").map(({ subscriptions }) => subscriptions)).toEqual(before);
  });
});

describe("the will (U-045)", () => {
  const WILL = { topic: "w", payload: "gone", qos: 1, retain: true } as const;
  const withWill = (more: object = {}, setting: Setting = {}, expiry = 100_000) => {
    const site = scriptedSite(undefined, setting);
    const device = site.device();
    const will = { ...WILL, ...more };
    device.connect("dev", { clean: false, will, properties: { sessionExpiryInterval: expiry } });
    site.world.settle();
    return { site, device, told: site.got("dev", "connect")[0]?.["will"] as AnyPacket };
  };

  it("is told to the server, which holds it back while a broken connection may be mended", () => {
    const more = { properties: { contentType: "text/plain", messageExpiryInterval: 60 } };
    const { told } = withWill(more);
    expect({ ...told, payload: String(told["payload"]) }).toMatchObject({
      ...WILL,
      properties: { willDelayInterval: LINGER, contentType: "text/plain", messageExpiryInterval: 60 },
    });
  });

  it("keeps a longer delay of its own, and is the server's where its device asks for it (0x04)", () => {
    const { site, device, told } = withWill({ properties: { willDelayInterval: 300 } });
    expect(properties(told)["willDelayInterval"]).toBe(300);
    device.send({ cmd: "disconnect", reasonCode: 4 });
    site.world.settle();
    expect(site.got("dev", "disconnect")).toMatchObject([{ reasonCode: 4 }]);
  });

  it("of a device that is lost is published at once, not after the delay that is only for our sake", () => {
    const { site, device } = withWill();
    device.stream.drop();
    site.world.settle();
    expect(site.got("dev", "publish")).toMatchObject([{ topic: "w", qos: 1, retain: true }]);
    expect(site.got("dev", "disconnect")).toMatchObject([{ reasonCode: 0 }]);
  });

  it("is nobody's business while the connection of a device that is there is mended", () => {
    const { site, device } = withWill();
    site.cut("dev");
    site.world.advance(seconds(5));
    expect([site.servers.of("dev").length, site.got("dev", "publish"), device.closed]).toEqual([
      2,
      [],
      false,
    ]);
  });

  it("before MQTT 5 the server publishes it: our connection ends without DISCONNECT", () => {
    const { site, device } = withWill({}, OLD);
    device.stream.drop();
    site.world.advance(seconds(1));
    const { packets, closed } = site.servers.last("dev");
    expect([commands(packets), closed]).toEqual([["connect"], true]);
  });

  it("MQTT-SN: WILLTOPICUPD and WILLMSGUPD are told by a new CONNECT, which keeps the session", () => {
    const site = scriptedSite();
    const sensor = site.sensor();
    sensor.connect("dev", { clean: false, will: true });
    sensor.willTopic("w/1", 1);
    expect(sensor.willMessage("gone")).toEqual(["CONNACK code 0"]);
    expect(sensor.willTopic("w/2", 2, false, true)).toEqual(["WILLTOPICRESP code 0"]);
    expect(sensor.willMessage("dead", true)).toEqual(["WILLMSGRESP code 0"]);
    site.world.advance(seconds(5));
    const told = site.servers.of("dev").map((line) => line.got("connect")[0] as AnyPacket);
    const [first] = told;
    const last = told.at(-1);
    expect(first?.["will"]).toMatchObject({ topic: "w/1", qos: 1 });
    expect([last?.["clean"], last?.["will"]]).toMatchObject([false, { topic: "w/2", qos: 2 }]);
    expect(String((last?.["will"] as AnyPacket | undefined)?.["payload"])).toBe("dead");
  });
});

describe("keep-alive (U-046)", () => {
  const idle = (script: Script = () => undefined) => {
    const site = scriptedSite(script);
    const device = site.device();
    device.connect("dev", { ...KEPT, keepalive: 10 });
    site.world.settle();
    return { site, device, pings: () => site.got("dev", "pingreq").length };
  };

  it("is ours, not the device's: PINGREQ goes when nothing else does, and the device's own stays here", () => {
    const { site, device, pings } = idle();
    expect(site.got("dev", "connect")[0]?.["keepalive"]).toBe(60);
    for (let step = 0; step < 11; step++) {
      site.world.advance(seconds(5));
      expect(commands(device.send({ cmd: "pingreq" }))).toEqual(["pingresp"]);
    }
    expect(pings()).toBe(0);
    site.world.advance(seconds(5));
    expect(pings()).toBe(1);
  });

  it("is the server's where CONNACK says so [MQTT-3.2.2-22]", () => {
    const { site, device, pings } = idle(welcomes({ serverKeepAlive: 20 }));
    for (let step = 0; step < 12; step++) {
      site.world.advance(seconds(5));
      device.send({ cmd: "pingreq" });
    }
    expect(pings()).toBe(3);
  });
});

describe("Receive Maximum (U-047)", () => {
  it.each([
    ["MQTT", 7],
    ["MQTT that names none", undefined],
  ])("%s: is what the device can have in flight", (_what, receiveMaximum) => {
    const site = scriptedSite();
    site.device().connect("dev", { clean: true, properties: { receiveMaximum } });
    site.world.settle();
    const asked = properties(site.got("dev", "connect")[0])["receiveMaximum"];
    if (receiveMaximum === undefined) expect(asked).toBeLessThanOrEqual(65_535);
    else expect(asked).toBe(receiveMaximum);
  });

  it("MQTT-SN: is `receiveMaximum`, of which the device gets one at a time, and the server PUBACK for what it took", () => {
    const site = scriptedSite(undefined, { options: { receiveMaximum: 3 } });
    const sensor = site.sensor();
    sensor.connect("dev");
    sensor.subscribe("a/b", 1);
    site.world.settle();
    expect(properties(site.got("dev", "connect")[0])["receiveMaximum"]).toBe(3);
    const line = site.servers.last("dev");
    for (const messageId of [1, 2, 3])
      line.say({ cmd: "publish", topic: "a/b", payload: "x", qos: 1, messageId });
    site.world.settle();
    expect([sensor.hear(), line.got("puback")]).toEqual([['PUBLISH 1 #1 qos1 "x"'], []]);
    expect(sensor.puback(1, 1)).toEqual(['PUBLISH 1 #2 qos1 "x"']);
    site.world.settle();
    expect(line.got("puback")).toMatchObject([{ messageId: 1 }]);
  });
});

describe("which version of MQTT (U-049)", () => {
  it.each([
    ["CONNACK 0x84", { version: 5, reasonCode: 0x84 }],
    ["a CONNACK of MQTT 3.1.1 with code 1", { version: 4, returnCode: 1 }],
  ] as const)("%s: 3.1.1 is tried at once, and remembered of that server", (_what, { version, ...code }) => {
    const versions: number[] = [];
    const site = scriptedSite((line, { cmd }) => {
      if (cmd !== "connect") return undefined;
      versions.push(line.version);
      if (line.version === 4) return undefined;
      line.version = version;
      line.say({ cmd: "connack", sessionPresent: false, properties: {}, ...code });
      line.end();
      return true;
    });
    expect(site.device().connect("dev", KEPT)).toMatchObject([{ cmd: "connack", reasonCode: 0 }]);
    expect(site.device().connect("other", KEPT)).toMatchObject([{ cmd: "connack", reasonCode: 0 }]);
    expect(versions).toEqual([5, 4, 4]);
  });

  it.each([
    ["3.1.1", 4],
    ["5.0", 5],
  ] as const)("is %s where the configuration says so, whatever the device speaks", (version, spoken) => {
    for (const device of [4, 5] as const) {
      const site = scriptedSite(undefined, { server: { version } });
      site.device(device).connect("dev", { clean: true });
      site.world.settle();
      expect(site.servers.last("dev").version).toBe(spoken);
    }
  });
});

describe("who sets a property of CONNECT (U-054)", () => {
  it("the device what it says to the server, the gateway what is between the two", () => {
    const site = scriptedSite(undefined, { options: { topicAliases: 4, packetSize: 5_000 } });
    site.device().connect("dev", {
      clean: false,
      properties: {
        sessionExpiryInterval: 500,
        receiveMaximum: 9,
        maximumPacketSize: 1_000,
        topicAliasMaximum: 3,
        requestResponseInformation: true,
        requestProblemInformation: false,
        userProperties: { a: "b" },
      },
    });
    site.world.settle();
    expect(properties(site.got("dev", "connect")[0])).toMatchObject({
      sessionExpiryInterval: 500,
      receiveMaximum: 9,
      maximumPacketSize: 5_000,
      topicAliasMaximum: 4,
      requestResponseInformation: true,
      requestProblemInformation: false,
      userProperties: { a: "b" },
    });
  });
});

describe("who comes in is the server's word too (U-062)", () => {
  it("it is told the device's user name and password, or by setting the gateway's for all", () => {
    const login = { clean: true, username: "u", password: "secret" };
    const said = (setting: Setting) => {
      const site = scriptedSite(undefined, setting);
      site.device().connect("dev", login);
      site.world.settle();
      const { username, password } = site.got("dev", "connect")[0] as AnyPacket;
      return `${username} ${password}`;
    };
    expect(said({})).toBe("u secret");
    const service = { credentials: "service", username: "gw", password: "pw" } as const;
    expect(said({ options: service })).toBe("gw pw");
  });

  /** Reason of CONNACK, as MQTT 5, MQTT 3.1.1, MQTT-SN and STOMP devices hear it. */
  const REFUSALS = [
    ["bad user name or password (0x86)", 0x86, 4, 3, "access refused"],
    ["not authorized (0x87)", 0x87, 5, 3, "access refused"],
    ["banned (0x8a)", 0x8a, 5, 3, "access refused"],
    ["client identifier not valid (0x85)", 0x85, 2, 3, "malformed name"],
    ["server unavailable (0x88)", 0x88, 3, 1, "not available"],
    ["connection rate exceeded (0x9f)", 0x9f, 3, 1, "too busy"],
  ] as const;

  it.each(REFUSALS)("%s is said in each protocol's own words", (_what, reasonCode, old, sn, stomp) => {
    const site = scriptedSite((line, { cmd }) => {
      if (cmd === "connect") line.say({ cmd: "connack", sessionPresent: false, reasonCode, properties: {} });
      return cmd === "connect";
    });
    expect(site.device(5).connect("new", KEPT)).toMatchObject([{ cmd: "connack", reasonCode }]);
    expect(site.device(4).connect("old", { clean: true })).toMatchObject([
      { cmd: "connack", returnCode: old },
    ]);
    expect(site.sensor().connect("sn")).toEqual([`CONNACK code ${sn}`]);
    const backend = site.backend();
    backend.say("CONNECT", { "accept-version": "1.2", host: "h", "client-id": "stomp" });
    expect(header(backend.next(), "message")).toBe(stomp);
    site.world.advance(minutes(10));
    // Nobody is tried again on behalf of a device that was told.
    for (const id of ["new", "old", "sn", "stomp"]) expect([id, site.servers.of(id).length]).toEqual([id, 1]);
    expect([...engineOf(site.world).sessions()]).toEqual([]);
  });

  it.each([
    [1, 0x84],
    [2, 0x85],
    [3, 0x88],
    [4, 0x86],
    [5, 0x87],
  ])("code %i of an MQTT 3.1.1 server is the same word to a device of MQTT 5", (returnCode, reasonCode) => {
    const site = scriptedSite((line, { cmd }) => {
      if (cmd === "connect") line.say({ cmd: "connack", sessionPresent: false, returnCode });
      return cmd === "connect";
    }, OLD);
    expect(site.device(5).connect("dev", KEPT)).toMatchObject([{ cmd: "connack", reasonCode }]);
  });
});
