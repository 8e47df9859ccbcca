import { decode, encode, Tagged } from "cborg";
import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { CoapDevice, type Heard, type Sent } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import type { WorldOptions } from "../../support/world.ts";

const CBOR = 60;
const PUBSUB = 606;
const map = (...entries: [number, unknown][]): Uint8Array => encode(new Map(entries));
const read = (bytes: Uint8Array | undefined): unknown =>
  decode(bytes ?? new Uint8Array(), { useMaps: true, tags: Tagged.preserve(1) });
/** The payload behind the marker, as bytes. */
const body = (answer: Heard): Map<number, unknown> => {
  const bytes = Buffer.from(answer.bytes);
  return read(Uint8Array.from(bytes.subarray(bytes.indexOf(0xff) + 1))) as Map<number, unknown>;
};

function setup(overrides: Record<string, unknown> = {}, options: WorldOptions = {}) {
  const stack = pubsubWorld(overrides, options);
  const device = new CoapDevice(stack.network);
  const create = (...entries: [number, unknown][]) =>
    device.ask({ code: "POST", path: "pubsub", options: [[12, PUBSUB]], payload: map(...entries) });
  /** Creates a topic and returns its path and that of its data. */
  const topic = (name: string, ...more: [number, unknown][]) => {
    const answer = create([0, name], [2, "core.ps.data"], ...more);
    return { answer, path: answer.text(8).join("/"), data: String(body(answer).get(1)).slice(1) };
  };
  const ask = (sent: Sent) => device.ask(sent);
  return { ...stack, device, create, topic, ask };
}

it("creates a topic with 2.01, its location and its configuration (draft-21 §3.4.3)", () => {
  const { topic, ask } = setup();
  const { answer, path, data } = topic("room/2");
  expect(answer.code).toBe("2.01");
  expect(answer.number(12)).toBe(PUBSUB);
  expect(path).toMatch(/^pubsub\/[0-9a-f]{12}$/);
  expect(body(answer)).toEqual(
    new Map<number, unknown>([
      [0, "room/2"],
      [1, `/${data}`],
      [2, "core.ps.data"],
      [7, 86_400],
    ]),
  );
  expect(body(ask({ path }))).toEqual(body(answer));
});

it("lists topics, their data, and those that match a filter (draft-21 §3.4)", () => {
  const { topic, ask } = setup();
  const a = topic("a", [4, "temperature"]);
  const b = topic("b");
  expect(ask({ path: "pubsub" }).payload).toBe(`</${a.path}>,</${b.path}>`);
  expect(ask({ path: "pubsub", query: ["rt=core.ps.data"] }).payload).toBe(`</${a.data}>,</${b.data}>`);
  const filter = map([2, "core.ps.data"], [4, "temperature"]);
  const found = ask({ code: "FETCH", path: "pubsub", options: [[12, PUBSUB]], payload: filter });
  expect(found).toMatchObject({ code: "2.05", payload: `</${a.path}>` });
  expect(ask({ path: ".well-known/core", query: ["rt=core.ps.coll"] }).payload).toContain("</pubsub>");
});

it.each([
  ["no name", [[2, "core.ps.data"]]],
  ["no resource type", [[0, "x"]]],
  [
    "another resource type",
    [
      [0, "x"],
      [2, "other"],
    ],
  ],
  [
    "a name with a wildcard",
    [
      [0, "x/#"],
      [2, "core.ps.data"],
    ],
  ],
  [
    "an unknown property",
    [
      [0, "x"],
      [2, "core.ps.data"],
      [99, 1],
    ],
  ],
  [
    "a wrong value",
    [
      [0, "x"],
      [2, "core.ps.data"],
      [6, "many"],
    ],
  ],
  [
    "initialize without a format",
    [
      [0, "x"],
      [2, "core.ps.data"],
      [8, Uint8Array.of(0x80)],
    ],
  ],
] as [string, [number, unknown][]][])("refuses a topic with %s by 4.00 and says why", (_name, entries) => {
  const { create } = setup();
  const answer = create(...entries);
  expect(answer.code).toBe("4.00");
  expect(answer.payload).not.toBe("");
});

