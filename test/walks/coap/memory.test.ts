/** What CoAP peers make the gateway keep beside messages, in the account of memory (issue "What strangers broke", D14). */
import { describe, expect, it } from "vitest";
import { milliseconds, minutes, seconds } from "#core/lib/time.ts";
import { Method, Response } from "#gateways/coap/stack/message/codes.ts";
import type { Observation } from "#gateways/coap/stack/site.ts";
import { CoapDevice, type Heard } from "../../support/coap-device.ts";
import { type Overrides, stackWorld } from "../../support/coap-site.ts";
import { frame, frames } from "../../support/coap-stream.ts";
import { fc } from "../../support/property.ts";

const KB = 1024;
const MB = KB * KB;
const NO_LIMIT = Number.POSITIVE_INFINITY;
const OBSERVE = 6;
const MAX_AGE = 14;
const BLOCK2 = 23;
const BLOCK1 = 27;
const block = (number: number, more: boolean, szx = 6): number => number * 16 + (more ? 8 : 0) + szx;
const text = (length: number): string => "x".repeat(length);

const setup = (memory: object = {}, overrides: Overrides = {}) => {
  const limits = { total: NO_LIMIT, beforeLogin: NO_LIMIT, connection: NO_LIMIT, ...memory };
  const stack = stackWorld(overrides, { memory: limits });
  stack.site.handler = (request) => request.respond({ code: Response.Changed });
  const account = stack.world.core.memory;
  const events = () =>
    stack.world.notes.map(({ note }) => note.event).filter((event) => event.startsWith("memory"));
  return { ...stack, account, events, device: (port: number) => new CoapDevice(stack.network, port) };
};
/** One block of a body of which more is to come, or the last. */
const put = (device: CoapDevice, number: number, more = true): Heard | undefined => {
  device.take();
  device.send({ code: "PUT", path: "t", payload: text(KB), options: [[BLOCK1, block(number, more)]] });
  return device.take()[0];
};

describe("bodies of which not all blocks have come (RFC 7959 §2.5)", () => {
  it("raise the account whoever sends them, reach its marks, and are released when their time is over", () => {
    const { world, account, events, device } = setup({ total: 4 * MB });
    const devices = Array.from({ length: 60 }, (_, index) => device(10_000 + index));
    const codes = new Set<string | undefined>();
    let refused: Heard | undefined;
    for (let number = 0; number < 200 && refused === undefined; number++) {
      for (const each of devices) {
        const before = account.held;
        const answer = put(each, number);
        codes.add(answer?.code);
        if (answer?.code === "2.31") expect(account.held).toBeGreaterThanOrEqual(before);
        else refused ??= answer;
        account.check();
      }
    }
    expect([...codes]).toEqual(["2.31", "5.03"]);
    expect(refused?.number(MAX_AGE)).toBeGreaterThan(0);
    expect(events()).toEqual(["memory-scarce", "memory-refusing"]);
    expect(account.held).toBeLessThan(4 * MB);
    expect(world.core.counters.memoryRefused.value).toBeGreaterThan(0);

    world.advance(minutes(6));
    expect(account.held).toBe(0);
    account.check();
    expect(events().at(-1)).toBe("memory-free");
    const late = device(20_001);
    expect([put(late, 0)?.code, put(late, 1, false)?.code]).toEqual(["2.31", "2.04"]);
    expect([account.held, account.burdens.size]).toEqual([0, 0]);
  });

  it("count for who has not logged in: those who hold most give way, with what they sent", () => {
    const { account, events, device } = setup({ beforeLogin: MB });
    const small = device(9_999);
    put(small, 0);
    const devices = Array.from({ length: 40 }, (_, index) => device(10_000 + index));
    for (let number = 0; number < 64; number++) {
      for (const each of devices) {
        put(each, number);
        expect(account.strangers).toBeLessThanOrEqual(MB + 128 * KB);
      }
    }
    expect(events()).toContain("memory-strangers");
    expect(put(small, 1, false)?.code).toBe("2.04");
  });

  it("of one peer are no more than memory.connection allows", () => {
    const { account, device } = setup({ connection: 64 * KB });
    const one = device(10_000);
    let number = 0;
    while (put(one, number)?.code === "2.31") number++;
    expect(number).toBeLessThan(65);
    expect(account.held).toBe(0);
  });

  it("count over TCP as well, and end with the connection (RFC 8323 §6)", () => {
    const { account, streams } = setup();
    const stream = streams().connect();
    stream.takeBytes();
    stream.send(frame({ code: "7.01" }));
    for (let number = 0; number < 8; number++)
      stream.send(
        frame({
          code: "0.03",
          token: "t",
          options: [
            [11, "t"],
            [BLOCK1, Buffer.from([block(number, true)])],
          ],
          payload: text(KB),
        }),
      );
    expect(frames(stream.takeBytes()).map(({ code }) => code)).toEqual(Array(8).fill("2.31"));
    expect(account.held).toBeGreaterThanOrEqual(8 * KB);
    stream.drop();
    expect(account.held).toBe(0);
  });
});

