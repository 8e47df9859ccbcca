/** Rules alone, in a process of its own: what running those that match costs a message. No socket, no bus, no sink. */
import { serve } from "../lib/serve.mjs";
import { median } from "../lib/statistics.mjs";

const built = (/** @type {string} */ path) =>
  import(new URL(`../../../dist/src/${path}.js`, import.meta.url).href);

/** No message has the topic of the one before: each has to look for its rules. */
const TOPICS = 64;
const PASSES = 7;
/** Of the passes, those that the machine needs to get warm. */
const WARM = 2;

/**
 * @param {{payload: string, rules: string[], quick: boolean}} evaluation
 * @returns {Promise<{micros: number, runs: number, outputs: number}>} of each message: its processor's time, the median of several passes
 */
async function evaluate({ payload, rules, quick }) {
  const [{ Rules }, { Message }, { newActionCounters }] = await Promise.all([
    ...[built("rules/rules"), built("bus/message"), built("rules/action")],
  ]);
  let outputs = 0;
  const action = () => ({
    ...{ kind: "none", to: "none", counters: newActionCounters(), keeps: false, full: false },
    prepare: (/** @type {unknown} */ parameters) => ({ parameters, perform: () => void outputs++ }),
  });
  const running = new Rules({
    gate: {},
    node: "bench",
    now: () => 1_700_000_000_000,
    newId: () => "0",
    failed: (/** @type {string} */ rule, /** @type {Error} */ error) => {
      throw new Error(`${rule}: ${error.message}`);
    },
  });
  const settings = rules.map((sql, n) => [
    `r${n}`,
    { sql, enable: true, ack: "store", description: "", actions: [{ kind: "none" }] },
  ]);
  running.update(Object.fromEntries(settings), action);
  const client = { gateway: "mqtt", clientId: "c_steve" };
  const octets = Buffer.from(payload);
  const topics = Array.from({ length: TOPICS }, (_, n) => `t/${n}/state`);
  const rounds = quick ? 20_000 : 100_000;
  const passes = [];
  for (let pass = 0; pass < PASSES; pass++) {
    const begin = process.cpuUsage();
    for (let round = 0; round < rounds; round++) {
      const message = new Message(topics[round % TOPICS], octets, 0, false, 0);
      running.passed(message, client, "client", undefined, "sent");
    }
    const { user, system } = process.cpuUsage(begin);
    passes.push((user + system) / rounds);
  }
  let runs = 0;
  for (const { counters } of running.all) runs += counters.matched;
  const all = PASSES * rounds;
  return { micros: median(passes.slice(WARM)), runs: runs / all, outputs: outputs / all };
}

serve({ evaluate });
