import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { Method, Response } from "#gateways/coap/stack/message/codes.ts";
import type { Ask, AskFailure, OutgoingRequest } from "#gateways/coap/stack/site.ts";
import { CoapDevice, type Heard } from "../../support/coap-device.ts";
import { stackWorld } from "../../support/coap-site.ts";
import { fc } from "../../support/property.ts";

const BLOCK2 = 23;
const BLOCK1 = 27;
const block = (number: number, more: boolean, szx: number): number => number * 16 + (more ? 8 : 0) + szx;
const text = (length: number): string =>
  Array.from({ length }, (_, at) => String.fromCharCode(97 + (at % 26))).join("");

/** A gateway that asks the device whatever `next` is, as soon as the device sends anything. */
function setup(overrides = {}) {
  const stack = stackWorld(overrides);
  const device = new CoapDevice(stack.network);
  const responses: { code: number; payload: string; observing: boolean }[] = [];
  const failures: AskFailure[] = [];
  let acknowledged = 0;
  const asks: Ask[] = [];
  const begin = (...requests: Partial<OutgoingRequest>[]): Heard[] => {
    stack.site.handler = (request, now) => {
      request.respond({ code: Response.Changed });
      for (const each of requests) {
        asks.push(
          stack.site.peer.ask(
            { method: Method.GET, path: ["3", "0"], ...each },
            {
              acknowledged: () => {
                acknowledged++;
              },
              response: ({ code, payload, observing }) =>
                responses.push({ code, payload: Buffer.from(payload).toString(), observing }),
              failed: (why) => failures.push(why),
            },
            now,
          ),
        );
      }
    };
    device.send({ path: "t", type: "NON", options: [[258, 26]] });
    return device.take();
  };
  const act = (what: (ask: Ask) => void): void => {
    stack.site.handler = (request) => {
      request.respond({ code: Response.Changed });
      what(asks[0] as Ask);
    };
    device.send({ path: "t", type: "NON", options: [[258, 26]] });
  };
  return { ...stack, device, responses, failures, begin, act, heard: () => acknowledged };
}
const answer = (device: CoapDevice, to: Heard | undefined, more: object) =>
  device.send({ type: "ACK", code: "2.05", id: to?.id ?? 0, token: to?.token ?? "", ...more });

it("asks the peer on the same socket and takes a piggybacked response", () => {
  const { device, begin, responses } = setup();
  const [request] = begin({ query: ["a=b"], options: [{ number: 17, value: 112 }] });
  expect(request).toMatchObject({ type: "CON", code: "0.01" });
  expect(request?.text(11)).toEqual(["3", "0"]);
  expect(request?.text(15)).toEqual(["a=b"]);
  expect(request?.number(17)).toBe(112);
  answer(device, request, { payload: "value" });
  expect(responses).toEqual([{ code: Response.Content, payload: "value", observing: false }]);
});

it("takes a separate response, acknowledges it, and acknowledges its duplicate too", () => {
  const { device, begin, responses, heard } = setup();
  const [request] = begin({});
  device.acknowledge(request?.id ?? 0);
  expect(heard()).toBe(1);
  const late = { type: "CON", code: "2.05", id: 77, token: request?.token ?? "", payload: "late" } as const;
  expect(device.ask(late)).toMatchObject({ type: "ACK", code: "0.00", id: 77 });
  expect(device.ask(late)).toMatchObject({ type: "ACK", code: "0.00", id: 77 });
  expect(responses).toHaveLength(1);
});

it("takes the response itself for the lost ACK, and stops retransmitting (RFC 7252 §5.2.2)", () => {
  const { device, begin, responses, world } = setup();
  const [request] = begin({});
  device.ask({ type: "CON", code: "2.05", id: 77, token: request?.token ?? "", payload: "x" });
  world.advance(seconds(120));
  expect(device.take()).toEqual([]);
  expect(responses).toHaveLength(1);
});