it("an answer that is kept until the peer has fetched it counts, until its last block or its time (RFC 7959 §2.4)", () => {
  const { world, site, account, device } = setup();
  site.handler = (request) => request.respond({ code: Response.Content, payload: Buffer.from(text(3 * KB)) });
  const get = (from: CoapDevice, number: number) =>
    from.ask({ path: "t", options: [[BLOCK2, block(number, false)]] }).code;
  const [thorough, vanished] = [device(10_000), device(10_001)];
  get(thorough, 0);
  get(vanished, 0);
  expect(account.held).toBe(6 * KB);
  expect([get(thorough, 1), get(thorough, 2)]).toEqual(["2.05", "2.05"]);
  expect(account.held).toBe(3 * KB);
  world.advance(seconds(300));
  expect(account.held).toBe(0);
});

it("a body that a peer serves to the gateway in blocks counts until it is whole or given up", () => {
  const { world, site, account, device } = setup();
  const one = device(10_000);
  const outcomes: string[] = [];
  site.handler = (request, now) => {
    request.respond({ code: Response.Changed });
    site.peer.ask(
      { method: Method.GET, path: ["3", "0"] },
      {
        response: ({ payload }) => void outcomes.push(`${payload.length}`),
        failed: (why) => void outcomes.push(why),
      },
      now,
    );
  };
  const serve = (blocks: number, of: number): void => {
    one.send({ path: "t", type: "NON", options: [[258, 26]] });
    for (let number = 0; number < blocks; number++) {
      const request = one.take().at(-1) as Heard;
      const options = [[BLOCK2, block(number, number + 1 < of)]] as const;
      one.send({
        type: "ACK",
        code: "2.05",
        id: request.id,
        token: request.token,
        payload: text(KB),
        options,
      });
    }
  };
  serve(3, 4);
  expect(account.held).toBeGreaterThanOrEqual(3 * KB);
  world.advance(minutes(5));
  expect([outcomes, account.held]).toEqual([["timeout"], 0]);
  one.take();
  serve(4, 4);
  expect([outcomes.at(-1), account.held]).toEqual([`${4 * KB}`, 0]);
});

describe("notifications that nobody settles and that wait behind one in flight", () => {
  const observed = (memory: object = {}) => {
    const all = setup(memory);
    const observations: Observation[] = [];
    all.site.handler = (request) => {
      const observation = request.accept(
        { code: Response.Content },
        { settled: () => undefined, ended: () => undefined },
      );
      if (observation !== undefined) observations.push(observation);
    };
    const device = all.device(10_000);
    device.ask({ path: "t", token: "o", options: [[OBSERVE, 0]] });
    const notify = (length: number): void => {
      all.site.peer.turn(() =>
        observations[0]?.notify({ code: Response.Content, payload: Buffer.from(text(length)) }, true, 0),
      );
      // What is sent outside of a datagram's turn leaves at its end.
      all.world.advance(milliseconds(1));
    };
    return { ...all, device, notify };
  };

  it("count until they are acknowledged, or their observer has vanished (RFC 7641 §4.5)", () => {
    const { world, account, device, notify } = observed();
    for (let count = 0; count < 5; count++) notify(500);
    expect(account.held).toBeGreaterThanOrEqual(2_500);
    for (let count = 0; count < 5; count++) for (const { id } of device.take()) device.acknowledge(id);
    expect(account.held).toBe(0);
    for (let count = 0; count < 5; count++) notify(500);
    world.advance(minutes(3));
    expect(account.held).toBe(0);
  });

  it("are dropped and counted where memory is used up", () => {
    const { world, account, notify } = observed({ total: 4 * KB });
    for (let count = 0; count < 20; count++) notify(500);
    expect(account.held).toBeLessThan(4 * KB);
    expect(world.core.counters.memoryRefused.value).toBeGreaterThan(10);
    world.advance(minutes(3));
    expect(account.held).toBe(0);
  });
});

it("whatever blocks come and do not come, nothing of them is left in the account", () => {
  const step = fc.record({
    kind: fc.constantFrom("put", "last", "get", "reset", "pass"),
    who: fc.nat(3),
    number: fc.nat(4),
    more: fc.nat(200),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, little) => {
      const { world, site, account, device } = setup(little ? { total: 16 * KB, beforeLogin: 8 * KB } : {});
      site.handler = (request) =>
        request.respond({ code: Response.Content, payload: Buffer.from(text(3 * KB)) });
      const devices = [0, 1, 2, 3].map((index) => device(10_000 + index));
      for (const { kind, who, number, more } of steps) {
        const one = devices[who] as CoapDevice;
        if (kind === "put" || kind === "last") put(one, number, kind === "put");
        else if (kind === "get") one.send({ path: "t", options: [[BLOCK2, block(number % 3, false)]] });
        else if (kind === "reset") one.send({ type: "RST", code: "0.00", id: 1 });
        else world.advance(seconds(more));
        expect(account.held).toBeGreaterThanOrEqual(0);
        expect(account.strangers).toBe(account.held);
      }
      world.advance(minutes(10));
      expect([account.held, account.strangers, account.burdens.size]).toEqual([0, 0, 0]);
    }),
    { numRuns: 100 },
  );
});