it("refuses a second topic of a name, a body that is no CBOR, another format, and a full collection", () => {
  const { topic, create, ask } = setup({ collection: { topics: 1 } });
  topic("a");
  expect(create([0, "a"], [2, "core.ps.data"]).code).toBe("4.00");
  expect(
    ask({ code: "POST", path: "pubsub", options: [[12, PUBSUB]], payload: Uint8Array.of(0xff) }).code,
  ).toBe("4.00");
  expect(ask({ code: "POST", path: "pubsub", options: [[12, 0]], payload: "x" }).code).toBe("4.15");
  expect(create([0, "b"], [2, "core.ps.data"]).code).toBe("4.03");
  expect(ask({ code: "PUT", path: "pubsub" }).code).toBe("4.05");
});

it("reads part of a configuration with FETCH (draft-21 §3.5.2)", () => {
  const { topic, ask } = setup();
  const { path, data } = topic("a", [3, 112]);
  const part = ask({ code: "FETCH", path, options: [[12, CBOR]], payload: encode([1, 3]) });
  expect(body(part)).toEqual(
    new Map<number, unknown>([
      [1, `/${data}`],
      [3, 112],
    ]),
  );
});

it("replaces a configuration with POST and changes parts of it with iPATCH; names stay (draft-21 §3.5.3)", () => {
  const { topic, ask } = setup();
  const { path } = topic("a", [4, "temperature"], [6, 5]);
  const change = (code: string, ...entries: [number, unknown][]) =>
    ask({ code, path, options: [[12, PUBSUB]], payload: map(...entries) });
  const patched = change("iPATCH", [6, 9]);
  expect(patched.code).toBe("2.04");
  expect([body(patched).get(4), body(patched).get(6)]).toEqual(["temperature", 9]);
  const replaced = change("POST", [0, "a"], [4, "humidity"]);
  expect([body(replaced).get(4), body(replaced).has(6)]).toEqual(["humidity", false]);
  expect(change("iPATCH", [0, "b"]).code).toBe("4.00");
  expect(change("POST", [2, "other"]).code).toBe("4.00");
});

it("is half created before the first PUT, and fully after it (draft-21 §4.1)", () => {
  const { topic, ask, world } = setup();
  const { data } = topic("room/2");
  const heard = world.listen("room/2");
  expect(ask({ path: data }).code).toBe("4.04");
  expect(ask({ path: data, token: "ob", options: [[6, 0]] }).code).toBe("4.04");
  expect(ask({ code: "PUT", path: data, payload: "1" }).code).toBe("2.01");
  expect(ask({ code: "PUT", path: data, payload: "2" }).code).toBe("2.04");
  expect(heard.map(({ retain }) => retain)).toEqual([true, true]);
  expect(ask({ path: data })).toMatchObject({ code: "2.05", payload: "2" });
  const observed = ask({ path: data, token: "ob", options: [[6, 0]] });
  expect(observed).toMatchObject({ code: "2.05", payload: "2" });
  expect(observed.number(6)).toBeDefined();
});

it("starts with the initial value of a topic that has one", () => {
  const { topic, ask } = setup();
  const { data } = topic("a", [3, CBOR], [8, Uint8Array.of(0x80)]);
  const answer = ask({ path: data });
  expect(answer.code).toBe("2.05");
  expect(answer.number(12)).toBe(CBOR);
  expect(ask({ code: "PUT", path: data, options: [[12, CBOR]], payload: Uint8Array.of(1) }).code).toBe(
    "2.04",
  );
  expect(ask({ code: "PUT", path: data, options: [[12, 0]], payload: "x" }).code).toBe("4.15");
});

it.each(["the data", "the topic", "the retained message, over MQTT"])(
  "ends observations with 4.04 when somebody deletes %s",
  (what) => {
    const { topic, ask, device, world } = setup();
    const { path, data } = topic("a");
    ask({ code: "PUT", path: data, payload: "1" });
    ask({ path: data, token: "ob", options: [[6, 0]] });
    world.publish("a", "from MQTT", { retain: true });
    expect(device.take()).toMatchObject([{ token: "ob", payload: "from MQTT" }]);
    if (what === "the data") device.send({ code: "DELETE", path: data });
    else if (what === "the topic") device.send({ code: "DELETE", path });
    else world.publish("a", "", { retain: true });
    const last = device.take().find(({ token }) => token === "ob");
    expect(last).toMatchObject({ code: "4.04" });
    world.publish("a", "nobody hears this");
    expect(device.take()).toEqual([]);
    expect(ask({ path }).code).toBe(what === "the topic" ? "4.04" : "2.05");
  },
);

