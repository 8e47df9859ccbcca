/**
 * A login under the client id of a device that is there, or whose session waits: who is let in is the server's to say, and
 * before it has said so nothing of the other one changes (MQTT 5 §3.1.4; upstream sheet U-041, U-062).
 */
import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import type { CoapDevice } from "../../support/coap-device.ts";
import type { AnyPacket } from "../../support/mqtt-device.ts";
import type { Line } from "../../support/scripted-server.ts";
import {
  KEPT,
  type Script,
  type ScriptedSite,
  scriptedMeters,
  scriptedSite,
  texts,
  ZZ,
} from "../../support/scripted-site.ts";
import { header } from "../../support/stomp-frames.ts";

const WILL = { topic: "w", payload: "gone", qos: 1, retain: false } as const;

const refuses: Script = (line, { cmd }) => {
  const refusal = { reasonCode: 0x86, returnCode: 4, properties: {} };
  if (cmd === "connect") line.say({ cmd: "connack", sessionPresent: false, ...refusal });
  return cmd === "connect";
};

/** Neither lets in nor refuses. */
const ponders: Script = (_line, { cmd }) => cmd === "connect";

/** Lets in, and ends the connection that the client had before: with which word, and before CONNACK or behind it. */
const takesOver =
  (site: Pick<ScriptedSite, "servers">, ending: "0x8E" | "no word", first: boolean): Script =>
  (line, { cmd }) => {
    if (cmd !== "connect") return undefined;
    const end = () => {
      for (const older of site.servers.of(line.clientId)) {
        if (older === line || older.closed) continue;
        if (ending === "0x8E" && older.version === 5) older.say({ cmd: "disconnect", reasonCode: 0x8e });
        older.end();
      }
    };
    if (first) end();
    line.welcome(true);
    if (!first) end();
    return true;
  };

const sends = (line: Line, topic: string, payload = "x") =>
  line.say({ cmd: "publish", topic, payload, qos: 1, messageId: 9 });

/** A device `dev` that is connected, and another one that comes under its name. */
interface Rivals {
  readonly site: Pick<ScriptedSite, "servers" | "world" | "script" | "device">;
  /** What the other one hears. */
  comes(): readonly string[];
  /** What the device hears: of the other one, and of a message that is for it. */
  hears(): readonly string[];
  readonly refused: readonly string[];
  readonly accepted: readonly string[];
  /** What it hears while it is there, and when it is not any more. */
  readonly stays: readonly string[];
  readonly goes: readonly string[];
}

const word = ({ cmd, reasonCode, returnCode, payload }: AnyPacket): string =>
  `${cmd} ${payload ?? reasonCode ?? returnCode}`;

function mqttRivals(version: 4 | 5): Rivals {
  const site = scriptedSite();
  const device = site.device(version);
  device.connect("dev", version === 5 ? KEPT : { clean: false });
  device.subscribe("a", 1);
  const line = site.servers.last("dev");
  return {
    site,
    comes: () => site.device(version).connect("dev").map(word),
    hears: () => {
      sends(line, "a");
      site.world.settle();
      return device.take().map(word);
    },
    refused: [version === 5 ? "connack 134" : "connack 4"],
    accepted: ["connack 0"],
    stays: ["publish x"],
    goes: version === 5 ? ["disconnect 142"] : [],
  };
}

function sensorRivals(): Rivals {
  const site = scriptedSite();
  const sensor = site.sensor();
  sensor.connect("dev", { clean: false });
  sensor.subscribe(ZZ, 1, 2);
  const line = site.servers.last("dev");
  return {
    site,
    comes: () => site.sensor(10_001).connect("dev"),
    hears: () => {
      sends(line, "zz");
      site.world.settle();
      return sensor.hear();
    },
    refused: ["CONNACK code 3"],
    accepted: ["CONNACK code 0"],
    stays: ['PUBLISH short zz #9 qos1 "x"'],
    goes: ["DISCONNECT"],
  };
}

function stompRivals(): Rivals {
  const site = scriptedSite();
  const backend = site.stomp("dev");
  backend.say("SUBSCRIBE", { destination: "a", id: "1" });
  const line = site.servers.lines.find((each) => each.got("subscribe").length > 0);
  return {
    site,
    comes: () => {
      const other = site.backend();
      other.say("CONNECT", { "accept-version": "1.2", host: "h", "client-id": "dev" });
      return other.heard().map(({ command }) => command);
    },
    hears: () => {
      if (line !== undefined) sends(line, "a");
      site.world.settle();
      return backend.heard().map((frame) => `${frame.command} ${header(frame, "message") ?? frame.body}`);
    },
    refused: ["ERROR"],
    accepted: ["CONNECTED"],
    stays: ["MESSAGE x"],
    goes: ["ERROR the client id has connected elsewhere"],
  };
}

