/** What a trace costs the messages that pass by: CPU of the gateway for each delivery. */
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { wanted } from "../lib/options.mjs";
import { freePort, LOAD_CORE, startWorker } from "../lib/processes.mjs";
import { interleave } from "../lib/statistics.mjs";
import { markdownTable } from "../lib/table.mjs";

/** What is followed meanwhile. A trace that follows nobody is there, and sees nothing. */
const states = [
  { name: "no trace", follows: undefined },
  { name: "a trace of somebody else", follows: { client: "nobody" } },
  { name: "a trace of another gateway", follows: { gateway: "coap" } },
];

const CELL = {
  ...{ version: 4, qos: /** @type {const} */ (0), payload: 64, flows: 1 },
  ...{ publishers: 1, subscribers: 1, window: 200 },
};

export const suite = {
  title: "Traces",
  scenarios: () => states.map(({ name }) => name),
  run: async (/** @type {import("../lib/options.mjs").Options} */ options) => {
    const missing = isthmusMissing();
    if (missing !== undefined) throw new Error(missing);
    const [port, api] = [await freePort(), await freePort()];
    const gateway = await startIsthmus({
      set: [
        ...onlyGateway("mqtt").filter((setting) => !setting.startsWith("api.")),
        ...["store.engine=memory", `api.port=${api}`, `gateways.mqtt.listeners.tcp.port=${port}`],
        ...["ws", "tls", "wss"].map((name) => `gateways.mqtt.listeners.${name}.enable=false`),
      ],
      tcpPort: port,
    });
    const load = await startWorker(new URL("../mqtt/load.mjs", import.meta.url), { core: LOAD_CORE });
    const ask = (/** @type {string} */ method, /** @type {string} */ path, /** @type {object=} */ body) =>
      fetch(`http://127.0.0.1:${api}/api/v1${path}`, {
        method,
        ...(body === undefined
          ? {}
          : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
      });
    try {
      const chosen = states.filter(({ name }) => wanted(options, name));
      const figures = await interleave(chosen, options.passes, async ({ follows }) => {
        const trace = follows === undefined ? undefined : await ask("POST", "/traces", follows);
        if (trace !== undefined && !trace.ok) throw new Error(`the trace: ${await trace.text()}`);
        const { seconds, warmup } = options;
        const found = await load.call("throughput", { ...CELL, port, pid: gateway.pid, seconds, warmup });
        if (trace !== undefined) await ask("DELETE", `/traces/${(await trace.json()).id}`);
        return found;
      });
      const rows = chosen.map(({ name }) => [
        name,
        (figures.get(name)?.["brokerMicros"] ?? Number.NaN).toFixed(2),
      ]);
      return [
        "MQTT 3.1.1, one publisher to one subscriber, QoS 0, 64 B.",
        "",
        markdownTable(["meanwhile", "CPU a delivery, µs"], rows),
      ].join("\n");
    } finally {
      await load.stop();
      await gateway.stop();
    }
  },
};
