/** Two gateways before one broker: what a device began at one that is killed goes on at the other. */
import { createSocket } from "node:dgram";
import mqtt, { type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { textOption, textsOf, uintOption, type WireMessage } from "../../support/coap-bytes.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startMosquitto, startRedis } from "../../support/servers.ts";
import { CoapSocket } from "../../support/store-coap.ts";
import { type StoreProcess, StoreSite, until } from "../../support/store-process.ts";

const PATIENCE = 240_000;
const URI_PATH = 11;
const URI_QUERY = 15;
const OBSERVE = 6;
const LOCATION_PATH = 8;

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
    const ends: (() => unknown)[] = [];

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
      for (const end of ends.splice(0)) await end();
      app.end(true);
      a.close();
      b.close();
      await broker.stop();
      await redis.stop();
    }, PATIENCE);

    async function sn(site: StoreSite): Promise<SnSocket> {
      const socket = await SnSocket.open(site.ports.mqttSn);
      ends.push(() => socket.close());
      return socket;
    }

    function coap(site: StoreSite): CoapSocket {
      const socket = new CoapSocket(site.ports.coap);
      ends.push(() => socket.close());
      return socket;
    }

    it("MQTT-SN: a sleeper wakes at the other with its topic ids and its queue in order", async () => {
      const before = await sn(a);
      expect(await before.ask(message(`04 00 01 003c ${hexOf("sleeper")}`))).toBe("030500");
      expect(await before.ask(message(`0a 0000 0001 ${hexOf("up/one")}`))).toBe("070b0001000100");
      expect(await before.ask(message(`0a 0000 0002 ${hexOf("up/two")}`))).toBe("070b0002000200");
      expect(await before.ask(message(`12 20 0003 ${hexOf("down/s")}`))).toBe("0813200003000300");
      expect(await before.ask("0418 0e10")).toBe("0218");
      await process.kill("SIGKILL");
      await app.subscribeAsync("up/#", { qos: 1 });
      for (const text of ["1", "2", "3"]) await app.publishAsync("down/s", text, { qos: 1 });
      const after = await sn(b);
      await after.send(message(`16 ${hexOf("sleeper")}`));
      const seen: string[] = [];
      for (let datagram = await after.next(); datagram !== "0217"; datagram = await after.next()) {
        const type = datagram.slice(2, 4);
        // REGISTER: the id that the topic had at the other gateway.
        if (type === "0a") {
          expect(datagram.slice(4, 8)).toBe("0003");
          await after.send(`07 0b ${datagram.slice(4, 12)} 00`);
        }
        if (type !== "0c") continue;
        if (!seen.includes(datagram.slice(14))) seen.push(datagram.slice(14));
        await after.send(`07 0d ${datagram.slice(6, 14)} 00`);
      }
      expect(seen).toEqual(["31", "32", "33"]);
      // It connects with its session, and publishes by an id that it was given at the other gateway.
      expect(await after.ask(message(`04 00 01 003c ${hexOf("sleeper")}`))).toBe("030500");
      expect(await after.ask(message(`0c 20 0002 0009 ${hexOf("hi")}`))).toBe("070d0002000900");
      await until(() => heard.includes("up/two hi"), "the publish did not arrive", PATIENCE);
    });

    it("LwM2M: a device updates at the other, and is commanded there", async () => {
      const before = coap(a);
      const query = ["ep=dev", "lt=3600", "lwm2m=1.1", "b=U"].map((part) => textOption(URI_QUERY, part));
      const rd = [textOption(URI_PATH, "rd"), ...query, uintOption(12, 40)];
      const registered = await before.request({ code: "0.02", options: rd, payload: "</3/0>" });
      expect(registered.code).toBe("2.01");
      const location = textsOf(registered, LOCATION_PATH).map((part) => textOption(URI_PATH, part));
      await process.kill("SIGKILL");
      const after = coap(b);
      const executed: WireMessage[] = [];
      after.asked = (request) => {
        executed.push(request);
        return { code: "2.04", options: [], payload: new Uint8Array(0) };
      };
      await app.subscribeAsync("lwm2m/dev/#", { qos: 1 });
      expect((await after.request({ code: "0.02", options: location })).code).toBe("2.04");
      const command = { reqID: 7, msgType: "execute", data: { path: "/3/0/4" } };
      await app.publishAsync("lwm2m/dev/dn/x", JSON.stringify(command), { qos: 1 });
      await until(() => executed.length === 1, "it was not commanded", PATIENCE);
      await until(
        () => heard.some((each) => each.includes('"reqID":7') && each.includes("2.04")),
        "no answer",
        PATIENCE,
      );
      expect((await after.request({ code: "0.04", options: location })).code).toBe("2.02");
    });

    it("CoAP: an observer returns at the other, and is told what comes", async () => {
      const options = (value: number) => [
        uintOption(OBSERVE, value),
        ...["ps", "news"].map((part) => textOption(URI_PATH, part)),
        textOption(URI_QUERY, "clientid=watcher"),
      ];
      await app.publishAsync("news", "old", { qos: 1, retain: true });
      const before = coap(a);
      const first = await before.request({ code: "0.01", options: options(0) });
      expect([first.code, Buffer.from(first.payload).toString()]).toEqual(["2.05", "old"]);
      await process.kill("SIGKILL");
      const after = coap(b);
      const told: string[] = [];
      const again = await after.request({ code: "0.01", options: options(0) }, (text) => told.push(text));
      expect([again.code, Buffer.from(again.payload).toString()]).toEqual(["2.05", "old"]);
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
