/** How clients of other projects ask and publish, byte by byte, and what they want of the answers. */
import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { Response } from "#gateways/coap/stack/message/codes.ts";
import type { CoapRequest } from "#gateways/coap/stack/site.ts";
import { ACK, CON, NON } from "../../support/coap-bytes.ts";
import { bytes, HandClient, type Said } from "../../support/coap-hand.ts";
import { pubsubWorld, stackWorld } from "../../support/coap-site.ts";
import { frames } from "../../support/coap-stream.ts";

function setup(overrides = {}) {
  const { world, network } = pubsubWorld(overrides);
  return { world, network, client: new HandClient(network), heard: world.listen("#") };
}
const textOf = (payload: Uint8Array | undefined): string => Buffer.from(payload ?? []).toString();
const hex = (value: number, digits = 4): string => value.toString(16).padStart(digits, "0");

/**
 * Uploads in blocks of size exponent `szx`; `head` is everything before the payload for a block number, with a
 * question mark where the value of Block1 is. `emptyEnd` adds a last block without payload. Gives all answers.
 */
function upload(
  client: HandClient,
  body: string,
  szx: number,
  head: (number: number) => string,
  emptyEnd = false,
): Said[] {
  const size = 16 << szx;
  const count = Math.ceil(body.length / size) + (emptyEnd ? 1 : 0);
  return Array.from({ length: count }, (_, number) => {
    const part = body.slice(number * size, (number + 1) * size);
    const packed = number * 16 + (number + 1 < count ? 8 : 0) + szx;
    const written = bytes(head(number).replace(/d1 (..) \?/, `d1 $1 ${hex(packed, 2)}`));
    const payload = part === "" ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0xff]), Buffer.from(part)]);
    return client.asks(Buffer.concat([written, payload]));
  });
}

// ---- aiocoap, txThings

it("aiocoap: sends blocks with Uri-Host and a new token each, and compares number and size (RFC 7959 §2.5)", () => {
  const { client, heard } = setup();
  const body = "0123456789abcdef".repeat(200);
  const answers = upload(
    client,
    body,
    6,
    (number) => `42 03 00${hex(number + 1, 2)} 7a${hex(number, 2)} 39 'localhost' 82 'ps' 01 'a' d1 03 ?`,
  );
  expect(answers.map((each) => [each.code, each.option(27)])).toEqual([
    ["2.31", 0x0e],
    ["2.31", 0x1e],
    ["2.31", 0x2e],
    ["2.04", 0x36],
  ]);
  expect(answers.map((each) => each.token)).toEqual(["7a00", "7a01", "7a02", "7a03"]);
  expect(textOf(heard[0]?.payload)).toBe(body);
});

it("aiocoap over TCP: begins a body with BERT before it has seen our CSM, and keeps to it (RFC 8323 §6)", () => {
  const stack = pubsubWorld();
  const heard = stack.world.listen("#");
  const stream = stack.streams().connect();
  // CSM of 1 MiB and Block-Wise-Transfer, then PUT /ps/a in blocks of exponent 7: of 1024 bytes first, then of many.
  const csm = "50 e1 23 100000 20";
  const put = (token: string, block: string, payload: string) => {
    const options = bytes(`b2 'ps' 01 'a' d1 03 ${block} ff`);
    const length = options.length + payload.length;
    // The length nibble is 14: two bytes, and 269 to add.
    return Buffer.concat([bytes(`e1 ${hex(length - 269)} 03 ${token}`), options, Buffer.from(payload)]);
  };
  const body = "0123456789abcdef".repeat(640);
  stream.send(Buffer.concat([bytes(csm), put("61", "0f", body.slice(0, 1024))]));
  stream.send(put("62", "1f", body.slice(1024, 9216)));
  stream.send(put("63", "97", body.slice(9216)));
  const [, ...answers] = frames(stream.takeBytes());
  expect(answers.map(({ code, token }) => [code, token])).toEqual([
    ["2.31", "a"],
    ["2.31", "b"],
    ["2.04", "c"],
  ]);
  const block1 = answers.map(({ options }) => options.find(([number]) => number === 27)?.[1]?.[0]);
  expect(block1).toEqual([0x0f, 0x1f, 0x97]);
  expect(textOf(heard[0]?.payload)).toBe(body);
});

it("go-coap over TCP: gives its CSM a token and no options, and is served by the defaults (RFC 8323 §5.3.1)", () => {
  const stack = pubsubWorld();
  stack.world.publish("a", "x".repeat(3000), { retain: true });
  const stream = stack.streams().connect();
  stream.send(bytes("08 e1 0102030405060708 58 01 1112131415161718 b2 'ps' 01 'a'"));
  const [, answer] = frames(stream.takeBytes());
  expect(answer).toMatchObject({ code: "2.05" });
  expect(answer?.payload).toHaveLength(1024);
  expect(answer?.options.find(([number]) => number === 23)?.[1]?.[0]).toBe(0x0e);
  expect(stream.closed).toBe(false);
});

// ---- Californium

