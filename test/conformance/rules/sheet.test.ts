/** The manuals' events, line by line: each under the names of both generations, with each of its fields (R-005, R-045 to R-050). */
import mqtt, { type IClientOptions, type MqttClient, type Packet } from "mqtt";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";
import { until } from "../../support/store-process.ts";

const A = expect.anything();
const TEXT = expect.any(String);
const NUMBER = expect.toSatisfy(Number.isInteger, "a whole number");
const ADDRESS = expect.stringMatching(/^127\.0\.0\.1:\d+$/);
const WHO = { username: "Steven", peername: ADDRESS, event: TEXT };
const MESSAGE = { id: TEXT, topic: "m/t/1", payload: "hello", qos: 1, timestamp: NUMBER };
const FLAGS = { flags: { dup: false, retain: false } };
const OURS = { gateway: "mqtt", protocol: TEXT, gw_client: "mqtt:c1", node: TEXT };
const PROPERTIES = { "User-Property": { a: "b" }, "User-Property-Pairs": [{ key: "a", value: "b" }] };
const NONE = expect.toSatisfy((given: object) => Object.keys(given).length === 0, "no properties");
const SAID = { "Reason-String": "as it is", ...PROPERTIES };
const LET_IN = { auth_result: "success", mountpoint: "m/" };
const CAME = { keepalive: 60, clean_start: true, proto_ver: 5, is_bridge: false, connected_at: NUMBER };
const PUBLISHED = { ...MESSAGE, ...FLAGS, peerhost: "127.0.0.1", pub_props: A, publish_received_at: NUMBER };
const FROM = { from_clientid: "c1", from_username: "Steven" };
const FILTER = { topic: "m/t/#", topic_filters: A };
const TO = { ...OURS, client_attrs: {} };

/** Sources, what the first event of `client` with it has to hold, and which of several is meant. */
const LINES: readonly (readonly [line: string, source: string, fields: object, where?: string])[] = [
  ["R-005", "message.publish", { ...WHO, ...MESSAGE, ...FLAGS }],
  ["R-005", "message.deliver", { ...WHO, ...MESSAGE, ...FLAGS, ...LET_IN }],
  ["R-005", "message.acked", { ...WHO, ...MESSAGE, ...FLAGS }],
  ["R-005", "message.dropped", { ...WHO, id: TEXT, topic: "m/nobody", node: TEXT }, "topic = 'm/nobody'"],
  ["R-005", "client.connected", { ...WHO, ...LET_IN, ...CAME, connack: 0 }],
  ["R-005", "client.disconnected", { ...WHO, ...LET_IN, reason_code: "normal" }],
  ["R-005", "client.subscribe", { ...WHO, ...LET_IN, ...FILTER, qos: 1 }, "topic = 'm/t/#'"],
  ["R-005", "client.unsubscribe", { ...WHO, ...LET_IN, ...FILTER }, "topic = 'm/t/#'"],
  ["R-031", "session.terminated", { ...WHO, reason: "discarded" }],
  ["R-046", "t", { ...PUBLISHED, headers: {}, client_attrs: {}, ...OURS, clientid: "c1" }],
  ["R-047", "$events/message_delivered", { ...PUBLISHED, ...FROM, ...TO }],
  ["R-047", "$events/message_acked", { ...PUBLISHED, ...FROM, puback_props: SAID }],
  ["R-047", "$events/message_dropped", { ...OURS, reason: "no_subscribers" }, "topic = 'm/nobody'"],
  [
    "R-047",
    "$events/message_dropped",
    { reason: "receive_maximum_exceeded", payload: "2" },
    "topic = 'sn' and reason = 'receive_maximum_exceeded'",
  ],
  [
    "R-047",
    "$events/message_dropped",
    { reason: "packet_identifier_inuse", payload: "3" },
    "topic = 'sn' and reason = 'packet_identifier_inuse'",
  ],
  ["R-047", "$events/delivery_dropped", { ...FROM, topic: "m/own/1", reason: "no_local" }],
  [
    "R-048",
    "$events/client_connected",
    {
      ...WHO,
      ...CAME,
      ...OURS,
      proto_name: "MQTT",
      sockname: ADDRESS,
      expiry_interval: 120,
      mountpoint: "m/",
    },
  ],
  ["R-048", "$events/client_connected", { conn_props: PROPERTIES, client_attrs: {}, timestamp: NUMBER }],
  [
    "R-048",
    "$events/client_disconnected",
    { reason: "normal", disconnected_at: NUMBER, disconn_props: SAID },
  ],
  ["R-048", "$events/client_connack", { reason_code: "success", conn_props: PROPERTIES, sockname: ADDRESS }],
  [
    "R-049",
    "$events/client_check_authn_complete",
    { reason_code: "success", is_anonymous: false, is_superuser: false },
  ],
  [
    "R-049",
    "$events/client_check_authz_complete",
    { topic: "t/1", action: "publish", result: "allow", authz_source: "default" },
    "action = 'publish' and topic = 't/1'",
  ],
  [
    "R-049",
    "$events/session_subscribed",
    { topic: "m/t/#", qos: 1, sub_props: { "Subscription-Identifier": 7, ...PROPERTIES } },
    "topic = 'm/t/#'",
  ],
  ["R-049", "$events/session_subscribed", { topic: "m/own/#", sub_props: NONE }, "topic = 'm/own/#'"],
  ["R-049", "$events/session_unsubscribed", { topic: "m/t/#", unsub_props: PROPERTIES }, "topic = 'm/t/#'"],
  ["R-050", "$events/client_asleep", { gateway: "mqtt-sn", asleep_until: NUMBER }],
  ["R-050", "$events/client/awake", { gateway: "mqtt-sn", gw_client: "mqtt-sn:sn1" }],
  ["R-050", "$events/session_created", { expiry_interval: 120 }, "username = 'Steven'"],
  ["R-050", "$events/session/resumed", { expiry_interval: 120 }],
];

