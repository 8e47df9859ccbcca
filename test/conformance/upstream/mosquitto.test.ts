/** Devices of all gateways, whose sessions are at a mosquitto broker. */
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startMosquitto } from "../../support/servers.ts";
import type { ServerFrame } from "../../support/stomp-frames.ts";
import { StompSocket } from "../../support/stomp-socket.ts";

const PATIENCE = 120_000;

/** What a client has been sent, and who waits for more. */
class Heard {
  readonly client: MqttClient;
  readonly messages: string[] = [];
  #changed: (() => void) | undefined = undefined;

  constructor(client: MqttClient) {
    this.client = client;
    client.on("message", (topic, payload, packet) => {
      this.messages.push(`${topic} ${payload} ${packet.qos}`);
      this.#changed?.();
    });
  }

  /** All so far, once there are so many. */
  async until(count: number): Promise<string[]> {
    while (this.messages.length < count) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    return this.messages;
  }
}

const headerOf = ({ headers }: ServerFrame, name: string): string =>
  headers.find(([each]) => each === name)?.[1] ?? "";

describe.skipIf(lacks("mosquitto"))("sessions at mosquitto", { timeout: PATIENCE }, () => {
  let broker: Server;
  let gateway: TestGateway;
  const clients: MqttClient[] = [];
  const ends: (() => unknown)[] = [];

  beforeEach(async () => {
    broker = await startMosquitto();
    gateway = await startGateway({
      bus: {
        engine: "upstream",
        // A busy machine is no broken cluster.
        upstream: { servers: [`tcp://127.0.0.1:${broker.port}`], grace: "10m", patience: "10m" },
      },
      gateways: { mqtt: {}, "mqtt-sn": {}, coap: {}, stomp: {} },
    });
  }, PATIENCE);

  afterEach(async () => {
    for (const client of clients.splice(0)) client.end(true);
    for (const end of ends.splice(0)) await end();
    await gateway.stop();
    await broker.stop();
  }, PATIENCE);

  async function connect(port: number, options: IClientOptions = {}): Promise<Heard> {
    const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
      manualConnect: true,
      connectTimeout: PATIENCE,
      ...options,
    });
    const heard = new Heard(client);
    clients.push(client);
    const up = new Promise<void>((resolve, reject) =>
      client.once("connect", () => resolve()).once("error", reject),
    );
    client.connect();
    await up;
    return heard;
  }
  const atBroker = (options?: IClientOptions) => connect(broker.port, options);
  const device = (options?: IClientOptions) => connect(gateway.port("mqtt", "tcp"), options);

  it.each([4, 5] as const)(
    "MQTT %i: publishes and is sent messages at all QoS, in order",
    async (protocolVersion) => {
      const sensor = await device({ clientId: "sensor", protocolVersion });
      const app = await atBroker({ clientId: "app", protocolVersion });
      await app.client.subscribeAsync("up/#", { qos: 2 });
      await sensor.client.subscribeAsync("down/#", { qos: 2 });
      for (const qos of [1, 2, 1, 2] as const) await sensor.client.publishAsync("up/a", `u${qos}`, { qos });
      for (const qos of [1, 2, 1, 2] as const) await app.client.publishAsync("down/a", `d${qos}`, { qos });
      await sensor.client.publishAsync("up/a", "u0");
      // This client shows a QoS 2 message when it is released, and so later than others that came after it.
      const sorted = async (heard: Promise<string[]>) => [...(await heard)].sort();
      expect(await sorted(app.until(5))).toEqual([
        ...["up/a u0 0", "up/a u1 1", "up/a u1 1", "up/a u2 2", "up/a u2 2"],
      ]);
      expect(await sorted(sensor.until(4))).toEqual([
        ...["down/a d1 1", "down/a d1 1", "down/a d2 2", "down/a d2 2"],
      ]);
    },
  );

  it("keeps a session and its queue while the device is away, over a kill of the broker", async () => {
    const kept: IClientOptions = { clientId: "d", protocolVersion: 4, clean: false };
    const first = await device(kept);
    await first.client.subscribeAsync("down/#", { qos: 1 });
    await first.client.endAsync();
    const app = await atBroker();
    for (let n = 0; n < 20; n++) await app.client.publishAsync("down/x", String(n), { qos: 1 });
    // mosquitto writes a change down when the next one comes.
    for (const n of [1, 2]) await app.client.publishAsync("other", String(n), { qos: 1, retain: true });
    await broker.kill();
    await broker.restart();
    const again = await device({ ...kept, reconnectPeriod: 200 });
    const expected = Array.from({ length: 20 }, (_, n) => `down/x ${n} 1`);
    expect([...new Set(await again.until(20))]).toEqual(expected);
  });

  it("keeps a device connected over a restart of the broker, and loses nothing that was acknowledged", async () => {
    const sensor = await device({
      clientId: "sensor",
      protocolVersion: 5,
      properties: { sessionExpiryInterval: 600 },
    });
    let closed = 0;
    sensor.client.on("close", () => closed++);
    const app = await atBroker({ clientId: "app", clean: false, reconnectPeriod: 100 });
    await app.client.subscribeAsync("up/#", { qos: 1 });
    await sensor.client.publishAsync("up/n", "before", { qos: 1 });
    await broker.kill();
    const during = sensor.client.publishAsync("up/n", "during", { qos: 1 });
    await broker.restart();
    await during;
    await sensor.client.publishAsync("up/n", "after", { qos: 1 });
    const all = await app.until(3);
    expect([...new Set(all)]).toEqual(["up/n before 1", "up/n during 1", "up/n after 1"]);
    expect(closed).toBe(0);
  });

  it("publishes the will of a device that is lost at once, and none of one that says goodbye", async () => {
    const app = await atBroker();
    await app.client.subscribeAsync("will/#", { qos: 1 });
    const will = (topic: string) => ({ topic, payload: Buffer.from("gone"), qos: 1 as const, retain: false });
    const lost = await device({ clientId: "l", will: will("will/lost"), protocolVersion: 5 });
    const polite = await device({ clientId: "p", will: will("will/polite"), protocolVersion: 5 });
    await polite.client.endAsync();
    lost.client.stream.destroy();
    expect(await app.until(1)).toEqual(["will/lost gone 1"]);
  });

  it("ends a device whose session another client has taken at the broker, and does not take it back", async () => {
    const here = await device({ clientId: "same", protocolVersion: 4, reconnectPeriod: 0 });
    const ended = new Promise<void>((resolve) => here.client.once("close", () => resolve()));
    const there = await atBroker({ clientId: "same", protocolVersion: 4, reconnectPeriod: 0 });
    // Whoever comes back is thrown out by the other: it is the one that was there first that gives up.
    while (here.client.connected) {
      if (!there.client.connected) there.client.reconnect();
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 50))]);
    }
    await ended;
  });

  it("MQTT-SN: registers, publishes, and is sent what the broker has", async () => {
    const sensor = await SnSocket.open(gateway.port("mqtt-sn", "udp"));
    ends.push(() => sensor.close());
    const app = await atBroker();
    await app.client.subscribeAsync("up/#", { qos: 2 });
    expect(await sensor.ask(message(`04 04 01 003c ${hexOf("sn1")}`))).toBe("030500");
    expect(await sensor.ask(message(`0a 0000 0001 ${hexOf("up/t")}`))).toBe("070b0001000100");
    expect(await sensor.ask(message(`0c 20 0001 0002 ${hexOf("21")}`))).toBe("070d0001000200");
    expect(await app.until(1)).toEqual(["up/t 21 1"]);
    expect(await sensor.ask(message(`12 20 0003 ${hexOf("down/t")}`))).toBe("0813200002000300");
    await app.client.publishAsync("down/t", "on", { qos: 1 });
    expect(await sensor.next()).toMatch(/^090c200002....6f6e$/);
  });

  it("MQTT-SN: a sleeper finds what came meanwhile, and then hears that there is no more", async () => {
    const sensor = await SnSocket.open(gateway.port("mqtt-sn", "udp"));
    ends.push(() => sensor.close());
    const app = await atBroker();
    expect(await sensor.ask(message(`04 00 01 003c ${hexOf("sn2")}`))).toBe("030500");
    expect(await sensor.ask(message(`12 20 0001 ${hexOf("down/s")}`))).toBe("0813200001000100");
    // It sleeps for an hour: its connection is released.
    expect(await sensor.ask("0418 0e10")).toBe("0218");
    for (const text of ["1", "2", "3"]) await app.client.publishAsync("down/s", text, { qos: 1 });
    await sensor.send(message(`16 ${hexOf("sn2")}`));
    const seen: string[] = [];
    for (let datagram = await sensor.next(); datagram !== "0217"; datagram = await sensor.next()) {
      if (datagram.slice(2, 4) !== "0c") continue;
      if (!seen.includes(datagram.slice(14))) seen.push(datagram.slice(14));
      await sensor.send(`07 0d ${datagram.slice(6, 14)} 00`);
    }
    expect(seen).toEqual(["31", "32", "33"]);
  });

  it("STOMP: a receipt says that the broker has it, and a subscription acknowledges to the broker", async () => {
    const backend = await StompSocket.connected(gateway.port("stomp", "tcp"));
    ends.push(() => backend.socket.destroy());
    const app = await atBroker();
    await app.client.subscribeAsync("up/#", { qos: 1 });
    backend.say("SEND", { destination: "up/s", receipt: "r1" }, "hello");
    expect(headerOf(await backend.next(), "receipt-id")).toBe("r1");
    expect(await app.until(1)).toEqual(["up/s hello 1"]);
    backend.say("SUBSCRIBE", { destination: "down/#", id: "1", ack: "client-individual", receipt: "r2" });
    expect(headerOf(await backend.next(), "receipt-id")).toBe("r2");
    await app.client.publishAsync("down/q", "work", { qos: 1 });
    const work = await backend.next();
    expect(work.command).toBe("MESSAGE");
    backend.say("ACK", { id: headerOf(work, "ack"), receipt: "r3" });
    expect(headerOf(await backend.next(), "receipt-id")).toBe("r3");
  });
});
