/** `$SYS` of a whole gateway, topic by topic as the manuals of EMQ 2 and EMQ X 4 list them (operate sheet O-070 to O-087). */
import { connect as connectTcp } from "node:net";
import mqtt from "mqtt";
import { generate, parser } from "mqtt-packet";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exposeGauges, startSysTopics, sums } from "#core/observation.ts";
import type { SysTopics } from "#core/observe/sys-topics.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { until } from "../../support/store-process.ts";

const NODE = "$SYS/brokers/isthmus";

/** O-070. */
const IDENTITY = ["version", "uptime", "datetime", "sysdescr"];
/** O-080: each as `/count` and `/max`; `clients` and `queues` are EMQ 2's. */
const STATS = [
  ...["connections", "clients", "sessions", "sessions/persistent", "suboptions", "subscribers"],
  ...["subscriptions", "subscriptions/shared", "topics", "routes", "retained", "queues"],
  ...["rules", "actions", "resources"],
];
/** O-085. */
const BYTES = ["bytes/received", "bytes/sent"];
/** O-086. */
const PACKETS = [
  ...["received", "sent", "connect", "connack", "publish/received", "publish/sent"],
  ...["puback", "pubrec", "pubrel", "pubcomp"].flatMap((packet) =>
    ["received", "sent", "missed"].map((way) => `${packet}/${way}`),
  ),
  ...["subscribe", "suback", "unsubscribe", "unsuback", "pingreq", "pingresp"],
  ...["disconnect/received", "disconnect/sent", "auth"],
].map((name) => `packets/${name}`);
/** O-087. */
const MESSAGES = [
  ...["received", "sent", "expired", "retained", "dropped", "forward"],
  ...["qos0", "qos1", "qos2"].flatMap((qos) => [`${qos}/received`, `${qos}/sent`]),
  ...["qos2/expired", "qos2/dropped"],
].map((name) => `messages/${name}`);

let gateway: TestGateway;
let topics: SysTopics;
let reader: mqtt.MqttClient;
const heard = new Map<string, string>();

const url = (): string => `mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`;
const comes = (topic: string): Promise<void> => until(() => heard.has(topic), `${topic} does not come`);

beforeAll(async () => {
  gateway = await startGateway({ gateways: { mqtt: {} }, node: { sysInterval: "0s" } });
  exposeGauges(gateway.composition, "1.2.3");
  topics = startSysTopics(gateway.composition, "1.2.3");
  reader = await mqtt.connectAsync(url(), { clientId: "reader" });
  reader.on("message", (topic, payload) => heard.set(topic, payload.toString()));
  await reader.subscribeAsync("$SYS/#");
  await topics.countAndBeat();
  // The last that a beat says.
  await comes(`${NODE}/metrics/messages/qos2/dropped`);
});
afterAll(async () => {
  await reader.endAsync(true);
  topics.stop();
  await gateway.stop();
});

test("the list of nodes, and who this one is (O-070)", () => {
  expect(heard.get("$SYS/brokers")).toBe("isthmus");
  for (const name of IDENTITY)
    expect([name, heard.get(`${NODE}/${name}`)]).toEqual([name, expect.any(String)]);
});

test.each(STATS)("stats/%s has its count and its maximum (O-080)", (name) => {
  const [count, max] = ["count", "max"].map((end) => heard.get(`${NODE}/stats/${name}/${end}`));
  expect(count).toMatch(/^\d+$/);
  expect(Number(max)).toBeGreaterThanOrEqual(Number(count));
});

test.each([...BYTES, ...PACKETS, ...MESSAGES])("metrics/%s is a number (O-085 to O-087)", (name) => {
  expect(heard.get(`${NODE}/metrics/${name}`)).toMatch(/^\d+$/);
});

test("and nothing else: what is there is what the manuals list", () => {
  const known = new Set([
    ...IDENTITY.map((name) => `${NODE}/${name}`),
    ...STATS.flatMap((name) => [`${NODE}/stats/${name}/count`, `${NODE}/stats/${name}/max`]),
    ...[...BYTES, ...PACKETS, ...MESSAGES].map((name) => `${NODE}/metrics/${name}`),
  ]);
  const others = [...heard.keys()].filter((topic) => !known.has(topic) && !topic.includes("/clients/"));
  expect(others).toEqual(["$SYS/brokers"]);
});

test("a client that comes and goes, with the manuals' fields (O-071)", async () => {
  const client = await mqtt.connectAsync(url(), { clientId: "pump-7", username: "u", keepalive: 30 });
  await comes(`${NODE}/clients/pump-7/connected`);
  expect(JSON.parse(heard.get(`${NODE}/clients/pump-7/connected`)!)).toMatchObject({
    ...{ clientid: "pump-7", username: "u", ipaddress: "127.0.0.1", connack: 0, proto_ver: 4 },
    ...{ proto_name: "MQTT", clean_start: true, keepalive: 30, ts: expect.any(Number) },
  });
  await client.endAsync();
  await comes(`${NODE}/clients/pump-7/disconnected`);
  expect(JSON.parse(heard.get(`${NODE}/clients/pump-7/disconnected`)!)).toMatchObject({
    ...{ clientid: "pump-7", username: "u", reason: expect.any(String), ts: expect.any(Number) },
  });
});

