/** Rules: how many are run a second, what sinks take a second, and what the plain way of a message costs beside them. */
import mqtt from "mqtt";
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { wanted } from "../lib/options.mjs";
import { freePort, LOAD_CORE, sleep, startWorker } from "../lib/processes.mjs";
import { interleave } from "../lib/statistics.mjs";
import { markdownTable, perSecond } from "../lib/table.mjs";
import { cpuMicros } from "../lib/usage.mjs";
import { evaluate, evaluations } from "../rules/evaluation.mjs";
import { sinks } from "../rules/sinks.mjs";

const forms = sinks.flatMap((sink) =>
  [sink.batch, 1].map((messages) => ({
    ...{ sink, messages },
    name: `${sink.name}, ${messages === 1 ? "no batches" : `batches of ${messages}`}`,
  })),
);
/** Rules that a message has nothing to do with. */
const beside = [
  { name: "plain MQTT, no rules", rules: 0 },
  { name: "plain MQTT, 1,000 rules for other topics", rules: 1_000 },
];

export const suite = {
  title: "Rules and sinks",
  scenarios: () => [...evaluations, ...forms, ...beside].map(({ name }) => name),
  run: async (/** @type {import("../lib/options.mjs").Options} */ options) => {
    const missing = isthmusMissing();
    if (missing !== undefined) throw new Error(missing);
    const parts = [await runEvaluations(options), await runSinks(options), await runBeside(options)];
    return parts.filter((part) => part !== "").join("\n\n");
  },
};

/** @param {import("../lib/options.mjs").Options} options */
async function runEvaluations(options) {
  const rows = [];
  for (const evaluation of evaluations.filter(({ name }) => wanted(options, name))) {
    const { nanoseconds, outputs } = await evaluate(evaluation, options.quick);
    rows.push([
      ...[evaluation.name, (nanoseconds / 1000).toFixed(2), perSecond(1e9 / nanoseconds)],
      outputs.toFixed(0),
    ]);
  }
  if (rows.length === 0) return "";
  return markdownTable(["rules alone", "a message, µs", "messages a second", "outputs of each"], rows);
}

// ---- into sinks

const MESSAGES = { quick: 2_000, whole: 30_000 };
const PUBLISHERS = 8;
/** Messages that a publisher has not been answered for. */
const WINDOW = 100;
const PATIENCE_MS = 120_000;

/** @param {import("../lib/options.mjs").Options} options */
async function runSinks(options) {
  const chosen = forms.filter(({ name }) => wanted(options, name));
  for (const { sink } of chosen)
    if (sink.missing !== undefined) console.error(`${sink.name} is left out: ${sink.missing}`);
  const there = chosen.filter(({ sink }) => sink.missing === undefined);
  const figures = await interleave(there, options.passes, (form) => intoSink(form, options.quick));
  if (figures.size === 0) return "";
  const rows = there.map(({ name }) => {
    const { rate, micros } = figures.get(name) ?? {};
    return [name, perSecond(rate), (micros ?? Number.NaN).toFixed(1)];
  });
  return [
    `What waits is given to the sink: ${PUBLISHERS} clients, 61 B, kept on disk, eight batches at once.`,
    "",
    markdownTable(["sink", "messages a second", "CPU of the gateway a message, µs"], rows),
  ].join("\n");
}

/**
 * Messages are taken first, while the connector rests; then it is told to begin.
 * @param {typeof forms[number]} form
 * @param {boolean} quick
 */
