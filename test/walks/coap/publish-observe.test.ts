import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import type { WorldOptions } from "../../support/world.ts";

const setup = (overrides: Record<string, unknown> = {}, options: WorldOptions = {}) => {
  const stack = pubsubWorld(overrides, options);
  return { ...stack, device: new CoapDevice(stack.network) };
};
const OBSERVE: readonly [number, number] = [6, 0];
const FORGET: readonly [number, number] = [6, 1];

it("publishes with PUT and with POST, and takes QoS from the type of the message", () => {
  const { world, device } = setup();
  const heard = world.listen("#");
  expect(device.ask({ code: "PUT", path: "ps/room/7/temp", payload: "21.5" })).toMatchObject({
    type: "ACK",
    code: "2.04",
    payload: "",
  });
  expect(device.ask({ code: "POST", type: "NON", path: "ps/room/7/temp", payload: "22" })).toMatchObject({
    type: "NON",
    code: "2.04",
  });
  expect(
    heard.map(({ topic, qos, retain, payload }) => [topic, qos, retain, String(Buffer.from(payload))]),
  ).toEqual([
    ["room/7/temp", 1, false, "21.5"],
    ["room/7/temp", 0, false, "22"],
  ]);
});

it("creates a retained topic with 2.01, changes it with 2.04, reads it, and deletes it with 2.02", () => {
  const { device } = setup();
  const put = (payload: string) => device.ask({ code: "PUT", path: "ps/a", query: ["retain=true"], payload });
  expect(device.ask({ path: "ps/a" }).code).toBe("4.04");
  expect(put("1").code).toBe("2.01");
  expect(put("2").code).toBe("2.04");
  expect(device.ask({ path: "ps/a" })).toMatchObject({ code: "2.05", payload: "2" });
  expect(device.ask({ code: "DELETE", path: "ps/a" }).code).toBe("2.02");
  expect(device.ask({ path: "ps/a" }).code).toBe("4.04");
});

it("gives the rest of the message expiry as Max-Age, and nothing once it is over", () => {
  const { world, device } = setup();
  device.ask({ code: "PUT", path: "ps/a", query: ["r=1", "expiry=60"], payload: "x" });
  world.advance(seconds(20));
  expect(device.ask({ path: "ps/a" }).number(14)).toBe(40);
  world.advance(seconds(41));
  expect(device.ask({ path: "ps/a" }).code).toBe("4.04");
});

it("maps Content-Format to the MQTT 5 content type and back, and refuses unknown numbers with 4.15", () => {
  const { world, device } = setup();
  const heard = world.listen("#");
  device.ask({
    code: "PUT",
    path: "ps/a",
    query: ["retain=1", "up.unit=C"],
    payload: "{}",
    options: [[12, 50]],
  });
  expect(heard[0]?.properties).toEqual({ contentType: "application/json", userProperties: [["unit", "C"]] });
  const read = device.ask({ path: "ps/a" });
  expect(read.number(12)).toBe(50);
  expect(read.text(20)).toEqual(["up.unit=C"]);
  expect(device.ask({ path: "ps/a", options: [[17, 50]] }).code).toBe("2.05");
  expect(device.ask({ path: "ps/a", options: [[17, 60]] }).code).toBe("4.06");
  expect(device.ask({ code: "PUT", path: "ps/a", payload: "x", options: [[12, 4711]] }).code).toBe("4.15");
  world.publish("b", "text", { retain: true, properties: { contentType: "Application/CBOR" } });
  expect(device.ask({ path: "ps/b" }).number(12)).toBe(60);
  world.publish("c", "text", { retain: true, properties: { payloadFormat: 1 } });
  expect(device.ask({ path: "ps/c" }).number(12)).toBe(0);
});

