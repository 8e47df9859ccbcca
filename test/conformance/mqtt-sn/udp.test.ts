import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import mqtt, { type MqttClient } from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";
import { lacks } from "../../support/programs.ts";

const run = promisify(execFile);

let gateway: TestGateway;
let client: MqttClient;
const heard: { topic: string; payload: string; qos: number; retain: boolean }[] = [];
const sockets: SnSocket[] = [];

const open = async (): Promise<SnSocket> => {
  const socket = await SnSocket.open(gateway.port("mqtt-sn", "udp"));
  sockets.push(socket);
  return socket;
};
const connect = (id: string, flags = "04", keepAlive = "003c"): string =>
  message(`04 ${flags} 01 ${keepAlive} ${hexOf(id)}`);
const until = async (ready: () => boolean): Promise<void> => {
  for (let turn = 0; !ready(); turn++) {
    if (turn > 2000) throw new Error("it did not happen");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

beforeAll(async () => {
  gateway = await startGateway({
    gateways: {
      mqtt: {},
      "mqtt-sn": {
        predefinedTopics: [{ id: 513, topic: "pre/defined" }],
        gatewayId: 42,
        retryInterval: "2s",
      },
    },
  });
  client = mqtt.connect(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`, { protocolVersion: 5 });
  client.on("message", (topic, payload, { qos, retain }) =>
    heard.push({ topic, payload: payload.toString(), qos, retain }),
  );
  await new Promise<void>((resolve) => client.once("connect", () => resolve()));
  await client.subscribeAsync("up/#", { qos: 2 });
  await client.subscribeAsync(["pre/#", "+"], { qos: 2 });
});

afterAll(async () => {
  for (const socket of sockets) await socket.close();
  await client.endAsync(true);
  await gateway.stop();
});

describe("MQTT-SN 1.2 over UDP, MQTT on the other side", () => {
  it("publishes at QoS 0, 1 and 2 to an MQTT client", async () => {
    const device = await open();
    expect(await device.ask(connect("c1"))).toBe("030500");
    expect(await device.ask(message(`0a 0000 0001 ${hexOf("up/one")}`))).toBe("070b0001000100");
    await device.send(message(`0c 00 0001 0000 ${hexOf("zero")}`));
    expect(await device.ask(message(`0c 20 0001 0002 ${hexOf("one")}`))).toBe("070d0001000200");
    expect(await device.ask(message(`0c 40 0001 0003 ${hexOf("two")}`))).toBe("040f0003");
    expect(await device.ask("0410 0003")).toBe("040e0003");
    await until(() => heard.length >= 3);
    expect(heard.splice(0)).toEqual([
      { topic: "up/one", payload: "zero", qos: 0, retain: false },
      { topic: "up/one", payload: "one", qos: 1, retain: false },
      { topic: "up/one", payload: "two", qos: 2, retain: false },
    ]);
  });

  it("publishes by predefined id, short name and with QoS -1 without a connection", async () => {
    const device = await open();
    await device.send(message(`0c 61 0201 0000 ${hexOf("minus")}`));
    await device.ask(connect("c2"));
    expect(await device.ask(message(`0c 21 0201 0001 ${hexOf("id")}`))).toBe("070d0201000100");
    expect(await device.ask(message(`0c 22 6162 0002 ${hexOf("short")}`))).toBe("070d6162000200");
    await until(() => heard.length >= 3);
    expect(heard.splice(0).map(({ topic, payload }) => [topic, payload])).toEqual([
      ["pre/defined", "minus"],
      ["pre/defined", "id"],
      ["ab", "short"],
    ]);
  });

  it("delivers from an MQTT client at QoS 0, 1 and 2, with REGISTER where the topic is new", async () => {
    const device = await open();
    await device.ask(connect("c3"));
    expect(await device.ask(message(`12 40 0001 ${hexOf("down/#")}`))).toBe("0813400000000100");
    await client.publishAsync("down/x", "hello", { qos: 2 });
    expect(await device.next()).toBe(message(`0a 0001 0001 ${hexOf("down/x")}`));
    expect(await device.ask("070b 0001 0001 00")).toBe(message(`0c 40 0001 0001 ${hexOf("hello")}`));
    expect(await device.ask("040f 0001")).toBe("04100001");
    await device.send("040e 0001");
    await client.publishAsync("down/x", "again", { qos: 1 });
    expect(await device.next()).toBe(message(`0c 20 0001 0002 ${hexOf("again")}`));
    await device.send("070d 0001 0002 00");
    await client.publishAsync("down/x", "nought", { qos: 0 });
    expect(await device.next()).toBe(message(`0c 00 0001 0000 ${hexOf("nought")}`));
  });

  it("sets RETAIN on a retained message, and DUP on a repeat", async () => {
    await client.publishAsync("keep/me", "kept", { qos: 1, retain: true });
    const device = await open();
    await device.ask(connect("c4"));
    expect(await device.ask(message(`12 20 0001 ${hexOf("keep/me")}`))).toBe("0813200001000100");
    expect(await device.next()).toBe(message(`0c 30 0001 0001 ${hexOf("kept")}`));
    expect(await device.next()).toBe(message(`0c b0 0001 0001 ${hexOf("kept")}`));
    await device.send("070d 0001 0001 00");
    await client.publishAsync("keep/me", "", { qos: 1, retain: true });
  });

  it("carries 1,200 octets both ways, whole", async () => {
    const device = await open();
    await device.ask(connect("c5"));
    await device.ask(message(`0a 0000 0001 ${hexOf("up/long")}`));
    const payload = "x".repeat(1200);
    const length = (1200 + 9).toString(16).padStart(4, "0");
    expect(await device.ask(`01 ${length} 0c 20 0001 0002 ${hexOf(payload)}`)).toBe("070d0001000200");
    await until(() => heard.length >= 1);
    expect(heard.splice(0)[0]?.payload).toBe(payload);
    await device.ask(message(`12 00 0003 ${hexOf("down/long")}`));
    await client.publishAsync("down/long", payload);
    expect(await device.next()).toBe(`01${length}0c0000020000${hexOf(payload)}`);
  });

  it("a sleeper wakes on a new port, gets what mosquitto_pub sent in order, then PINGRESP", async () => {
    const device = await open();
    await device.ask(connect("sleeper", "00"));
    await device.ask(message(`12 20 0001 ${hexOf("down/s")}`));
    expect(await device.ask("0418 0e10")).toBe("0218");
    const port = String(gateway.port("mqtt", "tcp"));
    for (const payload of ["first", "second"]) {
      await run("mosquitto_pub", ["-h", "127.0.0.1", "-p", port, "-t", "down/s", "-m", payload, "-q", "1"]);
    }
    const awake = await open();
    expect(await awake.ask(message(`16 ${hexOf("sleeper")}`))).toBe(
      message(`0c 20 0001 0001 ${hexOf("first")}`),
    );
    expect(await awake.ask("070d 0001 0001 00")).toBe(message(`0c 20 0001 0002 ${hexOf("second")}`));
    expect(await awake.ask("070d 0001 0002 00")).toBe("0217");
    expect(device.unread).toBe(0);
  });

  it.skipIf(lacks("mosquitto_sub"))("publishes to mosquitto_sub", async () => {
    const port = String(gateway.port("mqtt", "tcp"));
    const sub = spawn("mosquitto_sub", [
      "-h",
      "127.0.0.1",
      "-p",
      port,
      "-t",
      "sub/me",
      "-q",
      "1",
      "-C",
      "1",
      "-v",
    ]);
    const out: Buffer[] = [];
    sub.stdout.on("data", (bytes: Buffer) => out.push(bytes));
    const closed = once(sub, "close");
    const { sessions } = gateway.composition;
    await until(() => [...sessions.all()].some((session) => session.subscriptions.has("sub/me")));
    const device = await open();
    await device.ask(connect("c6"));
    await device.ask(message(`0a 0000 0001 ${hexOf("sub/me")}`));
    await device.ask(message(`0c 20 0001 0002 ${hexOf("hi")}`));
    await closed;
    expect(Buffer.concat(out).toString()).toBe("sub/me hi\n");
  });

  it("publishes the will of a device that falls silent", async () => {
    const device = await open();
    expect(await device.ask(connect("mortal", "0c", "0001"))).toBe("0206");
    expect(await device.ask(message(`07 20 ${hexOf("up/will")}`))).toBe("0208");
    expect(await device.ask(message(`09 ${hexOf("gone")}`))).toBe("030500");
    expect(await device.next()).toBe("0218");
    await until(() => heard.length >= 1);
    expect(heard.splice(0)).toEqual([{ topic: "up/will", payload: "gone", qos: 1, retain: false }]);
  });

  it("tells two devices behind one forwarder apart", async () => {
    const forwarder = await open();
    expect(await forwarder.ask(`05fe00aa01${connect("f1")}`)).toBe("05fe00aa01030500");
    expect(await forwarder.ask(`05fe00aa02${connect("f2")}`)).toBe("05fe00aa02030500");
    expect(await forwarder.ask(`05fe00aa01${message(`12 00 0001 ${hexOf("down/f")}`)}`)).toBe(
      "05fe00aa010813000001000100",
    );
    await client.publishAsync("down/f", "x");
    expect(await forwarder.next()).toBe(`05fe00aa01${message(`0c 00 0001 0000 ${hexOf("x")}`)}`);
  });

  it("answers SEARCHGW, sends strangers away, and is silent on bad input", async () => {
    const stranger = await open();
    expect(await stranger.ask("0301 00")).toBe("03022a");
    expect(await stranger.ask(message("0c 20 0001 0001 78"))).toBe("0218");
    const other = await open();
    await other.send("ff 00");
    await other.send("00");
    await other.send("0203");
    expect(await other.ask(connect("still-there"))).toBe("030500");
  });
});
