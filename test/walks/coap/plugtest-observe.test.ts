/** The ETSI CoAP#4 scenarios TD_COAP_OBS_*, at topics instead of /obs. Datagrams of the client are written by hand. */
import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { ACK, CON, NON } from "../../support/coap-bytes.ts";
import { HandClient, type Said } from "../../support/coap-hand.ts";
import { pubsubWorld } from "../../support/coap-site.ts";

const OBSERVE = 6;
const TEXT = { payloadFormat: 1 as const };
/** GET /ps/obs, token 7e57, Observe 0: registers. */
const REGISTER = "42 01 0001 7e57 60 52 'ps' 03 'obs'";

function setup(register = REGISTER) {
  const { world, network } = pubsubWorld();
  const client = new HandClient(network);
  world.publish("obs", "0", { retain: true, qos: 1, properties: TEXT });
  const first = client.asks(register);
  /** What a change of the resource brings the client. */
  const change = (value: string, qos: 0 | 1 = 1): Said[] => {
    world.publish("obs", value, { retain: true, qos, properties: TEXT });
    return client.hears();
  };
  return { world, network, client, first, change };
}
const rising = (messages: (Said | undefined)[]): boolean =>
  messages.every((each, index) => {
    if (index === 0) return true;
    const ahead = ((each?.option(OBSERVE) ?? -1) - (messages[index - 1]?.option(OBSERVE) ?? 0)) & 0xffffff;
    return ahead > 0 && ahead < 0x800000;
  });

it("TD_COAP_OBS_01 and 09: CON notifications keep token and format and rise in number (RFC 7641 §4.4)", () => {
  const { world, client, first, change } = setup();
  expect(first).toMatchObject({ type: ACK, code: "2.05", id: 1, token: "7e57", text: "0" });
  expect(first.option(12)).toBe(0);
  const told = ["1", "2", "3"].map((value) => {
    world.advance(seconds(5));
    const [notification, ...others] = change(value);
    expect(others).toEqual([]);
    expect(notification).toMatchObject({ type: CON, code: "2.05", token: "7e57", text: value });
    expect(notification?.option(12)).toBe(0);
    expect(client.acknowledges(notification)).toEqual([]);
    return notification;
  });
  expect(rising([first, ...told])).toBe(true);
});

it("TD_COAP_OBS_02: a NON registration has NON notifications", () => {
  const { first, change } = setup("52 01 0001 7e57 60 52 'ps' 03 'obs'");
  expect(first).toMatchObject({ type: NON, code: "2.05", token: "7e57" });
  const told = [change("1"), change("2")].flat();
  expect(told).toMatchObject([
    { type: NON, code: "2.05", token: "7e57", text: "1" },
    { type: NON, code: "2.05", token: "7e57", text: "2" },
  ]);
  expect(rising([first, ...told])).toBe(true);
});

it("TD_COAP_OBS_04: a client that hears nothing within Max-Age registers again with its token", () => {
  const { world, client, first, change } = setup();
  const [one] = change("1");
  client.acknowledges(one);
  world.advance(seconds(100));
  const again = client.asks("42 01 0002 7e57 60 52 'ps' 03 'obs'");
  expect(again).toMatchObject({ type: ACK, code: "2.05", token: "7e57", text: "1" });
  const [two, ...others] = change("2");
  expect(others).toEqual([]);
  expect(two).toMatchObject({ type: CON, token: "7e57", text: "2" });
  expect(rising([first, one, again, two])).toBe(true);
});

it("TD_COAP_OBS_05: a client that is off gets retransmissions, and then nothing more (RFC 7641 §4.5)", () => {
  const { world, client, change } = setup();
  const [lost] = change("1");
  world.advance(seconds(62));
  expect(client.hears().map((each) => each.wire)).toEqual(Array(4).fill(lost?.wire));
  world.advance(seconds(40));
  expect(change("2")).toEqual([]);
  world.advance(seconds(300));
  expect(client.hears()).toEqual([]);
});

it("TD_COAP_OBS_06: a client that has forgotten its observation resets it (RFC 7641 §3.6)", () => {
  const { client, change } = setup();
  client.resets(change("1")[0]);
  expect(change("2")).toEqual([]);
});

it("TD_COAP_OBS_07: observers of deleted topic data are told 4.04 without Observe, and then nothing", () => {
  const { world, network } = pubsubWorld();
  const client = new HandClient(network);
  // POST /pubsub, Content-Format 606, {0: "obs", 2: "core.ps.data"}; its data are at /pubsub/data/{id}.
  const created = client.asks("40 02 0001 b6 'pubsub' 12 025e ff a2 00 63 'obs' 02 6c 'core.ps.data'");
  const id = Buffer.from(created.options.filter(({ number }) => number === 8)[1]?.value ?? []).toString();
  world.publish("obs", "0", { retain: true, qos: 1 });
  const at = `56 'pubsub' 04 'data' 0c '${id}'`;
  expect(client.asks(`42 01 0002 7e57 60 ${at}`)).toMatchObject({ code: "2.05", text: "0" });
  const other = new HandClient(network, 20_001);
  expect(other.asks(`40 04 0001 b6 ${at.slice(3)}`).code).toBe("2.02");
  const [gone, ...others] = client.hears();
  expect(gone).toMatchObject({ type: CON, code: "4.04", token: "7e57" });
  expect(gone?.option(OBSERVE)).toBeUndefined();
  expect(others).toEqual([]);
  client.acknowledges(gone);
  world.publish("obs", "1", { retain: true, qos: 1 });
  expect(client.hears()).toEqual([]);
});

