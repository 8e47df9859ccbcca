import { expect, it } from "vitest";
import { milliseconds, seconds } from "#core/lib/time.ts";
import { Method, Response } from "#gateways/coap/stack/message/codes.ts";
import type { CoapRequest, IncomingResponse } from "#gateways/coap/stack/site.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { stackWorld } from "../../support/coap-site.ts";

const setup = (overrides = {}, options = {}) => {
  const stack = stackWorld(overrides, options);
  return { ...stack, device: new CoapDevice(stack.network) };
};
const bytes = (text: string) => Buffer.from(text);

it("answers a CON in its ACK, with message id and token (RFC 7252 §5.2.1)", () => {
  const { site, device } = setup();
  site.handler = (request) => request.respond({ code: Response.Content, payload: bytes("21.5") });
  const answer = device.ask({ path: "t", id: 7, token: "ab" });
  expect(answer).toMatchObject({ type: "ACK", code: "2.05", id: 7, token: "ab", payload: "21.5" });
});

it("answers a NON with a NON of its own message id (RFC 7252 §5.2.3)", () => {
  const { device } = setup();
  const answer = device.ask({ type: "NON", path: "t", id: 7, token: "ab" });
  expect(answer).toMatchObject({ type: "NON", code: "2.05", token: "ab" });
});

it("answers a duplicate byte for byte and runs its request once (RFC 7252 §4.5)", () => {
  const { site, device } = setup();
  let runs = 0;
  site.handler = (request) => request.respond({ code: Response.Content, payload: bytes(`run ${++runs}`) });
  const first = device.ask({ path: "t", id: 7, token: "ab" });
  const again = device.ask({ path: "t", id: 7, token: "ab" });
  expect(again.bytes).toEqual(first.bytes);
  expect(site.executed).toBe(1);
});

it("does not answer the duplicate of a NON (RFC 7252 §4.5)", () => {
  const { site, device } = setup();
  device.ask({ type: "NON", path: "t", id: 7 });
  device.send({ type: "NON", path: "t", id: 7 });
  expect(device.take()).toEqual([]);
  expect(site.executed).toBe(1);
});

it("takes a message id as new after EXCHANGE_LIFETIME, 247 s, and not before (RFC 7252 §4.8.2)", () => {
  const { world, site, device } = setup();
  device.ask({ path: "t", id: 7 });
  world.advance(seconds(246));
  device.ask({ path: "t", id: 7 });
  expect(site.executed).toBe(1);
  world.advance(seconds(2));
  device.ask({ path: "t", id: 7 });
  expect(site.executed).toBe(2);
});

it("keeps message ids of two addresses apart", () => {
  const { site, network, device } = setup();
  const other = new CoapDevice(network, 10_001);
  device.ask({ path: "t", id: 7 });
  other.ask({ path: "t", id: 7 });
  expect(site.executed).toBe(2);
});

it("runs a request once when its duplicate comes while it is still running", () => {
  const { site, device } = setup();
  let open: CoapRequest | undefined;
  site.handler = (request) => {
    open = request;
  };
  device.send({ path: "t", id: 7, token: "x" });
  device.send({ path: "t", id: 7, token: "x" });
  expect(site.executed).toBe(1);
  expect(device.take()).toEqual([]);
  open?.respond({ code: Response.Changed });
  // What is answered outside an input leaves with the next turn.
  device.send({ path: "t", id: 7, token: "x" });
  expect(device.take().map((each) => each.code)).toEqual(["2.04", "2.04"]);
});

