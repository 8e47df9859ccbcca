/** How observers of other projects speak, byte by byte, and what they want of the answers. */
import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { ACK, CON, NON } from "../../support/coap-bytes.ts";
import { HandClient, type Said } from "../../support/coap-hand.ts";
import { pubsubWorld } from "../../support/coap-site.ts";

const OBSERVE = 6;

function setup(overrides = {}) {
  const { world, network } = pubsubWorld(overrides);
  const client = new HandClient(network);
  const tell = (payload: string, options = {}): Said[] => {
    world.publish("a", payload, { qos: 1, ...options });
    return client.hears();
  };
  return { world, network, client, tell };
}

// ---- go-coap (plgd-dev)

const GO_TOKEN = "0102030405060708";

it("go-coap: numbers of notifications rise by less than 21, or it takes them for old (RFC 7641 §3.4)", () => {
  const { world, client, tell } = setup();
  let last = client.asks(`48 01 d00d ${GO_TOKEN} 60 52 'ps' 01 'a'`).option(OBSERVE) ?? 0;
  for (const pause of [0, 1, 30, 100]) {
    world.advance(seconds(pause));
    const [told] = tell("x");
    client.acknowledges(told);
    const number = told?.option(OBSERVE) ?? 0;
    expect((number - last) & 0xffffff).toBeGreaterThan(0);
    expect((number - last) & 0xffffff).toBeLessThan(21);
    last = number;
  }
});

it.each(["01 'a'", "01 '+'"])(
  "go-coap: ends the observation of %s with token and path alone, and wants 2.05 (RFC 7641 §3.6)",
  (path) => {
    const { client, tell } = setup();
    client.asks(`48 01 d00d ${GO_TOKEN} 60 52 'ps' ${path}`);
    const last = client.asks(`48 01 d00e ${GO_TOKEN} 61 01 52 'ps' ${path}`);
    expect(last).toMatchObject({ type: ACK, code: "2.05", token: GO_TOKEN });
    expect(tell("x")).toEqual([]);
  },
);

it("go-coap: fetches the rest of a notification with another token and the M bit set (RFC 7959 §2.6)", () => {
  const { client, tell } = setup();
  client.asks(`48 01 d00d ${GO_TOKEN} 60 52 'ps' 01 'a'`);
  const value = "0123456789".repeat(250);
  const [first] = tell(value);
  expect(first).toMatchObject({ type: CON, token: GO_TOKEN, text: value.slice(0, 1024) });
  client.acknowledges(first);
  const rest = ["1e", "2e"].map((block, index) =>
    client.asks(`48 01 d0${20 + index} 1111111111111111 b2 'ps' 01 'a' c1 ${block}`),
  );
  expect([first, ...rest].map((each) => each?.text).join("")).toBe(value);
  for (const each of rest) expect(each.raw(4)).toBe(first?.raw(4));
  expect(rest.at(-1)?.option(23)).toBe(0x26);
});

// ---- Californium

/** Uri-Host is there whenever the URI has a name. */
const californium = (id: string): string => `48 01 ${id} ca11f0a1ca11f0a1 39 'localhost' 30 52 'ps' 01 'a'`;

it("Californium: registers again whenever Max-Age is over, and hears its last value, not an empty one", () => {
  const { world, client, tell } = setup();
  const first = client.asks(californium("1001"));
  expect(first).toMatchObject({ code: "2.05", text: "" });
  const [on] = tell("on");
  client.acknowledges(on);
  for (const id of ["1002", "1003"]) {
    world.advance(seconds(62));
    const again = client.asks(californium(id));
    expect(again).toMatchObject({ type: ACK, code: "2.05", token: "ca11f0a1ca11f0a1", text: "on" });
    expect(again.option(OBSERVE)).toBeGreaterThan(on?.option(OBSERVE) ?? 0);
  }
  expect(tell("off")).toMatchObject([{ type: CON, text: "off" }]);
});

it("Californium: a value that is over is not told again", () => {
  const { world, client } = setup();
  client.asks(californium("1001"));
  world.publish("a", "soon over", { qos: 1, expiry: seconds(30) });
  const [told] = client.hears();
  expect(told?.option(14)).toBe(30);
  client.acknowledges(told);
  world.advance(seconds(32));
  expect(client.asks(californium("1002"))).toMatchObject({ code: "2.05", text: "" });
});

it("Californium: loses nothing that waits while it registers again (RFC 7641 §4.1)", () => {
  const { world, client, tell } = setup({ subscribe: { notify: "con" } });
  client.asks(californium("1001"));
  const [lost] = tell("1", { qos: 0 });
  tell("2", { qos: 0 });
  tell("3", { qos: 0 });
  world.advance(seconds(1));
  const [again, one, ...others] = client.sends(californium("1002"));
  expect(others).toEqual([]);
  expect(again).toMatchObject({ type: ACK, code: "2.05" });
  // Not acknowledged, so told again: with another id, and a higher number than the response has.
  expect(one).toMatchObject({ type: CON, text: "1" });
  expect(one?.id).not.toBe(lost?.id);
  expect(one?.option(OBSERVE)).toBeGreaterThan(again?.option(OBSERVE) ?? Number.NaN);
  const [two] = client.acknowledges(one);
  const [three] = client.acknowledges(two);
  expect([two?.text, three?.text]).toEqual(["2", "3"]);
  client.acknowledges(three);
  world.advance(seconds(100));
  expect(client.hears()).toEqual([]);
});

