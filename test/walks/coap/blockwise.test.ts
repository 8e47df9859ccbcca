import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { Response } from "#gateways/coap/stack/message/codes.ts";
import type { Observation } from "#gateways/coap/stack/site.ts";
import { CoapDevice, type Heard } from "../../support/coap-device.ts";
import { stackWorld } from "../../support/coap-site.ts";

const BLOCK2 = 23;
const BLOCK1 = 27;
const block = (number: number, more: boolean, szx: number): number => number * 16 + (more ? 8 : 0) + szx;
const text = (length: number): string =>
  Array.from({ length }, (_, at) => String.fromCharCode(97 + (at % 26))).join("");

const setup = (overrides = {}) => {
  const stack = stackWorld(overrides);
  const bodies: string[] = [];
  stack.site.handler = (request) => {
    bodies.push(Buffer.from(request.payload).toString());
    request.respond({ code: Response.Changed });
  };
  return { ...stack, bodies, device: new CoapDevice(stack.network) };
};
/** Sends a body in blocks of 2^(szx+4) and returns every answer. */
function upload(
  device: CoapDevice,
  body: string,
  szx: number,
  options: [number, number | string][] = [],
): Heard[] {
  const size = 16 << szx;
  const count = Math.ceil(body.length / size);
  return Array.from({ length: count }, (_, number) =>
    device.ask({
      code: "PUT",
      path: "t",
      payload: body.slice(number * size, (number + 1) * size),
      options: [...options, [BLOCK1, block(number, number + 1 < count, szx)]],
      token: `t${number}`,
    }),
  );
}

it("puts a body together of blocks, under a new token each (RFC 7959 §2.5)", () => {
  const { device, bodies } = setup();
  const answers = upload(device, text(100), 1);
  expect(answers.map((each) => each.code)).toEqual(["2.31", "2.31", "2.31", "2.04"]);
  expect(answers.map((each) => each.number(BLOCK1))).toEqual([
    block(0, true, 1),
    block(1, true, 1),
    block(2, true, 1),
    block(3, false, 1),
  ]);
  expect(bodies).toEqual([text(100)]);
});

it("answers 4.08 to a body that does not begin at its beginning, or has a gap (RFC 7959 §2.9.2)", () => {
  const { device, bodies } = setup();
  const put = (number: number, more: boolean, length = 32) =>
    device.ask({ code: "PUT", path: "t", payload: text(length), options: [[BLOCK1, block(number, more, 1)]] })
      .code;
  expect(put(1, true)).toBe("4.08");
  expect(put(0, true)).toBe("2.31");
  expect(put(2, true)).toBe("4.08");
  expect(put(1, false)).toBe("2.04");
  expect(bodies).toEqual([text(32) + text(32)]);
});

it("takes the same block again when its Continue was lost", () => {
  const { device, bodies } = setup();
  const put = (number: number, more: boolean) =>
    device.ask({ code: "PUT", path: "t", payload: text(32), options: [[BLOCK1, block(number, more, 1)]] })
      .code;
  expect([put(0, true), put(1, true), put(1, true), put(2, false)]).toEqual(["2.31", "2.31", "2.31", "2.04"]);
  expect(bodies[0]).toHaveLength(96);
});

it("asks for smaller blocks when the client's are too large, and takes them (RFC 7959 §2.3)", () => {
  const { device, bodies } = setup({ blockwise: { maxBlockSize: 64 } });
  const first = device.ask({
    code: "PUT",
    path: "t",
    payload: text(128),
    options: [[BLOCK1, block(0, true, 3)]],
  });
  expect(first).toMatchObject({ code: "2.31" });
  expect(first.number(BLOCK1)).toBe(block(0, true, 2));
  const last = device.ask({
    code: "PUT",
    path: "t",
    payload: "rest",
    options: [[BLOCK1, block(2, false, 2)]],
  });
  expect(last.code).toBe("2.04");
  expect(bodies).toEqual([`${text(128)}rest`]);
});

