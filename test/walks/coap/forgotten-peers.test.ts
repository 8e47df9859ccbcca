/** When a peer over UDP is forgotten: no later than what RFC 7252 §4.5 needs to know of it, whatever it left undone. */
import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { Response } from "#gateways/coap/stack/message/codes.ts";
import type { CoapRequest } from "#gateways/coap/stack/site.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubWorld, stackWorld } from "../../support/coap-site.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";
import { fc } from "../../support/property.ts";

/** RFC 7252 §4.8.2. */
const EXCHANGE_LIFETIME = 247;
const register = { options: [[6, 0]] as const };

it("that vanishes with twenty answers on their way is gone after EXCHANGE_LIFETIME", () => {
  const { world, site, network } = stackWorld();
  const asked: CoapRequest[] = [];
  site.handler = (request) => void asked.push(request);
  const device = new CoapDevice(network);
  for (let each = 0; each < 20; each++) device.send({ code: "PUT", path: "t", token: `t${each}` });
  world.advance(seconds(2));
  site.peer.turn(() => {
    for (const request of asked) request.respond({ code: Response.Changed });
  });
  world.advance(seconds(EXCHANGE_LIFETIME - 1));
  expect(network.runtime.peers.count).toBe(0);
});

it("that is heard meanwhile gets each of the answers that it has not acknowledged", () => {
  const { world, site, network } = stackWorld();
  const asked: CoapRequest[] = [];
  site.handler = (request) => void asked.push(request);
  const device = new CoapDevice(network);
  for (let each = 0; each < 3; each++) device.send({ code: "PUT", path: "t", token: `t${each}` });
  world.advance(seconds(2));
  site.peer.turn(() => {
    for (const request of asked) request.respond({ code: Response.Changed });
  });
  const tokens = new Set<string>();
  for (let second = 0; second < 300; second++) {
    world.advance(seconds(1));
    for (const { type, token } of device.take()) if (type === "CON") tokens.add(token);
    // It is there, and loses what it should acknowledge.
    if (second % 20 === 0) device.send({ type: "NON", code: "PUT", path: "t" });
  }
  expect([...tokens]).toEqual(["t0", "t1", "t2"]);
});

it("that is kept by an observation goes when that ends, and not a lifetime later", () => {
  const { world, network } = pubsubWorld({ stack: { observe: { silence: "200s" } } });
  new CoapDevice(network).send({ path: "ps/quiet", token: "q", ...register });
  world.advance(seconds(250));
  expect(network.runtime.peers.count).toBe(1);
  world.advance(seconds(44));
  expect(network.runtime.peers.count).toBe(0);
});

it("that is kept by a registration goes when its lifetime is over", () => {
  const world = new Lwm2mWorld();
  world.device("meter", 12).register({ lwm2m: "1.1", lt: "300" }, "</1/0>,</3/0>");
  world.advance(seconds(290));
  expect(world.network.runtime.peers.count).toBe(1);
  world.advance(seconds(60));
  expect(world.network.runtime.peers.count).toBe(0);
});

it("that comes back after long silence is known for as long again", () => {
  const { world, site, network } = stackWorld();
  const device = new CoapDevice(network);
  device.ask({ path: "t", id: 7 });
  world.advance(seconds(200));
  device.ask({ path: "t", id: 8 });
  world.advance(seconds(200));
  device.ask({ path: "t", id: 8 });
  expect(site.executed).toBe(2);
  world.advance(seconds(EXCHANGE_LIFETIME));
  expect(network.runtime.peers.count).toBe(0);
});

it("is gone after EXCHANGE_LIFETIME whatever it did before it vanished", () => {
  const step = fc.record({
    what: fc.constantFrom("get", "put", "observe", "observe-named", "publish", "wait", "answer"),
    topic: fc.constantFrom("a", "b"),
    wait: fc.nat(100),
  });
  const amplification = fc.constantFrom("off", "large-only", "always");
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), amplification, (steps, rule) => {
      const { world, network, held } = pubsubWorld({ stack: { amplification: rule } });
      const device = new CoapDevice(network);
      world.publish("a", "x".repeat(300), { retain: true });
      for (const [index, { what, topic, wait }] of steps.entries()) {
        const token = `${index}`;
        if (what === "get") device.send({ path: `ps/${topic}`, token });
        else if (what === "put") device.send({ code: "PUT", path: `ps/${topic}`, token, payload: "y" });
        else if (what === "observe") device.send({ path: `ps/${topic}`, token, ...register });
        else if (what === "observe-named")
          device.send({ path: `ps/${topic}`, query: ["clientid=k"], token, ...register });
        else if (what === "publish") world.publish(topic, `${index}`, { qos: 1 });
        else if (what === "wait") world.advance(seconds(wait));
        else device.answerPings();
      }
      world.advance(seconds(EXCHANGE_LIFETIME + 1));
      expect(network.runtime.peers.count).toBe(0);
      expect(held()).toEqual({ exchanges: 0, replyBytes: 0, bodyBytes: 0, observations: 0 });
    }),
    { numRuns: 200 },
  );
});