it("Californium: sends blocks of 64 with one token and Size1, and is rejected by nothing but 2.31 on the way", () => {
  const { client, heard } = setup();
  const body = "abcdefgh".repeat(30);
  const answers = upload(client, body, 2, (number) => {
    const size1 = number === 0 ? "d1 14 f0" : "";
    return `48 02 20${hex(number, 2)} ca11f0a1ca11f0a1 39 'localhost' 82 'ps' 01 'a' 10 d1 02 ? ${size1}`;
  });
  expect(answers.map((each) => each.code)).toEqual(["2.31", "2.31", "2.31", "2.04"]);
  for (const each of answers) expect(each.token).toBe("ca11f0a1ca11f0a1");
  expect(textOf(heard[0]?.payload)).toBe(body);
  expect(heard[0]?.properties?.payloadFormat).toBe(1);
});

it("Californium: a body that is too large gets 4.13 with Block1 and Size1 at its first block (RFC 7959 §2.9.3)", () => {
  const { client } = setup({ stack: { blockwise: { maxBodySize: "1KB" } } });
  // Block1 0/1/1024, Size1 2000: 27, then 60.
  const head = bytes("48 03 2000 ca11f0a1ca11f0a1 b2 'ps' 01 'a' d1 03 0e d2 14 07d0 ff");
  const answer = client.asks(Buffer.concat([head, Buffer.alloc(1024, 0x61)]));
  expect(answer).toMatchObject({ type: ACK, code: "4.13" });
  expect([answer.option(27), answer.option(60)]).toEqual([0x0e, 1024]);
});

// ---- Zephyr coap_client

it("Zephyr: sends blocks of 256 with a Request-Tag of eight bytes, and a new token each (RFC 9175 §3)", () => {
  const { client, heard } = setup();
  const body = "zephyr! ".repeat(90);
  const answers = upload(
    client,
    body,
    4,
    (number) =>
      `48 03 30${hex(number, 2)} 2e5eed2e5eed2e${hex(number, 2)} b2 'ps' 01 'a' 10 d1 02 ? d8 fc 0011223344556677`,
  );
  expect(answers.map((each) => [each.code, each.option(27)])).toEqual([
    ["2.31", 0x0c],
    ["2.31", 0x1c],
    ["2.04", 0x24],
  ]);
  expect(textOf(heard[0]?.payload)).toBe(body);
});

// ---- RIOT nanocoap and gcoap

it("nanocoap: has no token, and asks for its block size in the first request (RFC 7959 §2.4)", () => {
  const { world, client } = setup();
  const value = "nanocoap".repeat(20);
  world.publish("a", value, { retain: true });
  const blocks = ["02", "12", "22"].map((block, index) =>
    client.asks(`40 01 000${index} b2 'ps' 01 'a' c1 ${block}`),
  );
  expect(blocks.map((each) => each.text).join("")).toBe(value);
  expect(blocks.map((each) => [each.type, each.token])).toEqual(Array(3).fill([ACK, ""]));
});

it("nanocoap: an ACK that says 2.03 acknowledges a separate response (RFC 7252 §4.2)", () => {
  const { site, network, world } = stackWorld();
  const client = new HandClient(network);
  const waiting: CoapRequest[] = [];
  site.handler = (request) => {
    waiting.push(request);
    if (!request.message.pathStartsWith("u")) return;
    for (const each of waiting.splice(0))
      each.respond({ code: Response.Content, payload: Buffer.from("late") });
  };
  client.sends("40 01 0001 b1 't'");
  world.advance(seconds(2));
  expect(client.hears().map((each) => each.wire)).toEqual(["60000001"]);
  const [late] = client.sends("50 02 7777 b1 'u' d1 ea 1a");
  expect(late).toMatchObject({ type: CON, text: "late" });
  expect(client.sends(`60 43 ${hex(late?.id ?? 0)}`)).toEqual([]);
  world.advance(seconds(100));
  expect(client.hears()).toEqual([]);
});

it("nanocoap: takes an empty CON for its response, so it is not pinged but gets smaller blocks at once (RFC 9175 §2.4)", () => {
  const { world, client } = setup({ stack: { amplification: "large-only" } });
  const value = "nanocoap".repeat(12);
  world.publish("a", value, { retain: true });
  let body = "";
  for (let szx = 2, more = true; more; ) {
    const packed = (body.length / (16 << szx)) * 16 + szx;
    const request = bytes(`40 01 00${hex(body.length, 2)} b2 'ps' 01 'a' c1 ${hex(packed, 2)}`);
    const answer = client.asks(request);
    expect(answer).toMatchObject({ type: ACK, code: "2.05" });
    expect(answer.wire.length / 2).toBeLessThanOrEqual(3 * request.length);
    body += answer.text;
    const given = answer.option(23) ?? 0;
    szx = given & 7;
    more = (given & 8) !== 0;
  }
  expect(body).toBe(value);
});