it("acknowledges a slow request after 1 s and answers it in a CON of its own (RFC 7252 §5.2.2)", () => {
  const { world, site, device } = setup();
  let open: CoapRequest | undefined;
  site.handler = (request) => {
    open = request;
  };
  device.send({ path: "t", id: 7, token: "slow" });
  world.advance(milliseconds(999));
  expect(device.take()).toEqual([]);
  world.advance(milliseconds(2));
  expect(device.take()).toMatchObject([{ type: "ACK", code: "0.00", id: 7 }]);
  device.send({ path: "t", id: 7, token: "slow" });
  expect(device.take()).toMatchObject([{ type: "ACK", code: "0.00", id: 7 }]);
  open?.respond({ code: Response.Content, payload: bytes("late") });
  world.settle();
  const [answer] = device.take();
  expect(answer).toMatchObject({ type: "CON", code: "2.05", token: "slow", payload: "late" });
  device.acknowledge(answer?.id ?? 0);
  world.advance(seconds(100));
  expect(device.take()).toEqual([]);
});

it("retransmits four times, doubling from 2 to 3 s, and then gives up after at most 93 s (RFC 7252 §4.2)", () => {
  const { world, site, device } = setup();
  let failure = "";
  site.handler = (request, now) => {
    request.respond({ code: Response.Changed });
    const asker = {
      response: () => {},
      failed: (why: string) => {
        failure = why;
      },
    };
    site.peer.ask({ method: Method.GET, path: ["x"] }, asker, now);
  };
  device.send({ path: "t" });
  const at: number[] = [];
  const start = world.now;
  let first: Uint8Array | undefined;
  for (let step = 0; step < 9500; step++) {
    for (const each of device.take()) {
      if (each.type === "ACK") continue;
      at.push(world.now - start);
      first ??= each.bytes;
      expect(each.bytes).toEqual(first);
    }
    world.advance(milliseconds(10));
  }
  expect(at).toHaveLength(5);
  const gaps = at.slice(1).map((time, index) => time - (at[index] as number));
  const [firstGap = 0] = gaps;
  expect(firstGap).toBeGreaterThanOrEqual(2000);
  expect(firstGap).toBeLessThanOrEqual(3010);
  for (const [index, gap] of gaps.entries()) {
    expect(Math.abs(gap - firstGap * 2 ** index)).toBeLessThanOrEqual(20 * 2 ** index);
  }
  expect(failure).toBe("timeout");
});

it("has one unacknowledged CON of its own in flight (RFC 7252 §4.7, NSTART)", () => {
  const { site, device } = setup();
  const answers: string[] = [];
  site.handler = (request, now) => {
    request.respond({ code: Response.Changed });
    for (const path of ["a", "b"]) {
      const asker = {
        response: ({ payload }: IncomingResponse) => void answers.push(Buffer.from(payload).toString()),
        failed: () => {},
      };
      site.peer.ask({ method: Method.GET, path: [path] }, asker, now);
    }
  };
  device.send({ path: "t" });
  const [, first, ...none] = device.take();
  expect(none).toEqual([]);
  expect(first?.text(11)).toEqual(["a"]);
  device.send({ type: "ACK", code: "2.05", id: first?.id ?? 0, token: first?.token ?? "", payload: "one" });
  const [second] = device.take();
  expect(second?.text(11)).toEqual(["b"]);
  device.send({ type: "ACK", code: "2.05", id: second?.id ?? 0, token: second?.token ?? "", payload: "two" });
  expect(answers).toEqual(["one", "two"]);
});

it("answers a ping with RST (RFC 7252 §4.3)", () => {
  const { device } = setup();
  expect(device.ask({ code: "0.00", id: 9 })).toMatchObject({ type: "RST", code: "0.00", id: 9 });
});