test("an alarm, in the forms of three versions (O-072)", async () => {
  gateway.composition.alarms.raise("high-cpu", { severity: "warning", message: "busy" });
  for (const form of ["activate", "alert", "high-cpu/alert"]) await comes(`${NODE}/alarms/${form}`);
  expect(JSON.parse(heard.get(`${NODE}/alarms/activate`)!)).toMatchObject({
    ...{ name: "high-cpu", message: "busy", activated: true, deactivate_at: "infinity" },
  });
  gateway.composition.alarms.clear("high-cpu");
  for (const form of ["deactivate", "clear", "high-cpu/clear"]) await comes(`${NODE}/alarms/${form}`);
  expect(JSON.parse(heard.get(`${NODE}/alarms/deactivate`)!)).toMatchObject({ activated: false });
});

/** O-088: what EMQX 5 counts beside, and what is counted here of it; nothing where nothing is. */
const OF_EMQX_5: Readonly<Record<string, readonly string[]>> = {
  "packets.connack.error, .auth_error": ["clients_refused_total", "refusals_total"],
  "packets.publish.error, .auth_error": ["messages_refused_total", "mqtt_publishes_refused_total"],
  "packets.publish.dropped": ["mqtt_releases_full_total"],
  "packets.subscribe.error, .auth_error": ["refusals_total"],
  "packets.unsubscribe.error": ["mqtt_protocol_errors_total"],
  "packets.auth.received, .sent": ["mqtt_packets_received_total", "mqtt_packets_sent_total"],
  "messages.publish": ["messages_qos0_received_total", "messages_qos1_received_total"],
  "messages.delivered": ["messages_qos0_sent_total", "messages_qos1_sent_total", "messages_qos2_sent_total"],
  "messages.acked": ["messages_settled_total"],
  "messages.delayed": ["delayed_messages"],
  "messages.dropped.no_subscribers": ["messages_no_subscribers_total"],
  "delivery.dropped.expired": ["messages_dropped_expired_total"],
  "delivery.dropped.qos0_msg": ["messages_dropped_away_total"],
  "delivery.dropped.queue_full": ["messages_dropped_queue_full_total"],
  "delivery.dropped.too_large": ["mqtt_deliveries_too_large_total"],
  "client.connect, .connack": ["clients_connected_total", "clients_refused_total"],
  "client.connected, .disconnected": ["clients_connected_total", "clients_disconnected_total"],
  "client.subscribe, .unsubscribe": ["mqtt_packets_received_total"],
  "client.authenticate": ["authenticator_answers_total"],
  "client.authorize, authorization.*": ["authorization_answers_total", "refusals_total"],
  "session.takenover": ["sessions_taken_over"],
  "session.terminated": ["sessions_expired"],
};
/** They are there as soon as there is something to count. */
const COUNTED_LATER = ["refusals_total", "authenticator_answers_total", "authorization_answers_total"];

test.each(Object.entries(OF_EMQX_5))(
  "of EMQX 5's %s there is %j in /metrics (O-088)",
  async (_name, ours) => {
    const text = await gateway.composition.metrics.text();
    for (const name of ours.filter((each) => !COUNTED_LATER.includes(each)))
      expect(text).toContain(`# TYPE isthmus_${name} `);
  },
);

describe("acknowledgements of what was not on its way (O-086)", () => {
  const missed = (): Record<string, number | undefined> =>
    Object.fromEntries(
      Object.entries(sums(gateway.composition)).flatMap(([name, read]) =>
        name.endsWith("/missed") ? [[name.split("/")[1]!, read?.()]] : [],
      ),
    );

  test("are counted by their type, and those of what was are not", async () => {
    expect(missed()).toEqual({ puback: 0, pubrec: 0, pubrel: 0, pubcomp: 0 });
    const socket = connectTcp(gateway.port("mqtt", "tcp"), "127.0.0.1");
    const packets = parser();
    const answers: string[] = [];
    packets.on("packet", ({ cmd, messageId }) => answers.push(`${cmd} ${messageId ?? ""}`.trim()));
    socket.on("data", (chunk) => packets.parse(chunk));
    const send = (packet: object): void => void socket.write(generate(packet as mqtt.Packet));
    const answered = (answer: string) => until(() => answers.includes(answer), `no ${answer}: ${answers}`);
    send({
      cmd: "connect",
      clientId: "odd",
      protocolId: "MQTT",
      protocolVersion: 4,
      clean: true,
      keepalive: 60,
    });
    send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "own", qos: 2 }] });
    await answered("suback 1");
    // A message of each QoS, each step acknowledged as it should be.
    for (const [qos, id] of [
      [1, 2],
      [2, 3],
    ] as const)
      send({ cmd: "publish", topic: "own", payload: "x", qos, messageId: id });
    await answered("puback 2");
    await answered("pubrec 3");
    send({ cmd: "pubrel", messageId: 3 });
    await answered("pubcomp 3");
    await until(
      () => answers.filter((each) => each.startsWith("publish")).length === 2,
      "nothing comes back",
    );
    const [first, second] = answers
      .filter((each) => each.startsWith("publish"))
      .map((each) => Number(each.slice(8)));
    send({ cmd: "puback", messageId: first });
    send({ cmd: "pubrec", messageId: second });
    await answered(`pubrel ${second}`);
    send({ cmd: "pubcomp", messageId: second });
    // And those that nobody waits for.
    send({ cmd: "puback", messageId: 77 });
    send({ cmd: "pubrec", messageId: 78 });
    send({ cmd: "pubrel", messageId: 79 });
    send({ cmd: "pubcomp", messageId: 80 });
    send({ cmd: "pubcomp", messageId: 81 });
    send({ cmd: "pingreq" });
    await answered("pingresp");
    expect(missed()).toEqual({ puback: 1, pubrec: 1, pubrel: 1, pubcomp: 2 });
    socket.destroy();
  });
});