function coapRivals(): Rivals {
  const site = scriptedSite();
  const connect = (device: CoapDevice) =>
    device.ask({ code: "POST", path: "mqtt/connection", query: ["c=dev"] });
  const device = site.coap();
  const query = ["c=dev", `t=${connect(device).payload}`];
  return {
    site,
    comes: () => [connect(site.coap(10_001)).code],
    hears: () => [device.ask({ code: "PUT", path: "mqtt/connection", query }).code],
    refused: ["4.00"],
    accepted: ["2.01"],
    stays: ["2.04"],
    goes: ["4.01"],
  };
}

function meterRivals(): Rivals {
  const { site, meter } = scriptedMeters();
  const device = meter("dev");
  device.register({ lt: "86400" });
  const line = site.servers.last("dev");
  const command = { reqID: 1, msgType: "read", data: { path: "/3/0/0" } };
  return {
    site,
    comes: () => [site.world.device("dev", 10_001).register().code],
    hears: () => {
      sends(line, "lwm2m/dev/dn/command", JSON.stringify(command));
      site.world.settle();
      return [...device.lines(), device.update().code];
    },
    refused: ["4.03"],
    accepted: ["2.01"],
    stays: ["GET /3/0/0", "2.04"],
    goes: ["4.04"],
  };
}

const RIVALS: readonly (readonly [name: string, open: () => Rivals])[] = [
  ["MQTT 5.0", () => mqttRivals(5)],
  ["MQTT 3.1.1", () => mqttRivals(4)],
  ["MQTT-SN", sensorRivals],
  ["STOMP", stompRivals],
  ["CoAP with a connection", coapRivals],
  ["LwM2M", meterRivals],
];

describe("a login that is not let in", () => {
  it.each(RIVALS)("leaves the device of that name alone where the server refuses it: %s", (_name, open) => {
    const { site, comes, hears, refused, stays } = open();
    const [line] = site.servers.of("dev");
    const before = line?.packets.length;
    site.script = refuses;
    expect(comes()).toEqual(refused);
    site.world.advance(seconds(15));
    // The server was told nothing over the device's own connection, and the login is not tried again.
    expect([line?.closed, line?.packets.length, site.servers.of("dev").length]).toEqual([false, before, 2]);
    site.script = () => undefined;
    expect(hears()).toEqual(stays);
  });

  it("nor where no server answers it, or its client goes before one has", () => {
    const { site, comes, hears, stays } = mqttRivals(5);
    site.script = ponders;
    expect(comes()).toEqual([]);
    site.world.advance(seconds(15));
    const impatient = site.device(5);
    impatient.connect("dev");
    impatient.stream.drop();
    site.world.advance(seconds(15));
    expect(site.servers.of("dev").map(({ closed }) => closed)).toEqual([false, true, true]);
    expect(hears()).toEqual(stays);
  });

  it("neither hurries nor delays the will of a device that is lost [MQTT-3.1.3-9]", () => {
    const site = scriptedSite();
    const device = site.device();
    const will = { ...WILL, properties: { willDelayInterval: 10 } };
    device.connect("dev", { ...KEPT, will });
    const line = site.servers.last("dev");
    device.stream.drop();
    site.world.advance(seconds(6));
    site.script = refuses;
    expect(site.device().connect("dev", { clean: true, will }).map(word)).toEqual(["connack 134"]);
    site.world.advance(seconds(3));
    expect([line.closed, line.got("publish")]).toEqual([false, []]);
    site.world.advance(seconds(2));
    expect(texts(line.got("publish"))).toEqual(["gone"]);
  });

  it("does not lengthen, shorten or end the session of a device that is away", () => {
    // Before MQTT 5 it is the gateway that ends it, by a CONNECT that wipes it.
    const site = scriptedSite(undefined, { server: { version: "3.1.1" } });
    const device = site.device();
    device.connect("dev", { clean: false, properties: { sessionExpiryInterval: 100 } });
    device.send({ cmd: "disconnect", reasonCode: 0 });
    site.world.advance(seconds(50));
    site.script = refuses;
    for (const sessionExpiryInterval of [0, 1_000]) {
      const clean = sessionExpiryInterval === 0;
      expect(
        site.device().connect("dev", { clean, properties: { sessionExpiryInterval } }).map(word),
      ).toEqual(["connack 134"]);
    }
    site.script = () => undefined;
    site.world.advance(seconds(45));
    expect(site.servers.of("dev")).toHaveLength(3);
    site.world.advance(seconds(10));
    expect(site.servers.of("dev").slice(3)).toMatchObject([
      { packets: [{ cmd: "connect", clean: true }, {}] },
    ]);
  });

  it("cannot use the connection that waits for a lost device: by another name, nor by AUTH", () => {
    const site = scriptedSite();
    const will = { ...WILL, properties: { willDelayInterval: 20 } };
    const device = site.device();
    device.connect("dev", { ...KEPT, will, username: "owner" });
    device.stream.drop();
    site.world.advance(seconds(1));
    site.script = refuses;
    const comes = (login: object) =>
      site
        .device()
        .connect("dev", { ...KEPT, will, ...login })
        .map(word);
    expect(comes({ username: "thief" })).toEqual(["connack 134"]);
    const proof = { authenticationMethod: "some", authenticationData: Buffer.from("no") };
    expect(comes({ username: "owner", properties: { ...KEPT.properties, ...proof } })).toEqual([
      "connack 134",
    ]);
    // Whoever says what its device has said is its device.
    expect(comes({ username: "owner" })).toEqual(["connack 0"]);
    expect(site.servers.of("dev")).toHaveLength(3);
  });
});

