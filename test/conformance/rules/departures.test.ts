/** Why clients and sessions have gone, in the manuals' words (R-048), and subscribers that are no MQTT clients (R-049, R-050). */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as dial, type Socket } from "node:net";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import mqttPacket from "mqtt-packet";
import { afterEach, describe, expect, it } from "vitest";
import { CON, textOption, uintOption, writeMessage } from "../../support/coap-bytes.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { SocketDevice } from "../../support/lwm2m-socket.ts";
import { until } from "../../support/store-process.ts";

let gateway: TestGateway;
const clients: MqttClient[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
  await gateway.stop();
});

/** Starts a gateway, and tells what rules hear of these events, from then on. */
async function told(
  gateways: Record<string, object>,
  ...events: string[]
): Promise<Record<string, unknown>[]> {
  gateway = await startGateway({
    gateways: { mqtt: {}, ...gateways },
    rules: {
      r: {
        sql: `SELECT * FROM ${events.map((event) => `"${event}"`).join(", ")}`,
        actions: [{ kind: "republish", topic: "told", payload: "${.}", direct: true }],
      },
    },
  });
  const heard: Record<string, unknown>[] = [];
  const listener = await connect("listener");
  listener.on("message", (_, payload) => {
    const event = JSON.parse(payload.toString());
    if ((event.clientid ?? event.client_id) !== "listener") heard.push(event);
  });
  await listener.subscribeAsync("told", { qos: 1 });
  return heard;
}

async function connect(clientId: string, options: IClientOptions = {}): Promise<MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`, {
    ...{ clientId, protocolVersion: 5, reconnectPeriod: 0, clean: false, ...options },
  });
  client.on("error", () => {});
  clients.push(client);
  return client;
}

/** A client that does nothing by itself, once it is in. */
async function bare(clientId: string, keepalive: number): Promise<Socket> {
  const socket = dial(gateway.port("mqtt", "tcp"), "127.0.0.1");
  sockets.push(socket);
  socket.on("error", () => {});
  socket.write(
    mqttPacket.generate({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 5,
      clean: true,
      clientId,
      keepalive,
    }),
  );
  await once(socket, "data");
  return socket;
}

/** How a client goes, and what its disconnection and the end of its session are called. */
const WAYS: readonly (readonly [reason: string, go: () => unknown])[] = [
  ["normal", async () => (await connect("c")).endAsync()],
  ["normal", async () => (await connect("c")).endAsync(false, { reasonCode: 4 })],
  ["tcp_closed", async () => (await bare("c", 60)).end()],
  ["tcp_closed", async () => (await bare("c", 60)).resetAndDestroy()],
  ["keepalive_timeout", () => bare("c", 1)],
  ["protocol_error", async () => (await bare("c", 60)).write(Buffer.from([0xf1, 0x00]))],
  ["protocol_error", async () => (await bare("c", 60)).write(Buffer.from([0x10, 0x00]))],
  ["kicked", () => connect("c").then(() => gateway.composition.operator.clients.kick("mqtt", "c"))],
  ["takenover", () => connect("c").then(() => connect("c"))],
  ["discarded", () => connect("c").then(() => connect("c", { clean: true }))],
];

describe("a client that goes", () => {
  it.each(WAYS.map(([reason, go], index) => [reason, index, go] as const))(
    "is told of as %s (R-048), way %i, in its disconnection and at the end of its session",
    async (reason, _index, go) => {
      const heard = await told({}, "$events/client_disconnected", "session.terminated");
      await go();
      await until(() => heard.length >= 2, "disconnected, and terminated");
      expect(
        heard
          .slice(0, 2)
          .map((each) => [each["event"], each["reason"]])
          .sort(),
      ).toEqual([
        ["client.disconnected", reason],
        ["session.terminated", reason],
      ]);
      const old = heard.find(({ event }) => event === "client.disconnected")!;
      expect(old["reason_code"]).toBe(reason);
    },
    30_000,
  );

  it("has in E4's names the same reason (R-005)", async () => {
    const heard = await told({}, "client.disconnected");
    (await bare("c", 60)).end();
    await until(() => heard.length === 1, "its end");
    expect(heard[0]).toMatchObject({ client_id: "c", reason_code: "tcp_closed", disconn_props: {} });
  });
});

const PATH = 11;
const OBSERVE = 6;
const QUERY = 15;

describe("observers and devices are subscribers", () => {
  it("CoAP: the begin and the end of an observation (R-050), in both generations' names", async () => {
    const heard = await told(
      { coap: {} },
      "$events/session_subscribed",
      "$events/session/unsubscribed",
      "session.subscribed",
      "client.unsubscribe",
    );
    const device = createSocket("udp4");
    const options = ["ps", "room", "7"].map((segment) => textOption(PATH, segment));
    // Deregistered by the token that registered (RFC 7641 §3.6).
    const ask = (id: number, observe: number): void => {
      const own = [uintOption(OBSERVE, observe), ...options, textOption(QUERY, "clientid=bulb")];
      const bytes = writeMessage({
        ...{ type: CON, code: "0.01", id, token: "0b", options: own, payload: Buffer.alloc(0) },
      });
      device.send(bytes, gateway.port("coap", "udp"), "127.0.0.1");
    };
    ask(1, 0);
    await until(() => heard.length === 2, "that it begins");
    ask(2, 1);
    await until(() => heard.length === 4, "that it ends");
    device.close();
    const common = { topic: "room/7", gateway: "coap", protocol: "coap", gw_client: "coap:bulb" };
    const named = (event: string, more: object) => [
      expect.objectContaining({ ...common, event, clientid: "bulb", ...more }),
      expect.objectContaining({ ...common, event, client_id: "bulb", ...more }),
    ];
    const begun = named("session.subscribed", { sub_props: {}, topic_filters: [expect.anything()] });
    const over = named("session.unsubscribed", { unsub_props: {} });
    for (const each of [...begun, ...over]) expect(heard).toContainEqual(each);
  });

  it("LwM2M: a device that registers is subscribed to its commands, and goes in peace when it deregisters", async () => {
    const heard = await told(
      { lwm2m: { listeners: { own: { transport: "udp" } } } },
      "$events/session_subscribed",
      "session.created",
      "$events/client_disconnected",
    );
    const port = gateway.port("lwm2m", "own");
    const meter = await SocketDevice.register(port, "meter", ["lt=300", "lwm2m=1.0", "b=U"], "</1/0>,</3/0>");
    await until(() => heard.length === 2, "that it is there");
    meter.device.send("0.04", meter.device.location!, []);
    await until(() => heard.length === 3, "that it is gone");
    await meter.close();
    expect(heard).toMatchObject([
      { event: "session.created", gateway: "lwm2m" },
      {
        event: "session.subscribed",
        gateway: "lwm2m",
        topic: expect.stringContaining("meter"),
        sub_props: {},
      },
      { event: "client.disconnected", gateway: "lwm2m", reason: "normal", disconn_props: {} },
    ]);
  });
});