it("knows a value again by its ETag (2.03), and honours If-Match and If-None-Match (4.12)", () => {
  const { device } = setup();
  device.ask({ code: "PUT", path: "ps/a", query: ["retain=1"], payload: "1" });
  const etag = device.ask({ path: "ps/a" }).raw(4) ?? Buffer.alloc(0);
  expect(device.ask({ path: "ps/a", options: [[4, etag]] })).toMatchObject({ code: "2.03", payload: "" });
  const put = (options: [number, Uint8Array][], path = "ps/a") =>
    device.ask({ code: "PUT", path, query: ["retain=1"], payload: "2", options }).code;
  expect(put([[5, Buffer.alloc(0)]])).toBe("4.12");
  expect(put([[5, Buffer.alloc(0)]], "ps/new")).toBe("2.01");
  expect(put([[1, Buffer.from("other")]])).toBe("4.12");
  expect(put([[1, etag]])).toBe("2.04");
  expect(put([[1, etag]])).toBe("4.12");
});

it("observes a topic: the retained value first, then what is published, until Observe 1", () => {
  const { world, device } = setup();
  world.publish("a", "0", { retain: true });
  const first = device.ask({ path: "ps/a", token: "ob", options: [OBSERVE] });
  expect(first).toMatchObject({ code: "2.05", payload: "0" });
  expect(first.number(6)).toBeDefined();
  world.publish("a", "1");
  world.publish("a", "2", { qos: 1 });
  const [non, con] = device.take();
  expect(non).toMatchObject({ type: "NON", code: "2.05", token: "ob", payload: "1" });
  expect(con).toMatchObject({ type: "CON", code: "2.05", token: "ob", payload: "2" });
  device.acknowledge(con?.id ?? 0);
  const last = device.ask({ path: "ps/a", token: "ob", options: [FORGET] });
  expect(last).toMatchObject({ code: "2.05", payload: "0" });
  expect(last.number(6)).toBeUndefined();
  world.publish("a", "3");
  expect(device.take()).toEqual([]);
  expect(world.disconnects).toHaveLength(1);
});

it("answers Observe 1 where no value is retained with an empty 2.05, and with 2.07 if there is a client id", () => {
  const { device } = setup();
  const ask = (option: readonly [number, number], query: string[], path = "ps/a") =>
    device.ask({ path, query, token: "ob", options: [option] });
  for (const path of ["ps/a", "ps/+"]) {
    ask(OBSERVE, [], path);
    expect(ask(FORGET, [], path)).toMatchObject({ code: "2.05", payload: "" });
    ask(OBSERVE, ["c=me"], path);
    expect(ask(FORGET, ["c=me"], path)).toMatchObject({ code: "2.07", payload: "" });
  }
});

it("observes wildcards, percent-encoded or not where that is asked for, and names the topic in Location-Path", () => {
  const { world, device } = setup({ percentDecoding: true });
  world.publish("room/1/temp", "20", { retain: true });
  for (const path of ["ps/room/+/temp", "ps/room/%2B/temp", "ps/room/%23"]) {
    device.send({ path, token: "w", options: [OBSERVE] });
    const [first, retained] = device.take();
    expect(first).toMatchObject({ code: "2.05", payload: "" });
    expect(retained).toMatchObject({ token: "w", payload: "20" });
    expect(retained?.text(8)).toEqual(["ps", "room", "1", "temp"]);
    device.ask({ path, token: "w", options: [FORGET] });
  }
});

it("hands QoS 1 messages over one at a time, and keeps their order", () => {
  const { world, device } = setup();
  device.ask({ path: "ps/a", token: "ob", options: [OBSERVE] });
  for (const payload of ["1", "2", "3"]) world.publish("a", payload, { qos: 1 });
  const payloads: string[] = [];
  for (let sent = device.take(); sent.length > 0; sent = device.take()) {
    expect(sent).toHaveLength(1);
    payloads.push(sent[0]?.payload ?? "");
    device.acknowledge(sent[0]?.id ?? 0);
    world.settle();
  }
  expect(payloads).toEqual(["1", "2", "3"]);
});

it.each([
  ["non", "qos2", ["NON", "NON"]],
  ["con", "qos2", ["CON", "CON"]],
  ["qos", "qos2", ["NON", "CON"]],
  ["qos", "qos0", ["NON", "NON"]],
])("sends notifications as the setting %s with subscription %s says", (notify, qos, types) => {
  const { world, device } = setup({ subscribe: { notify, qos } });
  device.ask({ path: "ps/a", token: "ob", options: [OBSERVE] });
  const seen = [0, 1].map((each) => {
    world.publish("a", "x", { qos: each as 0 | 1 });
    const [next] = device.take();
    if (next?.type === "CON") device.acknowledge(next.id);
    return next?.type;
  });
  expect(seen).toEqual(types);
});

