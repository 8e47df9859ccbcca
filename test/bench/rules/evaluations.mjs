/** Which rules are run alone, and on what. */

const READING = '{"temperature":23.5,"humidity":41,"room":"kitchen","ok":true}';
const LIST =
  '{"date":"2020-04-24","sensors":[{"name":"a","idx":0},{"name":"b","idx":1},{"name":"c","idx":2}]}';
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
  { name: "three rules, all of which match", payload: READING, rules: many(3, 3) },
  { name: "1,000 rules, three of which match", payload: READING, rules: many(1_000, 3) },
  { name: "10,000 rules, three of which match", payload: READING, rules: many(10_000, 3) },
  { name: "10,000 rules, none of which matches", payload: READING, rules: many(10_000, 0) },
];
