/** Logins over UDP are looked at when the address is proven: forged ones cost no look-up and count against nobody. */
import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import type { ListenerPolicy, Verdict } from "#core/policy/policy.ts";
import { CoapDevice, type Heard, type Sent } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";
import { snWorld } from "../../support/mqtt-sn-device.ts";
import { fc } from "../../support/property.ts";
import { permissive } from "../../support/world.ts";

const ECHO = 252;
const LOGIN = ["c=d1", "u=ann", "p=right"];

/** Asks somebody about each login; whom it was asked about, and whether the address was known then. */
function asking() {
  const asked: (readonly [string | undefined, forgeable: boolean])[] = [];
  const policy: Partial<ListenerPolicy> = {
    checks: true,
    authenticate: (request, peer, now): Verdict => {
      asked.push([request.username ?? request.clientId, peer.forgeable === true]);
      return permissive("coap").authenticate(request, peer, now) as Verdict;
    },
  };
  return { asked, policy };
}

function setup(amplification = "large-only") {
  const { asked, policy } = asking();
  const made = pubsubWorld({ stack: { amplification } }, { policy });
  return { ...made, asked, device: new CoapDevice(made.network) };
}

/** What comes in the end, and nothing of it before the address is proven. */
function proven(device: CoapDevice, sent: Sent): Heard[] {
  device.send(sent);
  const [ping, ...others] = device.take();
  expect([ping?.type, ping?.code, others]).toEqual(["CON", "0.00", []]);
  device.reset(ping?.id ?? 0);
  return device.answerPings();
}

it("asks nobody about forged logins, however many there are", () => {
  const { network, asked, world } = setup();
  for (let port = 1; port <= 500; port++)
    new CoapDevice(network, port, "192.0.2.1").send({
      code: "PUT",
      path: "ps/a",
      query: ["c=d1", "u=ann", `p=${port}`],
      payload: "x",
    });
  world.advance(seconds(300));
  expect(asked).toEqual([]);
});

it("takes a request as it came once its sender has answered pings, whatever came meanwhile", () => {
  const { network, asked, world, device } = setup();
  const heard = world.listen("#");
  device.send({ code: "PUT", path: "ps/a", query: LOGIN, token: "t", id: 7, payload: "first" });
  new CoapDevice(network, 9).send({
    code: "PUT",
    path: "ps/other/topic",
    query: LOGIN,
    payload: "of another",
  });
  // A repeat is no second request.
  device.send({ code: "PUT", path: "ps/a", query: LOGIN, token: "t", id: 7, payload: "first" });
  const answers = device.answerPings();
  expect(answers).toMatchObject([{ type: "ACK", code: "2.04", id: 7, token: "t" }]);
  expect(heard.map(({ topic, payload }) => [topic, Buffer.from(payload).toString()])).toEqual([
    ["a", "first"],
  ]);
  expect(asked).toEqual([["ann", false]]);
  expect(device.ask({ code: "PUT", path: "ps/b", query: LOGIN }).code).toBe("2.04");
});

it("holds back observing, NON requests, and bodies in blocks as well", () => {
  const { world, device, network } = setup();
  const [observed] = proven(device, { path: "ps/a", query: LOGIN, token: "o", options: [[6, 0]] });
  expect([observed?.code, observed?.number(6) !== undefined]).toEqual(["2.05", true]);
  world.publish("a", "news");
  expect(device.take()).toMatchObject([{ token: "o", payload: "news" }]);
  const heard = world.listen("#");
  const non = new CoapDevice(network, 2);
  expect(proven(non, { type: "NON", code: "PUT", path: "ps/n", query: LOGIN, payload: "n" })).toMatchObject([
    { type: "NON", code: "2.04" },
  ]);
  const blocks = new CoapDevice(network, 3);
  const block1 = (number: number, more: boolean) => [[27, (number << 4) | (more ? 8 : 0)]] as const;
  const part = { code: "PUT", path: "ps/large", query: LOGIN };
  expect(blocks.ask({ ...part, options: block1(0, true), payload: "a".repeat(16) }).code).toBe("2.31");
  expect(proven(blocks, { ...part, options: block1(1, false), payload: "b" })).toMatchObject([
    { code: "2.04" },
  ]);
  expect(heard.map(({ payload }) => Buffer.from(payload).toString())).toEqual(["n", `${"a".repeat(16)}b`]);
});

it("asks for an Echo (RFC 9175) who does not answer pings, and believes that", () => {
  const { world, device, asked } = setup();
  const request = { code: "PUT", path: "ps/a", query: LOGIN, payload: "x" };
  device.send({ ...request, token: "t" });
  world.advance(seconds(3));
  const challenge = device.take().find(({ code }) => code === "4.01");
  const echo = challenge?.raw(ECHO);
  expect([challenge?.token, asked]).toEqual(["t", []]);
  expect(device.ask({ ...request, options: [[ECHO, echo ?? ""]] }).code).toBe("2.04");
  expect(asked).toEqual([["ann", false]]);
});

it("asks at once where senders cannot be forged, and needs no proof for what needs no login", () => {
  const trusting = setup("off");
  expect(trusting.device.ask({ code: "PUT", path: "ps/a", query: LOGIN }).code).toBe("2.04");
  const { device, asked } = setup();
  device.send({ path: ".well-known/core", query: ["rt=none"] });
  expect(device.take()).toMatchObject([{ code: "2.05" }]);
  expect(asked).toEqual([]);
});

it("LwM2M: nobody is asked about a registration from an address that may be forged", () => {
  const { asked, policy } = asking();
  const world = new Lwm2mWorld({ stack: { amplification: "large-only" } }, { policy });
  const forged = new CoapDevice(world.network, 9, "192.0.2.1");
  forged.send({ code: "POST", path: "rd", query: ["ep=meter", "lt=300", "lwm2m=1.1"], payload: "</3/0>" });
  expect(asked).toEqual([]);
  expect(forged.answerPings()).toMatchObject([{ code: "2.01" }]);
  expect(asked).toEqual([["meter", false]]);
});

it("MQTT-SN, which cannot prove an address before CONNACK: logins say that they may be forged", () => {
  const { asked, policy } = asking();
  const { device } = snWorld({}, { policy });
  device(1).connect("d1");
  expect(asked).toEqual([["d1", true]]);
});

it("answers a request once, whenever pings are answered, lost or guessed", () => {
  const step = fc.record({ what: fc.constantFrom("ask", "answer", "guess", "wait"), wait: fc.nat(3000) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const { world, device, asked } = setup();
      const heard = world.listen("#");
      const answered = new Map<string, number>();
      const hear = (each: Heard): void => {
        if (each.code !== "0.00" && each.type === "ACK")
          answered.set(each.token, (answered.get(each.token) ?? 0) + 1);
      };
      let sent = 0;
      for (const { what, wait } of [...steps, { what: "answer", wait: 0 }]) {
        if (what === "ask") device.send({ code: "PUT", path: "ps/a", query: LOGIN, token: `${sent++}` });
        else if (what === "answer") for (const each of device.answerPings()) hear(each);
        else if (what === "guess") device.reset(wait);
        else world.advance(wait as never);
      }
      world.advance(seconds(5));
      for (const each of device.take()) hear(each);
      expect([...answered.values()].every((count) => count === 1)).toBe(true);
      expect(answered.size).toBe(sent);
      expect(heard.length).toBeLessThanOrEqual(sent);
      expect(asked.every(([, forgeable]) => !forgeable)).toBe(true);
    }),
  );
});
