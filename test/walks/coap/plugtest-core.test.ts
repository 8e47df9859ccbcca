/** The ETSI CoAP#4 scenarios TD_COAP_CORE_*, at topics instead of /test. Messages are not written by the gateway's codec. */
import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { Response } from "#gateways/coap/stack/message/codes.ts";
import type { CoapRequest } from "#gateways/coap/stack/site.ts";
import {
  ACK,
  CON,
  NON,
  RST,
  textOption,
  textsOf,
  uintOption,
  type WireOption,
  writeMessage,
} from "../../support/coap-bytes.ts";
import { bytes, HandClient, type Said } from "../../support/coap-hand.ts";
import { pubsubWorld, stackWorld } from "../../support/coap-site.ts";

const TEXT = uintOption(12, 0);
const GET = "0.01";
const POST = "0.02";
const PUT = "0.03";
const DELETE = "0.04";
const path = (written: string): WireOption[] => written.split("/").map((segment) => textOption(11, segment));
const query = (...parts: string[]): WireOption[] => parts.map((part) => textOption(15, part));

function setup(overrides = {}) {
  const stack = pubsubWorld(overrides);
  const client = new HandClient(stack.network);
  let id = 0x1000;
  const message = (
    type: number,
    code: string,
    options: WireOption[],
    payload: string | Uint8Array = "",
    token = "c0ffee",
  ) => writeMessage({ type, code, id: ++id, token, options, payload: Buffer.from(payload as string) });
  const ask = (...sent: Parameters<typeof message>): Said => client.asks(message(...sent));
  /** A resource whose content is not empty: a retained value. */
  const offer = (at: string, value: string, format = TEXT) =>
    ask(CON, PUT, [...path(`ps/${at}`), format, ...query("retain=1")], value);
  return { ...stack, client, message, ask, offer, lastId: () => id };
}

it.each([
  ["TD_COAP_CORE_01: GET", GET, ["2.05"], "here"],
  ["TD_COAP_CORE_02: DELETE", DELETE, ["2.02"], ""],
  ["TD_COAP_CORE_03: PUT", PUT, ["2.04", "2.01"], ""],
  ["TD_COAP_CORE_04: POST", POST, ["2.04", "2.01"], ""],
])("%s as CON is answered in its ACK (RFC 7252 §5.2.1, §5.8)", (_id, code, answers, payload) => {
  const { ask, offer, lastId } = setup();
  offer("test", "here");
  const sends = code === PUT || code === POST;
  const answer = ask(CON, code, [...path("ps/test"), ...(sends ? [TEXT] : [])], sends ? "new" : "");
  expect(answers).toContain(answer.code);
  expect(answer).toMatchObject({ type: ACK, id: lastId(), token: "c0ffee", text: payload });
  expect(answer.option(12)).toBe(payload === "" ? undefined : 0);
});

it.each([
  ["TD_COAP_CORE_05: GET", GET, ["2.05"], "here"],
  ["TD_COAP_CORE_06: DELETE", DELETE, ["2.02"], ""],
  ["TD_COAP_CORE_07: PUT", PUT, ["2.04", "2.01"], ""],
  ["TD_COAP_CORE_08: POST", POST, ["2.04", "2.01"], ""],
])(
  "%s as NON is answered by a NON of another message id (RFC 7252 §5.2.3)",
  (_id, code, answers, payload) => {
    const { ask, offer, lastId } = setup();
    offer("test", "here");
    const sends = code === PUT || code === POST;
    const answer = ask(NON, code, [...path("ps/test"), ...(sends ? [TEXT] : [])], sends ? "new" : "");
    expect(answers).toContain(answer.code);
    expect(answer).toMatchObject({ type: NON, token: "c0ffee", text: payload });
    expect(answer.id).not.toBe(lastId());
  },
);

