import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { Method, Response } from "#gateways/coap/stack/message/codes.ts";
import { type OptionValue, option } from "#gateways/coap/stack/message/options.ts";
import type { Observation } from "#gateways/coap/stack/site.ts";
import { stackWorld } from "../../support/coap-site.ts";
import {
  frame,
  frames,
  type StreamMessage,
  type StreamSent,
  websocketMessage,
} from "../../support/coap-stream.ts";

const CSM = { code: "7.01" };
const LARGE_CSM: StreamSent = {
  code: "7.01",
  options: [
    [2, Buffer.from([0x10, 0, 0])],
    [4, ""],
  ],
};
const number = (each: StreamMessage | undefined, option: number): number | undefined => {
  const value = each?.options.find(([found]) => found === option)?.[1];
  return value === undefined ? undefined : value.reduce((sum, byte) => sum * 256 + byte, 0);
};

function setup(overrides = {}) {
  const stack = stackWorld(overrides);
  const stream = stack.streams().connect();
  const send = (...sent: StreamSent[]): StreamMessage[] => {
    stream.send(Buffer.concat(sent.map((each) => frame(each))));
    return frames(stream.takeBytes());
  };
  stack.site.handler = (request) =>
    request.respond({ code: Response.Content, payload: Uint8Array.from(request.payload) });
  return { ...stack, stream, send };
}
const put = (payload: string, token = "t"): StreamSent => ({
  code: "0.03",
  token,
  options: [[11, "t"]],
  payload,
});

it("sends CSM first, with its message size and block-wise transfer (RFC 8323 §5.3)", () => {
  const { stream } = setup();
  const [csm, ...others] = frames(stream.takeBytes());
  expect(csm).toMatchObject({ code: "7.01", token: "" });
  expect(number(csm, 2)).toBe(1_048_576);
  expect(number(csm, 4)).toBe(0);
  expect(others).toEqual([]);
});

it("answers requests by token, several in one segment, whatever their length", () => {
  const { stream, send } = setup();
  stream.takeBytes();
  const bodies = ["", "x", "y".repeat(12), "z".repeat(300), "w".repeat(70_000)];
  const answers = send(LARGE_CSM, ...bodies.map((body, index) => put(body, String(index))));
  expect(answers.map(({ code, token, payload }) => [code, token, payload.length])).toEqual(
    bodies.map((body, index) => ["2.05", String(index), body.length]),
  );
});

it("puts messages together wherever the stream is cut", () => {
  const { stream } = setup();
  stream.takeBytes();
  for (const byte of Buffer.concat([frame(CSM), frame(put("hello".repeat(10))), frame(put("!"))])) {
    stream.send(Uint8Array.of(byte));
  }
  expect(frames(stream.takeBytes()).map((each) => each.payload)).toEqual(["hello".repeat(10), "!"]);
});

it("aborts a peer that does not begin with CSM (RFC 8323 §5.3)", () => {
  const { stream, send } = setup();
  stream.takeBytes();
  expect(send(put("x"))).toMatchObject([{ code: "7.05" }]);
  expect(stream.closed).toBe(true);
});

it("keeps to the largest packet and the time for a login that its listener allows", () => {
  const stack = stackWorld({}, { limits: { packetSize: 2000, connectTimeout: seconds(5) } });
  const [silent, prompt] = [stack.streams().connect(), stack.streams().connect()];
  expect(number(frames(silent.takeBytes())[0], 2)).toBe(2000);
  prompt.takeBytes();
  prompt.send(frame(CSM));
  stack.world.advance(seconds(5));
  expect(frames(silent.takeBytes())).toMatchObject([{ code: "7.05", payload: "no CSM in time" }]);
  expect([silent.closed, prompt.closed]).toEqual([true, false]);
  prompt.send(frame(put("x".repeat(2000))));
  expect(prompt.closed).toBe(true);
});

it("answers Ping with Pong and its token, with Custody where asked for (RFC 8323 §5.4)", () => {
  const { stream, send } = setup();
  stream.takeBytes();
  expect(send(CSM, { code: "7.02", token: "pi" })).toMatchObject([
    { code: "7.03", token: "pi", options: [] },
  ]);
  const [custody] = send({ code: "7.02", options: [[2, ""]] });
  expect(custody?.options.map(([option]) => option)).toEqual([2]);
});

it("closes after Release and Abort, and ignores empty messages and unknown signals (RFC 8323 §5)", () => {
  for (const code of ["7.04", "7.05"]) {
    const { stream, send } = setup();
    stream.takeBytes();
    expect(send(CSM, { code: "0.00" }, { code: "7.31" })).toEqual([]);
    expect(stream.closed).toBe(false);
    send({ code });
    expect(stream.closed).toBe(true);
  }
});

it("aborts on an unknown critical CSM option and names it (RFC 8323 §5.3, §5.6)", () => {
  const { stream, send } = setup();
  stream.takeBytes();
  const [abort] = send({ code: "7.01", options: [[3, "x"]] });
  expect(abort?.code).toBe("7.05");
  expect(number(abort, 2)).toBe(3);
  expect(stream.closed).toBe(true);
});