it("does not take a response whose token or message id is another (RFC 7252 §5.3.2)", () => {
  const { device, begin, responses } = setup();
  const [request] = begin({});
  answer(device, request, { token: "wrong" });
  answer(device, request, { id: ((request?.id ?? 0) + 1) & 0xffff });
  expect(responses).toEqual([]);
  answer(device, request, {});
  expect(responses).toHaveLength(1);
});

it("fails on RST, and when the response does not come in time", () => {
  const { device, begin, failures, world } = setup({ ask: { timeout: "20s" } });
  device.reset(begin({})[0]?.id ?? 0);
  expect(failures).toEqual(["reset"]);
  device.acknowledge(begin({})[0]?.id ?? 0);
  world.advance(seconds(21));
  expect(failures).toEqual(["reset", "timeout"]);
});

it("refuses more asks than may wait", () => {
  const { begin, failures } = setup({ ask: { perPeer: 2 } });
  begin({}, {}, {});
  expect(failures).toEqual(["full"]);
});

it("sends a large body in blocks and follows the peer to smaller ones (RFC 7959 §2.5)", () => {
  const { device, begin, responses } = setup({ blockwise: { maxBlockSize: 64 } });
  const body = text(150);
  let [request] = begin({ method: Method.PUT, payload: Buffer.from(body) });
  expect(request?.number(BLOCK1)).toBe(block(0, true, 2));
  expect(request?.number(60)).toBe(150);
  let received = request?.payload ?? "";
  answer(device, request, { code: "2.31", options: [[BLOCK1, block(0, true, 1)]] });
  for (let number = 2; ; number++) {
    [request] = device.take();
    received += request?.payload ?? "";
    const more = received.length < body.length;
    expect(request?.number(BLOCK1)).toBe(block(number, more, 1));
    answer(device, request, { code: more ? "2.31" : "2.04", options: [[BLOCK1, block(number, more, 1)]] });
    if (!more) break;
  }
  expect(received).toBe(body);
  expect(responses).toMatchObject([{ code: Response.Changed }]);
});

it("begins again with the block size that a 4.13 names (RFC 7959 §2.9.3)", () => {
  const { device, begin } = setup({ blockwise: { maxBlockSize: 64 } });
  const [request] = begin({ method: Method.PUT, payload: Buffer.from(text(150)) });
  answer(device, request, { code: "4.13", options: [[BLOCK1, block(0, true, 0)]] });
  const [again] = device.take();
  expect(again?.number(BLOCK1)).toBe(block(0, true, 0));
  expect(again?.payload).toBe(text(16));
});

it("fetches a large response block by block (RFC 7959 §2.4)", () => {
  const { device, begin, responses } = setup();
  const [request] = begin({});
  answer(device, request, {
    payload: text(32),
    options: [
      [BLOCK2, block(0, true, 1)],
      [4, "e"],
    ],
  });
  const [second] = device.take();
  expect(second?.number(BLOCK2)).toBe(block(1, false, 1));
  answer(device, second, {
    payload: "end",
    options: [
      [BLOCK2, block(1, false, 1)],
      [4, "e"],
    ],
  });
  expect(responses).toMatchObject([{ payload: `${text(32)}end` }]);
});

it("begins a download again when the ETag changes midway, and gives up after some times", () => {
  const { device, begin, responses, failures } = setup();
  let [request] = begin({});
  for (let round = 0; round < 3; round++) {
    answer(device, request, {
      payload: text(32),
      options: [
        [BLOCK2, block(0, true, 1)],
        [4, `a${round}`],
      ],
    });
    [request] = device.take();
    answer(device, request, {
      payload: text(32),
      options: [
        [BLOCK2, block(1, true, 1)],
        [4, `b${round}`],
      ],
    });
    [request] = device.take();
    expect(request?.number(BLOCK2)).toBeUndefined();
  }
  answer(device, request, {
    payload: text(32),
    options: [
      [BLOCK2, block(0, true, 1)],
      [4, "a"],
    ],
  });
  [request] = device.take();
  answer(device, request, {
    payload: text(32),
    options: [
      [BLOCK2, block(1, true, 1)],
      [4, "b"],
    ],
  });
  expect(responses).toEqual([]);
  expect(failures).toEqual(["blocks"]);
});