it.each([
  ["nanocoap, with 2.03", "43"],
  ["CoAP-simple-library, with 4.04", "84"],
])("%s: what answers a ping in an ACK has proven its address (RFC 7252 §4.3)", (_who, code) => {
  const { world, client } = setup({ stack: { amplification: "large-only" } });
  const value = "large".repeat(40);
  world.publish("a", value, { retain: true });
  const [ping] = client.sends("40 01 0001 b2 'ps' 01 'a'");
  expect(ping).toMatchObject({ type: CON, code: "0.00" });
  const answer = (id: string): string => `60 ${code} ${id}`;
  expect(client.answersPings(ping, answer)).toMatchObject([{ type: ACK, id: 1, text: value }]);
  expect(client.sends("40 01 0002 b2 'ps' 01 'a'")).toMatchObject([{ type: ACK, id: 2, text: value }]);
});

it("nanocoap and CoAPthon3: publish as NON and want no response at all (RFC 7967)", () => {
  const { client, heard } = setup();
  expect(client.sends("50 03 0001 b2 'ps' 01 'a' d1 ea 1a ff 'x'")).toEqual([]);
  expect(client.sends("50 03 0002 b2 'ps' 01 '+' d1 ea 1a ff 'x'")).toEqual([]);
  expect(heard).toHaveLength(1);
});

// ---- Contiki-NG

it("Contiki-NG: goes on in blocks of 64 with no token, whatever the first answer had (RFC 7959 §2.4)", () => {
  const small = setup({ stack: { blockwise: { maxBlockSize: 64 } } });
  const value = "contiki!".repeat(20);
  small.world.publish("a", value, { retain: true });
  const first = small.client.asks("40 01 0001 b2 'ps' 01 'a'");
  expect(first.payload).toHaveLength(64);
  const rest = ["12", "22"].map((block, index) =>
    small.client.asks(`40 01 001${index} b2 'ps' 01 'a' c1 ${block}`),
  );
  expect([first, ...rest].map((each) => each.text).join("")).toBe(value);
  // With the default it is answered what it asks for: bytes 64 to 127.
  const large = setup();
  large.world.publish("a", value.repeat(10), { retain: true });
  large.client.asks("40 01 0001 b2 'ps' 01 'a'");
  expect(large.client.asks("40 01 0002 b2 'ps' 01 'a' c1 12").text).toBe(value.repeat(10).slice(64, 128));
});

// ---- Copper

it("Copper: ends a body whose last block is full with an empty one, and announces Size1", () => {
  const { client, heard } = setup();
  const body = "copper!!".repeat(16);
  const answers = upload(client, body, 2, (number) => `41 03 400${number} c0 b2 'ps' 01 'a' d1 03 ?`, true);
  expect(answers.map((each) => each.code)).toEqual(["2.31", "2.31", "2.04"]);
  expect(textOf(heard[0]?.payload)).toBe(body);
});

it("Copper: asks for block 0 of 64 and for the size in one request (RFC 7959 §4)", () => {
  const { world, client } = setup();
  world.publish("a", "x".repeat(200), { retain: true });
  const answer = client.asks("41 01 4001 c0 39 'localhost' 42 1633 42 'ps' 01 'a' c1 02 50");
  expect(answer).toMatchObject({ code: "2.05", text: "x".repeat(64) });
  expect([answer.option(23), answer.option(28)]).toEqual([0x0a, 200]);
});

// ---- CoAP-simple-library, microCoAPy, coap-rs

it("CoAP-simple-library and microCoAPy: give Uri-Host as an address and Content-Format in two bytes (RFC 7252 §3.2)", () => {
  const { client, heard } = setup();
  const answer = client.asks("40 03 beef 39 '127.0.0.1' 82 'ps' 01 'a' 12 0000 ff 'on'");
  expect(answer).toMatchObject({ type: ACK, code: "2.04", token: "" });
  expect(heard).toMatchObject([{ topic: "a", properties: { contentType: "text/plain;charset=utf-8" } }]);
});

it("microCoAPy: gives its whole query as one option", () => {
  const { client, heard } = setup();
  expect(client.asks("40 03 beef b2 'ps' 01 'a' 48 'retain=1' ff 'on'").code).toBe("2.01");
  expect(heard).toMatchObject([{ retain: true }]);
});

it("coap-rs: answers NON notifications with an empty NON, which is ignored (RFC 7252 §4.3)", () => {
  const { world, client } = setup();
  client.asks("40 01 0001 60 52 'ps' 01 'a'");
  world.publish("a", "1");
  const [told] = client.hears();
  expect(told).toMatchObject({ type: NON, text: "1" });
  expect(client.sends(`50 00 ${hex(told?.id ?? 0)}`)).toEqual([]);
  world.publish("a", "2");
  expect(client.hears()).toMatchObject([{ text: "2" }]);
});

it("ignores elective options of others' making (RFC 7252 §5.4.1)", () => {
  const { client, heard } = setup();
  // Hop-Limit 16, an elective option 2048 of the private range, and one of 65000.
  const answer = client.asks("40 03 beef b2 'ps' 01 'a' 51 10 e1 06e3 2a e1 f4eb 01 ff 'on'");
  expect(answer.code).toBe("2.04");
  expect(heard).toHaveLength(1);
});
