import { expect, it } from "vitest";
import { milliseconds, seconds } from "#core/lib/time.ts";
import { Response } from "#gateways/coap/stack/message/codes.ts";
import type { Observation } from "#gateways/coap/stack/site.ts";
import { CoapDevice, type Heard } from "../../support/coap-device.ts";
import { stackWorld } from "../../support/coap-site.ts";
import type { World } from "../../support/world.ts";

const ECHO = 252;

function setup(amplification: string, length = 200) {
  const stack = stackWorld({ amplification });
  stack.site.handler = (request) =>
    request.respond({
      code: Response.Content,
      payload: Buffer.alloc(
        request.method === 1 ? length * (request.message.pathStartsWith("u") ? 10 : 1) : 0,
        "x",
      ),
    });
  return { ...stack, device: new CoapDevice(stack.network) };
}

it("sends no unproven address more than three times what it sent (RFC 9175 §2.4)", () => {
  for (const length of [0, 1, 10, 20, 30, 1000]) {
    const { device } = setup("large-only", length);
    device.send({ path: "t", token: "ab" });
    const request = 4 + 2 + 2;
    const sent = device.take().reduce((sum, each) => sum + each.bytes.length, 0);
    expect(sent).toBeLessThanOrEqual(3 * request);
  }
});

it("proves an address by two pings of random ids, and then sends what it held back", () => {
  const { device, site } = setup("large-only");
  device.send({ path: "t", id: 5, token: "ab" });
  const ids: number[] = [];
  for (let round = 1; round <= 2; round++) {
    const [ping, ...others] = device.take();
    expect(ping).toMatchObject({ type: "CON", code: "0.00" });
    expect(others).toEqual([]);
    ids.push(ping?.id ?? 0);
    device.reset(ping?.id ?? 0);
  }
  expect(device.take()).toMatchObject([{ type: "ACK", code: "2.05", id: 5, token: "ab" }]);
  expect(device.ask({ path: "t", id: 6 }).code).toBe("2.05");
  expect(site.executed).toBe(2);
  const steps = ids.slice(1).map((id, index) => id - (ids[index] ?? 0));
  expect(steps).not.toContain(1);
});

it("waits for a prover who takes his time, as long as he goes on", () => {
  const { device, world } = setup("large-only");
  device.send({ path: "t", id: 5, token: "ab" });
  for (let round = 1; round <= 2; round++) {
    world.advance(milliseconds(1500));
    const pings = device.take();
    expect(pings.every(({ type, code }) => type === "CON" && code === "0.00")).toBe(true);
    device.reset(pings[0]?.id ?? 0);
  }
  expect(device.take()).toMatchObject([{ type: "ACK", code: "2.05", id: 5, payload: "x".repeat(200) }]);
});

it("is not convinced by somebody who tries all message ids, however often (RFC 9175 §2.3)", () => {
  const { device } = setup("large-only");
  device.send({ path: "t", token: "ab" });
  for (let turn = 0; turn < 3; turn++) for (let id = 0; id < 0x10000; id++) device.reset(id);
  const heard = device.take();
  expect(heard.every(({ type, code }) => type === "CON" && code === "0.00")).toBe(true);
  expect(heard.length).toBeLessThan(12);
});

it("replays no stored answer beyond three times of what an unproven address sent (RFC 9175 §2.4)", () => {
  const { device } = setup("large-only", 30);
  device.send({ path: "t", id: 5, token: "ab", query: ["a query that makes the request long enough"] });
  const [answer] = device.take();
  expect(answer?.payload).toHaveLength(30);
  let received = 0;
  let sent = 0;
  for (let turn = 0; turn < 255; turn++) {
    device.raw(0x40, 0x01, 0x00, 0x05);
    received += 4;
    for (const each of device.take()) sent += each.bytes.length;
  }
  expect(sent).toBeGreaterThan(0);
  expect(sent).toBeLessThanOrEqual(3 * (received + 60));
});

