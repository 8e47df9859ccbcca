/** The ETSI CoAP#4 scenarios TD_COAP_BLOCK_*, at topics instead of /large. */
import { expect, it } from "vitest";
import { Response } from "#gateways/coap/stack/message/codes.ts";
import { CON, textOption, uintOption, type WireOption, writeMessage } from "../../support/coap-bytes.ts";
import { HandClient, type Said } from "../../support/coap-hand.ts";
import { pubsubWorld, stackWorld } from "../../support/coap-site.ts";

const BLOCK2 = 23;
const BLOCK1 = 27;
const LARGE = "0123456789abcdef".repeat(100).slice(0, 1590);
const block = (number: number, more: boolean, szx: number): number => number * 16 + (more ? 8 : 0) + szx;
const path = (written: string): WireOption[] => written.split("/").map((segment) => textOption(11, segment));

function clientOn(network: ConstructorParameters<typeof HandClient>[0]) {
  const client = new HandClient(network);
  let id = 0;
  return (code: string, options: WireOption[], payload = ""): Said =>
    client.asks(
      writeMessage({
        type: CON,
        code,
        id: ++id,
        token: `70${id.toString(16).padStart(4, "0")}`,
        options,
        payload: Buffer.from(payload),
      }),
    );
}
type Ask = ReturnType<typeof clientOn>;

function offered(overrides = {}) {
  const { world, network } = pubsubWorld(overrides);
  world.publish("large", LARGE, { retain: true, properties: { payloadFormat: 1 } });
  return clientOn(network);
}

/** Blocks from `number` to the last; each is checked as the scenario asks. */
function fetchRest(ask: Ask, number: number, szx: number, first: Said): string {
  let body = "";
  for (;;) {
    const answer = ask("0.01", [...path("ps/large"), uintOption(BLOCK2, block(number, false, szx))]);
    const packed = answer.option(BLOCK2) ?? -1;
    expect(answer).toMatchObject({ code: "2.05" });
    expect([packed >> 4, packed & 7]).toEqual([number, szx]);
    // Same representation, same options in each block: clients compare ETag and Content-Format.
    expect([answer.raw(4), answer.raw(12)]).toEqual([first.raw(4), first.raw(12)]);
    body += answer.text;
    if ((packed & 8) === 0) return body;
    expect(answer.payload).toHaveLength(16 << szx);
    number++;
  }
}

it.each([
  ["TD_COAP_BLOCK_01", 2],
  ["TD_COAP_BLOCK_01, the largest", 6],
  ["TD_COAP_BLOCK_06", 0],
])("%s: a GET that begins with the block size it wants (RFC 7959 §2.4)", (_id, szx) => {
  const ask = offered();
  const first = ask("0.01", [...path("ps/large"), uintOption(BLOCK2, block(0, false, szx))]);
  expect(first).toMatchObject({ code: "2.05", text: LARGE.slice(0, 16 << szx) });
  expect(first.option(BLOCK2)).toBe(block(0, true, szx));
  expect(first.raw(4)).toBeDefined();
  expect(first.text + fetchRest(ask, 1, szx, first)).toBe(LARGE);
});

it("TD_COAP_BLOCK_01: the gateway may choose smaller blocks than were asked for (RFC 7959 §2.4)", () => {
  const ask = offered({ stack: { blockwise: { maxBlockSize: 128 } } });
  const first = ask("0.01", [...path("ps/large"), uintOption(BLOCK2, block(0, false, 6))]);
  expect(first.option(BLOCK2)).toBe(block(0, true, 3));
  expect(first.text + fetchRest(ask, 1, 3, first)).toBe(LARGE);
});

it.each([6, 5, 2, 0])("TD_COAP_BLOCK_02: a GET without Block2 that goes on with size exponent %i", (szx) => {
  const ask = offered();
  const first = ask("0.01", path("ps/large"));
  expect(first.option(BLOCK2)).toBe(block(0, true, 6));
  expect(first.payload).toHaveLength(1024);
  expect(first.text + fetchRest(ask, 1 << (6 - szx), szx, first)).toBe(LARGE);
});

/** Sends LARGE in blocks and follows a server that asks for smaller ones; every answer. */
function upload(ask: Ask, code: string, at: string, szx: number, more: WireOption[] = []): Said[] {
  const answers: Said[] = [];
  let offset = 0;
  let actual = szx;
  while (offset < LARGE.length) {
    const size = 16 << actual;
    const number = offset / size;
    const part = LARGE.slice(offset, offset + size);
    const last = offset + size >= LARGE.length;
    const answer = ask(code, [...path(at), ...more, uintOption(BLOCK1, block(number, !last, actual))], part);
    const packed = answer.option(BLOCK1) ?? -1;
    expect(packed >> 4).toBe(number);
    expect(packed & 7).toBeLessThanOrEqual(actual);
    // All-or-nothing: M is repeated, and the intermediate code is 2.31 (RFC 7959 §2.3).
    expect((packed & 8) !== 0).toBe(!last);
    if (!last) expect(answer.code).toBe("2.31");
    offset += size;
    actual = packed & 7;
    answers.push(answer);
  }
  return answers;
}
const RETAIN = textOption(15, "retain=1");

it.each([
  ["TD_COAP_BLOCK_03", "0.03", 2, 1024],
  ["TD_COAP_BLOCK_03, smaller blocks asked for", "0.03", 6, 256],
  ["TD_COAP_BLOCK_04", "0.02", 2, 1024],
  ["TD_COAP_BLOCK_04, smaller blocks asked for", "0.02", 5, 64],
])("%s: a body in blocks is stored whole (RFC 7959 §2.5)", (_id, code, szx, maxBlockSize) => {
  const { network } = pubsubWorld({ stack: { blockwise: { maxBlockSize } } });
  const ask = clientOn(network);
  const answers = upload(ask, code, "ps/large", szx, [uintOption(12, 0), RETAIN]);
  expect(answers.at(-1)?.code).toBe("2.01");
  const least = Math.min(szx, Math.log2(maxBlockSize) - 4);
  const first = ask("0.01", [...path("ps/large"), uintOption(BLOCK2, block(0, false, least))]);
  expect(first.text + fetchRest(ask, 1, least, first)).toBe(LARGE);
  expect(upload(ask, code, "ps/large", szx, [uintOption(12, 0), RETAIN]).at(-1)?.code).toBe("2.04");
});

it("TD_COAP_BLOCK_05: a large POST with a large response, fetched by POSTs without payload (RFC 7959 §3.3)", () => {
  const { site, network } = stackWorld({ blockwise: { maxBlockSize: 64 } });
  site.handler = (request) =>
    request.respond({ code: Response.Changed, payload: Uint8Array.from(request.payload).reverse() });
  const ask = clientOn(network);
  const last = upload(ask, "0.02", "t", 2, [uintOption(12, 0)]).at(-1);
  expect(last).toMatchObject({ code: "2.04" });
  expect(last?.option(BLOCK2)).toBe(block(0, true, 2));
  let body = last?.text ?? "";
  for (let number = 1; body.length < LARGE.length; number++) {
    const options = [...path("t"), uintOption(12, 0), uintOption(BLOCK2, block(number, false, 2))];
    const answer = ask("0.02", options);
    expect(answer.code).toBe("2.04");
    expect(answer.raw(4)).toBe(last?.raw(4));
    body += answer.text;
  }
  expect(body).toBe([...LARGE].reverse().join(""));
  expect(site.executed).toBe(1);
});