it.each([
  ["a token length over 8", Buffer.from([0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
  ["a payload marker without payload", Buffer.from([0x10, 1, 0xff])],
  ["option nibble 15", Buffer.from([0x10, 1, 0xf0])],
  ["a message over the announced size", Buffer.from([0xf0, 0x7f, 0xff, 0xff, 0xff, 1])],
])("aborts on %s (RFC 8323 §3.2)", (_name, bytes) => {
  const { stream } = setup();
  stream.takeBytes();
  stream.send(Buffer.concat([frame(CSM), bytes]));
  expect(frames(stream.takeBytes())).toMatchObject([{ code: "7.05" }]);
  expect(stream.closed).toBe(true);
});

it("answers 4.02 to unknown critical options, as on UDP", () => {
  const { stream, send } = setup();
  stream.takeBytes();
  expect(
    send(CSM, {
      code: "0.01",
      token: "a",
      options: [
        [9, "x"],
        [11, "t"],
      ],
    }),
  ).toMatchObject([{ code: "4.02", token: "a" }]);
});

it("uses blocks of 1024 for a peer that announced nothing, and BERT for one that did (RFC 8323 §6)", () => {
  const body = Buffer.alloc(2_000_000, "b");
  for (const [csm, szx, length] of [
    [CSM, 6, 1024],
    [LARGE_CSM, 7, 1_047_552],
  ] as const) {
    const { stream, send, site } = setup({ maxMessageSize: "4MB" });
    site.handler = (request) => request.respond({ code: Response.Content, payload: body });
    stream.takeBytes();
    const [first] = send(csm, { code: "0.01", token: "a", options: [[11, "t"]] });
    expect(first?.payload.length).toBe(length);
    expect((number(first, 23) ?? 0) & 7).toBe(szx);
    const block = Buffer.from([0, 0, 0]);
    block.writeUIntBE(((length / 1024) << 4) | szx, 0, 3);
    const [second] = send({
      code: "0.01",
      token: "b",
      options: [
        [11, "t"],
        [23, block],
      ],
    });
    expect(second?.payload.length).toBe(Math.min(length, body.length - length));
  }
});

it("takes a BERT upload: many blocks of 1024 in a message (RFC 8323 §6)", () => {
  const { stream, send, site } = setup();
  stream.takeBytes();
  let length = 0;
  site.handler = (request) => {
    length = request.payload.length;
    request.respond({ code: Response.Changed });
  };
  const part = (at: number, more: boolean, payload: string): StreamSent => ({
    code: "0.03",
    token: "u",
    options: [
      [11, "t"],
      [27, Buffer.from([(at << 4) | (more ? 8 : 0) | 7])],
    ],
    payload,
  });
  const answers = send(LARGE_CSM, part(0, true, "x".repeat(4096)), part(4, false, "y".repeat(1500)));
  expect(answers.map((each) => each.code)).toEqual(["2.31", "2.04"]);
  expect(length).toBe(5596);
});

it("observes and notifies without message ids, settles at once, and asks the peer too", () => {
  const { stream, send, site } = setup();
  stream.takeBytes();
  const settled: string[] = [];
  const replies: string[] = [];
  site.handler = (request, now) => {
    if (request.method === Method.GET) {
      const observation = request.accept(
        { code: Response.Content, payload: Buffer.from("0") },
        { settled: (_reference, outcome) => void settled.push(outcome), ended: () => {} },
      );
      for (const text of ["1", "2"])
        observation?.notify({ code: Response.Content, payload: Buffer.from(text) }, true, 1);
    } else {
      request.respond({ code: Response.Changed });
      const asker = {
        response: ({ payload }: { payload: Uint8Array }) =>
          void replies.push(Buffer.from(payload).toString()),
        failed: () => {},
      };
      site.peer.ask({ method: Method.GET, path: ["3"] }, asker, now);
    }
  };
  const sent = send(CSM, {
    code: "0.01",
    token: "ob",
    options: [
      [6, ""],
      [11, "t"],
    ],
  });
  expect(sent.map(({ token, payload }) => [token, payload])).toEqual([
    ["ob", "0"],
    ["ob", "1"],
    ["ob", "2"],
  ]);
  expect(settled).toEqual(["done", "done"]);
  const [, request] = send({ code: "0.02", token: "p", options: [[11, "t"]] });
  expect(request).toMatchObject({ code: "0.01" });
  send({ code: "2.05", token: request?.token ?? "", payload: "device" });
  expect(replies).toEqual(["device"]);
});

it("pings a silent peer, and gives it up when it stays silent", () => {
  const { stream, send, world } = setup({ idleTimeout: "60s" });
  send(CSM);
  world.advance(seconds(61));
  expect(frames(stream.takeBytes())).toMatchObject([{ code: "7.02" }]);
  send({ code: "7.03" });
  world.advance(seconds(59));
  expect(stream.closed).toBe(false);
  world.advance(seconds(62));
  expect(stream.closed).toBe(true);
});

it("speaks over WebSocket: one message a frame, its length field zero (RFC 8323 §4.3)", () => {
  const stack = stackWorld();
  stack.site.handler = (request) => request.respond({ code: Response.Content, payload: Buffer.from("ws") });
  const stream = stack.streams().connect({ transport: "ws" });
  expect(websocketMessage(stream.takeBytes())).toMatchObject({ code: "7.01" });
  stream.send(frame(CSM, true));
  stream.send(frame({ code: "0.01", token: "w", options: [[11, "t"]], payload: "" }, true));
  expect(websocketMessage(stream.takeBytes())).toMatchObject({ code: "2.05", token: "w", payload: "ws" });
  stream.send(frame({ code: "0.01", token: "w", options: [[11, "t"]], payload: "" }));
  expect(websocketMessage(stream.takeBytes())).toMatchObject({ code: "7.05" });
  expect(stream.closed).toBe(true);
});

it("takes every notification as the next one, whatever its Observe value (RFC 8323 §7.1)", () => {
  const { send, site } = setup();
  const replies: string[] = [];
  site.handler = (request, now) => {
    request.respond({ code: Response.Changed });
    const asker = {
      response: ({ payload }: { payload: Uint8Array }) => void replies.push(Buffer.from(payload).toString()),
      failed: () => {},
    };
    site.peer.ask({ method: Method.GET, path: ["3"], observe: true }, asker, now);
  };
  const sent = send(CSM, { code: "0.02", token: "p", options: [[11, "t"]] });
  const token = sent.find(({ code }) => code === "0.01")?.token ?? "";
  for (const [payload, observe] of [
    ["a", ""],
    ["b", ""],
    ["c", "\x05"],
    ["d", "\x04"],
    ["e", ""],
  ] as const)
    send({ code: "2.05", token, options: [[6, observe]], payload });
  expect(replies).toEqual(["a", "b", "c", "d", "e"]);
});

// ---- observing over a stream

/** Observes `t`; `tell` sends the observer a notification. */
function observing(csm: StreamSent, ...more: [number, Buffer | string][]) {
  const stack = setup();
  let observation: Observation | undefined;
  stack.site.handler = (request) => {
    observation = request.accept({ code: Response.Content }, { settled: () => {}, ended: () => {} });
  };
  stack.stream.takeBytes();
  stack.send(csm, { code: "0.01", token: "o", options: [[6, ""], [11, "t"], ...more] });
  const tell = (payload: string, options: OptionValue[] = []): Uint8Array => {
    stack.site.peer.turn(() =>
      observation?.notify({ code: Response.Content, payload: Buffer.from(payload), options }, false, 0),
    );
    stack.world.settle();
    return stack.stream.takeBytes();
  };
  return { ...stack, tell };
}
const announcing = (size: number): StreamSent => ({
  code: "7.01",
  options: [
    [2, Buffer.from([size >> 16, (size >> 8) & 0xff, size & 0xff])],
    [4, ""],
  ],
});

it("sends a notification whole where the peer takes so large a message (RFC 8323 §5.3.2)", () => {
  const { tell } = observing(LARGE_CSM);
  for (const length of [1024, 1025, 5000, 60_000]) {
    const [told] = frames(tell("x".repeat(length)));
    expect(told?.payload).toHaveLength(length);
    expect(number(told, 23)).toBeUndefined();
  }
});

it("cuts a notification for a peer that takes less, or that asked for blocks", () => {
  expect(frames(observing(announcing(1152)).tell("x".repeat(2000)))[0]?.payload).toHaveLength(1024);
  const asked = observing(LARGE_CSM, [23, Buffer.of(2)]);
  expect(frames(asked.tell("x".repeat(2000)))[0]?.payload).toHaveLength(64);
});

it("sends no message that is longer than the peer has announced, whatever its options (RFC 8323 §5.3.1)", () => {
  for (const size of [1152, 1300, 4000]) {
    for (const options of [0, 100, 400, 800]) {
      const { tell } = observing(announcing(size));
      const parts = Array.from({ length: options / 100 }, () => option(20, "q".repeat(100)));
      for (const length of [0, 500, 900, 1024, 2000, 5000])
        expect(tell("x".repeat(length), parts).length, `${size}, ${options}, ${length}`).toBeLessThanOrEqual(
          size,
        );
    }
  }
});

it("does not take a peer for silent while it is the gateway that does not read", () => {
  const { stream, send, world } = setup({ idleTimeout: "60s" });
  stream.takeBytes();
  send(LARGE_CSM);
  stream.capacity = 10;
  stream.send(frame(put("x".repeat(100))));
  stream.send(frame(put("waits to be read")));
  const kept = stream.written.length;
  world.advance(seconds(500));
  expect(stream.closed).toBe(false);
  expect(stream.written.length).toBe(kept);
  stream.takeBytes();
  expect(frames(stream.takeBytes())).toMatchObject([{ code: "2.05", payload: "waits to be read" }]);
  stream.capacity = Number.POSITIVE_INFINITY;
  world.advance(seconds(61));
  expect(frames(stream.takeBytes())).toMatchObject([{ code: "7.02" }]);
  world.advance(seconds(61));
  expect(stream.closed).toBe(true);
});
