/** What devices of each gateway are at a server elsewhere (upstream sheet U-050 to U-053, U-058). */
import { describe, expect, it } from "vitest";
import { minutes, seconds } from "#core/lib/time.ts";
import {
  isOwn,
  type Setting,
  said,
  scriptedMeters,
  scriptedSite,
  swallowsPublish,
  texts,
  wanted,
} from "../../support/scripted-site.ts";
import { header } from "../../support/stomp-frames.ts";

describe("MQTT-SN (U-050)", () => {
  it("a short sleep is held, a long one gives the connection up, and PINGREQ of the device takes it up again", () => {
    const site = scriptedSite();
    const sensor = site.sensor();
    sensor.connect("dev", { clean: false });
    sensor.subscribe("a", 1);
    sensor.disconnect(200);
    site.world.settle();
    expect(site.got("dev", "disconnect")).toEqual([]);
    sensor.connect("dev", { clean: false });
    sensor.disconnect(3_600);
    site.world.settle();
    expect(site.got("dev", "disconnect")).toMatchObject([{ reasonCode: 0 }]);
    site.scriptForAll = (line, packet) => {
      if (line.clientId !== "dev" || packet.cmd !== "connect") return undefined;
      line.answer(packet, true);
      line.say({ cmd: "publish", topic: "a", payload: "kept", qos: 1, messageId: 9 });
      return true;
    };
    sensor.hear();
    site.world.advance(minutes(30));
    expect(site.servers.of("dev")).toHaveLength(1);
    const heard = sensor.ping("dev");
    site.world.settle();
    heard.push(...sensor.hear());
    expect([site.servers.of("dev").length, heard]).toEqual([2, ['PUBLISH 1 #9 qos1 "kept"']]);
    expect(site.got("dev", "puback")).toEqual([]);
    const last = sensor.puback(1, 9);
    site.world.advance(seconds(1));
    expect(site.got("dev", "puback")).toMatchObject([{ messageId: 9 }]);
    expect([...last, ...sensor.hear()]).toEqual(["PINGRESP"]);
    // It sleeps on.
    expect(site.got("dev", "disconnect")).toMatchObject([{ reasonCode: 0 }]);
  });

  it("DISCONNECT without a duration is one there, and a device that is lost has its will published (U-045)", () => {
    const site = scriptedSite();
    const sensor = site.sensor();
    sensor.connect("dev", { will: true, keepAlive: 60 });
    sensor.willTopic("w", 1);
    sensor.willMessage("gone");
    expect(sensor.disconnect()).toEqual(["DISCONNECT"]);
    site.world.settle();
    expect([site.got("dev", "publish"), site.got("dev", "disconnect")]).toMatchObject([
      [],
      [{ reasonCode: 0 }],
    ]);
    sensor.connect("dev", { will: true, keepAlive: 60 });
    sensor.willTopic("w", 1);
    sensor.willMessage("gone");
    site.world.advance(minutes(5));
    expect(site.got("dev", "publish")).toMatchObject([{ topic: "w", qos: 1 }]);
  });
});

