/** Rules: how many are run a second, what sinks take a second, and what the plain way of a message costs beside them, and hooks. */
import { fileURLToPath } from "node:url";
import mqtt from "mqtt";
import { isthmusMissing, onlyGateway, onlyGatewayOf, startIsthmus } from "../lib/isthmus.mjs";
import { wanted } from "../lib/options.mjs";
import { BROKER_CORE, freePort, LOAD_CORE, sleep, startWorker } from "../lib/processes.mjs";
import { machine } from "../lib/results.mjs";
import { interleave, interleaved, median } from "../lib/statistics.mjs";
import { markdownTable, perSecond } from "../lib/table.mjs";
import { cpuMicros } from "../lib/usage.mjs";
import { evaluations } from "../rules/evaluations.mjs";
import { sinks } from "../rules/sinks.mjs";

const forms = sinks.flatMap((sink) =>
  [sink.batch, 1].map((messages) => ({
    ...{ sink, messages },
    name: `${sink.name}, ${messages === 1 ? "no batches" : `batches of ${messages}`}`,
  })),
);

/** The plain way of a message; what the others cost is compared with the first. */
const NO_RULES = { name: "plain MQTT, no rules" };
const beside = [
  NO_RULES,
  { name: "plain MQTT, 10,000 rules for other topics", config: { rules: rulesElsewhere(10_000) } },
  { name: "plain MQTT, a hook of another gateway", config: hookOf("stomp") },
  { name: "plain MQTT, a hook that lets all pass", config: hookOf("mqtt") },
];

export const suite = {
  title: "Rules and sinks",
  scenarios: () => [...evaluations, ...forms, ...beside].map(({ name }) => name),
  run: async (/** @type {import("../lib/options.mjs").Options} */ options) => {
    for (const missing of [isthmusMissing(), ...options.against.map(({ dist }) => isthmusMissing(dist))])
      if (missing !== undefined) throw new Error(missing);
    const parts = [await runEvaluations(options), await runSinks(options), await runBeside(options)];
    return [machine(), ...parts.filter((part) => part !== "")].join("\n\n");
  },
};

/** @param {import("../lib/options.mjs").Options} options */
async function runEvaluations(options) {
  const rows = [];
  for (const { name, payload, rules } of evaluations.filter(({ name }) => wanted(options, name))) {
    // A process for each: none is slower for what was run before it.
    const worker = await startWorker(new URL("../rules/evaluation.mjs", import.meta.url), {
      core: BROKER_CORE,
    });
    try {
      const { quick } = options;
      const { micros, runs, outputs } = await worker.call("evaluate", { payload, rules, quick });
      const rate = 1e6 / micros;
      rows.push([
        ...[name, micros.toFixed(2), perSecond(rate)],
        ...[perSecond(rate * runs), perSecond(rate * outputs)],
      ]);
    } finally {
      await worker.stop();
    }
  }
  if (rows.length === 0) return "";
  const head = ["rules alone, 61 B", "CPU a message, µs", "messages/s", "runs of rules/s", "outputs/s"];
  return markdownTable(head, rows);
}

// ---- into sinks

/** Without batches a sink takes fewer in the same time. */
const MESSAGES = { quick: [2_000, 1_000], whole: [40_000, 10_000] };
const PUBLISHERS = 8;
/** Messages that a publisher has not been answered for. */
const WINDOW = 100;
const PATIENCE_MS = 120_000;
/** Of the messages, those that all get warm with: connections, prepared statements, compiled code. */
const WARM = 0.25;
/** How often a sink is looked at, with batches and without: asking costs the gateway too. */
const LOOK_MS = { batches: 20, single: 100 };
/** What a sink takes differs by more than two passes would tell apart. */
const SINK_PASSES = 2;

/** @param {import("../lib/options.mjs").Options} options */
async function runSinks(options) {
  const chosen = forms.filter(({ name }) => wanted(options, name));
  for (const missing of new Set(chosen.map(({ sink }) => sink.missing)))
    if (missing !== undefined) console.error(`left out: ${missing}`);
  const there = chosen.filter(({ sink }) => sink.missing === undefined);
  const passes = Math.min(options.passes, SINK_PASSES);
  const figures = await interleave(there, passes, (form) => intoSink(form, options.quick));
  if (figures.size === 0) return "";
  const rows = there.map(({ name }) => {
    const { rate, micros } = figures.get(name) ?? {};
    return [name, perSecond(rate), (micros ?? Number.NaN).toFixed(1)];
  });
  return [
    `What waits on disk of ${PUBLISHERS} clients is given to the sink, 61 B each, eight batches at once.`,
    "",
    markdownTable(["sink", "messages/s", "CPU of the gateway a message, µs"], rows),
  ].join("\n");
}

/**
 * Messages are taken first, while the connector rests; then it is told to begin.
 * @param {typeof forms[number]} form
 * @param {boolean} quick
 */