it("sends small blocks to a client that does not answer the ping, at once after the first time", () => {
  const { world, device, site } = setup("large-only");
  device.send({ path: "t", id: 5, token: "ab", query: ["some=query", "to=have", "a=request"] });
  expect(device.take()).toMatchObject([{ type: "CON", code: "0.00" }]);
  world.advance(seconds(3));
  const first = device.take().at(-1);
  expect(first).toMatchObject({ type: "ACK", code: "2.05", id: 5, token: "ab", payload: "x".repeat(64) });
  let length = 64;
  for (let number = 1; length < 200; number++) {
    const query = ["some=query", "to=have", "a=request"];
    const next = device.ask({ path: "t", token: "ab", query, options: [[23, number * 16 + 2]] });
    expect(next.bytes.length).toBeLessThanOrEqual(3 * 39);
    length += next.payload.length;
  }
  expect(length).toBe(200);
  expect(site.executed).toBe(1);
  device.send({ path: "u", token: "ab", query: ["some=query", "to=have", "a=request"] });
  world.settle();
  world.advance(seconds(0));
  const [ping, block] = device.take();
  expect(ping).toMatchObject({ type: "CON", code: "0.00" });
  expect(block).toMatchObject({ code: "2.05", payload: expect.stringMatching(/^x{64,512}$/) });
  device.reset(ping?.id ?? 0);
  device.answerPings();
  expect(device.ask({ path: "u", token: "ab" }).payload).toHaveLength(1024);
});

it("asks for an Echo where not even a small block is small enough, and takes it (RFC 9175 §2.3)", () => {
  const { world, device, site } = setup("large-only");
  device.send({ path: "t", id: 5 });
  device.take();
  world.advance(seconds(3));
  const challenge = device.take().at(-1);
  expect(challenge).toMatchObject({ type: "ACK", code: "4.01", id: 5, payload: "" });
  const echo = challenge?.raw(ECHO);
  expect(echo).toHaveLength(8);
  expect(device.ask({ path: "t", options: [[ECHO, echo as Buffer]] }).code).toBe("2.05");
  expect(site.executed).toBe(2);
});

it("asks every new address for an Echo before it runs a request, where `always` is set", () => {
  const { world, device, site } = setup("always");
  const challenge = device.ask({ code: "PUT", path: "t", payload: "x" });
  expect(challenge.code).toBe("4.01");
  expect(site.executed).toBe(0);
  const wrong = device.ask({ code: "PUT", path: "t", payload: "x", options: [[ECHO, "12345678"]] });
  expect(wrong.code).toBe("4.01");
  const echo = wrong.raw(ECHO) as Buffer;
  world.advance(seconds(61));
  expect(device.ask({ code: "PUT", path: "t", options: [[ECHO, echo]] }).code).toBe("4.01");
  const fresh = device.ask({ path: "t" }).raw(ECHO) as Buffer;
  expect(device.ask({ code: "PUT", path: "t", options: [[ECHO, fresh]] }).code).toBe("2.05");
  expect(site.executed).toBe(1);
});

it("sends everything at once where the limit is off", () => {
  const { device } = setup("off");
  expect(device.ask({ path: "t" }).payload).toHaveLength(200);
});

it("pings an observer at an unproven address, and sends it confirmable notifications until it answers", () => {
  const { device, site, world } = setup("large-only", 0);
  let observation: Observation | undefined;
  const ends: string[] = [];
  site.handler = (request) => {
    if (request.observe === 0) {
      observation = request.accept(
        { code: Response.Content },
        { settled: () => {}, ended: (why) => void ends.push(why) },
      );
    } else {
      observation?.notify({ code: Response.Content, payload: Buffer.alloc(500) }, false, 0);
      request.respond({ code: Response.Changed });
    }
  };
  device.send({ path: "t", token: "ob", options: [[6, 0]] });
  device.send({ code: "POST", path: "u", token: "po" });
  const [registered, ping, ...others] = device.take();
  expect(ping).toMatchObject({ type: "CON", code: "0.00" });
  expect(registered).toMatchObject({ type: "ACK", code: "2.05", token: "ob" });
  // It is too large for so short a request: it waits for the proof.
  expect(others).toMatchObject([{ type: "ACK", code: "2.04" }]);
  device.reset(ping?.id ?? 0);
  const [notification] = device.answerPings();
  expect(notification).toMatchObject({ type: "CON", token: "ob" });
  expect(notification?.payload.length).toBe(500);
  device.acknowledge(notification?.id ?? 0);
  device.send({ code: "POST", path: "u", token: "po" });
  expect(device.take().find(({ token }) => token === "ob")).toMatchObject({ type: "NON" });
  world.advance(seconds(100));
  expect(ends).toEqual([]);
});