it("keeps the session of a named observer that vanished, and hands over what it missed", () => {
  const { world, network, device } = setup();
  const query = ["clientid=bulb"];
  device.ask({ path: "ps/a", query, token: "ob", options: [OBSERVE] });
  world.publish("a", "1", { qos: 1 });
  world.advance(seconds(100));
  expect(device.take().every((each) => each.payload === "1")).toBe(true);
  expect(world.disconnects).toMatchObject([{ event: { clientId: "bulb" }, reason: "lost" }]);
  world.publish("a", "2", { qos: 1 });
  const later = new CoapDevice(network, 20_000);
  later.send({ path: "ps/a", query, token: "again", options: [OBSERVE] });
  const missed: string[] = [];
  for (let heard = later.take(); heard.length > 0; heard = later.take()) {
    for (const each of heard.filter(({ type }) => type === "CON")) {
      missed.push(each.payload);
      later.acknowledge(each.id);
    }
  }
  expect(missed).toEqual(["1", "2"]);
  expect(world.connects.at(-1)).toMatchObject({ clientId: "bulb", sessionPresent: true });
});

it("notifies each of several observations of one peer once for each message", () => {
  const { world, device } = setup();
  device.ask({ path: "ps/a", token: "1", options: [OBSERVE] });
  device.ask({ path: "ps/+", token: "2", options: [OBSERVE] });
  device.ask({ path: "ps/a", token: "3", options: [OBSERVE] });
  world.publish("a", "x", { qos: 0 });
  expect(
    device
      .take()
      .map((each) => each.token)
      .sort(),
  ).toEqual(["1", "2", "3"]);
  world.publish("a", "y", { qos: 1 });
  const tokens: string[] = [];
  for (let [next] = device.take(); next !== undefined; [next] = device.take()) {
    tokens.push(next.token);
    device.acknowledge(next.id);
  }
  expect(tokens.sort()).toEqual(["1", "2", "3"]);
});

it.each([
  ["qos=3", "qos must be 0, 1 or 2"],
  ["qos=one", "qos must be 0, 1 or 2"],
  ["q=", "q must be 0, 1 or 2"],
  ["retain=yes", "retain must be true or false"],
  ["expiry=-1", "expiry must be 0 to 4294967295 seconds"],
  ["expiry=4294967296", "expiry must be 0 to 4294967295 seconds"],
  ["rh=3", "rh must be 0, 1 or 2"],
  ["nl=2", "nl must be true or false"],
  ["clientid=", "clientid must be a client id"],
])("refuses %s with 4.00 and says what is allowed", (part, diagnostic) => {
  const { device } = setup();
  expect(device.ask({ code: "PUT", path: "ps/a", query: [part], payload: "x" })).toMatchObject({
    code: "4.00",
    payload: diagnostic,
  });
});

it("refuses empty topics, wildcards in publishes and reads, and methods that mean nothing here", () => {
  const { device } = setup();
  const code = (method: string, path: string) => device.ask({ code: method, path, payload: "x" }).code;
  expect(code("PUT", "ps")).toBe("4.00");
  expect(code("PUT", "ps/a/#")).toBe("4.00");
  expect(code("DELETE", "ps/+")).toBe("4.00");
  expect(code("GET", "ps/+")).toBe("4.00");
  expect(code("GET", "ps/a#/b")).toBe("4.00");
  expect(code("FETCH", "ps/a")).toBe("4.05");
  expect(code("PATCH", "ps/a")).toBe("4.05");
  expect(code("iPATCH", "ps/a")).toBe("4.05");
});

it("asks the ACL for each publish, read and observe", () => {
  const policy = { mayPublish: () => false, maySubscribe: () => false };
  const { device } = setup({}, { policy });
  const code = (extra: object) => device.ask({ path: "ps/a", ...extra }).code;
  expect(code({ code: "PUT" })).toBe("4.01");
  expect(code({ code: "PUT", query: ["username=u"] })).toBe("4.03");
  expect(code({ code: "DELETE", query: ["username=u"] })).toBe("4.03");
  expect(code({ query: ["username=u"] })).toBe("4.03");
  expect(code({ query: ["username=u"], options: [OBSERVE], token: "x" })).toBe("4.03");
});

