/** Two gateways before one broker: what a device began at one that is killed goes on at the other. */
import { createSocket } from "node:dgram";
import mqtt, { type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { hexOf, message } from "../../support/mqtt-sn-socket.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startMosquitto, startRedis } from "../../support/servers.ts";
import { type StoreProcess, StoreSite, until } from "../../support/store-process.ts";
import {
  connectSn,
  deregister,
  execute,
  executes,
  observe,
  publishById,
  register,
  registerTopic,
  Sockets,
  sleep,
  update,
  wakeUp,
} from "../../support/upstream-devices.ts";
import { publish, STAYS, subscribe, tell } from "./transparent/steps.ts";
import { streamTo, Talker } from "./transparent/talker.ts";

const PATIENCE = 240_000;

describe.skipIf(lacks("mosquitto", "redis-server")).each(["retained", "redis"] as const)(
  "devices whose gateway is killed, with what is remembered of them in %s",
  { timeout: PATIENCE },
  (keep) => {
    let broker: Server;
    let redis: Server;
    let a: StoreSite;
    let b: StoreSite;
    let process: StoreProcess;
    let app: MqttClient;
    const heard: string[] = [];
    const sockets = new Sockets();

    beforeEach(async () => {
      [broker, redis] = await Promise.all([startMosquitto(), startRedis()]);
      [a, b] = [await StoreSite.create(), await StoreSite.create()];
      for (const site of [a, b]) {
        const udp = { transport: "udp", bind: "127.0.0.1", port: site.ports.coap };
        const stack = { amplification: "off" };
        site.configure(
          {
            bus: {
              engine: "upstream",
              upstream: {
                servers: [`tcp://127.0.0.1:${broker.port}`],
                // Nobody is given up because a machine is slow.
                ...{ grace: "10m", patience: "10m", linger: "10m", pool: { lookupTimeout: "2m" } },
                devices: { keep, redis: { port: redis.port, timeout: "2m" } },
              },
            },
          },
          { coap: { listeners: { udp, tcp: { enable: false } }, stack }, lwm2m: { stack } },
        );
      }
      [process] = await Promise.all([a.start(), b.start()]);
      heard.length = 0;
      app = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port}`, { connectTimeout: PATIENCE });
      app.on("message", (topic, payload) => heard.push(`${topic} ${payload}`));
    }, PATIENCE);

    afterEach(async () => {
      await sockets.close();
      app.end(true);
      a.close();
      b.close();
      await broker.stop();
      await redis.stop();
    }, PATIENCE);

    it("MQTT-SN: a sleeper wakes at the other with its topic ids and its queue in order", async () => {
      const before = await sockets.sn(a.ports.mqttSn);
      await connectSn(before, "sleeper", true);
      await registerTopic(before, "up/one", "0001", "0001");
      await registerTopic(before, "up/two", "0002", "0002");
      expect(await before.ask(message(`12 20 0003 ${hexOf("down/s")}`))).toBe("0813200003000300");
      await sleep(before);
      await process.kill("SIGKILL");
      await app.subscribeAsync("up/#", { qos: 1 });
      for (const text of ["1", "2", "3"]) await app.publishAsync("down/s", text, { qos: 1 });
      const after = await sockets.sn(b.ports.mqttSn);
      const { texts, topicIds } = await wakeUp(after, "sleeper");
      expect(texts).toEqual(["1", "2", "3"]);
      // The id that the topic had at the other gateway.
      expect(new Set(topicIds)).toEqual(new Set(["0003"]));
      // It connects with its session, and publishes by an id that it was given at the other gateway.
      await connectSn(after, "sleeper");
      await publishById(after, "0002", "0009", "hi");
      await until(() => heard.includes("up/two hi"), "the publish did not arrive", PATIENCE);
    });

    it("LwM2M: a device updates at the other, and is commanded there", async () => {
      const location = await register(sockets.coap(a.ports.coap), "dev");
      await process.kill("SIGKILL");
      const after = sockets.coap(b.ports.coap);
      const executed = executes(after);
      await app.subscribeAsync("lwm2m/dev/#", { qos: 1 });
      await update(after, location);
      await app.publishAsync("lwm2m/dev/dn/x", execute(7, "/3/0/4"), { qos: 1 });
      await until(() => executed.length === 1, "it was not commanded", PATIENCE);
      const answered = (each: string) => each.includes('"reqID":7') && each.includes("2.04");
      await until(() => heard.some(answered), "no answer", PATIENCE);
      await deregister(after, location);
    });

    it("MQTT: what is under way at QoS 1 and 2, either way, goes on at the other: QoS 2 arrives once, QoS 1 at least once", async () => {
      const open = (port: number) => new Talker(streamTo("tcp", port), 5, () => {}, "device");
      await app.subscribeAsync("up/#", { qos: 2 });
      const before = open(a.ports.mqtt);
      await before.connect(STAYS);
      await before.ask(subscribe(9, ["down/#", 2]));
      await app.publishAsync("down/2", "two", { qos: 2 });
      await app.publishAsync("down/1", "one", { qos: 1 });
      // It has both, and has acknowledged neither.
      const handed = await before.next(2);
      await before.ask(publish("up/received", 2, 1));
      before.say(publish("up/sent", 2, 2), publish("up/once", 1, 3));
      await process.kill("SIGKILL");
      before.cut();
      const after = open(b.ports.mqtt);
      expect(await after.connect(STAYS)).toMatchObject([{ sessionPresent: true }]);
      // [MQTT-4.4.0-1]
      const repeated = { dup: true };
      after.say({ cmd: "pubrel", messageId: 1 });
      after.say(publish("up/sent", 2, 2, repeated), publish("up/once", 1, 3, repeated));
      const got: Record<string, unknown>[] = [];
      const kinds = () => got.map(({ cmd, messageId }) => `${cmd} ${messageId}`);
      while (!["pubcomp 1", "pubrec 2", "puback 3"].every((each) => kinds().includes(each)))
        got.push(...(await after.next()));
      after.say({ cmd: "pubrel", messageId: 2 });
      while (!kinds().includes("pubcomp 2")) got.push(...(await after.next()));
      const again = () => got.filter(({ cmd }) => cmd === "publish");
      while (again().length < 2) got.push(...(await after.next()));
      const ids = (packets: readonly Record<string, unknown>[]) =>
        packets.map(({ topic, messageId }) => `${topic} ${messageId}`).sort();
      expect([ids(again()), again().every(({ dup }) => dup)]).toEqual([ids(handed), true]);
      await until(() => heard.some((each) => each.startsWith("up/sent")), "it did not arrive", PATIENCE);
      // Whatever would come a second time has come before this.
      await tell(after, "up/end", 2, 4);
      await until(() => heard.some((each) => each.startsWith("up/end")), "nothing came", PATIENCE);
      const times = (topic: string) => heard.filter((each) => each.startsWith(topic)).length;
      expect([times("up/received"), times("up/sent"), times("up/once") > 0]).toEqual([1, 1, true]);
      after.cut();
    });

    it("CoAP: an observer returns at the other, and is told what comes", async () => {
      await app.publishAsync("news", "old", { qos: 1, retain: true });
      expect(await observe(sockets.coap(a.ports.coap))).toBe("old");
      await process.kill("SIGKILL");
      const told: string[] = [];
      expect(await observe(sockets.coap(b.ports.coap), (text) => told.push(text))).toBe("old");
      await app.publishAsync("news", "new", { qos: 1 });
      await until(() => told.includes("new"), "it was not told", PATIENCE);
    });
  },
);

describe.skipIf(lacks("mosquitto"))("a gateway that remembers devices at the cluster", () => {
  let broker: Server;
  let gateway: TestGateway;
  const ends: (() => unknown)[] = [];

  beforeEach(async () => {
    broker = await startMosquitto();
    const servers = [`tcp://127.0.0.1:${broker.port}`];
    const pool = { lookupTimeout: "2m" };
    gateway = await startGateway({
      bus: {
        engine: "upstream",
        upstream: { servers, patience: "10m", pool, devices: { keep: "retained" } },
      },
      gateways: { mqtt: {}, coap: { stack: { amplification: "off" } }, lwm2m: {} },
    });
  }, PATIENCE);

  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
    await gateway.stop();
    await broker.stop();
  }, PATIENCE);

  it("LwM2M: a location that nobody knows is 4.04", { timeout: PATIENCE }, async () => {
    const socket = createSocket("udp4");
    ends.push(() => socket.close());
    const codes: number[] = [];
    // An empty acknowledgement says that the answer comes later.
    socket.on("message", (bytes) => bytes[1] !== 0 && codes.push(bytes[1] as number));
    const update = Buffer.from(
      `41020007 01 b2${hexOf("rd")} 0c${hexOf("AAAAAAAAAAAA")}`.replaceAll(" ", ""),
      "hex",
    );
    const asked = setInterval(() => socket.send(update, gateway.port("coap", "udp"), "127.0.0.1"), 200);
    await until(() => codes.length > 0, "no answer", PATIENCE);
    clearInterval(asked);
    expect(codes[0]).toBe(0x84);
  });

  it("keeps devices out of what the gateways keep there", { timeout: PATIENCE }, async () => {
    const device = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`, {
      protocolVersion: 5,
      connectTimeout: PATIENCE,
    });
    ends.push(() => device.end(true));
    for (const filter of ["$isthmus/#", "$isthmus/devices/+", "$share/g/$isthmus/#"]) {
      await expect(device.subscribeAsync(filter)).rejects.toMatchObject({ packet: { granted: [0x87] } });
    }
    const publish = device.publishAsync("$isthmus/devices/x", "y", { qos: 1, retain: true });
    await expect(publish).rejects.toMatchObject({ code: 0x87 });
  });
});