it("answers 4.13 with Size1 to a body over the limit, announced or not (RFC 7959 §2.9.3)", () => {
  const { device, bodies } = setup({ blockwise: { maxBodySize: "64B" } });
  const announced = device.ask({
    code: "PUT",
    path: "t",
    payload: text(32),
    options: [
      [BLOCK1, block(0, true, 1)],
      [60, 65],
    ],
  });
  expect(announced).toMatchObject({ code: "4.13" });
  expect(announced.number(60)).toBe(64);
  expect(upload(device, text(96), 1).map((each) => each.code)).toEqual(["2.31", "2.31", "4.13"]);
  expect(bodies).toEqual([]);
});

it("keeps two bodies apart that differ in Request-Tag only (RFC 9175 §3)", () => {
  const { device, bodies } = setup();
  const put = (tag: string, number: number, more: boolean, payload: string) =>
    device.ask({
      code: "PUT",
      path: "t",
      payload,
      options: [
        [BLOCK1, block(number, more, 0)],
        [292, tag],
      ],
    }).code;
  const a = "a".repeat(16);
  const b = "b".repeat(16);
  expect([
    put("1", 0, true, a),
    put("2", 0, true, b),
    put("1", 1, false, "A"),
    put("2", 1, false, "B"),
  ]).toEqual(["2.31", "2.31", "2.04", "2.04"]);
  expect(bodies).toEqual([`${a}A`, `${b}B`]);
});

it("keeps the bodies of two peers apart", () => {
  const { device, network } = setup();
  const other = new CoapDevice(network, 10_001);
  const put = (who: CoapDevice, number: number, more: boolean) =>
    who.ask({ code: "PUT", path: "t", payload: text(16), options: [[BLOCK1, block(number, more, 0)]] }).code;
  expect(put(device, 0, true)).toBe("2.31");
  expect(put(other, 1, false)).toBe("4.08");
  expect(put(device, 1, false)).toBe("2.04");
});

it("refuses size exponent 7 on UDP, and blocks that are not as long as they say", () => {
  const { device } = setup();
  const put = (option: number, length: number) =>
    device.ask({ code: "PUT", path: "t", payload: text(length), options: [[BLOCK1, option]] }).code;
  expect(put(block(0, true, 7), 16)).toBe("4.00");
  expect(put(block(0, true, 0), 15)).toBe("4.00");
  expect(put(block(0, true, 0), 17)).toBe("4.00");
  expect(put(block(0, false, 0), 17)).toBe("4.00");
  expect(device.ask({ path: "t", options: [[BLOCK2, block(0, false, 7)]] }).code).toBe("4.00");
});

it("forgets an idle transfer, and what it held", () => {
  const { device, world } = setup({ blockwise: { lifetime: "10s", perPeer: "4KB" } });
  const put = (number: number, more: boolean) =>
    device.ask({ code: "PUT", path: "t", payload: text(1024), options: [[BLOCK1, block(number, more, 6)]] })
      .code;
  expect(put(0, true)).toBe("2.31");
  world.advance(seconds(11));
  expect(put(1, false)).toBe("4.08");
  expect([put(0, true), put(1, true)]).toEqual(["2.31", "2.31"]);
});

it("bounds the bytes that unfinished bodies hold: of a peer, and of the listener", () => {
  const limits = { perPeer: "4KB", total: "8KB", transfers: 3 };
  const { device, network } = setup({ blockwise: limits });
  const begin = (who: CoapDevice, path: string) =>
    who.ask({ code: "PUT", path, payload: text(1024), options: [[BLOCK1, block(0, true, 6)]] }).code;
  // A body takes 2 KB at least.
  expect(["t/1", "t/2", "t/3"].map((path) => begin(device, path))).toEqual(["2.31", "2.31", "4.13"]);
  const others = [1, 2, 3, 4].map((port) => begin(new CoapDevice(network, port), "t"));
  expect(others).toEqual(["2.31", "2.31", "4.13", "4.13"]);
});

// ---- answers

const large = (overrides = {}) => {
  const stack = setup(overrides);
  let value = text(100);
  stack.site.handler = (request) => request.respond({ code: Response.Content, payload: Buffer.from(value) });
  return {
    ...stack,
    change: (to: string) => {
      value = to;
    },
  };
};
const get = (device: CoapDevice, number: number, szx: number, token = "") =>
  device.ask({ path: "t", token, options: [[BLOCK2, block(number, false, szx)]] });