it("asks again for a proof when a device comes from another address", () => {
  const { device, site } = setup("large-only");
  device.send({ path: "t", token: "ab" });
  expect(device.answerPings()).toHaveLength(1);
  device.device.move(30_000);
  device.send({ path: "t", token: "cd" });
  expect(device.take()).toMatchObject([{ type: "CON", code: "0.00" }]);
  expect(site.peers).toHaveLength(2);
});

it("does not cut a notification small while the proof of the address is under way", () => {
  const { device, site } = setup("large-only", 0);
  let observation: Observation | undefined;
  site.handler = (request) => {
    if (request.observe === 0)
      observation = request.accept({ code: Response.Content }, { settled: () => {}, ended: () => {} });
    else {
      observation?.notify({ code: Response.Content, payload: Buffer.alloc(5000) }, true, 0);
      request.respond({ code: Response.Changed });
    }
  };
  const query = ["a long enough request to be sent a small block for it at once"];
  device.send({ path: "t", token: "ob", query, options: [[6, 0]] });
  device.send({ code: "POST", path: "u", token: "po", query });
  const others = device.answerPings();
  const told = others.find(({ type }) => type === "CON");
  expect(told?.token).toBe("ob");
  expect(told?.payload).toHaveLength(1024);
});

/** `libcoap` answers no more than four messages a second with RST. Until then: what is no ping, and when it came. */
function hearAtTheirPace(device: CoapDevice, world: World, duration: number): { at: number; heard: Heard }[] {
  const began = world.now;
  let resetAt = world.now - 1000;
  const answers: { at: number; heard: Heard }[] = [];
  for (; world.now - began < duration; world.advance(milliseconds(10))) {
    for (const heard of device.take()) {
      if (heard.code !== "0.00") answers.push({ at: world.now - began, heard });
      else if (world.now - resetAt >= 250) {
        resetAt = world.now;
        device.reset(heard.id);
      }
    }
  }
  return answers;
}

it("proves who answers four resets a second and no more, as libcoap does, in a third of a second", () => {
  const { device, world } = setup("large-only");
  device.send({ path: "t", id: 5, token: "ab", query: ["as=long", "as=many"] });
  const [answer, ...others] = hearAtTheirPace(device, world, 1000);
  expect(others).toEqual([]);
  expect(answer?.heard).toMatchObject({ type: "ACK", code: "2.05", id: 5, payload: "x".repeat(200) });
  expect(answer?.at).toBeLessThanOrEqual(350);
});

it("tells such an observer its first value without waiting for the time-out of a ping", () => {
  const { device, site, world } = setup("large-only", 0);
  let observation: Observation | undefined;
  site.handler = (request) => {
    observation = request.accept(
      { code: Response.Content, payload: Buffer.from("old,") },
      { settled: () => {}, ended: () => {} },
    );
  };
  device.send({ path: "t", token: "01", options: [[6, 0]] });
  expect(hearAtTheirPace(device, world, 20)).toHaveLength(1);
  observation?.notify({ code: Response.Content, payload: Buffer.from("on,") }, true, 0);
  const [told] = hearAtTheirPace(device, world, 1000);
  expect(told?.heard).toMatchObject({ token: "01", payload: "on," });
  expect(told?.at).toBeLessThanOrEqual(350);
});
