/** What is said of `node.workers` before anything is opened. */
import { describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import { MODULES } from "#core/modules.ts";

type Settings = Readonly<Record<string, unknown>>;

const load = (settings: Settings, upstream: Settings = { devices: { keep: "retained" } }) =>
  loadText(
    MODULES,
    JSON.stringify({
      node: { workers: 2 },
      bus: { engine: "upstream", upstream: { servers: ["tcp://a:1883"], ...upstream } },
      ...settings,
    }),
  ).config;

describe("node.workers", () => {
  it("is 1, and may be more where sessions and what is remembered of devices are at a cluster", () => {
    expect(loadText(MODULES, "").config.node.workers).toBe(1);
    expect(load({}).node.workers).toBe(2);
    expect(load({}, { devices: { keep: "redis" } }).node.workers).toBe(2);
  });

  it("is refused with the embedded engine, with reason and fix", () => {
    expect(() => load({ bus: { engine: "embedded" } })).toThrow(
      /node\.workers is 2.*bus\.engine is embedded: sessions and the bus are in one process.*Set bus\.engine to upstream/s,
    );
  });

  it("is refused where only this machine's store remembers devices, naming key, value and fix", () => {
    expect(() => load({}, {})).toThrow(
      /bus\.upstream\.devices\.keep is "local".*retained or redis where node\.workers is 2/s,
    );
  });

  it.each<[string, Settings, RegExp]>([
    [
      "UDP one by one",
      { gateways: { coap: { listeners: { udp: { udp: { batches: false } } } } } },
      /gateways\.coap\.listeners\.udp\.udp\.batches is false/,
    ],
    [
      "an HTTP port that leaves no further one",
      { api: { port: 65_535 } },
      /api\.port is 65535.*at most 65534/s,
    ],
    [
      "a listener on another worker's HTTP port",
      { gateways: { mqtt: { listeners: { tcp: { port: 18_084 } } } } },
      /gateways\.mqtt\.listeners\.tcp\.port is 18084/,
    ],
    [
      "connection ids with no room for a worker's number",
      {
        dtls: { connectionId: { length: 2 } },
        tls: { pskFile: "psk" },
        gateways: { coap: { listeners: { dtls: { enable: true } } } },
      },
      /dtls\.connectionId\.length is 2/,
    ],
  ])("is refused with %s", (_what, settings, says) => {
    expect(() => load(settings)).toThrow(says);
    expect(() => load({ ...settings, node: { workers: 1 } })).not.toThrow();
  });
});
