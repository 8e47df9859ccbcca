/** Files that a configuration of MQTT-SN names: what is wrong is said by file, entry and key. */
import { expect, it } from "vitest";
import { clientsIn, predefinedTopicsIn } from "#gateways/mqtt-sn/listed-files.ts";

const bytes = (value: unknown) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
const topics = (value: unknown) => predefinedTopicsIn("p.json", bytes(value));
const clients = (value: unknown) => clientsIn("c.json", bytes(value));

it("takes topics with and without a client, and the same id for several clients", () => {
  const list = [
    { id: 1, topic: "a" },
    { id: 2, topic: "b", client: "x" },
    { id: 2, topic: "c", client: "y" },
  ];
  expect(topics(list)).toEqual(list);
});

it.each([
  ["{", /^p\.json is no JSON: /],
  [{ id: 1 }, /^p\.json holds no list/],
  [[1], /^p\.json: \[0\] is no object; allowed: \{id, topic, client\}$/],
  [[{ id: 0, topic: "a" }], /^p\.json: \[0\]\.id is 0; allowed: a whole number from 1 to /],
  [[{ id: 1 }], /^p\.json: \[0\]\.topic is missing; /],
  [[{ id: 1, topic: "a/#" }], /^p\.json: \[0\]\.topic is "a\/#"; allowed: a topic without \+ and #/],
  [
    [{ id: 1, topic: "a", colour: 1 }],
    /^p\.json: \[0\]\.colour is not a known key; allowed: one of id, topic, client$/,
  ],
  [
    [
      { id: 1, topic: "a" },
      { id: 1, topic: "b" },
    ],
    /^p\.json: \[1\] has id 1, as \[0\] has; name each once$/,
  ],
])("refuses the predefined topics %j", (list, message) => {
  expect(() => topics(list)).toThrow(message);
});

it("names every mistake at once", () => {
  expect(() => topics([{ id: "x", topic: "" }, { id: 2 }])).toThrow(
    /\[0\]\.id .*\n.*\[0\]\.topic .*\n.*\[1\]\.topic /,
  );
  const twins = [{ id: 1, topic: "a" }, { id: 1, topic: "b" }, { id: 2 }];
  expect(() => topics(twins)).toThrow(/\[2\]\.topic .*\n.*\[1\] has id 1, as \[0\] has/);
});

it("is an operator's error, with its code", () => {
  expect(() => topics("[")).toThrow(expect.objectContaining({ code: "bad-configuration" }));
});

it("never shows a password of the credentials", () => {
  expect(() => clients([{ client: "d", password: 7 }])).toThrow(
    "c.json: [0].password is (hidden); allowed: a text",
  );
  expect(clients([{ client: "d", username: "u", password: "p" }])).toHaveLength(1);
});
