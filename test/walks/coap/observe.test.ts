import { expect, it } from "vitest";
import { milliseconds, seconds } from "#core/lib/time.ts";
import { Response } from "#gateways/coap/stack/message/codes.ts";
import type { Observation, ObservationEnd } from "#gateways/coap/stack/site.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { stackWorld } from "../../support/coap-site.ts";

const bytes = (text: string) => Buffer.from(text);

function setup(overrides = {}, coalesce = false) {
  const stack = stackWorld(overrides);
  const { site, network } = stack;
  const observations: Observation[] = [];
  const settled: string[] = [];
  const ended: ObservationEnd[] = [];
  /** What a POST to u tells the observers: `con:text`. */
  site.handler = (request) => {
    const text = Buffer.from(request.payload).toString();
    if (request.message.pathStartsWith("u")) {
      const [type, payload = ""] = text.split(":");
      const code = type === "error" ? Response.NotFound : Response.Content;
      for (const each of observations) each.notify({ code, payload: bytes(payload) }, type === "con", 1);
      request.respond({ code: Response.Changed });
    } else if (request.observe === 0) {
      const observation = request.accept(
        { code: Response.Content, payload: bytes("first") },
        {
          coalesce,
          settled: (reference, outcome) => void settled.push(`${reference} ${outcome}`),
          ended: (why) => void ended.push(why),
        },
      );
      if (observation !== undefined) observations.push(observation);
    } else {
      request.observation?.end();
      request.respond({ code: Response.Content, payload: bytes("plain") });
    }
  };
  const device = new CoapDevice(network, 10_000);
  // No-Response keeps what the device hears to the notifications.
  const tell = (what: string) =>
    device.send({ type: "NON", code: "POST", path: "u", payload: what, options: [[258, 26]] });
  return { ...stack, observations, settled, ended, device, tell };
}
const OBSERVE = 6;

it("registers with Observe 0 and notifies with rising numbers and the token (RFC 7641 §3.1, §4.4)", () => {
  const { device, tell } = setup();
  const first = device.ask({ path: "t", token: "ob", options: [[OBSERVE, 0]] });
  expect(first).toMatchObject({ type: "ACK", code: "2.05", payload: "first" });
  tell("non:1");
  tell("non:2");
  const [one, two] = device.take();
  expect(one).toMatchObject({ type: "NON", code: "2.05", token: "ob", payload: "1" });
  expect(two).toMatchObject({ type: "NON", payload: "2" });
  const numbers = [first, one, two].map((each) => each?.number(OBSERVE) ?? -1);
  expect(numbers[1]).toBeGreaterThan(numbers[0] as number);
  expect(numbers[2]).toBeGreaterThan(numbers[1] as number);
  expect(one?.id).not.toBe(two?.id);
});

it("has one CON in flight per observer, and nothing overtakes it", () => {
  const { device, tell, settled, world } = setup();
  device.ask({ path: "t", token: "ob", options: [[OBSERVE, 0]] });
  tell("con:1");
  tell("non:2");
  tell("con:3");
  const [first, ...others] = device.take();
  expect(first).toMatchObject({ type: "CON", payload: "1" });
  expect(others).toEqual([]);
  device.acknowledge(first?.id ?? 0);
  const [second, third] = device.take();
  expect(second).toMatchObject({ type: "NON", payload: "2" });
  expect(third).toMatchObject({ type: "CON", payload: "3" });
  device.acknowledge(third?.id ?? 0);
  expect(settled).toEqual(["1 done", "1 done", "1 done"]);
  world.advance(seconds(100));
  expect(device.take()).toEqual([]);
});

it("ends an observation that answers a CON with RST, and drops the rest, which nobody wants", () => {
  const { device, tell, settled, ended } = setup();
  device.ask({ path: "t", token: "ob", options: [[OBSERVE, 0]] });
  tell("con:1");
  tell("con:2");
  device.reset(device.take()[0]?.id ?? 0);
  expect(settled).toEqual(["1 dropped", "1 dropped"]);
  expect(ended).toEqual(["reset"]);
  tell("con:3");
  expect(device.take()).toEqual([]);
});

it("ends an observation that answers a NON with RST (RFC 7641 §3.6)", () => {
  const { device, tell, ended } = setup();
  device.ask({ path: "t", token: "ob", options: [[OBSERVE, 0]] });
  tell("non:1");
  device.reset(device.take()[0]?.id ?? 0);
  expect(ended).toEqual(["reset"]);
  tell("non:2");
  expect(device.take()).toEqual([]);
});

it("ends an observation whose CON is never acknowledged, after MAX_TRANSMIT_WAIT", () => {
  const { device, tell, ended, world } = setup();
  device.ask({ path: "t", token: "ob", options: [[OBSERVE, 0]] });
  tell("con:1");
  world.advance(seconds(61));
  expect(ended).toEqual([]);
  expect(device.take()).toHaveLength(5);
  world.advance(seconds(33));
  expect(ended).toEqual(["timeout"]);
});

it("replaces the observation of the same token, and keeps those of others (RFC 7641 §4.1)", () => {
  const { device, tell, ended } = setup();
  device.ask({ path: "t", token: "a", options: [[OBSERVE, 0]] });
  device.ask({ path: "t", token: "b", options: [[OBSERVE, 0]] });
  device.ask({ path: "t", token: "a", options: [[OBSERVE, 0]] });
  expect(ended).toEqual(["replaced"]);
  tell("non:1");
  expect(
    device
      .take()
      .map((each) => each.token)
      .sort(),
  ).toEqual(["a", "b"]);
});

