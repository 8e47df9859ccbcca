import { expect, test } from "vitest";
import { lossyText } from "#core/lib/bytes.ts";
import { type Instant, milliseconds } from "#core/lib/time.ts";
import { METRICS } from "#core/observe/sys-names.ts";
import { packetMetrics } from "#core/observe/sys-packets.ts";
import {
  type PresenceEvent,
  type SysPorts,
  SysTopics,
  topicLevel,
  uptimeText,
} from "#core/observe/sys-topics.ts";

interface Published {
  readonly text: string;
  readonly retain: boolean;
}

function open(
  statistics: SysPorts["statistics"] = {},
  metrics: SysPorts["metrics"] = {},
  hears: SysPorts["hears"] = () => true,
) {
  const topics = new Map<string, Published>();
  const clock = { at: Date.UTC(2026, 0, 2, 3, 4, 5), now: () => clock.at as Instant };
  const publish: SysPorts["publish"] = (topic, payload, retain) => {
    topics.set(topic, { text: lossyText(payload), retain });
  };
  const sys = new SysTopics(
    { node: "here", version: "1.2.3" },
    { publish, hears, statistics, metrics },
    clock,
  );
  return { topics, clock, sys };
}

const event: PresenceEvent = {
  gateway: "mqtt",
  listener: "tcp",
  clientId: "sensor",
  username: "u",
  address: "192.0.2.7",
  protocol: "MQTT 3.1.1",
};
const how = { cleanStart: true, keepAlive: 60 };

test("a beat publishes who the node is, retained", () => {
  const { topics, clock, sys } = open();
  clock.at += 90_061_000;
  sys.beat();
  expect(topics.get("$SYS/brokers")).toEqual({ text: "here", retain: true });
  expect(topics.get("$SYS/brokers/here/version")).toEqual({ text: "1.2.3", retain: true });
  expect(topics.get("$SYS/brokers/here/uptime")?.text).toBe("1 days, 1 hours, 1 minutes, 1 seconds");
  expect(topics.get("$SYS/brokers/here/datetime")?.text).toBe("2026-01-03 04:05:06 UTC");
  expect(topics.get("$SYS/brokers/here/sysdescr")?.text).toContain("Isthmus");
});

test("statistics are published with the highest value seen, metrics as sums, unknown ones not at all", () => {
  let sessions = 5;
  const { topics, sys } = open({ sessions: () => sessions }, { "messages/qos1/received": () => 12 });
  sys.beat();
  sessions = 3;
  sys.beat();
  expect(topics.get("$SYS/brokers/here/stats/sessions/count")?.text).toBe("3");
  expect(topics.get("$SYS/brokers/here/stats/sessions/max")?.text).toBe("5");
  expect(topics.get("$SYS/brokers/here/metrics/messages/qos1/received")?.text).toBe("12");
  expect([...topics.keys()].filter((topic) => topic.includes("/stats/"))).toHaveLength(2);
});

test("a peak of connections between two beats is seen", () => {
  let connections = 9;
  const { topics, sys } = open({ connections: () => connections });
  sys.connected(event, how);
  connections = 1;
  sys.beat();
  expect(topics.get("$SYS/brokers/here/stats/connections/max")?.text).toBe("9");
});

test("a client that comes is announced at once, not retained, with the fields of the manual", () => {
  const { topics, sys } = open();
  sys.connected(event, how);
  const { text, retain } = topics.get("$SYS/brokers/here/clients/sensor/connected") ?? {
    text: "{}",
    retain: true,
  };
  expect(retain).toBe(false);
  expect(JSON.parse(text)).toEqual({
    clientid: "sensor",
    username: "u",
    ipaddress: "192.0.2.7",
    connack: 0,
    proto_name: "MQTT",
    proto_ver: 4,
    clean_start: true,
    keepalive: 60,
    ts: 1767323045,
    protocol: "MQTT 3.1.1",
    gateway: "mqtt",
    listener: "tcp",
  });
});

test("a client that goes is announced with the reason", () => {
  const { topics, sys } = open();
  sys.disconnected(event, "keep-alive");
  const { text } = topics.get("$SYS/brokers/here/clients/sensor/disconnected") ?? { text: "{}" };
  expect(JSON.parse(text)).toMatchObject({
    clientid: "sensor",
    username: "u",
    reason: "keep-alive",
    ts: 1767323045,
  });
});