async function intoSink({ sink, messages }, quick) {
  const count = quick ? MESSAGES.quick : MESSAGES.whole;
  const running = await sink.start();
  const [port, api] = [await freePort(), await freePort()];
  try {
    const gateway = await startIsthmus({
      set: [
        ...onlyGateway("mqtt").filter((setting) => !setting.startsWith("api.")),
        ...[`api.port=${api}`, `gateways.mqtt.listeners.tcp.port=${port}`],
        ...["ws", "tls", "wss"].map((name) => `gateways.mqtt.listeners.${name}.enable=false`),
      ],
      config: {
        connectors: { out: { ...running.connector, enable: false, batch: { messages } } },
        rules: {
          r: {
            sql: 'SELECT payload.temperature AS t, clientid, timestamp FROM "t/#"',
            actions: [{ ...running.action, connector: "out" }],
          },
        },
      },
    });
    try {
      await publish(port, count);
      const url = `http://127.0.0.1:${api}/api/v1/connectors/out`;
      const before = { cpu: cpuMicros(gateway.pid), at: performance.now() };
      await asked(`${url}/enable`, "POST");
      await untilTaken(url, count);
      const seconds = (performance.now() - before.at) / 1000;
      return { rate: count / seconds, micros: (cpuMicros(gateway.pid) - before.cpu) / count };
    } finally {
      await gateway.stop();
    }
  } finally {
    await running.stop();
  }
}

/** @param {string} url @param {string} [method] */
async function asked(url, method = "GET") {
  const answer = await fetch(url, { method });
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** @param {string} url @param {number} count */
async function untilTaken(url, count) {
  for (const deadline = Date.now() + PATIENCE_MS; ; ) {
    const { success, failed, reason } = await asked(url);
    if (success >= count) return;
    if (failed > 0 || Date.now() > deadline)
      throw new Error(`the sink has ${success} of ${count}, ${failed} failed: ${reason}`);
    await sleep(10);
  }
}

/** @param {number} port @param {number} count */
async function publish(port, count) {
  const payload = '{"temperature":23.5,"humidity":41,"room":"kitchen","ok":true}';
  const clients = await Promise.all(
    Array.from({ length: PUBLISHERS }, (_, n) =>
      mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { clientId: `p${n}`, reconnectPeriod: 0 }),
    ),
  );
  let left = count;
  const work = async (/** @type {import("mqtt").MqttClient} */ client) => {
    while (left-- > 0) await client.publishAsync("t/1", payload, { qos: 1 });
  };
  await Promise.all(clients.flatMap((client) => Array.from({ length: WINDOW }, () => work(client))));
  await Promise.all(clients.map((client) => client.endAsync()));
}

// ---- beside rules

const CELL = { version: 4, payload: 64, flows: 1, publishers: 1, subscribers: 1, window: 200 };

/** @param {import("../lib/options.mjs").Options} options */
async function runBeside(options) {
  const chosen = beside.filter(({ name }) => wanted(options, name));
  if (chosen.length === 0) return "";
  const load = await startWorker(new URL("../mqtt/load.mjs", import.meta.url), { core: LOAD_CORE });
  try {
    const figures = await interleave(chosen, options.passes, async ({ rules }) => {
      const port = await freePort();
      const gateway = await startIsthmus({
        set: [
          ...onlyGateway("mqtt"),
          ...["store.engine=memory", `gateways.mqtt.listeners.tcp.port=${port}`],
          ...["ws", "tls", "wss"].map((name) => `gateways.mqtt.listeners.${name}.enable=false`),
        ],
        config: { rules: others(rules) },
      });
      try {
        const { seconds, warmup } = options;
        const cell = { ...CELL, port, pid: gateway.pid, seconds, warmup };
        const zero = await load.call("throughput", { ...cell, qos: 0 });
        const one = await load.call("throughput", { ...cell, qos: 1 });
        return { zero: zero.brokerMicros, one: one.brokerMicros };
      } finally {
        await gateway.stop();
      }
    });
    const rows = chosen.map(({ name }) => {
      const { zero = Number.NaN, one = Number.NaN } = figures.get(name) ?? {};
      return [name, zero.toFixed(2), one.toFixed(2)];
    });
    return markdownTable(
      ["one publisher to one subscriber, 64 B", "QoS 0, CPU a delivery, µs", "QoS 1"],
      rows,
    );
  } finally {
    await load.stop();
  }
}

/** @param {number} count */
const others = (count) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, n) => [
      `r${n}`,
      { sql: `SELECT payload.x AS x FROM "other/${n}/#"`, actions: [{ kind: "console" }] },
    ]),
  );