it("cuts a large answer, and serves the rest to requests with other tokens (RFC 7959 §2.4)", () => {
  const { device, site } = large({ blockwise: { maxBlockSize: 32 } });
  const first = device.ask({ path: "t", token: "a" });
  expect(first).toMatchObject({ code: "2.05", payload: text(100).slice(0, 32) });
  expect(first.number(BLOCK2)).toBe(block(0, true, 1));
  expect(first.number(28)).toBe(100);
  const rest = [1, 2, 3].map((number) => get(device, number, 1, `b${number}`));
  expect(rest.map((each) => each.payload).join("")).toBe(text(100).slice(32));
  expect(rest.at(-1)?.number(BLOCK2)).toBe(block(3, false, 1));
  for (const each of rest) expect(each.raw(4)).toEqual(first.raw(4));
  expect(site.executed).toBe(1);
});

it("lets the client choose smaller blocks, early or midway", () => {
  const { device } = large();
  expect(get(device, 0, 0).payload).toBe(text(16));
  expect(get(device, 1, 1).payload).toBe(text(100).slice(32, 64));
  expect(get(device, 6, 0).payload).toBe(text(100).slice(96));
});

it("gives the blocks of one value even if it changes midway, and another ETag with the new one", () => {
  const { device, change } = large();
  const first = get(device, 0, 1);
  change("x".repeat(100));
  expect(get(device, 1, 1).payload).toBe(text(100).slice(32, 64));
  const again = get(device, 0, 1);
  expect(again.payload).toBe("x".repeat(32));
  expect(again.raw(4)).not.toEqual(first.raw(4));
});

it("answers a block that is not there with 4.00, and one without state afresh", () => {
  const { device, site } = large();
  expect(get(device, 2, 1).payload).toBe(text(100).slice(64, 96));
  expect(site.executed).toBe(1);
  expect(get(device, 9, 1).code).toBe("4.00");
});

it("notifies with the first block, and serves the rest to plain GETs with other tokens (RFC 7959 §2.6)", () => {
  const { device, site } = setup({ blockwise: { maxBlockSize: 32 } });
  let observation: Observation | undefined;
  site.handler = (request) => {
    if (request.observe === 0) {
      observation = request.accept({ code: Response.Content }, { settled: () => {}, ended: () => {} });
    } else if (request.method === 2) {
      observation?.notify({ code: Response.Content, payload: Buffer.from(text(80)) }, true, 0);
      request.respond({ code: Response.Changed });
    } else request.respond({ code: Response.Content, payload: Buffer.from("plain") });
  };
  device.ask({ path: "t", token: "ob", options: [[6, 0]] });
  device.send({ code: "POST", path: "t" });
  const [notification] = device.take().filter((each) => each.token === "ob");
  expect(notification).toMatchObject({ type: "CON", payload: text(32) });
  expect(notification?.number(BLOCK2)).toBe(block(0, true, 1));
  expect(notification?.number(6)).toBeDefined();
  device.acknowledge(notification?.id ?? 0);
  const rest = [1, 2].map((number) => get(device, number, 1, `x${number}`));
  expect(rest.map((each) => each.payload).join("")).toBe(text(80).slice(32));
  expect(rest[0]?.number(6)).toBeUndefined();
});

it("serves block-wise request and answer in one exchange (RFC 7959 §3.3)", () => {
  const { device, site } = setup({ blockwise: { maxBlockSize: 32 } });
  site.handler = (request) =>
    request.respond({ code: Response.Changed, payload: Uint8Array.from(request.payload) });
  const answers = upload(device, text(64), 1);
  expect(answers.map((each) => each.code)).toEqual(["2.31", "2.04"]);
  expect(answers[1]?.number(BLOCK1)).toBe(block(1, false, 1));
  expect(answers[1]?.number(BLOCK2)).toBe(block(0, true, 1));
  const rest = device.ask({ code: "PUT", path: "t", options: [[BLOCK2, block(1, false, 1)]] });
  expect((answers[1]?.payload ?? "") + rest.payload).toBe(text(64));
});
