/** What logins that wait for a slow source cost those who are connected: latency of their echoes, and CPU of the gateway. */
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { wanted } from "../lib/options.mjs";
import { freePort, LOAD_CORE, sleep, startWorker } from "../lib/processes.mjs";
import { interleave } from "../lib/statistics.mjs";
import { markdownTable } from "../lib/table.mjs";
import { cpuMicros } from "../lib/usage.mjs";

const LOGINS = 5_000;
const DELAY_MS = 2_000;
const ECHOES = { count: 50, rate: 200 };
/** As many questions at a time as are allowed: 5,000 take five rounds. */
const CONCURRENT = 1_024;

const states = [
  { name: "nobody logs in", logins: 0 },
  { name: `${LOGINS} logins wait`, logins: LOGINS },
];

export const suite = {
  title: "Logins that wait for a slow source",
  scenarios: () => states.map(({ name }) => name),
  run: async (/** @type {import("../lib/options.mjs").Options} */ options) => {
    const missing = isthmusMissing();
    if (missing !== undefined) throw new Error(missing);
    const port = await freePort();
    const crowd = await startWorker(new URL("../logins/flood.mjs", import.meta.url), { core: LOAD_CORE });
    const echo = await startWorker(new URL("../logins/echo.mjs", import.meta.url), { core: LOAD_CORE });
    const source = await crowd.call("source", { delay: DELAY_MS });
    const chain = [
      {
        ...{ kind: "http", url: `http://127.0.0.1:${source}/`, timeout: "60s", concurrent: CONCURRENT },
        waiting: 10_000,
      },
    ];
    const gateway = await startIsthmus({
      set: [
        ...onlyGateway("mqtt"),
        ...["store.engine=memory", `gateways.mqtt.listeners.tcp.port=${port}`],
        ...["ws", "tls", "wss"].map((name) => `gateways.mqtt.listeners.${name}.enable=false`),
        `authentication.chain=${JSON.stringify(chain)}`,
        "gateways.mqtt.listeners.tcp.limits.connectTimeout=120s",
        "gateways.mqtt.listeners.tcp.limits.connectionRate=100000",
      ],
      ...{ tcpPort: port, limit: 60_000 },
    });
    try {
      await echo.call("open", { port, count: ECHOES.count });
      const chosen = states.filter(({ name }) => wanted(options, name));
      const figures = await interleave(chosen, options.passes, async ({ logins }) => {
        const [cpu, begun] = [cpuMicros(gateway.pid), performance.now()];
        await echo.call("begin", { rate: ECHOES.rate });
        const found =
          logins === 0 ? await sleep(options.seconds * 1_000) : await crowd.call("flood", { port, logins });
        const { p50, p99, most } = await echo.call("end");
        const used = (cpuMicros(gateway.pid) - cpu) / 1_000;
        return { p50, p99, most, used, took: performance.now() - begun, letIn: found?.letIn ?? 0 };
      });
      const number = (/** @type {string} */ name, /** @type {string} */ of, digits = 2) =>
        (figures.get(name)?.[of] ?? Number.NaN).toFixed(digits);
      const rows = chosen.map(({ name }) => [
        name,
        ...["p50", "p99", "most"].map((of) => number(name, of)),
        ...["used", "took", "letIn"].map((of) => number(name, of, 0)),
      ]);
      return [
        `MQTT 3.1.1, ${ECHOES.count} connected clients with ${ECHOES.rate} echoes a second together; the source answers after ${DELAY_MS / 1_000} s, ${CONCURRENT} questions at a time.`,
        "",
        markdownTable(
          ["meanwhile", "p50, ms", "p99, ms", "most, ms", "CPU of the gateway, ms", "within, ms", "let in"],
          rows,
        ),
      ].join("\n");
    } finally {
      await echo.call("close");
      await echo.stop();
      await crowd.stop();
      await gateway.stop();
    }
  },
};