/** /separate: a resource that takes a couple of seconds. */
function separate() {
  const { site, network, world } = stackWorld();
  const client = new HandClient(network);
  const waiting: CoapRequest[] = [];
  const late = { code: Response.Content, options: [{ number: 12, value: 0 }], payload: Buffer.from("late") };
  // A request to /u, which wants no response itself, has all others answered.
  site.handler = (request) => {
    waiting.push(request);
    if (!request.message.pathStartsWith("u")) return;
    for (const each of waiting.splice(0)) each.respond(late);
  };
  const answer = (): Said[] => client.sends("50 02 7777 b1 'u' d1 ea 1a");
  return { world, client, answer, executed: () => site.executed };
}

it.each([
  ["TD_COAP_CORE_09", ""],
  ["TD_COAP_CORE_11", "0102030405060708"],
])(
  "%s: a CON that takes long gets an empty ACK, then a CON with its token (RFC 7252 §5.2.2)",
  (_id, token) => {
    const { world, client, answer } = separate();
    expect(client.sends(writeMessage({ type: CON, code: GET, id: 7, token, options: path("t") }))).toEqual(
      [],
    );
    world.advance(seconds(2));
    expect(client.hears().map((each) => each.wire)).toEqual(["60000007"]);
    const [late] = answer();
    expect(late).toMatchObject({ type: CON, code: "2.05", token, text: "late" });
    expect(late?.id).not.toBe(7);
    expect(late?.option(12)).toBe(0);
    client.acknowledges(late);
    world.advance(seconds(100));
    expect(client.hears()).toEqual([]);
  },
);

it.each([
  ["TD_COAP_CORE_10", "a1b2c3d4e5f60718"],
  ["TD_COAP_CORE_12", ""],
])("%s: a token of any length comes back as it was (RFC 7252 §5.3.1)", (_id, token) => {
  const { ask, offer } = setup();
  offer("test", "here");
  expect(ask(CON, GET, path("ps/test"), "", token)).toMatchObject({ code: "2.05", token, text: "here" });
});

it("TD_COAP_CORE_13 and 14: several Uri-Path and unknown Uri-Query options (RFC 7252 §5.10.1)", () => {
  const { ask, offer } = setup();
  offer("seg1/seg2/seg3", "deep");
  expect(ask(CON, GET, path("ps/seg1/seg2/seg3"))).toMatchObject({ code: "2.05", text: "deep" });
  const wanted = [...path("ps/seg1/seg2/seg3"), ...query("first=1", "second=2", "third=3")];
  expect(ask(CON, GET, wanted)).toMatchObject({ code: "2.05", text: "deep" });
});

it("TD_COAP_CORE_15: what is sent again after a loss is answered alike and done once (RFC 7252 §4.5)", () => {
  const { client, message, world } = setup();
  const heard = world.listen("#");
  const request = message(CON, PUT, [...path("ps/test"), TEXT], "once");
  const first = client.asks(request);
  world.advance(seconds(3));
  expect(client.asks(request).wire).toBe(first.wire);
  expect(heard).toHaveLength(1);
});

it("TD_COAP_CORE_16: with a lost ACK, a lost response and a lost ACK of that, each is sent again, and once only", () => {
  const { world, client, answer, executed } = separate();
  const request = writeMessage({ type: CON, code: GET, id: 8, token: "aa", options: path("t") });
  client.sends(request);
  world.advance(seconds(2));
  expect(client.hears().map((each) => each.wire)).toEqual(["60000008"]);
  expect(client.sends(request).map((each) => each.wire)).toEqual(["60000008"]);
  const [lost] = answer();
  world.advance(seconds(3));
  const [again] = client.hears();
  expect(again?.wire).toBe(lost?.wire);
  client.acknowledges(again);
  world.advance(seconds(100));
  expect(client.hears()).toEqual([]);
  expect(executed()).toBe(2);
});

it("TD_COAP_CORE_17: a NON that takes long gets no ACK, then a NON (RFC 7252 §5.2.3)", () => {
  const { world, client, answer } = separate();
  client.sends(writeMessage({ type: NON, code: GET, id: 9, token: "bb", options: path("t") }));
  world.advance(seconds(3));
  expect(client.hears()).toEqual([]);
  expect(answer()).toMatchObject([{ type: NON, code: "2.05", token: "bb", text: "late" }]);
});