test("nothing is made of comings and goings that nobody listens to", () => {
  const asked: string[] = [];
  const { topics, sys } = open({}, {}, (topic) => asked.push(topic) === 0);
  sys.connected(event, how);
  sys.disconnected(event, "keep-alive");
  expect(asked).toEqual([
    "$SYS/brokers/here/clients/sensor/connected",
    "$SYS/brokers/here/clients/sensor/disconnected",
  ]);
  expect(topics.size).toBe(0);
});

test.each([
  ["MQTT 3.1", "MQIsdp", 3],
  ["MQTT 5.0", "MQTT", 5],
  ["MQTT-SN 1.2", "MQTT-SN", 1],
  ["CoAP", "CoAP", 0],
])("%s is announced as %s %d", (protocol, name, version) => {
  const { topics, sys } = open();
  sys.connected({ ...event, protocol }, how);
  const { text } = topics.get("$SYS/brokers/here/clients/sensor/connected") ?? { text: "{}" };
  expect(JSON.parse(text)).toMatchObject({ proto_name: name, proto_ver: version });
});

test("a client id with separators and wildcards is one level of a valid topic", () => {
  expect(topicLevel("a/b+c#d%e")).toBe("a%2Fb%2Bc%23d%25e");
  expect(topicLevel("plain-id_1:2")).toBe("plain-id_1:2");
});

test.each([
  [0, "0 seconds"],
  [3_599_000, "59 minutes, 59 seconds"],
  [3_600_000, "1 hours, 0 minutes, 0 seconds"],
])("an uptime of %d ms is %s", (length, expected) => {
  expect(uptimeText(milliseconds(length))).toBe(expected);
});

test("packet metrics are the counters of the MQTT gateway, and their sums", () => {
  const counts: Record<string, number> = { "received publish": 3, "sent publish": 5, "received connect": 2 };
  const metrics = packetMetrics(
    (direction, packet) => counts[`${direction} ${packet}`],
    (packet) => ({ pubrel: 4 })[packet],
  );
  expect(metrics["packets/publish/received"]?.()).toBe(3);
  expect(metrics["packets/publish/sent"]?.()).toBe(5);
  expect(metrics["packets/connect"]?.()).toBe(2);
  expect(metrics["packets/received"]?.()).toBe(5);
  expect(metrics["packets/sent"]?.()).toBe(5);
  expect(metrics["packets/puback/sent"]?.()).toBe(0);
  expect(metrics["packets/pubrel/missed"]?.()).toBe(4);
  expect(metrics["packets/puback/missed"]?.()).toBe(0);
  const counted = METRICS.filter((name) => name.startsWith("packets/"));
  expect(Object.keys(metrics).sort()).toEqual([...counted].sort());
});

test("an alarm is published as EMQX 5, EMQ X 4 and EMQ 2 publish theirs, and not retained", () => {
  const { topics, sys } = open();
  const alarm = {
    name: "high-cpu",
    severity: "warning",
    message: "busy",
    details: { value: 0.9 },
    raisedAt: 1_700_000_000_000 as Instant,
  } as const;
  sys.alarm("raised", alarm);
  expect([...topics.keys()]).toEqual([
    "$SYS/brokers/here/alarms/activate",
    "$SYS/brokers/here/alarms/alert",
    "$SYS/brokers/here/alarms/high-cpu/alert",
  ]);
  const { text, retain } = topics.get("$SYS/brokers/here/alarms/activate")!;
  expect([JSON.parse(text), retain]).toEqual([
    {
      name: "high-cpu",
      message: "busy",
      details: { value: 0.9 },
      severity: "warning",
      activate_at: 1_700_000_000_000_000,
      deactivate_at: "infinity",
      activated: true,
    },
    false,
  ]);
  topics.clear();
  sys.alarm("cleared", { ...alarm, clearedAt: 1_700_000_060_000 as Instant });
  const over = JSON.parse(topics.get("$SYS/brokers/here/alarms/deactivate")!.text);
  expect(over).toMatchObject({ deactivate_at: 1_700_000_060_000_000, activated: false });
  expect([...topics.keys()]).toContain("$SYS/brokers/here/alarms/high-cpu/clear");
});
