/** Registrations from addresses that are not real: they take no place for good, and none of who is real. */
import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";

const register = { options: [[6, 0]] as const };
const setup = (observe: Record<string, number> = {}) =>
  pubsubWorld({ stack: { amplification: "large-only", observe } });
const observes = (answer: { number(option: number): number | undefined } | undefined): boolean =>
  answer?.number(6) !== undefined;

it("gives unproven observers a budget of their own, and ends the oldest for the newest", () => {
  const { network, held, world } = setup({ unproven: 5, total: 10 });
  for (let port = 1; port <= 100; port++)
    new CoapDevice(network, port).send({
      path: "ps/a",
      query: [`clientid=${port}`],
      token: "s",
      ...register,
    });
  expect(held().observations).toBe(5);
  expect(world.counter("stack:observation-evicted").value).toBe(95);
});

it("lets an observer that proves itself in before all that have not, at the limit of all", () => {
  const { network, held } = setup({ unproven: 5, total: 5 });
  const proven = Array.from({ length: 5 }, (_, index) => new CoapDevice(network, 1000 + index));
  for (let port = 1; port <= 5; port++)
    new CoapDevice(network, port).send({ path: "ps/a", token: "s", ...register });
  for (const device of proven) {
    device.send({ path: "ps/a", token: "p", ...register });
    const [answer] = device.answerPings();
    expect(observes(answer)).toBe(true);
  }
  expect(held().observations).toBe(5);
  const late = new CoapDevice(network, 3000);
  late.send({ path: "ps/a", token: "l", ...register });
  expect(observes(late.take()[0])).toBe(false);
});

it("ends an observation whose address never proves itself, with its session", () => {
  const { network, held, world } = setup();
  for (let port = 1; port <= 50; port++)
    new CoapDevice(network, port).send({
      path: "ps/a",
      query: [`clientid=${port}`],
      token: "s",
      ...register,
    });
  expect(held().observations).toBe(50);
  world.advance(seconds(2 + 93 + 1));
  expect(held().observations).toBe(0);
  expect([...world.sessions.all()]).toEqual([]);
  world.advance(seconds(300));
  expect(network.runtime.peers.count).toBe(0);
});

it("keeps the session of a device that has proven itself", () => {
  const { network, world } = setup();
  const device = new CoapDevice(network, 1);
  device.send({ path: "ps/a", query: ["clientid=k"], token: "s", ...register });
  device.answerPings();
  world.advance(seconds(600));
  expect([...world.sessions.all()].map(({ clientId }) => clientId)).toEqual(["k"]);
});