describe("CoAP (U-051)", () => {
  it("GET is a short subscription of the gateway itself: what is retained, or 4.04", () => {
    const site = scriptedSite();
    site.scriptForAll = (line, { cmd, messageId, subscriptions }) => {
      if (cmd !== "subscribe" || !isOwn(line.clientId)) return undefined;
      line.say({ cmd: "suback", messageId, granted: [0] });
      const [{ topic }] = subscriptions as [{ topic: string }];
      if (topic === "there") line.say({ cmd: "publish", topic, payload: "21.5", qos: 0, retain: true });
      return true;
    };
    const device = site.coap();
    expect(device.ask({ path: "ps/there" })).toMatchObject({ code: "2.05", payload: "21.5" });
    expect(device.ask({ path: "ps/not", id: 2 }).code).toBe("4.04");
    site.world.settle();
    expect(site.own("unsubscribe").flatMap((each) => each["unsubscriptions"])).toEqual(["there", "not"]);
  });

  it("an observation is a subscription for as long: what comes is acknowledged when the observer has it", () => {
    const site = scriptedSite();
    const device = site.coap();
    const observe = (value: 0 | 1) => device.ask({ path: "ps/a", token: "o", options: [[6, value]] });
    expect(observe(0).number(6)).toBeDefined();
    const line = site.servers.lines.find((each) => each.got("subscribe").length > 0 && !isOwn(each.clientId));
    expect(wanted(line?.got("subscribe") ?? [])).toMatchObject([{ topic: "a" }]);
    line?.say({ cmd: "publish", topic: "a", payload: "1", qos: 1, messageId: 5 });
    site.world.settle();
    const [notified] = device.take();
    expect([notified?.type, notified?.token, notified?.payload, line?.got("puback")]).toEqual([
      "CON",
      "o",
      "1",
      [],
    ]);
    device.acknowledge(notified?.id ?? 0);
    site.world.settle();
    expect(line?.got("puback")).toMatchObject([{ messageId: 5 }]);
    observe(1);
    site.world.settle();
    expect(line?.got("unsubscribe").length === 1 || line?.got("disconnect").length === 1).toBe(true);
  });

  it("DELETE is an empty retained message", () => {
    const site = scriptedSite();
    site.scriptForAll = (line, { cmd, messageId }) => {
      if (cmd !== "subscribe") return undefined;
      line.say({ cmd: "suback", messageId, granted: [0] });
      line.say({ cmd: "publish", topic: "a", payload: "21.5", qos: 0, retain: true });
      return true;
    };
    expect(site.coap().ask({ code: "DELETE", path: "ps/a" }).code).toBe("2.02");
    site.world.settle();
    const [publish, ...more] = site.own("publish");
    expect([publish?.["topic"], publish?.["retain"], String(publish?.["payload"]), more]).toEqual([
      "a",
      true,
      "",
      [],
    ]);
  });

  it("each device's publishes go over one connection, so that their order holds (U-058)", () => {
    const site = scriptedSite(() => undefined, {
      options: { pool: { connections: 4, lookupTimeout: seconds(5) } },
    });
    const devices = Array.from({ length: 8 }, (_, index) => site.coap(10_000 + index));
    for (let round = 0; round < 5; round++)
      for (const [index, device] of devices.entries())
        device.ask({ code: "PUT", path: `ps/d/${index}`, payload: `${round}`, id: 100 + round });
    site.world.settle();
    const lines = site.servers.lines.filter(({ clientId }) => isOwn(clientId));
    for (const index of devices.keys()) {
      const heard = lines.map((line) =>
        texts(line.got("publish").filter(({ topic }) => topic === `d/${index}`)),
      );
      expect(heard.filter((each) => each.length > 0)).toEqual([["0", "1", "2", "3", "4"]]);
    }
  });
});

describe("LwM2M (U-052)", () => {
  it("a command is acknowledged to the server when the device has answered it, and its report has arrived", () => {
    const { site, meter } = scriptedMeters();
    const device = meter("dev");
    device.register({ lt: "86400" });
    site.world.settle();
    const line = site.servers.last("dev");
    const reports = line.got("publish").length;
    site.script = swallowsPublish;
    device.on("GET /3/0/0", { code: "2.05", payload: "x" });
    const command = { reqID: 1, msgType: "read", data: { path: "/3/0/0" } };
    const topic = "lwm2m/dev/dn/command";
    line.say({ cmd: "publish", topic, payload: JSON.stringify(command), qos: 1, messageId: 77 });
    site.world.settle();
    const [report] = line.got("publish").slice(reports);
    expect([device.lines(), line.got("puback")]).toEqual([["GET /3/0/0"], []]);
    expect(JSON.parse(String(report?.["payload"]))).toMatchObject({ reqID: 1, msgType: "read" });
    line.say({ cmd: "puback", messageId: report?.["messageId"], reasonCode: 0 });
    site.world.settle();
    expect(line.got("puback")).toMatchObject([{ messageId: 77 }]);
  });
});