it("accepts no more observers than the topic allows (RFC 7641 §4.1), and as many again when they leave", () => {
  const { topic, ask } = setup();
  const { data } = topic("a", [6, 1]);
  ask({ code: "PUT", path: data, payload: "1" });
  const observe = (token: string, value = 0) =>
    ask({ path: data, token, options: [[6, value]] }).number(6) !== undefined;
  expect([observe("1"), observe("2")]).toEqual([true, false]);
  observe("1", 1);
  expect(observe("2")).toBe(true);
});

it("sends a CON at least every observer-check seconds", () => {
  const { topic, ask, device, world } = setup({ subscribe: { notify: "non" } });
  const { data } = topic("a", [7, 60]);
  ask({ code: "PUT", path: data, payload: "1" });
  ask({ path: data, token: "ob", options: [[6, 0]] });
  world.publish("a", "2", { retain: true });
  expect(device.take()[0]?.type).toBe("NON");
  world.advance(seconds(61));
  world.publish("a", "3", { retain: true });
  expect(device.take()[0]?.type).toBe("CON");
});

it("forgets a topic at its expiration date", () => {
  const { topic, ask, world } = setup();
  const date = Math.floor(world.now / 1000) + 100;
  const { path, answer } = topic("a", [5, new Tagged(1, date)]);
  expect(body(answer).get(5)).toEqual(new Tagged(1, date));
  world.advance(seconds(99));
  expect(ask({ path }).code).toBe("2.05");
  world.advance(seconds(2));
  expect(ask({ path }).code).toBe("4.04");
  expect(ask({ path: "pubsub" }).payload).toBe("");
});

it("asks the ACL for creating, reading, changing and deleting", () => {
  const allowed = { publish: true, subscribe: true };
  const policy = { mayPublish: () => allowed.publish, maySubscribe: () => allowed.subscribe };
  const { topic, create, ask } = setup({}, { policy });
  const { path } = topic("a");
  allowed.publish = false;
  expect(create([0, "b"], [2, "core.ps.data"]).code).toBe("4.03");
  expect(ask({ code: "iPATCH", path, options: [[12, PUBSUB]], payload: map([6, 1]) }).code).toBe("4.03");
  expect(ask({ code: "DELETE", path }).code).toBe("4.03");
  allowed.subscribe = false;
  expect(ask({ path }).code).toBe("4.03");
  expect(ask({ path: "pubsub" }).payload).toBe("");
});

it("is served only where it is switched on", () => {
  const { ask } = setup({ forms: { collection: false } });
  expect(ask({ path: "pubsub" }).code).toBe("4.04");
});

// ---- whose topics they are

const mountpoints: WorldOptions = {
  policy: { mountpoint: ({ username }) => (username === undefined ? "" : `t/${username}/`) },
};

it("knows the topics of one mountpoint under that mountpoint only", () => {
  const { ask, network } = setup({}, mountpoints);
  const as = (username: string, sent: Sent) =>
    ask({ ...sent, query: [`username=${username}`, ...(sent.query ?? [])] });
  const create = (username: string) =>
    as(username, {
      code: "POST",
      path: "pubsub",
      options: [[12, PUBSUB]],
      payload: map([0, "room"], [2, "core.ps.data"]),
    });
  const alice = create("alice");
  const bob = create("bob");
  expect([alice.code, bob.code]).toEqual(["2.01", "2.01"]);
  const path = alice.text(8).join("/");
  const data = String(body(alice).get(1)).slice(1);
  expect(as("alice", { path: "pubsub" }).payload).toBe(`</${path}>`);
  expect(as("bob", { path: "pubsub" }).payload).not.toContain(path);
  expect(
    as("bob", { code: "FETCH", path: "pubsub", options: [[12, PUBSUB]], payload: map() }).payload,
  ).not.toContain(path);
  for (const code of ["GET", "DELETE"]) expect(as("bob", { code, path }).code).toBe("4.04");
  const patch = { code: "iPATCH", path, options: [[12, PUBSUB]] as const, payload: map([6, 1]) };
  expect(as("bob", patch).code).toBe("4.04");
  expect(as("bob", { code: "PUT", path: data, payload: "x" }).code).toBe("4.04");
  expect(ask({ path }).code).toBe("4.04");
  expect(as("alice", { path }).code).toBe("2.05");
  expect(network.runtime.peers.count).toBe(1);
});

