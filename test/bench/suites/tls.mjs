/** What clients that come back over TLS, all at once, cost those who are connected: latency of their echoes. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { wanted } from "../lib/options.mjs";
import { freePort, LOAD_CORE, sleep, startWorker } from "../lib/processes.mjs";
import { interleave } from "../lib/statistics.mjs";
import { markdownTable } from "../lib/table.mjs";
import { cpuMicros } from "../lib/usage.mjs";

const CLIENTS = 5_000;
/** With `--quick`: what a busy machine gets done, too. */
const FEW = 300;
const ECHOES = { count: 50, rate: 200 };

/** What is left of a storm is not to be in the figures of the next state. */
const REST = { milliseconds: 500, used: 25, limit: 20_000 };
/** Until the gateway does next to nothing. @param {number} pid */
async function rested(pid) {
  const until = performance.now() + REST.limit;
  for (let used = Number.POSITIVE_INFINITY; used > REST.used && performance.now() < until; ) {
    const before = cpuMicros(pid);
    await sleep(REST.milliseconds);
    used = (cpuMicros(pid) - before) / 1_000;
  }
}

/** @param {number} clients */
const statesOf = (clients) => [
  { name: "nobody comes", clients: 0, resume: false, leave: false },
  { name: `${clients} come, with a whole handshake each`, clients, resume: false, leave: false },
  { name: `${clients} come back, with tickets`, clients, resume: true, leave: false },
  { name: `${clients} leave`, clients, resume: true, leave: true },
];

export const suite = {
  title: "Clients that come back over TLS at once",
  scenarios: () => statesOf(CLIENTS).map(({ name }) => name),
  run: async (/** @type {import("../lib/options.mjs").Options} */ options) => {
    const missing = isthmusMissing();
    if (missing !== undefined) throw new Error(missing);
    const folder = mkdtempSync(join(tmpdir(), "isthmus-bench-tls-"));
    const [port, secure] = [await freePort(), await freePort()];
    const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const request = ["req", "-x509", ...curve, "-subj", "/CN=localhost", "-keyout", key, "-out", cert];
    execFileSync("openssl", request, { stdio: "pipe" });
    const crowd = await startWorker(new URL("../tls/crowd.mjs", import.meta.url), { core: LOAD_CORE });
    const echo = await startWorker(new URL("../logins/echo.mjs", import.meta.url), { core: LOAD_CORE });
    const gateway = await startIsthmus({
      set: [
        ...onlyGateway("mqtt"),
        ...["store.engine=memory", `tls.cert=${cert}`, `tls.key=${key}`],
        ...["ws", "wss"].map((name) => `gateways.mqtt.listeners.${name}.enable=false`),
        `gateways.mqtt.listeners.tcp.port=${port}`,
        `gateways.mqtt.listeners.tls.port=${secure}`,
        "gateways.mqtt.listeners.tls.limits.connectionRate=100000",
        "gateways.mqtt.listeners.tls.limits.connectTimeout=120s",
      ],
      ...{ tcpPort: secure, limit: 60_000 },
    });
    try {
      await echo.call("open", { port, count: ECHOES.count });
      const chosen = statesOf(options.quick ? FEW : CLIENTS).filter(({ name }) => wanted(options, name));
      const figures = await interleave(chosen, options.passes, async ({ name, clients, resume, leave }) => {
        const storm = () => crowd.call("storm", { port: secure, clients, resume });
        if (leave) await storm();
        await rested(gateway.pid);
        const cpu = cpuMicros(gateway.pid);
        await echo.call("begin", { rate: ECHOES.rate });
        const none = { new: 0, resumed: 0, lost: 0, took: options.seconds * 1_000 };
        if (leave) await crowd.call("leave");
        const found = clients === 0 || leave ? none : await storm();
        if (found === none) await sleep(none.took);
        const echoes = await echo.call("end");
        const used = (cpuMicros(gateway.pid) - cpu) / 1_000;
        await crowd.call("leave");
        console.error(`${name}: ${JSON.stringify({ ...echoes, ...found, used })}`);
        return { ...echoes, ...found, used };
      });
      const number = (/** @type {string} */ name, /** @type {string} */ of, digits = 0) =>
        (figures.get(name)?.[of] ?? Number.NaN).toFixed(digits);
      const rows = chosen.map(({ name }) => [
        name,
        ...["p50", "p99", "most", "late"].map((of) => number(name, of, 2)),
        ...["used", "took", "new", "resumed", "lost"].map((of) => number(name, of)),
      ]);
      const head = [
        "meanwhile",
        "p50, ms",
        "p99, ms",
        "most, ms",
        "sent late p99, ms",
        "CPU of the gateway, ms",
        "within, ms",
      ];
      return [
        `MQTT 3.1.1, ${ECHOES.count} connected clients with ${ECHOES.rate} echoes a second together, in the clear; "sent late" is the generator's own.`,
        "",
        markdownTable([...head, "handshakes", "resumed", "lost"], rows),
      ].join("\n");
    } finally {
      await echo.call("close");
      await echo.stop();
      await crowd.stop();
      await gateway.stop();
      rmSync(folder, { recursive: true });
    }
  },
};