it("ends with Observe 1 and answers without Observe (RFC 7641 §3.6)", () => {
  const { device, tell } = setup();
  device.ask({ path: "t", token: "ob", options: [[OBSERVE, 0]] });
  const answer = device.ask({ path: "t", token: "ob", options: [[OBSERVE, 1]] });
  expect(answer).toMatchObject({ code: "2.05", payload: "plain" });
  expect(answer.number(OBSERVE)).toBeUndefined();
  tell("non:1");
  expect(device.take()).toEqual([]);
});

it("answers without Observe at the limit of a peer, and at that of the listener (RFC 7641 §4.1)", () => {
  const { device, network } = setup({ observe: { perPeer: 2, total: 3 } });
  const register = (who: CoapDevice, token: string) =>
    who.ask({ path: "t", token, options: [[OBSERVE, 0]] }).number(OBSERVE) !== undefined;
  expect(["a", "b", "c"].map((token) => register(device, token))).toEqual([true, true, false]);
  const other = new CoapDevice(network, 10_002);
  expect(["a", "b"].map((token) => register(other, token))).toEqual([true, false]);
});

it("ends with an error notification, which has no Observe option (RFC 7641 §4.2)", () => {
  const { device, tell } = setup();
  device.ask({ path: "t", token: "ob", options: [[OBSERVE, 0]] });
  tell("error:gone");
  const [last] = device.take();
  expect(last).toMatchObject({ code: "4.04", token: "ob", payload: "gone" });
  expect(last?.number(OBSERVE)).toBeUndefined();
  tell("non:1");
  expect(device.take()).toEqual([]);
});

it("bounds what waits behind a CON, dropping the oldest", () => {
  const { device, tell, settled } = setup({ observe: { queue: 2 } });
  device.ask({ path: "t", token: "ob", options: [[OBSERVE, 0]] });
  for (const text of ["con:1", "con:2", "con:3", "con:4"]) tell(text);
  expect(settled).toEqual(["1 dropped"]);
  const payloads: string[] = [];
  for (let [next] = device.take(); next !== undefined; [next] = device.take()) {
    payloads.push(next.payload);
    device.acknowledge(next.id);
  }
  expect(payloads).toEqual(["1", "3", "4"]);
});

it("lets only the newest wait where coalescing is asked for (RFC 7641 §4.5.2)", () => {
  const { device, tell } = setup({}, true);
  device.ask({ path: "t", token: "ob", options: [[OBSERVE, 0]] });
  for (const text of ["con:1", "con:2", "con:3", "con:4"]) tell(text);
  const [first] = device.take();
  device.acknowledge(first?.id ?? 0);
  expect(device.take().map((each) => each.payload)).toEqual(["4"]);
});

it("sends a CON after some NON, and after 24 hours at the latest (RFC 7641 §4.5)", () => {
  const { device, tell, world } = setup({ observe: { confirmEvery: 3 } });
  device.ask({ path: "t", token: "ob", options: [[OBSERVE, 0]] });
  const types: string[] = [];
  for (let count = 0; count < 8; count++) {
    tell("non:x");
    const [next] = device.take();
    types.push(next?.type ?? "");
    if (next?.type === "CON") device.acknowledge(next.id);
  }
  expect(types).toEqual(["NON", "NON", "NON", "CON", "NON", "NON", "NON", "CON"]);
  world.advance(seconds(86_400));
  tell("non:x");
  expect(device.take()[0]?.type).toBe("CON");
});

it("does not let a notification overtake the response that is still to be acknowledged", () => {
  const { device, tell, world, site, observations } = setup();
  let late: (() => void) | undefined;
  const usual = site.handler;
  site.handler = (request, now) => {
    if (request.observe !== 0) return usual(request, now);
    late = () => {
      const observation = request.accept(
        { code: Response.Content, payload: bytes("first") },
        { settled: () => {}, ended: () => {} },
      );
      if (observation !== undefined) observations.push(observation);
    };
  };
  device.send({ path: "t", token: "ob", options: [[OBSERVE, 0]] });
  world.advance(milliseconds(1001));
  expect(device.take()).toMatchObject([{ type: "ACK", code: "0.00" }]);
  late?.();
  tell("non:1");
  const [response, ...others] = device.take();
  expect(response).toMatchObject({ type: "CON", payload: "first" });
  expect(others).toEqual([]);
  device.acknowledge(response?.id ?? 0);
  expect(device.take()).toMatchObject([{ type: "NON", payload: "1" }]);
});

it("ends an observation whose earlier NON notification is reset, too (RFC 7641 §3.6)", () => {
  const { device, tell, ended } = setup();
  device.ask({ path: "t", token: "a", options: [[OBSERVE, 0]] });
  for (let each = 1; each <= 5; each++) tell(`non:${each}`);
  const [first] = device.take();
  device.reset(first?.id ?? 0);
  expect(ended).toEqual(["reset"]);
});

it("sends a peer that is not heard a CON after a few NON, and the rest behind it (RFC 7641 §4.5.1)", () => {
  const { device, observations, world, site } = setup();
  device.ask({ path: "t", token: "a", options: [[OBSERVE, 0]] });
  const response = { code: Response.Content, payload: bytes("x") };
  const notify = () => site.peer.turn(() => observations[0]?.notify(response, false, 0));
  for (let second = 0; second < 20; second++) {
    world.advance(seconds(1));
    notify();
    world.settle();
  }
  const told = device.take();
  expect(told.filter(({ type }) => type === "NON").length).toBeLessThanOrEqual(6);
  expect(new Set(told.filter(({ type }) => type === "CON").map(({ id }) => id)).size).toBe(1);
});