it("answers 4.29 with Max-Age when the core's rate is exceeded (RFC 8516)", () => {
  const { device } = setup({}, { limits: { messageRate: 2 } });
  const answers = Array.from({ length: 9 }, () => device.ask({ code: "PUT", path: "ps/a" }));
  expect(answers[0]?.code).toBe("2.04");
  expect(answers.at(-1)?.code).toBe("4.29");
  expect(answers.at(-1)?.number(14)).toBe(1);
});

it("does not echo to an observer that asked for nl what it publishes itself", () => {
  const { device } = setup();
  const query = ["clientid=me"];
  for (const [path, more] of [
    ["ps/a", ["nl=1"]],
    ["ps/b", []],
  ] as const) {
    device.ask({ path, token: path.slice(-1), query: [...query, ...more], options: [OBSERVE] });
    device.send({ code: "PUT", type: "NON", path, query, payload: "x", options: [[258, 26]] });
  }
  expect(device.take().map((each) => each.token)).toEqual(["b"]);
});

it.each([
  ["rh=0", "kept", ["kept"]],
  ["rh=2", "", []],
])(
  "sends retained values as %s says: in the response, or as notifications of a wildcard",
  (rh, first, more) => {
    const { world, device } = setup();
    world.publish("a", "kept", { retain: true });
    expect(device.ask({ path: "ps/a", token: "1", query: [rh], options: [OBSERVE] }).payload).toBe(first);
    device.send({ path: "ps/+", token: "2", query: [rh], options: [OBSERVE] });
    expect(
      device
        .take()
        .slice(1)
        .map((each) => each.payload),
    ).toEqual(more);
  },
);

it("takes settings for what a request does not say", () => {
  const { world, device } = setup({
    publish: { qos: "qos2", retain: true },
    topicPrefix: "topics",
  });
  const heard = world.listen("#");
  expect(device.ask({ code: "PUT", type: "NON", path: "topics/a%2Fb", payload: "x" }).code).toBe("2.01");
  expect(heard).toMatchObject([{ topic: "a%2Fb", qos: 2, retain: true }]);
  expect(device.ask({ path: "ps/a" }).code).toBe("4.04");
});

it("keeps empty levels and slashes of topics as they are", () => {
  const { world, device } = setup();
  const heard = world.listen("#");
  for (const path of ["ps//a", "ps/a/", "ps/a//b"]) device.ask({ code: "PUT", path, payload: "x" });
  expect(heard.map(({ topic }) => topic)).toEqual(["/a", "a/", "a//b"]);
});

it("refuses topics that are not UTF-8 or hold a NUL character with 4.00", () => {
  const { device } = setup();
  const put = (segment: Uint8Array) =>
    device.ask({ code: "PUT", path: "ps", options: [[11, segment]], payload: "x" }).code;
  expect(put(Uint8Array.of(0xff, 0xfe))).toBe("4.00");
  expect(put(Uint8Array.of(0x61, 0x00))).toBe("4.00");
  expect(put(Buffer.from("é"))).toBe("2.04");
});

// ---- paths and representations

it("takes the segments of a path as they are (RFC 7252 §5.10.1, §6.4)", () => {
  const { world, device } = setup();
  const heard = world.listen("#");
  device.ask({ code: "PUT", path: "ps/pc/%41", query: ["retain=1"], payload: "percent" });
  device.ask({ code: "PUT", path: "ps/pc/A", query: ["retain=1"], payload: "letter" });
  expect(heard.map(({ topic }) => topic)).toEqual(["pc/%41", "pc/A"]);
  expect(device.ask({ path: "ps/pc/%41" }).payload).toBe("percent");
  expect(device.ask({ code: "DELETE", path: "ps/pc/%41" }).code).toBe("2.02");
  expect(device.ask({ path: "ps/pc/A" }).payload).toBe("letter");
  const slash = { code: "PUT", path: "ps", options: [[11, "a/b"]] as const, payload: "x" };
  expect(device.ask(slash).code).toBe("4.00");
  const lenient = setup({ percentDecoding: true });
  const said = lenient.world.listen("#");
  expect(lenient.device.ask(slash).code).toBe("2.04");
  expect(lenient.device.ask({ code: "PUT", path: "ps/c%2Fd", payload: "x" }).code).toBe("2.04");
  expect(said.map(({ topic }) => topic)).toEqual(["a/b", "c/d"]);
});