it.each([
  ["an empty CON with a token", [0x41, 0x00, 0, 5, 0xaa], "RST"],
  ["an empty CON with a payload", [0x40, 0x00, 0, 5, 0xff, 1], "RST"],
  ["token length 9", [0x49, 0x01, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8, 9], "RST"],
  ["token length 15", [0x4f, 0x01, 0, 5], "RST"],
  ["a token past the end", [0x44, 0x01, 0, 5, 1, 2], "RST"],
  ["a payload marker without payload", [0x40, 0x01, 0, 5, 0xb1, 0x74, 0xff], "RST"],
  ["an option past the end", [0x40, 0x01, 0, 5, 0xb5, 0x74], "RST"],
  ["an option delta of 15", [0x40, 0x01, 0, 5, 0xf1, 0x74], "RST"],
  ["an option length of 15", [0x40, 0x01, 0, 5, 0xbf, 0x74], "RST"],
  ["an extended delta past the end", [0x40, 0x01, 0, 5, 0xd0], "RST"],
  ["an extended length past the end", [0x40, 0x01, 0, 5, 0xbe, 0x01], "RST"],
  ["option numbers over 65,535", [0x40, 0x01, 0, 5, 0xe0, 0xff, 0xff, 0xe0, 0xff, 0xff], "RST"],
  ["code 1.00", [0x40, 0x20, 0, 5], "RST"],
  ["code 6.00", [0x40, 0xc0, 0, 5], "RST"],
  ["code 7.01 on UDP", [0x40, 0xe1, 0, 5], "RST"],
  ["a CON response with an unknown token", [0x41, 0x45, 0, 5, 0xaa], "RST"],
  ["version 0", [0x00, 0x01, 0, 5], "nothing"],
  ["version 2", [0x80, 0x01, 0, 5], "nothing"],
  ["version 3", [0xc0, 0x01, 0, 5], "nothing"],
  ["three bytes", [0x40, 0x01, 0], "nothing"],
  ["no bytes", [], "nothing"],
  ["a NON with token length 9", [0x59, 0x01, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8, 9], "nothing"],
  ["a NON of code 1.00", [0x50, 0x20, 0, 5], "nothing"],
  ["an ACK that is a request", [0x60, 0x01, 0, 5], "nothing"],
  ["an RST that is a request", [0x70, 0x01, 0, 5], "nothing"],
  ["an empty NON", [0x50, 0x00, 0, 5], "nothing"],
  ["an unknown ACK", [0x60, 0x00, 0, 5], "nothing"],
  ["an unknown RST", [0x70, 0x00, 0, 5], "nothing"],
  ["an ACK response with an unknown token", [0x61, 0x45, 0, 5, 0xaa], "nothing"],
])(
  "answers %s as RFC 7252 §3 and §4 say, with %s ... %s, to strangers and to peers",
  (_name, datagram, answer) => {
    const { site, device, network } = setup();
    const expected = answer === "RST" ? ["RST 0.00 5"] : [];
    const answers = () => device.take().map(({ type, code, id }) => `${type} ${code} ${id}`);
    device.raw(...datagram);
    expect(answers()).toEqual(expected);
    expect(network.runtime.peers.count).toBe(0);
    device.ask({ path: "t", id: 9 });
    device.raw(...datagram);
    expect(answers()).toEqual(expected);
    expect(site.executed).toBe(1);
  },
);

it.each([9, 19, 31, 99, 2049])("answers 4.02 to a CON with unknown critical option %i", (number) => {
  const { site, device } = setup();
  const answer = device.ask({ path: "t", options: [[number, "x"]] });
  expect(answer).toMatchObject({ type: "ACK", code: "4.02" });
  expect(answer.payload).toContain(String(number));
  expect(site.executed).toBe(0);
});

it.each([
  [".", "4.02"],
  ["..", "4.02"],
  ["...", "2.05"],
  [".a", "2.05"],
  ["", "2.05"],
])('answers a request with the segment "%s" in its path with %s (RFC 7252 §5.10.1)', (segment, code) => {
  const { device } = setup();
  const options: [number, string][] = [
    [11, "t"],
    [11, segment],
  ];
  expect(device.ask({ options }).code).toBe(code);
});

it("rejects a NON with an unknown critical option by RST (RFC 7252 §5.4.1)", () => {
  const { device } = setup();
  expect(device.ask({ type: "NON", path: "t", id: 3, options: [[9, "x"]] })).toMatchObject({
    type: "RST",
    id: 3,
  });
});