async function intoSink({ sink, messages }, quick) {
  const count = MESSAGES[quick ? "quick" : "whole"][messages === 1 ? 1 : 0] ?? 0;
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
      const look = LOOK_MS[messages === 1 ? "single" : "batches"];
      const begun = { success: 0, at: performance.now(), cpu: cpuMicros(gateway.pid) };
      await asked(`${url}/enable`, "POST");
      const warm = await untilTaken(url, WARM * count, gateway.pid, look);
      const to = await untilTaken(url, count, gateway.pid, look);
      // It may have been so fast that nobody saw it get warm.
      const from = warm.success < to.success ? warm : begun;
      const taken = to.success - from.success;
      return { rate: (taken / (to.at - from.at)) * 1000, micros: (to.cpu - from.cpu) / taken };
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

/** @param {string} url @param {number} count @param {number} pid @param {number} look */
async function untilTaken(url, count, pid, look) {
  for (const deadline = Date.now() + PATIENCE_MS; ; ) {
    const { success, failed, reason } = await asked(url);
    if (success >= count) return { success, at: performance.now(), cpu: cpuMicros(pid) };
    if (failed > 0 || Date.now() > deadline)
      throw new Error(`the sink has ${success} of ${count}, ${failed} failed: ${reason}`);
    await sleep(look);
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
/** Two in a hundred are less than what one pass differs from the next. */
const BESIDE_PASSES = 3;

/** @param {import("../lib/options.mjs").Options} options */
async function runBeside(options) {
  const chosen = beside.filter(({ name }) => wanted(options, name));
  if (chosen.length === 0) return "";
  const others = options.against.map(({ name, dist }) => ({ name: `plain MQTT, ${name}`, dist }));
  const all = [...chosen, ...others];
  const passes = options.quick ? 1 : BESIDE_PASSES * options.passes;
  const load = await startWorker(new URL("../mqtt/load.mjs", import.meta.url), { core: LOAD_CORE });
  try {
    const taken = await interleaved(all, passes, (form) => plain(load, form, options));
    const first = taken.get(NO_RULES.name) ?? [];
    const rows = all.map(({ name }) => {
      const own = taken.get(name) ?? [];
      const cells = ["zero", "one"].flatMap((qos) => [
        median(own.map((pass) => pass[qos] ?? Number.NaN)).toFixed(2),
        name === NO_RULES.name ? "" : compared(own, first, qos),
      ]);
      return [name, ...cells];
    });
    const against = "against no rules";
    const head = ["one publisher to one subscriber, 64 B", "QoS 0, CPU a delivery, µs", against];
    return markdownTable([...head, "QoS 1, CPU a delivery, µs", against], rows);
  } finally {
    await load.stop();
  }
}

/**
 * @param {Awaited<ReturnType<typeof startWorker>>} load
 * @param {{config?: object, dist?: string}} form
 * @param {import("../lib/options.mjs").Options} options
 */
async function plain(load, { config, dist }, { seconds, warmup }) {
  const port = await freePort();
  const gateway = await startIsthmus({
    ...(dist === undefined ? {} : { dist }),
    set: [
      ...(dist === undefined ? onlyGateway("mqtt") : onlyGatewayOf(dist, "mqtt")),
      ...["store.engine=memory", `gateways.mqtt.listeners.tcp.port=${port}`],
      ...["ws", "tls", "wss"].map((name) => `gateways.mqtt.listeners.${name}.enable=false`),
    ],
    ...(config === undefined ? {} : { config }),
  });
  try {
    const cell = { ...CELL, port, pid: gateway.pid, seconds, warmup };
    const zero = await load.call("throughput", { ...cell, qos: 0 });
    const one = await load.call("throughput", { ...cell, qos: 1 });
    return { zero: zero.brokerMicros, one: one.brokerMicros };
  } finally {
    await gateway.stop();
  }
}

/**
 * By how much it costs more than the first in the same pass: the median of all passes.
 * @param {Record<string, number>[]} own
 * @param {Record<string, number>[]} first
 * @param {string} qos
 */
function compared(own, first, qos) {
  const more = median(
    own.map((pass, at) => (pass[qos] ?? Number.NaN) / (first[at]?.[qos] ?? Number.NaN) - 1),
  );
  if (Number.isNaN(more)) return "–";
  return `${more < 0 ? "−" : "+"}${Math.abs(100 * more).toFixed(1)} %`;
}

/** @param {number} count */
function rulesElsewhere(count) {
  const rules = Array.from({ length: count }, (_, n) => [
    `r${n}`,
    { sql: `SELECT payload.x AS x FROM "other/${n}/#"`, actions: [{ kind: "console" }] },
  ]);
  return Object.fromEntries(rules);
}

/** @param {string} gateway */
function hookOf(gateway) {
  const module = fileURLToPath(new URL("../rules/passing-hook.mjs", import.meta.url));
  return { hooks: { modules: [{ name: "passing", module, gateways: [gateway] }] } };
}