it("fails when a response grows over the limit, or skips a block", () => {
  const { device, begin, failures } = setup({ blockwise: { maxBodySize: "40B" } });
  let [request] = begin({});
  answer(device, request, { payload: text(32), options: [[BLOCK2, block(0, true, 1)]] });
  [request] = device.take();
  answer(device, request, { payload: text(32), options: [[BLOCK2, block(1, true, 1)]] });
  expect(failures).toEqual(["blocks"]);
  [request] = begin({});
  answer(device, request, { payload: text(16), options: [[BLOCK2, block(0, true, 0)]] });
  [request] = device.take();
  answer(device, request, { payload: text(16), options: [[BLOCK2, block(2, true, 0)]] });
  expect(failures).toEqual(["blocks", "blocks"]);
});

it("observes: takes newer notifications, drops older ones, acknowledges both (RFC 7641 §3.4)", () => {
  const { device, begin, responses, world } = setup();
  const [request] = begin({ observe: true });
  expect(request?.number(6)).toBe(0);
  answer(device, request, { payload: "0", options: [[6, 10]] });
  const notify = (sequence: number, payload: string, id: number) =>
    device.ask({
      type: "CON",
      code: "2.05",
      id,
      token: request?.token ?? "",
      payload,
      options: [[6, sequence]],
    });
  expect(notify(12, "2", 501).type).toBe("ACK");
  expect(notify(11, "1", 502).type).toBe("ACK");
  expect(responses.map((each) => each.payload)).toEqual(["0", "2"]);
  expect(responses.every((each) => each.observing)).toBe(true);
  world.advance(seconds(129));
  notify(5, "after 128 s anything is newer", 503);
  notify(0xffffff, "not newer", 504);
  expect(responses).toHaveLength(3);
});

it("ends an observation by RST after cancel, and by Observe 1 with the same token after deregister", () => {
  const { device, begin, act, responses } = setup();
  const [request] = begin({ observe: true });
  answer(device, request, { payload: "0", options: [[6, 1]] });
  act((ask) =>
    ask.deregister({
      response: ({ observing }) => responses.push({ code: 0, payload: "ended", observing }),
      failed: () => {},
    }),
  );
  const [end] = device.take();
  expect(end).toMatchObject({ code: "0.01", token: request?.token });
  expect(end?.number(6)).toBe(1);
  answer(device, end, { payload: "last" });
  expect(responses.at(-1)).toEqual({ code: 0, payload: "ended", observing: false });
  const late = device.ask({
    type: "CON",
    code: "2.05",
    id: 600,
    token: request?.token ?? "",
    options: [[6, 2]],
  });
  expect(late).toMatchObject({ type: "RST", id: 600 });
});

it("fetches the rest of a large notification under another token", () => {
  const { device, begin, responses } = setup();
  const [request] = begin({ observe: true });
  answer(device, request, { payload: "0", options: [[6, 1]] });
  const token = request?.token ?? "";
  device.send({
    type: "CON",
    code: "2.05",
    id: 700,
    token,
    payload: text(16),
    options: [
      [6, 2],
      [BLOCK2, block(0, true, 0)],
    ],
  });
  const [ack, rest] = device.take();
  expect(ack).toMatchObject({ type: "ACK", id: 700 });
  expect(rest?.token).not.toBe(token);
  expect(rest?.number(BLOCK2)).toBe(block(1, false, 0));
  expect(rest?.number(6)).toBeUndefined();
  answer(device, rest, { payload: "!", options: [[BLOCK2, block(1, false, 0)]] });
  expect(responses.at(-1)).toEqual({ code: Response.Content, payload: `${text(16)}!`, observing: true });
  device.send({ type: "CON", code: "2.05", id: 701, token, payload: "next", options: [[6, 3]] });
  expect(responses.at(-1)?.payload).toBe("next");
});

