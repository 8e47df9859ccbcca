/** Bridges to mosquitto, both ways. */
import mqtt, { type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { listenTo, ScriptedServer } from "../../support/scripted-server.ts";
import { type Server, startMosquitto } from "../../support/servers.ts";
import { losesNothingWhenKilled } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { TcpRelay } from "../../support/tcp-relay.ts";

describe.skipIf(lacks("mosquitto"))("a bridge to mosquitto", () => {
  let broker: Server;
  let gateway: TestGateway | undefined;
  const clients: MqttClient[] = [];

  beforeAll(async () => {
    broker = await startMosquitto();
  }, 120_000);
  afterAll(() => broker.stop());
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
    await gateway?.stop();
    gateway = undefined;
  });

  async function connect(port: number, clientId: string): Promise<MqttClient> {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { clientId, reconnectPeriod: 100 });
    client.on("error", () => {});
    clients.push(client);
    return client;
  }
  const here = (clientId = "here") => connect(gateway!.port("mqtt", "tcp"), clientId);
  const there = (clientId = "there") => connect(broker.port, clientId);

  async function heard(client: MqttClient, filter: string): Promise<string[]> {
    const messages: string[] = [];
    client.on("message", (topic, payload, { retain }) =>
      messages.push(`${topic} ${payload}${retain ? " R" : ""}`),
    );
    await client.subscribeAsync(filter, { qos: 1 });
    return messages;
  }

  const start = async (connector: object, sql = 'SELECT * FROM "out/#"', action: object = {}) => {
    gateway = await startGateway({
      gateways: { mqtt: {} },
      connectors: {
        up: {
          kind: "mqtt",
          url: `tcp://127.0.0.1:${broker.port}`,
          retry: { first: "10ms", longest: "100ms" },
          health: "100ms",
          ...connector,
        },
      },
      rules: { r: { sql, actions: [{ kind: "mqtt", connector: "up", ...action }] } },
    });
    return gateway.composition.rules.connectors.get("up")!;
  };

  it.each(["5.0", "3.1.1"])("publishes what rules send, remapped, over MQTT %s", async (version) => {
    const sink = await start({ version }, 'SELECT * FROM "out/#"', { topic: "bridge/${topic}" });
    const messages = await heard(await there(), "bridge/#");
    const client = await here();
    for (let count = 0; count < 10; count++) await client.publishAsync("out/a", `${count}`, { qos: 1 });
    await until(() => sink.counters.success === 10 && messages.length === 10, "ten messages");
    expect(messages).toEqual(Array.from({ length: 10 }, (_, count) => `bridge/out/a ${count}`));
  });

  it("brings what is subscribed to there, remapped, and sends none of it back", async () => {
    await start(
      { subscriptions: [{ filter: "shared/#", strip: "shared/", topic: "cloud/${rest}" }] },
      'SELECT * FROM "#"',
      { topic: "shared/${topic}" },
    );
    const messages = await heard(await here("listener"), "#");
    const [local, remote] = [await here(), await there()];
    const away = await heard(await there("listener-there"), "shared/#");
    await until(async () => {
      await remote.publishAsync("shared/try", "1", { qos: 1 });
      return messages.includes("cloud/try 1");
    }, "the subscription is made");
    await local.publishAsync("mine", "2", { qos: 1 });
    await until(() => away.includes("shared/mine 2"), "ours is there");
    await remote.publishAsync("shared/end", "3", { qos: 1 });
    await until(() => messages.includes("cloud/end 3"), "the last");
    expect(messages.filter((message) => message.endsWith(" 2"))).toEqual(["mine 2"]);
    expect(away.filter((message) => message.includes("cloud"))).toEqual([]);
  });

  it.each([
    ["is given back nothing of what it has published there itself, over MQTT 5.0", {}, 0],
    ["nor over 3.1.1 in bridge mode", { version: "3.1.1", bridgeMode: true }, 0],
    ["is given it back once over 3.1.1, and sends it no further", { version: "3.1.1" }, 1],
  ])("%s", async (_, version, times) => {
    const subscriptions = [{ filter: "loop/#", strip: "loop/", topic: "back/${rest}" }];
    const action = { topic: "loop/${topic}", retain: false };
    // A client id of its own: the broker keeps what was subscribed to, and how.
    const clientId = `looping-${Object.values(version).join("-")}`;
    const sink = await start({ ...version, clientId, subscriptions }, 'SELECT * FROM "#"', action);
    const come = await heard(await here("listener"), "back/#");
    await until(() => sink.state === "connected", "the bridge is there");
    await (await here()).publishAsync("out/a", "1", { qos: 1 });
    await until(() => sink.counters.success === 1, "ours is there");
    await (await there("remote")).publishAsync("loop/end", "2", { qos: 1 });
    await until(() => come.includes("back/end 2"), "theirs comes");
    expect(come).toEqual([...Array.from({ length: times }, () => "back/out/a 1"), "back/end 2"]);
    expect(sink.counters).toMatchObject({ taken: 1, success: 1 });
  });

  it("says the delivery's id in a user property of MQTT 5.0 (R-082), and leaves it out of 3.1.1", async () => {
    const found: (string | undefined)[] = [];
    const listening = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port}`, { protocolVersion: 5 });
    clients.push(listening);
    listening.on("message", (_, __, { properties }) =>
      found.push(properties?.userProperties?.["delivery-id"] as string | undefined),
    );
    await listening.subscribeAsync("ids/#", { qos: 1 });
    for (const version of ["5.0", "3.1.1"]) {
      await start({ version }, 'SELECT * FROM "out/#"', { topic: "ids/${topic}" });
      await (await here()).publishAsync("out/a", "1", { qos: 1 });
      await until(() => found.length > 0, "it is heard");
      expect(found.splice(0)).toEqual([version === "5.0" ? expect.stringMatching(/-r-0-0$/) : undefined]);
      await gateway!.stop();
    }
  });

  it("keeps the order of both directions over connections that break, and says that the broker is away", async () => {
    const relay = await new TcpRelay(broker.port).start();
    try {
      const sink = await start({
        ...{ url: `tcp://127.0.0.1:${relay.port}`, clientId: "ordered", timeout: "3s" },
        subscriptions: [{ filter: "back/#" }],
      });
      const isAway = (): boolean =>
        gateway!.composition.alarms.active.some(({ name }) => name === "connector-up-away");
      const [local, remote] = [await here(), await there("ordered-remote")];
      const gone = await heard(await there("ordered-there"), "out/#");
      const come = await heard(await here("ordered-here"), "back/#");
      await until(() => sink.state === "connected", "the bridge is there");
      const breaks: (() => Promise<unknown>)[] = [
        // The broker says nothing; what it has said is lost.
        async () => {
          relay.hold();
          await until(isAway, "it is noticed that it says nothing");
          relay.release();
        },
        async () => {
          await relay.stop();
          await until(isAway, "it is noticed that it is gone");
          await relay.start();
        },
      ];
      let sent = 0;
      for (const broken of [...breaks, undefined]) {
        const ended = broken?.();
        for (let count = 0; count < 20; count++, sent++)
          await Promise.all([
            local.publishAsync("out/n", `${sent}`, { qos: 1 }),
            remote.publishAsync("back/n", `${sent}`, { qos: 1 }),
          ]);
        await ended;
      }
      await until(() => sink.counters.success === sent && !isAway(), "all are acknowledged", 60_000);
      const inOrder = (topic: string) => Array.from({ length: sent }, (_, n) => `${topic} ${n}`);
      // What comes again, because an acknowledgement was lost, comes behind itself.
      await until(() => new Set(gone).size === sent && new Set(come).size === sent, "all are heard");
      expect([...new Set(gone)]).toEqual(inOrder("out/n"));
      expect([...new Set(come)]).toEqual(inOrder("back/n"));
    } finally {
      await relay.stop();
    }
  }, 120_000);

  it("gives again what a broker refuses for now, and dead-letters what it refuses for good, and nothing else", async () => {
    let full = true;
    const taken: string[] = [];
    const script = new ScriptedServer((line, { cmd, messageId, payload }) => {
      if (cmd !== "publish") return undefined;
      const said = String(payload);
      // PUBACK with "Not authorized" and "Quota exceeded" [MQTT-3.4.2-1], and with what mosquitto says beside its table.
      const reasonCode = { bad: 0x87, large: 0x95 }[said] ?? (full ? 0x97 : 0);
      if (reasonCode === 0) taken.push(said);
      line.say({ cmd: "puback", messageId, reasonCode });
      return true;
    });
    const server = await listenTo(script);
    try {
      const sink = await start({ url: `tcp://127.0.0.1:${server.port}` });
      const client = await here();
      const letters: string[] = [];
      client.on("message", (_, payload) => letters.push(JSON.parse(payload.toString()).reason));
      await client.subscribeAsync("$dead-letter/#", { qos: 1 });
      for (const payload of ["1", "bad", "large", "2"])
        await client.publishAsync("out/a", payload, { qos: 1 });
      await until(() => sink.state === "disconnected" && sink.reason !== undefined, "it is full");
      expect(sink.reason).toBe("the broker answers 0x97 quota exceeded");
      full = false;
      await until(() => sink.counters.success === 2 && letters.length === 2, "all are decided");
      expect(taken).toEqual(["1", "2"]);
      expect(letters).toEqual([
        "the broker answers 0x87 not authorized",
        "the broker answers 0x95 packet too large",
      ]);
      expect(sink.counters).toMatchObject({ failed: 2, failedRefused: 2 });
    } finally {
      await gateway?.stop();
      gateway = undefined;
      await server.stop();
    }
  });

  it("loses nothing when the broker is killed under load, in either direction", async () => {
    const sink = await start({ subscriptions: [{ filter: "in/#" }] }, 'SELECT * FROM "out/#"');
    const client = await here();
    const away = new Set<string>();
    const listening = await there();
    listening.on("message", (_, payload) => away.add(payload.toString()));
    await listening.subscribeAsync("out/#", { qos: 1 });
    for (let count = 0; count < 50; count++) await client.publishAsync("out/a", `${count}`, { qos: 1 });
    await until(() => away.size === 50, "the first half");
    await broker.kill();
    for (let count = 50; count < 100; count++) await client.publishAsync("out/a", `${count}`, { qos: 1 });
    await until(() => sink.state === "disconnected", "it is noticed", 120_000);
    await broker.restart();
    await until(() => sink.counters.success === 100, "all are acknowledged", 120_000);
    expect(sink.counters).toMatchObject({ taken: 100, failed: 0 });
    // And back: the subscription is there again.
    const messages = await heard(client, "in/#");
    const remote = await there("remote");
    await until(
      async () => {
        await remote.publishAsync("in/a", "x", { qos: 1 });
        return messages.length > 0;
      },
      "what is published there comes here again",
      120_000,
    );
  }, 300_000);

  it("brings over everything that was acknowledged when the gateway is killed", async () => {
    const heardThere = new Set<number>();
    await losesNothingWhenKilled({
      connector: { kind: "mqtt", url: `tcp://127.0.0.1:${broker.port}` },
      action: { topic: "survived", payload: '{"n":${n}}', qos: 1 },
      away: () => broker.kill(),
      // A broker that was killed knows no subscription: what comes before there is one again is nobody's.
      async back() {
        await broker.restart();
        const reader = await there("reader");
        reader.on("message", (_, payload) => heardThere.add(JSON.parse(payload.toString()).n));
        await reader.subscribeAsync("survived", { qos: 1 });
      },
      has: async () => heardThere,
    });
  }, 900_000);
});
