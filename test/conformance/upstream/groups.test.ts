/** Groups, routes and draining, with two real brokers that know nothing of each other. */
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import { KeptRoutes } from "#core/kept-routes.ts";
import { MODULES } from "#core/modules.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startMosquitto } from "../../support/servers.ts";

const PATIENCE = 120_000;

describe.skipIf(lacks("mosquitto"))("groups of servers", { timeout: PATIENCE }, () => {
  let one: Server;
  let two: Server;
  let gateway: TestGateway;
  const clients: MqttClient[] = [];
  const urlOf = ({ port }: Server) => `tcp://127.0.0.1:${port}`;
  const groupOf = (...servers: readonly Server[]) => ({
    servers: servers.map((server) => ({ url: urlOf(server) })),
    balance: "primary-backup",
    health: { failures: 1, retry: { first: "100ms", longest: "1s" } },
    drainRate: 1000,
  });

  beforeEach(async () => {
    [one, two] = await Promise.all([startMosquitto(), startMosquitto()]);
    gateway = await startGateway({
      bus: {
        engine: "upstream",
        upstream: {
          groups: { default: groupOf(one, two), other: groupOf(two) },
          routes: [{ id: "meters", group: "other", username: "meter*" }],
          reconnect: { first: "50ms", longest: "1s" },
          grace: "10m",
          patience: "2m",
        },
      },
      gateways: { mqtt: {} },
    });
  }, PATIENCE);
  afterEach(async () => {
    for (const client of clients.splice(0)) client.end(true);
    await gateway.stop();
    await Promise.all([one.stop(), two.stop()]);
  }, PATIENCE);

  const connect = async (port: number, options: IClientOptions): Promise<MqttClient> => {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0, ...options });
    clients.push(client);
    return client;
  };
  const device = (clientId: string, options: IClientOptions = {}) =>
    connect(gateway.port("mqtt", "tcp"), { clientId, ...options });

  /** Resolves when the server hears a message there, which devices go on publishing. */
  async function reaches(client: MqttClient, server: Server): Promise<void> {
    const app = await connect(server.port, {});
    await app.subscribeAsync("x", { qos: 1 });
    const heard = new Promise<void>((resolve) => app.once("message", () => resolve()));
    let arrived = false;
    void heard.then(() => {
      arrived = true;
    });
    while (!arrived) await client.publishAsync("x", "m", { qos: 1 });
  }

  it("sends a session where its route leads, and all others to the default group", async () => {
    await reaches(await device("a", { username: "meter-1" }), two);
    await reaches(await device("b", { username: "someone" }), one);
  });

  it("goes to the next server where one is dead, and nobody is disconnected for it", async () => {
    const client = await device("c", { clean: false });
    let closed = 0;
    client.on("close", () => closed++);
    await reaches(client, one);
    await one.kill();
    await reaches(client, two);
    expect(closed).toBe(0);
  });

  it("moves sessions off a server that is drained, with what they are subscribed to", async () => {
    const client = await device("d");
    await client.subscribeAsync("down", { qos: 1 });
    const heard = new Promise<string>((resolve) => client.once("message", (topic) => resolve(topic)));
    const { servers } = gateway.composition.upstream!;
    expect(servers.drain("default", urlOf(one), true)).toBe(true);
    await reaches(client, two);
    const app = await connect(two.port, {});
    let arrived = false;
    void heard.then(() => {
      arrived = true;
    });
    while (!arrived) await app.publishAsync("down", "m", { qos: 1 });
    expect(await heard).toBe("down");
    expect(servers.status().find(({ url }) => url === urlOf(one))?.sessions).toBe(0);
  });

  const configOf = (groups: object, routes: readonly object[] = []) =>
    loadText(
      MODULES,
      JSON.stringify({ bus: { engine: "upstream", upstream: { groups, routes } }, gateways: { mqtt: {} } }),
    ).config;

  it("takes other groups and routes from the configuration, and leaves who is there", async () => {
    const stays = await device("stays");
    let closed = 0;
    stays.on("close", () => closed++);
    await reaches(stays, one);
    const groups = { default: groupOf(one), fresh: groupOf(two) };
    const routes = [{ id: "new", group: "fresh", clientId: "next*" }];
    const outcome = gateway.composition.reload(() => configOf(groups, routes));
    expect(outcome).toMatchObject({
      restart: expect.not.arrayContaining([expect.stringMatching(/group|route/)]),
    });
    await reaches(await device("next-1"), two);
    await reaches(await device("other"), one);
    await reaches(stays, one);
    // A server that no group has any more is left, and the session goes on at another.
    gateway.composition.reload(() => configOf({ default: groupOf(two) }));
    await reaches(stays, two);
    expect(closed).toBe(0);
  });

  it("takes another group for those that no route is for", async () => {
    const stays = await device("stays");
    await reaches(stays, one);
    const upstream = { groups: { fresh: groupOf(two) }, group: "fresh" };
    const text = JSON.stringify({ bus: { engine: "upstream", upstream }, gateways: { mqtt: {} } });
    const outcome = gateway.composition.reload(() => loadText(MODULES, text).config);
    expect(outcome).toMatchObject({
      restart: expect.not.arrayContaining([expect.stringMatching(/group|route/)]),
    });
    await reaches(await device("next"), two);
    await reaches(stays, two);
  });

  it("sends a session where the route for its protocol leads", async () => {
    const groups = { default: groupOf(one), other: groupOf(two) };
    const routes = [{ id: "old", group: "other", protocols: ["MQTT 3.1.1"] }];
    gateway.composition.reload(() => configOf(groups, routes));
    await reaches(await device("four", { protocolVersion: 4 }), two);
    await reaches(await device("five", { protocolVersion: 5 }), one);
  });

  it("keeps its groups where those of a new configuration cannot be used", async () => {
    const broken = { ...groupOf(two), tls: { ca: "/none/such.pem" } };
    const secure = { ...broken, servers: [{ url: "tls://127.0.0.1:1" }] };
    expect(gateway.composition.reload(() => configOf({ default: secure }))).toMatchObject({
      problem: expect.stringContaining("bus.upstream.groups.default"),
    });
    await reaches(await device("f"), one);
  });

  it("keeps its groups where a route that was made over the API would lead nowhere", async () => {
    const routes = new KeptRoutes(gateway.composition.upstream!.servers, undefined);
    routes.put("mine", { clientId: "next*", group: "other", order: 0, balance: "hash" });
    expect(gateway.composition.reload(() => configOf({ default: groupOf(one) }))).toMatchObject({
      problem: expect.stringMatching(/bus\.upstream\.groups has no other, where the route mine leads/),
    });
    await reaches(await device("next-1"), two);
    routes.remove("mine");
    expect(gateway.composition.reload(() => configOf({ default: groupOf(one) }))).not.toHaveProperty(
      "problem",
    );
  });

  it("takes a route that is made while it runs for who comes next, and leaves who is there", async () => {
    const stays = await device("stays");
    await reaches(stays, one);
    const routes = new KeptRoutes(gateway.composition.upstream!.servers, undefined);
    routes.put("mine", { clientId: "next*", group: "other", order: 0, balance: "hash" });
    await reaches(await device("next-1"), two);
    await reaches(stays, one);
  });
});