it("ignores unknown elective options (RFC 7252 §5.4.1)", () => {
  const { device } = setup();
  expect(
    device.ask({
      path: "t",
      options: [
        [2048, "x"],
        [10, ""],
      ],
    }).code,
  ).toBe("2.05");
});

it("counts a repeated critical option that may not repeat as unknown (RFC 7252 §5.4.5)", () => {
  const { device } = setup();
  expect(
    device.ask({
      path: "t",
      options: [
        [17, 0],
        [17, 50],
      ],
    }).code,
  ).toBe("4.02");
});

it("counts a critical option of a wrong length as unknown (RFC 7252 §5.4.3)", () => {
  const { device } = setup();
  expect(device.ask({ path: "t", options: [[5, "x"]] }).code).toBe("4.02");
  expect(device.ask({ path: "t", options: [[3, ""]] }).code).toBe("4.02");
  expect(device.ask({ path: "t", options: [[23, "long"]] }).code).toBe("4.02");
});

it("is no proxy: Proxy-Uri and Proxy-Scheme are 5.05 (RFC 7252 §5.7.2)", () => {
  const { device } = setup();
  expect(device.ask({ options: [[35, "coap://other/t"]] }).code).toBe("5.05");
  expect(device.ask({ path: "t", options: [[39, "coap"]] }).code).toBe("5.05");
});

it("answers 4.05 to a method that nobody has defined, and 4.04 to a path that nobody serves", () => {
  const { device } = setup();
  expect(device.ask({ code: "0.08", path: "t" }).code).toBe("4.05");
  expect(device.ask({ code: "0.31", path: "t" }).code).toBe("4.05");
  const unknown = device.ask({ path: "nowhere" });
  expect(unknown.code).toBe("4.04");
  expect(unknown.payload).not.toBe("");
  expect(device.ask({}).code).toBe("4.04");
});

it("keeps no more exchanges than it may, per peer and in total, and forgets a silent peer", () => {
  const { world, site, network } = setup({ exchanges: { perPeer: 4, total: 16, bytes: "1KB" } });
  for (let port = 1; port <= 10; port++) {
    const device = new CoapDevice(network, port);
    for (let id = 0; id < 10; id++) device.ask({ path: "t", id });
    device.ask({ path: "t", id: 9 });
    device.ask({ path: "t", id: 0 });
  }
  // Of ten ids the last was remembered and the first was not.
  expect(site.executed).toBe(10 * 11);
  expect(network.runtime.peers.count).toBe(10);
  world.advance(seconds(600));
  expect(network.runtime.peers.count).toBe(0);
});

it("says nothing where No-Response asks for silence, but acknowledges a CON (RFC 7967 §2.1)", () => {
  const { site, device } = setup();
  site.handler = (request) => request.respond({ code: Response.Changed });
  device.send({ code: "PUT", type: "NON", path: "t", options: [[258, 2]] });
  expect(device.take()).toEqual([]);
  expect(device.ask({ code: "PUT", path: "t", id: 5, options: [[258, 2]] })).toMatchObject({
    type: "ACK",
    code: "0.00",
  });
  expect(device.ask({ code: "PUT", path: "t", options: [[258, 8]] }).code).toBe("2.04");
  expect(device.ask({ code: "PUT", path: "t", options: [[258, 26]] }).code).toBe("0.00");
  site.handler = (request) => request.refuse(Response.BadRequest, "no");
  expect(device.ask({ code: "PUT", path: "t", options: [[258, 2]] }).code).toBe("4.00");
  expect(device.ask({ code: "PUT", path: "t", options: [[258, 8]] }).code).toBe("0.00");
});

it("answers a ping of a peer that it knows with RST, too (RFC 7252 §4.3)", () => {
  const { device } = setup();
  device.ask({ code: "GET", path: "x", id: 8 });
  expect(device.ask({ code: "0.00", id: 9 })).toMatchObject({ type: "RST", code: "0.00", id: 9 });
});
