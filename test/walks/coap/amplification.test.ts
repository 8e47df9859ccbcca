import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { Response } from "#gateways/coap/stack/codes.ts";
import { ReachabilityProof } from "#gateways/coap/stack/reachability.ts";
import type { Observation } from "#gateways/coap/stack/site.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { stackWorld } from "../../support/coap-site.ts";

const ECHO = 252;

function setup(amplification: string, length = 200) {
  const stack = stackWorld({ amplification });
  stack.site.handler = (request) =>
    request.respond({
      code: Response.Content,
      payload: Buffer.alloc(request.method === 1 ? length : 0, "x"),
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

it("proves an address by a ping, and then sends what it held back", () => {
  const { device, site } = setup("large-only");
  device.send({ path: "t", id: 5, token: "ab" });
  const [ping, ...others] = device.take();
  expect(ping).toMatchObject({ type: "CON", code: "0.00" });
  expect(others).toEqual([]);
  device.reset(ping?.id ?? 0);
  expect(device.take()).toMatchObject([{ type: "ACK", code: "2.05", id: 5, token: "ab" }]);
  expect(device.ask({ path: "t", id: 6 }).code).toBe("2.05");
  expect(site.executed).toBe(2);
});

it("does not take an RST with a guessed message id for a proof", () => {
  const { device } = setup("large-only");
  device.send({ path: "t", token: "ab" });
  const [ping] = device.take();
  for (let guess = 1; guess < 50; guess++) device.reset(((ping?.id ?? 0) + guess) & 0xffff);
  expect(device.take()).toEqual([]);
});

it("sends small blocks to a client that does not answer the ping, at once after the first time", () => {
  const { world, device, site } = setup("large-only");
  device.send({ path: "t", id: 5, token: "ab", query: ["some=query", "to=have", "a=request"] });
  expect(device.take()).toMatchObject([{ type: "CON", code: "0.00" }]);
  world.advance(seconds(3));
  const [first] = device.take();
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
  expect(block).toMatchObject({ code: "2.05", payload: "x".repeat(64) });
  device.reset(ping?.id ?? 0);
  expect(device.ask({ path: "u", token: "ab" }).payload).toHaveLength(200);
});

it("asks for an Echo where not even a small block is small enough, and takes it (RFC 9175 §2.3)", () => {
  const { world, device, site } = setup("large-only");
  device.send({ path: "t", id: 5 });
  device.take();
  world.advance(seconds(3));
  const [challenge] = device.take();
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

it("trusts a DTLS peer, whose handshake has proven its address", () => {
  const settings = { amplification: "always", ackTimeout: seconds(2), echoLifetime: seconds(60) } as const;
  const peer = { address: "10.0.0.1", port: 1 };
  expect(new ReachabilityProof({ ...peer, transport: "dtls" }, settings).given).toBe(true);
  expect(new ReachabilityProof({ ...peer, transport: "udp" }, settings).given).toBe(false);
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
  const [registered, ping, notification, posted] = device.take();
  expect(ping).toMatchObject({ type: "CON", code: "0.00" });
  expect(registered).toMatchObject({ type: "ACK", code: "2.05", token: "ob" });
  expect(notification).toMatchObject({ type: "CON", token: "ob" });
  expect(notification?.payload.length).toBe(16);
  expect(posted?.code).toBe("2.04");
  device.acknowledge(notification?.id ?? 0);
  device.send({ code: "POST", path: "u", token: "po" });
  expect(device.take().find(({ token }) => token === "ob")).toMatchObject({ type: "NON" });
  world.advance(seconds(100));
  expect(ends).toEqual([]);
});

it("asks again for a proof when a device comes from another address", () => {
  const { device, site } = setup("large-only");
  device.send({ path: "t", token: "ab" });
  device.reset(device.take()[0]?.id ?? 0);
  expect(device.take()).toHaveLength(1);
  device.device.move(30_000);
  device.send({ path: "t", token: "cd" });
  expect(device.take()).toMatchObject([{ type: "CON", code: "0.00" }]);
  expect(site.peers).toHaveLength(2);
});
