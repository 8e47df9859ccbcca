/** Subscriptions that others change on a channel of Redis's own server: `mqtt_channel` of EMQ X's backend. */
import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import mqtt, { type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startRedis } from "../../support/servers.ts";
import { SOON } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { TcpRelay } from "../../support/tcp-relay.ts";

const CHANNEL = "mqtt_channel";
/** As the guide shows them. */
const [SUBSCRIBE = "", UNSUBSCRIBE = ""] = Array.from(
  readFileSync(new URL("../../../docs/backends.md", import.meta.url), "utf8").matchAll(
    /^PUBLISH mqtt_channel '(.*)'$/gm,
  ),
  ([, message = ""]) => message,
);

describe.skipIf(lacks("redis-server"))("a channel of Redis", () => {
  let server: Server;
  let redis: Redis;
  let gateway: TestGateway | undefined;
  const clients: MqttClient[] = [];

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis({ port: server.port });
    redis.on("error", () => {});
  }, 120_000);
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
    await gateway?.stop();
    gateway = undefined;
  });

  const sink = () => gateway!.composition.rules.connectors.get("cache")!;
  const listens = () => until(() => sink().listening === true, "it listens", 60_000);
  const say = (message: object | string | Buffer) =>
    redis.publish(
      CHANNEL,
      typeof message === "string" || Buffer.isBuffer(message) ? message : JSON.stringify(message),
    );

  async function start(
    connector: object = {},
    mqttSettings: { readonly mountpoint?: string } = {},
  ): Promise<void> {
    gateway = await startGateway({
      gateways: { mqtt: mqttSettings, stomp: {} },
      connectors: {
        cache: { kind: "redis", port: server.port, channel: CHANNEL, ...SOON, ...connector },
      },
    });
  }

  async function connect(clientId: string): Promise<{ client: MqttClient; heard: string[] }> {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway!.port("mqtt", "tcp")}`, {
      ...{ clientId, protocolVersion: 5, reconnectPeriod: 0 },
    });
    clients.push(client);
    const heard: string[] = [];
    client.on("message", (topic, payload, { qos }) => heard.push(`${topic} ${payload} ${qos}`));
    return { client, heard };
  }

  /** Of the connector, by outcome. */
  async function counts(): Promise<Record<string, number>> {
    const text = await gateway!.composition.metrics.text();
    const found = text.matchAll(/isthmus_connector_changes\{connector="cache",outcome="(\w+)"\} (\d+)/g);
    return Object.fromEntries(Array.from(found, ([, outcome, number]) => [outcome, Number(number)]));
  }
  const counted = (wanted: object) =>
    expect.poll(counts, { timeout: 20_000, interval: 20 }).toMatchObject(wanted);

  it("subscribes and unsubscribes the client that the manual's messages name, and no other", async () => {
    await start({}, { mountpoint: "m/" });
    await listens();
    const named = await connect("test");
    const other = await connect("other");
    await say(SUBSCRIBE);
    await say({ type: "subscribe", topic: "topic1/#", clientid: "test", qos: 1 });
    await counted({ done: 2 });
    await other.client.publishAsync("topic0", "a", { qos: 1 });
    await other.client.publishAsync("topic1/x", "b", { qos: 1 });
    await until(() => named.heard.length === 2, "both messages");
    await say(UNSUBSCRIBE);
    await counted({ done: 3 });
    await other.client.publishAsync("topic0", "c", { qos: 1 });
    await other.client.publishAsync("topic1/x", "d", { qos: 1 });
    await until(() => named.heard.length === 3, "the message of the subscription that is left");
    expect(named.heard).toEqual(["topic0 a 0", "topic1/x b 1", "topic1/x d 1"]);
    expect(other.heard).toEqual([]);
  });

  it("counts who is not here, and says nothing of it: other brokers may listen too", async () => {
    await start();
    await listens();
    await connect("here");
    await say({ type: "subscribe", topic: "t", clientid: "elsewhere" });
    await say({ type: "unsubscribe", topic: "t", clientid: "here" });
    await say({ type: "subscribe", topic: "t", clientid: "here", gateway: "stomp" });
    await counted({ done: 0, unknown: 3, refused: 0, unreadable: 0 });
    expect(gateway!.log.join("")).not.toContain("channel-message-unusable");
  });

  it("takes nothing that is not as it should be, counts it, and says so once a minute", async () => {
    await start();
    await listens();
    const { client, heard } = await connect("c");
    const hostile: readonly (object | string | Buffer)[] = [
      ...["", "subscribe", "[]", "null", "[".repeat(100_000), '"text"', Buffer.from([0xff, 0xfe])],
      ...["x".repeat(200_000), '{"__proto__": {"type": "subscribe", "clientid": "c", "topic": "t"}}'],
      ...[
        { type: "kick", clientid: "c", topic: "t" },
        { type: "subscribe", clientid: "c" },
      ],
      ...[
        { type: "subscribe", clientid: 1, topic: "t" },
        { type: "subscribe", clientid: "", topic: "t" },
      ],
      ...[
        { type: "subscribe", clientid: "c", topic: ["t"] },
        { type: "subscribe", topic: "t" },
      ],
      { type: "subscribe", clientid: "c", topic: "t", gateway: {} },
      { type: "subscribe", clientid: "c", topic: "t", more: "x".repeat(131_072) },
      ...["3", "", -1, true, [1]].map((qos) => ({ type: "subscribe", clientid: "c", topic: "t", qos })),
    ];
    for (const message of hostile) await say(message);
    await counted({ unreadable: hostile.length });
    const topics = ["a/#/b", "a+", "$share/g", "t\0", "x".repeat(65_536)];
    for (const topic of topics) await say({ type: "subscribe", clientid: "c", topic });
    await say({ type: "subscribe", clientid: "c", topic: "good", qos: 2 });
    await counted({ done: 1, refused: topics.length, unreadable: hostile.length });
    await client.publishAsync("good", "x", { qos: 2 });
    await until(() => heard.length === 1, "what the good one brings");
    const said = gateway!.log.filter((line) => line.includes("channel-message-unusable"));
    expect(said.map((line) => JSON.parse(line))).toMatchObject([{ connector: "cache", messages: 1 }]);
  });

  it("gives one client 10,000 subscriptions at most", async () => {
    await start();
    await listens();
    await connect("c");
    const all = redis.pipeline();
    for (let number = 0; number < 10_005; number++)
      all.publish(CHANNEL, JSON.stringify({ type: "subscribe", clientid: "c", topic: `t/${number}` }));
    await all.exec();
    await counted({ done: 10_000, refused: 5 });
    await say({ type: "unsubscribe", clientid: "c", topic: "t/1" });
    await say({ type: "subscribe", clientid: "c", topic: "one/more" });
    await counted({ done: 10_002, refused: 5 });
  });

  it("listens again by itself when the server has been killed and is back", async () => {
    await start({ health: "1h" });
    await listens();
    const { client, heard } = await connect("c");
    await server.kill();
    await until(() => sink().listening === false, "it is noticed", 60_000);
    expect(await gateway!.composition.metrics.text()).toContain(
      'isthmus_connector_listening{connector="cache"} 0',
    );
    await server.restart();
    await listens();
    await say({ type: "subscribe", clientid: "c", topic: "t" });
    await counted({ done: 1 });
    await client.publishAsync("t", "x", { qos: 1 });
    await until(() => heard.length === 1, "the message");
    expect(await gateway!.composition.metrics.text()).toContain(
      'isthmus_connector_listening{connector="cache"} 1',
    );
  }, 120_000);

  it("leaves a server that says nothing any more, and listens to it anew when it does", async () => {
    const relay = await new TcpRelay(server.port).start();
    try {
      await start({ port: relay.port, timeout: "500ms" });
      await listens();
      relay.hold();
      await until(() => sink().state === "disconnected", "it is noticed", 60_000);
      relay.release();
      await until(() => sink().state === "connected", "it is there again", 60_000);
      await listens();
      await connect("c");
      await say({ type: "subscribe", clientid: "c", topic: "t" });
      await counted({ done: 1 });
    } finally {
      await relay.stop();
    }
  }, 120_000);

  it("is away, and says why, where its user may not listen; and listens when it may", async () => {
    await redis.call("ACL", "SETUSER", "deaf", "on", ">secret", "~*", "+@all", "resetchannels");
    await start({ username: "deaf", password: "secret" });
    await until(() => sink().state === "disconnected", "it is refused", 60_000);
    expect(sink().reason).toMatch(/^the channel mqtt_channel: NOPERM/);
    await redis.call("ACL", "SETUSER", "deaf", "allchannels");
    await until(() => sink().state === "connected", "it may", 60_000);
    await listens();
  }, 120_000);

  it("hears nothing where no channel is named, or where the connector is switched off", async () => {
    await start({ channel: "" });
    await until(() => sink().state === "connected", "it is there");
    expect(sink().listening).toBeUndefined();
    await gateway!.stop();
    await start({ enable: false });
    expect(sink().listening).toBe(false);
    expect(await redis.publish(CHANNEL, "x")).toBe(0);
    await gateway!.stop();
    await start();
    await listens();
    expect(await redis.publish(CHANNEL, "{}")).toBe(1);
  });
});