it("gives two values two ETags, and one value in two formats, too (RFC 7252 §5.10.6)", () => {
  const { device } = setup();
  const put = (payload: string, format?: number) =>
    device.ask({
      code: "PUT",
      path: "ps/a",
      query: ["retain=1"],
      payload,
      options: format === undefined ? [] : [[12, format]],
    });
  put("costarring");
  const etag = device.ask({ path: "ps/a" }).raw(4) as Buffer;
  expect(etag).toHaveLength(8);
  expect(device.ask({ path: "ps/a", options: [[4, etag]] }).code).toBe("2.03");
  put("liquid");
  expect(device.ask({ path: "ps/a", options: [[4, etag]] })).toMatchObject({
    code: "2.05",
    payload: "liquid",
  });
  expect(device.ask({ code: "PUT", path: "ps/a", options: [[1, etag]], payload: "lost" }).code).toBe("4.12");
  put("same", 0);
  const text = device.ask({ path: "ps/a" }).raw(4) as Buffer;
  put("same", 50);
  expect(device.ask({ path: "ps/a", options: [[4, text]] })).toMatchObject({ code: "2.05" });
});

it("looks at each If-Match, also of a GET (RFC 7252 §5.10.8.1)", () => {
  const { device } = setup();
  device.ask({ code: "PUT", path: "ps/a", query: ["retain=1"], payload: "1" });
  const etag = device.ask({ path: "ps/a" }).raw(4) as Buffer;
  const wrong = Buffer.from("wrong");
  expect(device.ask({ path: "ps/a", options: [[1, wrong]] }).code).toBe("4.12");
  expect(device.ask({ path: "ps/a", options: [[1, etag]] }).code).toBe("2.05");
  expect(device.ask({ path: "ps/none", options: [[1, wrong]] }).code).toBe("4.12");
  const put = (...tags: Buffer[]) =>
    device.ask({
      code: "PUT",
      path: "ps/a",
      query: ["retain=1"],
      payload: "1",
      options: tags.map((tag) => [1, tag] as const),
    }).code;
  expect(put(wrong)).toBe("4.12");
  expect(put(wrong, etag)).toBe("2.04");
  expect(put(wrong, Buffer.alloc(0))).toBe("2.04");
});

it("answers 4.06 where a value has a content type without a number, and another is asked for", () => {
  const { world, device } = setup();
  world.publish("a", "x", { retain: true, properties: { contentType: "application/unheard-of" } });
  expect(device.ask({ path: "ps/a", options: [[17, 50]] }).code).toBe("4.06");
  expect(device.ask({ path: "ps/a" }).code).toBe("2.05");
});

it("shares the subscription to one topic as it does that to many", () => {
  const { world, device } = setup();
  for (const [path, token] of [
    ["ps/$share/g/x", "1"],
    ["ps/$share/g/+", "2"],
  ] as const)
    expect(device.ask({ path, token, options: [OBSERVE] })).toMatchObject({ code: "2.05", payload: "" });
  world.publish("x", "shared");
  expect(device.take().length).toBeGreaterThan(0);
});

it("creates what an older draft's CREATE names, and lists nothing as observable that is not", () => {
  const { device } = setup();
  const created = device.ask({ code: "POST", path: "ps", options: [[12, 40]], payload: "<room/1>;ct=0" });
  expect(created.code).toBe("2.01");
  expect(created.text(8)).toEqual(["ps", "room", "1"]);
  expect(device.ask({ code: "POST", path: "ps", options: [[12, 40]], payload: "<a/#>" }).code).toBe("4.00");
  expect(device.ask({ path: ".well-known/core", query: ["obs"] }).payload).not.toContain("</ps>");
});
