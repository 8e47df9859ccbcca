import { expect, test } from "vitest";
import { Metrics } from "#core/observe/metrics.ts";

const samples = async (metrics: Metrics): Promise<string[]> =>
  (await metrics.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));

test("a cell is a counter of its gateway, read when the text is made", async () => {
  const metrics = new Metrics({ process: false });
  const counter = metrics.counters("mqtt-sn");
  const cell = counter("packets_received", "Packets received");
  cell.value += 3;
  expect(await samples(metrics)).toEqual(["isthmus_mqtt_sn_packets_received_total 3"]);
  cell.value++;
  expect(await samples(metrics)).toEqual(["isthmus_mqtt_sn_packets_received_total 4"]);
  expect(await metrics.text()).toContain("# HELP isthmus_mqtt_sn_packets_received_total Packets received");
  expect(await metrics.text()).toContain("# TYPE isthmus_mqtt_sn_packets_received_total counter");
});

test("kinds of one counter are labels, and the same name and kind are the same cell", async () => {
  const metrics = new Metrics({ process: false });
  const counter = metrics.counters("mqtt");
  counter("packets", "Packets", "publish").value = 5;
  counter("packets", "Packets", "puback").value = 2;
  counter("packets", "Packets", "publish").value++;
  expect(await samples(metrics)).toEqual([
    'isthmus_mqtt_packets_total{kind="publish"} 6',
    'isthmus_mqtt_packets_total{kind="puback"} 2',
  ]);
});

test("a counter can be read back, and one that nobody made is undefined", () => {
  const metrics = new Metrics({ process: false });
  metrics.counters("mqtt")("packets", "Packets", "publish").value = 5;
  metrics.counters("")("bytes", "Bytes").value = 6;
  expect(metrics.valueOf("mqtt", "packets", "publish")).toBe(5);
  expect(metrics.valueOf("", "bytes")).toBe(6);
  expect(metrics.valueOf("mqtt", "packets", "puback")).toBeUndefined();
  expect(metrics.valueOf("coap", "packets")).toBeUndefined();
});

test("the core's counters have no gateway in their name", async () => {
  const metrics = new Metrics({ process: false });
  metrics.counters("")("bytes_received", "Bytes").value = 1;
  expect(await samples(metrics)).toEqual(["isthmus_bytes_received_total 1"]);
});

test("a gauge is read when it is asked for, and a label that is gone disappears", async () => {
  const metrics = new Metrics({ process: false });
  let clients: [string, number][] = [["mqtt", 2]];
  metrics.gauge("sessions", "Sessions", () => 7);
  metrics.labelledGauge("clients", "Clients", "gateway", () => clients);
  metrics.info("build", "What runs", { version: "1.2.3" });
  expect(await samples(metrics)).toEqual([
    "isthmus_sessions 7",
    'isthmus_clients{gateway="mqtt"} 2',
    'isthmus_build{version="1.2.3"} 1',
  ]);
  clients = [["coap", 1]];
  expect(await samples(metrics)).toContain('isthmus_clients{gateway="coap"} 1');
  expect(await samples(metrics)).not.toContain('isthmus_clients{gateway="mqtt"} 2');
});

test("the process shows memory, processor and event-loop lag", async () => {
  const text = await new Metrics({ process: true }).text();
  for (const name of [
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "nodejs_eventloop_lag_seconds",
  ]) {
    expect(text).toContain(name);
  }
});
