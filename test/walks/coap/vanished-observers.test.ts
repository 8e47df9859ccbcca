/** Observers that vanish, and sessions that come back: nothing acknowledged is lost, nothing is told to another. */
import { expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";

const OBSERVE = 6;
const register = { options: [[OBSERVE, 0]] as const };

/** Acknowledges all that comes until nothing comes any more; the payloads that are not empty, by token. */
function drain(device: CoapDevice): string[] {
  const told: string[] = [];
  for (let heard = device.take(); heard.length > 0; heard = device.take()) {
    for (const each of heard) {
      if (each.payload !== "") told.push(`${each.token}:${each.payload}`);
      if (each.type === "CON") device.acknowledge(each.id);
    }
  }
  return told;
}

it.each([0, 3, 94])(
  "tells a session resumed after %i s for one topic nothing that is meant for another",
  (away) => {
    const { world, network } = pubsubWorld();
    const first = new CoapDevice(network, 10_000);
    // Several, so that whatever counts them from the clock has counted beyond the seconds until the return.
    for (const name of ["a", "a2", "a3", "a4", "a5"])
      first.send({ path: `ps/sx/${name}`, query: ["clientid=k"], token: name, ...register });
    drain(first);
    world.publish("sx/a", "while it dies", { qos: 1 });
    world.publish("sx/a4", "while it dies", { qos: 1 });
    world.advance(seconds(away));
    const second = new CoapDevice(network, 20_000);
    second.send({ path: "ps/sx/b", query: ["clientid=k"], token: "b", ...register });
    world.publish("sx/a", "while it observes b", { qos: 1 });
    expect(drain(second)).toEqual([]);
    world.publish("sx/b", "for b", { qos: 1 });
    expect(drain(second)).toEqual(["b:for b"]);
    second.send({ path: "ps/sx/a", query: ["clientid=k"], token: "A", ...register });
    expect(drain(second)).toEqual(["A:while it dies", "A:while it observes b"]);
    second.send({ path: "ps/sx/a4", query: ["clientid=k"], token: "A4", ...register });
    expect(drain(second)).toEqual(["A4:while it dies"]);
  },
);

it.each([1, 10])(
  "loses no QoS 1 message of a device with several observations that vanishes (window %i)",
  (window) => {
    const { world, network } = pubsubWorld({ subscribe: { window } });
    const first = new CoapDevice(network, 10_000);
    const observe = (device: CoapDevice): void => {
      for (const name of ["a", "b", "c"])
        device.send({ path: `ps/${name}`, query: ["clientid=k"], token: `t${name}`, ...register });
    };
    observe(first);
    drain(first);
    for (const [topic, payload] of [
      ["a", "1"],
      ["a", "2"],
      ["b", "3"],
      ["c", "4"],
      ["a", "5"],
    ] as const)
      world.publish(topic, payload, { qos: 1 });
    world.advance(seconds(600));
    world.publish("b", "6", { qos: 1 });
    expect(network.runtime.peers.count).toBe(0);
    const second = new CoapDevice(network, 20_000);
    const told: string[] = [];
    for (const name of ["c", "b", "a"]) {
      second.send({ path: `ps/${name}`, query: ["clientid=k"], token: `t${name}`, ...register });
      told.push(...drain(second));
    }
    expect(told.filter((each) => each.startsWith("ta"))).toEqual(["ta:1", "ta:2", "ta:5"]);
    expect(told.filter((each) => each.startsWith("tb"))).toEqual(["tb:3", "tb:6"]);
    expect(told.filter((each) => each.startsWith("tc"))).toEqual(["tc:4"]);
  },
);

it("takes a peer that does not acknowledge one notification for gone, with all that it observes", () => {
  const { world, network, held } = pubsubWorld();
  const device = new CoapDevice(network, 10_000);
  for (const name of ["a", "b", "c"])
    device.send({ path: `ps/${name}`, query: [`clientid=${name}`], token: name, ...register });
  drain(device);
  world.publish("a", "x", { qos: 1 });
  world.advance(seconds(94));
  expect(held().observations).toBe(0);
  expect(world.disconnects).toHaveLength(3);
});

it("goes on with the other observations when one is ended with a notification of it under way", () => {
  const { world, network } = pubsubWorld();
  const device = new CoapDevice(network, 10_000);
  for (const name of ["a", "b"])
    device.send({ path: `ps/${name}`, query: ["clientid=k"], token: name, ...register });
  drain(device);
  world.publish("a", "never acknowledged", { qos: 1 });
  device.send({ path: "ps/a", query: ["clientid=k"], token: "a", options: [[OBSERVE, 1]] });
  device.take();
  world.publish("b", "after it", { qos: 1 });
  expect(drain(device)).toEqual(["b:after it"]);
});

// ---- nothing happens on the topic

it("finds out that an observer has vanished also when nothing is published on its topic (RFC 7641 §4.5)", () => {
  const { world, network, held } = pubsubWorld();
  for (let port = 1; port <= 20; port++) {
    const device = new CoapDevice(network, port);
    device.send({ path: "ps/quiet", token: "q", ...register });
    if (port % 2 === 0)
      device.send({ path: "ps/other", query: [`clientid=${port}`], token: "o", ...register });
  }
  world.advance(seconds(120 + 93 + 1));
  expect(held().observations).toBe(0);
  world.advance(seconds(300));
  expect(network.runtime.peers.count).toBe(0);
  expect(held()).toEqual({ exchanges: 0, replyBytes: 0, bodyBytes: 0, observations: 0 });
});

it("keeps a silent observer that answers the ping, and does not ask one that is heard", () => {
  const { world, network, held } = pubsubWorld();
  const device = new CoapDevice(network, 10_000);
  device.ask({ path: "ps/quiet", token: "q", ...register });
  world.advance(seconds(100));
  device.ask({ code: "PUT", path: "ps/x", payload: "heard" });
  world.advance(seconds(119));
  expect(device.take()).toEqual([]);
  world.advance(seconds(2));
  expect(device.answerPings()).toEqual([]);
  world.advance(seconds(119));
  expect(device.take()).toEqual([]);
  expect(held().observations).toBe(1);
  world.publish("quiet", "still here");
  expect(device.take()).toMatchObject([{ token: "q", payload: "still here" }]);
});