let gateway: TestGateway;
let sensor: SnSocket;
const clients: MqttClient[] = [];
const seen = new Map<string, Record<string, unknown>>();

async function connect(clientId: string, options: IClientOptions = {}): Promise<MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`, {
    ...{ clientId, protocolVersion: 5, reconnectPeriod: 0, ...options },
  });
  clients.push(client);
  return client;
}

/** Its PUBACKs have properties, which the library has no words for. */
function saysWhy(client: MqttClient): void {
  const send = client["_sendPacket"].bind(client) as (packet: Packet, ...rest: unknown[]) => void;
  client["_sendPacket"] = (packet: Packet, ...rest: unknown[]) => {
    if (packet.cmd === "puback") packet.properties = { reasonString: "as it is", userProperties: { a: "b" } };
    send(packet, ...rest);
  };
}

const C1 = {
  ...{ username: "Steven", keepalive: 60, clean: true },
  properties: { sessionExpiryInterval: 120, userProperties: { a: "b" } },
};

beforeAll(async () => {
  const rules = Object.fromEntries(
    LINES.map(([, source, , where], index) => {
      const from = source === "t" ? "m/t/#" : source;
      const of = /^[$t]/.test(source) ? "clientid" : "client_id";
      const whose = `(${of} = 'c1' or ${of} = 'sn1')`;
      const sql = `SELECT * FROM "${from}" WHERE ${whose}${where === undefined ? "" : ` and ${where}`}`;
      const action = { kind: "republish", topic: `m/seen/${index}`, payload: "${.}", direct: true };
      return [`line${index}`, { sql, actions: [action] }];
    }),
  );
  gateway = await startGateway({
    rules,
    session: { inboundMax: 1 },
    gateways: { mqtt: { mountpoint: "m/" }, "mqtt-sn": {} },
  });
  const listener = await connect("listener");
  listener.on("message", (topic, payload) => {
    if (!seen.has(topic)) seen.set(topic, JSON.parse(payload.toString()));
  });
  await listener.subscribeAsync("seen/#", { qos: 1 });
  let c1 = await connect("c1", C1);
  saysWhy(c1);
  const userProperties = { a: "b" };
  await c1.subscribeAsync("t/#", { qos: 1, properties: { subscriptionIdentifier: 7, userProperties } });
  await c1.subscribeAsync("own/#", { qos: 1, nl: true });
  const heard = new Promise((resolve) => c1.once("message", resolve));
  await c1.publishAsync("t/1", "hello", { qos: 1 });
  await heard;
  await c1.publishAsync("own/1", "x", { qos: 1 });
  await c1.publishAsync("nobody", "x", { qos: 1 });
  await c1.unsubscribeAsync("t/#", { properties: { userProperties } });
  for (const clean of [false, true]) {
    await c1.endAsync(false, { properties: { reasonString: "as it is", userProperties } });
    c1 = await connect("c1", { ...C1, clean });
  }
  sensor = await SnSocket.open(gateway.port("mqtt-sn", "udp"));
  expect(await sensor.ask(message(`04 04 01 003c ${hexOf("sn1")}`))).toBe("030500");
  // Two at QoS 2 on the short topic `sn`, without a PUBREL between them.
  expect(await sensor.ask(message(`0c 42 ${hexOf("sn")} 0001 ${hexOf("1")}`))).toBe("040f0001");
  expect(await sensor.ask(message(`0c 42 ${hexOf("sn")} 0002 ${hexOf("2")}`))).toBe(
    `070d${hexOf("sn")}000201`,
  );
  // The first again, with DUP, which is no other message; and another one under its id, which is.
  for (const [flags, payload] of [
    ["c2", "1"],
    ["42", "3"],
  ] as const)
    expect(await sensor.ask(message(`0c ${flags} ${hexOf("sn")} 0001 ${hexOf(payload)}`))).toBe("040f0001");
  expect(await sensor.ask("0418 003c")).toBe("0218");
  expect(await sensor.ask(message(`16 ${hexOf("sn1")}`))).toBe("0217");
  await until(() => seen.size === LINES.length, `no event of some line`, 20_000).catch(() => {});
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.endAsync(true)));
  await sensor.close();
  await gateway.stop();
});

it.each(LINES.map(([line, source, fields], index) => [line, source, index, fields] as const))(
  "%s: %s, line %i of this table",
  (_line, source, index, fields) => {
    const event = seen.get(`seen/${index}`);
    expect(event).toMatchObject(fields);
    // Names of the other generation are not there.
    const own = /^[$t]/.test(source) ? "clientid" : "client_id";
    expect(Object.keys(event!).filter((name) => /^client_?id$/.test(name))).toEqual([own]);
  },
);