it("a peer that answers each request for a block with the first one is asked twice (RFC 7959 §2.4)", () => {
  const { device, begin, failures } = setup();
  let [request] = begin({});
  const options: [number, number][] = [[BLOCK2, block(0, true, 1)]];
  let requests = 0;
  for (; request !== undefined && requests < 100; requests++) {
    answer(device, request, { payload: text(32), options });
    [request] = device.take();
  }
  expect(requests).toBe(2);
  expect(failures).toEqual(["blocks"]);
});

it("a transfer that makes no progress ends, whatever blocks, sizes and ETags the peer answers with", () => {
  const reply = fc.record({
    number: fc.nat(3),
    more: fc.boolean(),
    szx: fc.nat(6),
    etag: fc.constantFrom<string | undefined>(undefined, "a", "b"),
    observe: fc.constantFrom<number | undefined>(undefined, 0, 7),
    code: fc.constantFrom("2.05", "2.05", "2.31", "4.13"),
    bytes: fc.constantFrom(0, 16, 32, 1024),
    block1: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(reply, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      fc.constantFrom(0, 5000),
      (replies, observe, upload) => {
        const { device, begin } = setup();
        let waiting = begin({
          observe,
          ...(upload > 0 ? { method: Method.PUT, payload: Buffer.alloc(upload, 1) } : {}),
        });
        let requests = 0;
        for (; waiting.length > 0 && requests < 300; requests++) {
          const each = replies[requests % replies.length] as (typeof replies)[number];
          const options: [number, number | string][] = [
            ...(each.etag === undefined ? [] : [[4, each.etag] as [number, string]]),
            ...(each.observe === undefined ? [] : [[6, each.observe] as [number, number]]),
            [each.block1 ? BLOCK1 : BLOCK2, block(each.number, each.more, each.szx)],
          ];
          const [request, ...rest] = waiting;
          answer(device, request, { code: each.code, payload: text(each.bytes), options });
          waiting = [...rest, ...device.take()];
        }
        // 5,000 bytes in blocks of 16, and a few attempts more.
        expect(requests).toBeLessThan(upload > 0 ? 300 : 40);
      },
    ),
    { numRuns: 300 },
  );
});

it("goes on in blocks where a request that went whole was too large for the peer (RFC 7959 §2.9.3)", () => {
  const { device, begin, responses, failures } = setup();
  const [whole] = begin({ method: Method.PUT, payload: Buffer.from(text(300)) });
  expect(whole?.payload).toHaveLength(300);
  answer(device, whole, { code: "4.13", options: [[BLOCK1, block(0, false, 3)]] });
  let body = "";
  for (let number = 0; number < 3; number++) {
    const [part] = device.take();
    expect(part?.number(BLOCK1)).toBe(block(number, number < 2, 3));
    body += part?.payload;
    const code = number < 2 ? "2.31" : "2.04";
    answer(device, part, { code, options: [[BLOCK1, block(number, number < 2, 3)]] });
  }
  expect(body).toBe(text(300));
  expect(responses).toMatchObject([{ code: Response.Changed }]);
  expect(failures).toEqual([]);
});

it.each([block(0, false, 6), undefined])(
  "takes a 4.13 that shows no way for the last word (Block1 %s)",
  (given) => {
    const { device, begin, responses } = setup();
    const [whole] = begin({ method: Method.PUT, payload: Buffer.from(text(300)) });
    answer(device, whole, { code: "4.13", options: given === undefined ? [] : [[BLOCK1, given]] });
    expect(responses).toMatchObject([{ code: Response.RequestEntityTooLarge }]);
    expect(device.take()).toEqual([]);
  },
);