describe("STOMP (U-053)", () => {
  const listening = (ack: string, headers: Record<string, string> = {}, setting: Setting = {}) => {
    const site = scriptedSite(undefined, setting);
    const backend = site.stomp("dev");
    backend.say("SUBSCRIBE", { destination: "a", id: "1", ack, receipt: "s", ...headers });
    site.world.settle();
    expect(said(backend.next())).toBe("RECEIPT s");
    const line = site.servers.lines.find((each) => each.got("subscribe").length > 0);
    if (line === undefined) throw new Error("no SUBSCRIBE");
    const sends = (...ids: number[]): string[] => {
      for (const messageId of ids) line.say({ cmd: "publish", topic: "a", payload: "x", qos: 1, messageId });
      site.world.settle();
      return backend.heard().map((frame) => header(frame, "ack") ?? "");
    };
    const acknowledged = () => {
      site.world.settle();
      return line.got("puback").map(({ messageId, reasonCode }) => `${messageId} ${reasonCode ?? 0}`);
    };
    return { site, backend, line, sends, acknowledged };
  };

  it("ack:auto is acknowledged to the server when it is written", () => {
    const { sends, acknowledged } = listening("auto");
    sends(1, 2);
    expect(acknowledged()).toEqual(["1 0", "2 0"]);
  });

  it("ack:client with ACK for all before it, ack:client-individual for one", () => {
    const all = listening("client");
    const marks = all.sends(1, 2, 3);
    expect(all.acknowledged()).toEqual([]);
    all.backend.say("ACK", { id: marks[1] as string });
    expect(all.acknowledged()).toEqual(["1 0", "2 0"]);
    const single = listening("client-individual");
    const own = single.sends(1, 2, 3);
    single.backend.say("ACK", { id: own[1] as string });
    expect(single.acknowledged()).toEqual(["2 0"]);
  });

  it("the server sends as many as prefetch-count says: a client that acknowledges each two-hundredth is not starved", () => {
    const { line } = listening("client", { "prefetch-count": "200" });
    expect(line.got("connect")).toMatchObject([{ properties: { receiveMaximum: 200 } }]);
  });

  it("NACK: MQTT knows no redelivery on request, so it is this gateway that delivers again, or it ends there", () => {
    const again = listening("client-individual");
    again.backend.say("NACK", { id: again.sends(1)[0] as string });
    expect(again.acknowledged()).toEqual([]);
    expect(again.backend.heard().map(({ command }) => command)).toEqual(["MESSAGE"]);
    const setting = { stomp: { acknowledgements: { nack: "dead-letter" } } };
    const dropped = listening("client-individual", {}, setting);
    dropped.backend.say("NACK", { id: dropped.sends(1)[0] as string });
    expect(dropped.acknowledged()).toEqual(["1 128"]);
    expect(dropped.site.counters.dead.value).toBe(1);
    const letters = { nack: "dead-letter", deadLetterTopic: "dead/%t" };
    const moved = listening("client-individual", {}, { stomp: { acknowledgements: letters } });
    moved.backend.say("NACK", { id: moved.sends(1)[0] as string });
    moved.site.world.settle();
    expect(moved.site.servers.lines.flatMap((line) => line.got("publish"))).toMatchObject([
      { topic: "dead/a" },
    ]);
  });

  it("a transaction is held here until COMMIT, then sent in its order", () => {
    const site = scriptedSite();
    const backend = site.stomp("dev");
    backend.say("BEGIN", { transaction: "t" });
    for (const body of ["1", "2"]) backend.say("SEND", { destination: "a", transaction: "t" }, body);
    site.world.settle();
    expect(site.got("dev", "publish")).toEqual([]);
    backend.say("COMMIT", { transaction: "t", receipt: "r" });
    site.world.settle();
    expect([texts(site.got("dev", "publish")), said(backend.next())]).toEqual([["1", "2"], "RECEIPT r"]);
  });
});