describe("a login that is let in", () => {
  const ORDERS = [
    ["0x8E", true],
    ["0x8E", false],
    ["no word", true],
    ["no word", false],
  ] as const;

  it.each(RIVALS)("takes the session, and the device that had it is told once: %s", (_name, open) => {
    for (const [ending, first] of ORDERS) {
      for (const length of [seconds(3), seconds(1)]) {
        const { site, comes, hears, accepted, goes } = open();
        site.world.advance(length);
        site.script = takesOver(site, ending, first);
        expect(comes()).toEqual(accepted);
        expect(hears()).toEqual(goes);
        // Nobody comes back by himself to take it again.
        site.world.advance(seconds(15));
        expect(site.servers.of("dev").map(({ closed }) => closed)).toEqual([true, false]);
      }
    }
  });

  it("publishes the will of the device that had it, before what its own client says [MQTT-3.1.4-3]", () => {
    for (const version of [4, 5] as const) {
      for (const clean of [true, false]) {
        for (const [ending, first] of ORDERS) {
          const site = scriptedSite();
          const device = site.device(version);
          device.connect("dev", version === 5 ? { ...KEPT, will: WILL } : { clean: false, will: WILL });
          site.script = takesOver(site, ending, first);
          const other = site.device(version);
          // Both in one go: nobody waits for CONNACK.
          const protocol = { protocolId: "MQTT", protocolVersion: version };
          other.send(
            { cmd: "connect", ...protocol, clientId: "dev", clean, keepalive: 0 },
            { cmd: "publish", topic: "a", payload: "here", qos: 0 },
          );
          site.world.settle();
          const [older, newer] = site.servers.of("dev");
          expect([texts(older?.got("publish") ?? []), texts(newer?.got("publish") ?? [])]).toEqual([
            [],
            ["gone", "here"],
          ]);
        }
      }
    }
  });

  it("publishes none that waits, that its device has taken back, or that a server before MQTT 5 has", () => {
    const published = (
      site: ScriptedSite,
      will: object,
      goes: (device: ReturnType<ScriptedSite["device"]>) => void = () => {},
    ) => {
      const device = site.device();
      device.connect("dev", { ...KEPT, will });
      site.script = takesOver(site, "0x8E", false);
      goes(device);
      site.device().connect("dev", KEPT);
      site.world.advance(seconds(15));
      return site.servers.of("dev").flatMap((line) => texts(line.got("publish")));
    };
    const waits = { ...WILL, properties: { willDelayInterval: 10 } };
    expect(published(scriptedSite(), waits)).toEqual([]);
    expect(published(scriptedSite(), WILL, (device) => device.send({ cmd: "disconnect" }))).toEqual([]);
    const before5 = scriptedSite(undefined, { server: { version: "3.1.1" } });
    expect(published(before5, WILL)).toEqual([]);
  });

  it("publishes that of a device whose connection broke and that the server lets in no more, too", () => {
    const site = scriptedSite();
    const device = site.device();
    device.connect("dev", { ...KEPT, will: WILL });
    site.world.advance(seconds(3));
    site.script = ponders;
    site.cut("dev");
    site.world.advance(seconds(5));
    site.device().connect("dev", KEPT);
    const [, again, theirs] = site.servers.of("dev");
    again?.say({ cmd: "connack", sessionPresent: false, reasonCode: 0x87, properties: {} });
    site.world.settle();
    expect(device.take().map(word)).toEqual(["disconnect 135"]);
    // It has held the will back for our sake, and takes it back now.
    theirs?.welcome(true);
    site.world.settle();
    expect(texts(theirs?.got("publish") ?? [])).toEqual(["gone"]);
  });

  it("publishes none where the server has not let it in", () => {
    const site = scriptedSite();
    site.device().connect("dev", { ...KEPT, will: WILL });
    // A server that takes a connection back at once is asked once more.
    site.world.advance(seconds(3));
    site.script = ponders;
    const refused = site.device();
    refused.connect("dev", KEPT);
    const [older, newer] = site.servers.of("dev");
    // Another gateway has it.
    older?.say({ cmd: "disconnect", reasonCode: 0x8e });
    older?.end();
    site.world.settle();
    newer?.say({ cmd: "connack", sessionPresent: false, reasonCode: 0x86, properties: {} });
    site.world.settle();
    expect(refused.take().map(word)).toEqual(["connack 134"]);
    site.script = () => undefined;
    site.device().connect("dev", KEPT);
    expect(site.servers.of("dev").flatMap((line) => texts(line.got("publish")))).toEqual([]);
  });

  it("ends those before it that no server has answered; one that comes after it may still be refused", () => {
    const site = scriptedSite(ponders);
    const [one, two, three] = [site.device(), site.device(), site.device()];
    for (const device of [one, two, three]) expect(device.connect("dev")).toEqual([]);
    const [, second, third] = site.servers.of("dev");
    second?.welcome();
    site.world.settle();
    expect([one, two, three].map((device) => device.take().map(word))).toEqual([[], ["connack 0"], []]);
    expect([one, two, three].map(({ closed }) => closed)).toEqual([true, false, false]);
    third?.say({ cmd: "connack", sessionPresent: false, reasonCode: 0x86, properties: {} });
    site.world.settle();
    expect(three.take().map(word)).toEqual(["connack 134"]);
    site.script = () => undefined;
    expect(two.publish("a", "x", { qos: 1, messageId: 1 }).map(word)).toEqual(["puback 0"]);
    expect(site.servers.of("dev").map(({ closed }) => closed)).toEqual([true, false, true]);
  });

  it("of another comes to the server behind the goodbye of the device that left, which has its answers first", () => {
    const site = scriptedSite((_line, { cmd }) => cmd === "publish");
    const device = site.device();
    device.connect("dev", { ...KEPT, will: WILL });
    device.publish("a", "x", { qos: 1, messageId: 1 });
    device.send({ cmd: "disconnect", reasonCode: 0 });
    const again = site.device();
    expect(again.connect("dev", { ...KEPT, username: "another" })).toEqual([]);
    expect(site.servers.of("dev")).toHaveLength(1);
    const [line] = site.servers.of("dev");
    line?.say({ cmd: "puback", messageId: line.got("publish")[0]?.["messageId"] });
    site.world.settle();
    // Without it the server would publish the will.
    expect(line?.got("disconnect")).toMatchObject([{ reasonCode: 0 }]);
    expect(again.take().map(word)).toEqual(["connack 0"]);
  });

  it("finds what is remembered of it, also where the server first tells the connection that is kept for it", () => {
    const site = scriptedSite();
    site.sensor().connect("dev", { clean: false });
    expect(site.sensor().register("long/topic")).toEqual(["REGACK 1 #1 code 0"]);
    site.world.advance(seconds(3));
    // A NAT has given its address to another one.
    site.sensor().connect("other");
    site.script = takesOver(site, "0x8E", true);
    const moved = site.sensor(10_001);
    moved.connect("dev", { clean: false, will: true });
    moved.willTopic("w");
    expect(moved.willMessage("gone")).toEqual(["CONNACK code 0"]);
    expect(moved.publish(1, "x", { qos: 1 })).toEqual(["PUBACK 1 #1 code 0"]);
    expect(site.servers.of("dev")).toHaveLength(2);
  });

  it("begins anew at a server before MQTT 5: the device that was there goes when its session is wiped", () => {
    const site = scriptedSite(undefined, { server: { version: "3.1.1" } });
    const device = site.device();
    device.connect("dev", KEPT);
    site.script = takesOver(site, "no word", false);
    const other = site.device();
    expect(
      other.connect("dev", { clean: true, properties: { sessionExpiryInterval: 100 } }).map(word),
    ).toEqual(["connack 0"]);
    expect(device.take().map(word)).toEqual(["disconnect 142"]);
    site.world.advance(seconds(15));
    const cleans = site.servers.of("dev").map((line) => line.got("connect")[0]?.["clean"]);
    expect([cleans, other.closed]).toEqual([[false, true, false], false]);
  });
});