it("TD_COAP_OBS_08: who asked for one format is told 4.06 when the topic changes to another (RFC 7641 §4.2)", () => {
  // The same with Accept 0.
  const { world, client, change } = setup("42 01 0001 7e57 60 52 'ps' 03 'obs' 60");
  client.acknowledges(change("1")[0]);
  world.publish("obs", "{}", { retain: true, qos: 1, properties: { contentType: "application/json" } });
  const [last, ...others] = client.hears();
  expect(others).toEqual([]);
  expect(last).toMatchObject({ type: CON, code: "4.06", token: "7e57" });
  expect(last?.option(OBSERVE)).toBeUndefined();
  client.acknowledges(last);
  expect(change("2")).toEqual([]);
  expect(world.disconnects).toHaveLength(1);
});

it("keeps to the format of the first response, and ends with 4.06 where another follows (RFC 7641 §4.2)", () => {
  const { world, client } = setup();
  world.publish("obs", "x", {});
  world.publish("obs", "{}", { properties: { contentType: "application/json" } });
  world.publish("obs", "nobody hears this", {});
  const told = client.hears();
  expect(told.map((each) => [each.code, each.option(12)])).toEqual([
    ["2.05", undefined],
    ["4.06", undefined],
  ]);
});

it("TD_COAP_OBS_10: a GET without Observe and with another token leaves the observation alone", () => {
  const { client, change } = setup();
  client.acknowledges(change("1")[0]);
  const plain = client.asks("42 01 0002 aaaa b2 'ps' 03 'obs'");
  expect(plain).toMatchObject({ type: ACK, code: "2.05", token: "aaaa", text: "1" });
  expect([plain.option(OBSERVE), plain.option(12)]).toEqual([undefined, 0]);
  expect(change("2")).toMatchObject([{ type: CON, token: "7e57", text: "2" }]);
});

it("TD_COAP_OBS_11: on a lossy network never two notifications are under way at a time (RFC 7641 §4.5.2)", () => {
  const { world, client, change } = setup();
  const [one] = change("1");
  expect(change("2")).toEqual([]);
  expect(change("3")).toEqual([]);
  world.advance(seconds(10));
  for (const again of client.hears()) expect(again.wire).toBe(one?.wire);
  const [two, ...others] = client.acknowledges(one);
  expect(others).toEqual([]);
  expect(two).toMatchObject({ type: CON, text: "2" });
  const [three] = client.acknowledges(two);
  expect(three).toMatchObject({ type: CON, text: "3" });
  expect(rising([one, two, three])).toBe(true);
});

it("TD_COAP_OBS_12: a GET with Observe 1 and the token ends it (RFC 7641 §3.6)", () => {
  const { client, change } = setup();
  client.acknowledges(change("1")[0]);
  const last = client.asks("42 01 0002 7e57 61 01 52 'ps' 03 'obs'");
  expect(last).toMatchObject({ type: ACK, code: "2.05", token: "7e57", text: "1" });
  expect(last.option(OBSERVE)).toBeUndefined();
  expect(change("2")).toEqual([]);
});

it.each([
  ["TD_COAP_OBS_13", [200, 200]],
  ["TD_COAP_OBS_14", [200, 40, 130, 64, 65]],
])("%s: large values are told by their first block, the rest is fetched (RFC 7959 §2.6)", (_id, sizes) => {
  // Observe 0 and Block2 0/0/64.
  const { client, change } = setup("42 01 0001 7e57 60 52 'ps' 03 'obs' c1 02");
  let id = 0x10;
  for (const size of sizes) {
    const value = `${size}:`.padEnd(size, "abcdefghij");
    const [first] = change(value);
    expect(first).toMatchObject({ type: CON, code: "2.05", token: "7e57", text: value.slice(0, 64) });
    expect(first?.option(OBSERVE)).toBeDefined();
    let body = first?.text ?? "";
    const acknowledged = client.acknowledges(first);
    expect(acknowledged).toEqual([]);
    for (let number = 1; body.length < size; number++) {
      expect((first?.option(23) ?? 0) & 8).toBe(8);
      const packed = (number * 16 + 2).toString(16).padStart(2, "0");
      const rest = client.asks(`42 01 00${(++id).toString(16)} ${4000 + id} b2 'ps' 03 'obs' c1 ${packed}`);
      expect(rest.code).toBe("2.05");
      expect([rest.raw(4), rest.raw(12), rest.option(OBSERVE)]).toEqual([
        first?.raw(4),
        first?.raw(12),
        undefined,
      ]);
      body += rest.text;
    }
    expect(body).toBe(value);
  }
});