it("is closed to who has no connection, where one is required, and open to who has", () => {
  const { ask } = setup({ connection: { required: true } });
  const payload = map([0, "room"], [2, "core.ps.data"]);
  const post = { code: "POST", path: "pubsub", options: [[12, PUBSUB]] as const, payload };
  expect(ask(post)).toMatchObject({ code: "4.00" });
  for (const path of ["pubsub", "pubsub/0123456789ab", "pubsub/data/0123456789ab"]) {
    for (const code of ["GET", "FETCH", "POST", "PUT", "iPATCH", "DELETE"])
      expect(ask({ code, path }).code, `${code} ${path}`).toBe("4.00");
    expect(ask({ path, token: "o", options: [[6, 0]] }).code).toBe("4.00");
  }
  const token = ask({ code: "POST", path: "mqtt/connection", query: ["clientid=k"] }).payload;
  const query = ["clientid=k", `token=${token}`];
  const created = ask({ ...post, query });
  expect(created.code).toBe("2.01");
  const data = String(body(created).get(1)).slice(1);
  expect(ask({ code: "PUT", path: data, query, payload: "1" }).code).toBe("2.01");
  expect(ask({ path: data, query, token: "o", options: [[6, 0]] }).number(6)).toBeDefined();
  expect(ask({ path: data, query: ["clientid=k", "token=1"] }).code).toBe("4.01");
});

// ---- details of draft-21

it("gives the place of an expired topic back, and ends its observations with 4.04 (draft-21 §2.2.1)", () => {
  const { topic, ask, device, world } = setup({ collection: { topics: 1 } });
  const { data } = topic("a", [5, new Tagged(1, world.now / 1000 + 10.5)]);
  ask({ code: "PUT", path: data, payload: "1" });
  ask({ path: data, token: "ob", options: [[6, 0]] });
  world.advance(seconds(10));
  expect(device.take()).toEqual([]);
  world.advance(seconds(1));
  expect(device.take()).toMatchObject([{ token: "ob", code: "4.04" }]);
  expect(topic("b").answer.code).toBe("2.01");
});

it("takes no date that is over, and no format that it does not know, at creation and change alike", () => {
  const { create, topic, ask, world } = setup();
  const past = new Tagged(1, world.now / 1000 - 1);
  expect(create([0, "x"], [2, "core.ps.data"], [5, past]).code).toBe("4.00");
  expect(create([0, "x"], [2, "core.ps.data"], [3, 333]).code).toBe("4.00");
  const { path } = topic("a");
  for (const entry of [
    [5, past],
    [3, 333],
  ] as [number, unknown][])
    for (const code of ["iPATCH", "POST"])
      expect(ask({ code, path, options: [[12, PUBSUB]], payload: map(entry) }).code).toBe("4.00");
});

it("refuses an empty value instead of deleting the data, and does not notify what is not kept", () => {
  const { topic, ask, device, world } = setup();
  const { data } = topic("a");
  ask({ code: "PUT", path: data, payload: "1" });
  ask({ path: data, token: "ob", options: [[6, 0]] });
  expect(ask({ code: "PUT", path: data }).code).toBe("4.00");
  world.publish("a", "passing by", { qos: 1 });
  expect(device.take()).toEqual([]);
  world.publish("a", "kept", { qos: 1, retain: true });
  expect(device.take()).toMatchObject([{ token: "ob", payload: "kept" }]);
});

it("finds topics by the properties that they have by default, too", () => {
  const { topic, ask } = setup();
  const { path } = topic("a");
  topic("b", [7, 60]);
  const found = ask({ code: "FETCH", path: "pubsub", options: [[12, PUBSUB]], payload: map([7, 86_400]) });
  expect(found.payload).toBe(`</${path}>`);
});

it("ends the last observations when max-subscribers is lowered (draft-21 §3.5.4)", () => {
  const { topic, ask, device } = setup();
  const { path, data } = topic("a");
  ask({ code: "PUT", path: data, payload: "1" });
  for (const token of ["1", "2", "3"]) ask({ path: data, token, options: [[6, 0]] });
  device.send({ code: "iPATCH", path, options: [[12, PUBSUB]], payload: map([6, 1]) });
  const ended = device.take().filter(({ code }) => code === "4.04");
  expect(ended.map(({ token }) => token)).toEqual(["2", "3"]);
});

it("answers 4.06 to an Accept of what a resource of the collection does not speak (RFC 7252 §5.10.4)", () => {
  const { topic, ask } = setup();
  const { path } = topic("a");
  expect(ask({ path: "pubsub", options: [[17, 60]] }).code).toBe("4.06");
  expect(ask({ path: "pubsub", options: [[17, 40]] }).code).toBe("2.05");
  expect(ask({ path, options: [[17, 50]] }).code).toBe("4.06");
  expect(ask({ path, options: [[17, PUBSUB]] }).code).toBe("2.05");
});
