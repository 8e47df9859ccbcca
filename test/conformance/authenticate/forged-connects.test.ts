/**
 * Forged CONNECTs of MQTT-SN cost look-ups, which have one turn together before a source outside: what proven clients
 * wait for is bounded by their own number, not by that of the forged ones (issue "What strangers broke", D16).
 */
import mqtt, { type MqttClient } from "mqtt";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";
import { until } from "../../support/store-process.ts";
import { WebSink } from "../../support/web-sink.ts";

const FORGED = 200;
const INNOCENT = 5;

let gateway: TestGateway;
let source: WebSink;
/** Whom the source was asked about, and how each question is answered, which the test does. */
const asked: string[] = [];
const open: (() => void)[] = [];
const sockets: SnSocket[] = [];
const clients: MqttClient[] = [];

beforeEach(async () => {
  source = await new WebSink().start();
  source.answer = ({ body }, response) => {
    asked.push(JSON.parse(body).clientid);
    open.push(() => response.setHeader("content-type", "application/json").end('{"result":"allow"}'));
  };
  const chain = [{ kind: "http", url: source.url, concurrent: 1, timeout: "5m" }];
  gateway = await startGateway({
    authentication: { anonymous: false, chain },
    gateways: {
      mqtt: {},
      "mqtt-sn": { credentials: { username: "%c", password: "x" } },
    },
  });
});
afterEach(async () => {
  for (const answer of open.splice(0)) answer();
  for (const client of clients.splice(0)) client.end(true);
  await Promise.all(sockets.splice(0).map((socket) => socket.close()));
  await gateway.stop();
  await source.stop();
});

/** How many packets of logins have been read at a listener. */
const waitingAt = (name: string): number =>
  gateway.composition.lifecycle.listeners
    .filter((each) => each.gateway === name)
    .reduce((sum, { door }) => sum + door.loops.size, 0);
const connectsRead = async (): Promise<number> => {
  const text = await gateway.composition.metrics.text();
  return Number(/packets_received[^\n]*"connect"[^\n]*\} (\d+)/i.exec(text)?.[1]);
};

it("a flood of CONNECTs from addresses that may be forged makes nobody who is proven wait for more than its own turn", async () => {
  for (let n = 0; n < FORGED; n++) {
    const socket = await SnSocket.open(gateway.port("mqtt-sn", "udp"), `127.0.${n % 5}.${2 + (n % 50)}`);
    sockets.push(socket);
    await socket.send(message(`040401003c${hexOf(`forged-${n}`)}`));
  }
  await until(() => waitingAt("mqtt-sn") === FORGED && open.length === 1, "all of them wait");
  for (let n = 0; n < INNOCENT; n++) {
    const url = `mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`;
    const client = mqtt.connect(url, {
      clientId: `innocent-${n}`,
      username: "ana",
      password: "x",
      reconnectPeriod: 0,
      connectTimeout: 60_000,
    });
    client.on("error", () => {});
    clients.push(client);
  }
  await until(async () => (await connectsRead()) === INNOCENT, "all CONNECTs are read");
  await until(async () => {
    open.shift()?.();
    return clients.every(({ connected }) => connected);
  }, "they are all let in");
  const last = Math.max(...clients.map((_, n) => asked.indexOf(`innocent-${n}`)));
  // One that was under way, and then by turns.
  expect(last).toBeLessThanOrEqual(1 + 2 * INNOCENT);
  expect(asked.length).toBeLessThan(FORGED);
});
