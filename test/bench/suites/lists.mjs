/** What lists, plots and counts of many clients cost who asks for them, and everybody else meanwhile. */
import { setTimeout as sleep } from "node:timers/promises";
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { wanted } from "../lib/options.mjs";
import { freePort, LOAD_CORE, startWorker } from "../lib/processes.mjs";
import { machine } from "../lib/results.mjs";
import { interleave, median } from "../lib/statistics.mjs";
import { markdownTable, number } from "../lib/table.mjs";

/** Open files bound those that are there: 20,000 in many a container. */
const STAY = 5_000;
const OVERDUE = 10_000;
const CLIENTS = 100_000;

const SORTS = ["clientId", "heardAt", "dueAt", "since", "waiting", "lost", "subscriptions"];
/** All of the crowd have them: each is an order of its own to find, and none is shared. */
const PREFIXES = ["c", "cr", "cro", "crow", "crowd", "crowd-"];

/**
 * @typedef {object} Question
 * @property {string} name
 * @property {(turn: number, cursor: string) => string | undefined} path
 */

/** @type {readonly Question[]} */
const QUESTIONS = [
  { name: "nothing", path: () => undefined },
  { name: "clients, first page", path: () => "/api/v1/clients?limit=100" },
  {
    name: "clients, a page in the middle",
    path: (_, cursor) => `/api/v1/clients?limit=100&cursor=${cursor}`,
  },
  { name: "clients, a page of 1,000", path: () => "/api/v1/clients?limit=1000" },
  ...SORTS.map((sort) => ({
    name: `sorted by ${sort}, anew`,
    path: (/** @type {number} */ turn) =>
      `/api/v1/clients?limit=100&sort=${turn % 2 ? "-" : ""}${sort}&prefix=${PREFIXES[turn % PREFIXES.length]}`,
  })),
  { name: "clients with a text that one has", path: () => "/api/v1/clients?limit=100&text=d-099999" },
  { name: "clients that are overdue", path: () => "/api/v1/clients?limit=100&state=overdue" },
  { name: "all clients as CSV", path: () => "/api/v1/clients.csv" },
  { name: "subscriptions, first page", path: () => "/api/v1/subscriptions?limit=100" },
  { name: "plots of 15 min, all series", path: () => "/api/v1/series" },
  {
    name: "manuals: page 90 of clients",
    path: () => "/api/v2/nodes/isthmus/sessions?curr_page=90&page_size=100",
  },
  { name: "manuals: statistics", path: () => "/api/v2/monitoring/stats/isthmus" },
  { name: "Prometheus", path: () => "/metrics" },
];

export const suite = {
  title: "Lists of many clients",
  scenarios: () => QUESTIONS.map(({ name }) => name),
  readmes: ["src/api/README.md"],
  run,
};

/** @param {import("../lib/options.mjs").Options} options */
async function run(options) {
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
  const load = await startWorker(new URL("../lists/crowd.mjs", import.meta.url), { core: LOAD_CORE });
  const base = `http://127.0.0.1:${api}`;
  const get = async (/** @type {string} */ path) => {
    const answer = await fetch(base + path);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text.slice(0, 200)}`);
    return text;
  };
  try {
    await load.call("fill", { port, stay: STAY, leave: CLIENTS - STAY - OVERDUE, break: OVERDUE });
    const cursor = await halfway(get);
    const chosen = QUESTIONS.filter(({ name }) => wanted(options, name));
    const figures = await interleave(chosen, options.passes, async ({ path }) => {
      await load.call("begin", { port });
      const answers = [];
      const end = performance.now() + 1000 * options.seconds;
      for (let turn = 0; performance.now() < end || turn === 0; turn++) {
        const asked = path(turn, cursor);
        const began = performance.now();
        if (asked === undefined) await sleep(50);
        else await get(asked);
        answers.push(performance.now() - began);
      }
      const echo = await load.call("echoed");
      return { ...echo, answer: path(0, cursor) === undefined ? Number.NaN : median(answers) };
    });
    const rows = chosen.map(({ name }) => {
      const found = figures.get(name) ?? {};
      return [name, ...["answer", "p50", "p99", "longest"].map((figure) => number(found[figure]))];
    });
    return [
      machine(),
      "",
      `${CLIENTS.toLocaleString("en")} MQTT clients with a subscription each: ${STAY.toLocaleString("en")} connected, ${OVERDUE.toLocaleString("en")} overdue, the others away. One asks without a pause; another sends one message after the other to itself.`,
      "",
      markdownTable(
        ["what is asked for, again and again", "answer, ms", "echo p50, ms", "p99", "longest"],
        rows,
      ),
    ].join("\n");
  } finally {
    await load.stop();
    await gateway.stop();
  }
}

/** The cursor of a page in the middle of the list. @param {(path: string) => Promise<string>} get */
async function halfway(get) {
  let cursor = "";
  for (let seen = 0; seen < CLIENTS / 2; seen += 1000) {
    const { next } = JSON.parse(
      await get(`/api/v1/clients?limit=1000&columns=clientId${cursor === "" ? "" : `&cursor=${cursor}`}`),
    );
    if (next === undefined) throw new Error(`there are only ${seen} clients`);
    cursor = next;
  }
  return cursor;
}
