/** Rules alone: what running those that match costs a message. No socket, no bus, no sink. */
import { median } from "../lib/statistics.mjs";

const built = (/** @type {string} */ path) =>
  import(new URL(`../../../dist/src/${path}.js`, import.meta.url).href);

const READING = Buffer.from('{"temperature":23.5,"humidity":41,"room":"kitchen","ok":true}');
const LIST = Buffer.from(
  '{"date":"2020-04-24","sensors":[{"name":"a","idx":0},{"name":"b","idx":1},{"name":"c","idx":2}]}',
);
const SIMPLE = "SELECT payload.temperature AS t, clientid FROM";

/** Rules for other topics, and `matching` that have the message's. */
const many = (/** @type {number} */ all, /** @type {number} */ matching) => [
  ...Array.from(
    { length: all - matching },
    (_, n) => `${SIMPLE} "site/${n}/+" WHERE payload.temperature > 20`,
  ),
  ...Array.from({ length: matching }, () => `${SIMPLE} "t/#" WHERE payload.temperature > 20`),
];

export const evaluations = [
  { name: "a simple filter", payload: READING, rules: many(1, 1) },
  {
    name: "a simple filter that says no",
    payload: READING,
    rules: [`${SIMPLE} "t/#" WHERE payload.temperature > 30`],
  },
  {
    name: "FOREACH over three elements",
    payload: LIST,
    rules: ['FOREACH payload.sensors DO clientid, item.name AS name, item.idx AS idx FROM "t/#"'],
  },
  { name: "1,000 rules, three of which match", payload: READING, rules: many(1_000, 3) },
  { name: "10,000 rules, three of which match", payload: READING, rules: many(10_000, 3) },
  { name: "10,000 rules, none of which matches", payload: READING, rules: many(10_000, 0) },
];

/**
 * Nanoseconds a message: the median of several passes.
 * @param {{payload: Buffer, rules: string[]}} evaluation
 * @param {boolean} quick
 */
export async function evaluate({ payload, rules }, quick) {
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
  const rounds = quick ? 20_000 : 200_000;
  const passes = [];
  for (let pass = 0; pass < 7; pass++) {
    const begin = process.hrtime.bigint();
    for (let round = 0; round < rounds; round++)
      running.passed(new Message("t/1/state", payload, 0, false, 0), client, "client", undefined, "sent");
    passes.push(Number(process.hrtime.bigint() - begin) / rounds);
  }
  return { nanoseconds: median(passes.slice(2)), outputs: outputs / (7 * rounds) };
}