it("Californium: a registration again that comes twice is answered alike (RFC 7252 §4.5)", () => {
  const { client, tell } = setup();
  client.asks(californium("1001"));
  client.acknowledges(tell("on")[0]);
  const again = client.asks(californium("1002"));
  expect(client.asks(californium("1002")).wire).toBe(again.wire);
});

it("replaces an observation of another topic under the same token, whatever waits (RFC 7641 §4.1)", () => {
  const { world, client, tell } = setup();
  client.asks(californium("1001"));
  tell("1");
  const other = client.asks(californium("1002").replace("'a'", "'b'"));
  expect(other).toMatchObject({ code: "2.05", text: "" });
  world.advance(seconds(100));
  expect(client.hears()).toEqual([]);
  world.publish("b", "here", { qos: 1 });
  expect(client.hears()).toMatchObject([{ text: "here" }]);
});

// ---- Zephyr coap_client

/** It repeats all its options with each block, Observe too, and knows the token of its last request only. */
const zephyr = (id: number, block: string): string =>
  `48 01 00${id} 2e5eed2e5eed2e${id} 60 52 'ps' 01 'a' c1 ${block}`;
const zephyrToken = (id: number): string => `2e5eed2e5eed2e${id}`;

it("Zephyr: fetches a value with Observe in each request, and listens under its last token", () => {
  const { world, client, tell } = setup();
  const value = "abcdefgh".repeat(75);
  world.publish("a", value, { retain: true });
  const blocks = [
    client.asks(zephyr(10, "04")),
    client.asks(zephyr(11, "14")),
    client.asks(zephyr(12, "24")),
  ];
  expect(blocks.map((each) => each.text).join("")).toBe(value);
  expect(new Set(blocks.map((each) => each.raw(4))).size).toBe(1);
  /** Delivers under the last token, whatever comes under others being reset. */
  const listens = (told: Said[], last: number): string[] => {
    const heard: string[] = [];
    for (const each of told) {
      if (each.token === zephyrToken(last)) heard.push(each.text);
      told.push(...(each.token === zephyrToken(last) ? client.acknowledges(each) : client.resets(each)));
    }
    return heard;
  };
  expect(listens(tell("one"), 12)).toEqual(["one"]);
  const [only, ...others] = tell("two");
  expect(others).toEqual([]);
  expect(only).toMatchObject({ type: CON, token: zephyrToken(12), text: "two" });
  client.acknowledges(only);
});

it("Zephyr: the rest of a large notification is that of the notification, not of the retained value", () => {
  const { client, tell } = setup();
  client.asks(zephyr(10, "04"));
  const value = "abcdefgh".repeat(40);
  const [first] = tell(value);
  expect(first).toMatchObject({ token: zephyrToken(10), text: value.slice(0, 256) });
  client.acknowledges(first);
  const rest = client.asks(zephyr(11, "14"));
  expect(rest).toMatchObject({ code: "2.05", text: value.slice(256) });
  expect([rest.raw(4), rest.option(23)]).toEqual([first?.raw(4), 0x14]);
});

// ---- CoAPthon3

it("CoAPthon3: observes with an empty token, and acknowledges even NON notifications", () => {
  const { world, client, tell } = setup();
  expect(client.asks("40 01 0001 60 52 'ps' 01 'a'")).toMatchObject({ code: "2.05", token: "" });
  const [non] = tell("1", { qos: 0 });
  expect(non).toMatchObject({ type: NON, token: "", text: "1" });
  expect(client.acknowledges(non)).toEqual([]);
  const [con] = tell("2");
  expect(con).toMatchObject({ type: CON, token: "", text: "2" });
  expect(client.acknowledges(con)).toEqual([]);
  world.advance(seconds(100));
  expect(client.hears()).toEqual([]);
  client.resets(tell("3")[0]);
  expect(tell("4")).toEqual([]);
});

it("CoAPthon3: fetches blocks with Observe and the token of the registration, and has one observation", () => {
  const { client, tell } = setup();
  client.asks("40 01 0001 60 52 'ps' 01 'a'");
  const value = "0123456789".repeat(150);
  const [first] = tell(value);
  client.acknowledges(first);
  const rest = client.asks("40 01 0002 60 52 'ps' 01 'a' c1 16");
  expect((first?.text ?? "") + rest.text).toBe(value);
  expect(tell("small")).toMatchObject([{ type: CON, token: "", text: "small" }]);
});