it("TD_COAP_CORE_18: what POST creates is named by Location-Path options, one a segment (RFC 7252 §5.10.7)", () => {
  const { ask } = setup();
  // A map of topic-name "a" and resource-type "core.ps.data", in application/core-pubsub+cbor.
  const map = bytes("a2 00 61 'a' 02 6c 'core.ps.data'");
  const created = ask(CON, POST, [...path("pubsub"), uintOption(12, 606)], map);
  expect(created).toMatchObject({ type: ACK, code: "2.01" });
  const location = textsOf(created, 8);
  expect(location).toHaveLength(2);
  expect(location.join("")).not.toContain("/");
  expect(
    ask(
      CON,
      GET,
      location.map((segment) => textOption(11, segment)),
    ).code,
  ).toBe("2.05");
});

it("TD_COAP_CORE_20: Accept gets the format that there is, and 4.06 for another (RFC 7252 §5.10.4)", () => {
  const { ask, offer } = setup();
  offer("text", "plain");
  offer("xml", "<a/>", uintOption(12, 41));
  const get = (at: string, accept: number) => ask(CON, GET, [...path(`ps/${at}`), uintOption(17, accept)]);
  expect(get("text", 0)).toMatchObject({ code: "2.05", text: "plain" });
  expect(get("text", 0).option(12)).toBe(0);
  expect(get("xml", 41)).toMatchObject({ code: "2.05", text: "<a/>" });
  expect(get("xml", 41).option(12)).toBe(41);
  expect(get("text", 41).code).toBe("4.06");
});

it("TD_COAP_CORE_21: an ETag is answered 2.03 until the value changes (RFC 7252 §5.10.6)", () => {
  const { ask, offer } = setup();
  offer("validate", "first");
  const one = ask(CON, GET, path("ps/validate"));
  const etag = { number: 4, value: Buffer.from(one.raw(4) ?? "", "hex") };
  const valid = ask(CON, GET, [etag, ...path("ps/validate")]);
  expect(valid).toMatchObject({ code: "2.03", text: "" });
  expect(valid.raw(4)).toBe(one.raw(4));
  offer("validate", "second");
  const changed = ask(CON, GET, [etag, ...path("ps/validate")]);
  expect(changed).toMatchObject({ code: "2.05", text: "second" });
  expect(changed.raw(4)).not.toBe(one.raw(4));
});

it("TD_COAP_CORE_22: If-Match lets one of two concurrent updates through (RFC 7252 §5.10.8.1)", () => {
  const { ask, offer } = setup();
  offer("validate", "first");
  const match = (etag: string | undefined): WireOption => ({
    number: 1,
    value: Buffer.from(etag ?? "", "hex"),
  });
  const put = (etag: string | undefined, value: string) =>
    ask(CON, PUT, [match(etag), ...path("ps/validate"), TEXT, ...query("retain=1")], value);
  const first = ask(CON, GET, path("ps/validate")).raw(4);
  expect(put(first, "second").code).toBe("2.04");
  const second = ask(CON, GET, path("ps/validate"));
  expect(second.text).toBe("second");
  offer("validate", "somebody else's");
  expect(put(second.raw(4), "third").code).toBe("4.12");
  expect(ask(CON, GET, path("ps/validate")).text).toBe("somebody else's");
});

it("TD_COAP_CORE_23: If-None-Match creates once (RFC 7252 §5.10.8.2)", () => {
  const { ask } = setup();
  const none = { number: 5, value: new Uint8Array(0) };
  const create = () => ask(CON, PUT, [none, ...path("ps/create1"), TEXT, ...query("retain=1")], "mine").code;
  expect([create(), create()]).toEqual(["2.01", "4.12"]);
});

it("TD_COAP_CORE_31: a ping of four bytes is answered by an RST of four (RFC 7252 §4.3)", () => {
  const { client } = setup();
  expect(client.sends("40 00 5049")).toMatchObject([{ type: RST, code: "0.00", wire: "70005049" }]);
});