it("CoAPthon3, coap-rs, Copper: an ACK or RST with the token of what it answers counts", () => {
  const { world, client, tell } = setup();
  client.asks("42 01 0001 beef 60 52 'ps' 01 'a'");
  const hex = (message: Said | undefined): string => (message?.id ?? 0).toString(16).padStart(4, "0");
  const [con] = tell("1");
  expect(client.sends(`62 00 ${hex(con)} beef`)).toEqual([]);
  world.advance(seconds(100));
  expect(client.hears()).toEqual([]);
  const [non] = tell("2", { qos: 0 });
  expect(non).toMatchObject({ type: NON, text: "2" });
  expect(client.sends(`72 00 ${hex(non)} beef`)).toEqual([]);
  expect(tell("3", { qos: 0 })).toEqual([]);
});

it("takes an ACK or RST with any other token for the format error it is (RFC 7252 §4.1)", () => {
  const { world, client, tell } = setup();
  client.asks("42 01 0001 beef 60 52 'ps' 01 'a'");
  const hex = (message: Said | undefined): string => (message?.id ?? 0).toString(16).padStart(4, "0");
  const [con] = tell("1");
  for (const odd of ["62 00 ID dead", "72 00 ID dead", "61 00 ID be", "62 00 ID beef ff 00", "60 00 ID ff"]) {
    expect(client.sends(odd.replace("ID", hex(con)))).toEqual([]);
  }
  world.advance(seconds(4));
  expect(client.hears().map((each) => each.wire)).toEqual([con?.wire]);
  client.acknowledges(con);
  const [non] = tell("2", { qos: 0 });
  expect(client.sends(`72 00 ${hex(non)} dead`)).toEqual([]);
  expect(tell("3", { qos: 0 })).toMatchObject([{ text: "3" }]);
});

it("coap-rs: takes the first datagram for the response to its registration, and answers a ping with an ACK", () => {
  const { client, tell } = setup({ stack: { amplification: "large-only" } });
  const [response, ping, ...others] = client.sends("40 01 0001 60 52 'ps' 01 'a'");
  expect(others).toEqual([]);
  expect(response).toMatchObject({ type: ACK, code: "2.05", id: 1 });
  expect(ping).toMatchObject({ type: CON, code: "0.00" });
  client.answersPings(ping);
  expect(tell("1", { qos: 0 })).toMatchObject([{ type: NON, text: "1" }]);
});

it("an Arduino that answers a notification with 4.04 in an ACK has acknowledged nothing", () => {
  const { world, client, tell } = setup();
  client.asks("40 01 0001 60 52 'ps' 01 'a'");
  const [con] = tell("1");
  client.sends(`60 84 ${(con?.id ?? 0).toString(16).padStart(4, "0")} c2 0000`);
  world.advance(seconds(4));
  expect(client.hears().map((each) => each.wire)).toEqual([con?.wire]);
});

// ---- gen_coap, and er_coap_client of EMQX's test suites

/** GET has a payload, and every request a token of its own. */
const erlang = (id: string, observe: string, query: string): string =>
  `44 01 ${id} ${id}${id} ${observe} 52 'ps' 01 'a' ${query} ff '123'`;

it("er_coap_client: unsubscribes by client id and topic under another token, and wants 2.07", () => {
  const { world, client, tell } = setup({ connection: { required: true }, subscribe: { endByTopic: true } });
  const connect = "44 02 0001 00010001 b4 'mqtt' 0a 'connection' 4d 03 'clientid=client1'";
  const connected = client.asks(connect);
  expect(connected).toMatchObject({ code: "2.01" });
  const token = `token=${connected.text}`;
  const query = `4d 03 'clientid=client1' 0d ${(token.length - 13).toString(16).padStart(2, "0")} '${token}'`;
  expect(client.asks(erlang("0002", "60", query))).toMatchObject({ code: "2.05", token: "00020002" });
  expect(client.acknowledges(tell("x")[0])).toEqual([]);
  expect(client.asks(erlang("0003", "61 01", query))).toMatchObject({ code: "2.07", token: "00030003" });
  expect(tell("y")).toEqual([]);
  world.advance(seconds(200));
  expect(client.hears()).toEqual([]);
});

it("er_coap_client: does so without a connection too, if it gives its client id", () => {
  const { client, tell } = setup({ subscribe: { endByTopic: true } });
  client.asks(erlang("0002", "60", "44 'c=me'"));
  expect(client.asks(erlang("0003", "61 01", "44 'c=me'"))).toMatchObject({ code: "2.07" });
  expect(tell("y")).toEqual([]);
});

it("ends nothing by an Observe 1 of another token where no client id is given (RFC 7641 §3.6)", () => {
  const { client, tell } = setup();
  client.asks(erlang("0002", "60", ""));
  expect(client.asks(erlang("0003", "61 01", ""))).toMatchObject({ code: "2.05" });
  expect(tell("y")).toMatchObject([{ token: "00020002", text: "y" }]);
});
