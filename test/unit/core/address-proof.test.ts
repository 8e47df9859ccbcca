import { expect, it } from "vitest";
import { Puppets } from "../../support/puppet.ts";
import { World } from "../../support/world.ts";

function setup() {
  const world = new World();
  const puppets = Object.assign(new Puppets(), { unprovenFactor: 3 });
  const network = world.datagrams("test", puppets);
  const device = network.device();
  const send = (length: number): void => device.send(new Uint8Array(length));
  const sent = (): number[] => device.take().map(({ length }) => length);
  const give = (length: number): void => {
    puppets.last.host.send(new Uint8Array(length));
    world.settle();
  };
  return { world, puppets, network, device, send, sent, give };
}

it("sends an unproven address three times what came from it in all, and no byte more (RFC 9175 §2.4)", () => {
  const { world, puppets, send, sent, give } = setup();
  send(10);
  expect(puppets.last.host.reachability.allowance).toBe(30);
  give(20);
  give(11);
  give(10);
  give(1);
  expect(sent()).toEqual([20, 10]);
  expect(world.counter("datagrams_unproven_dropped").value).toBe(2);
  send(1);
  give(3);
  expect(sent()).toEqual([3]);
});

it("takes 32 bits for a proof, and sends whatever it likes then", () => {
  const { puppets, send, sent, give } = setup();
  send(1);
  const { host } = puppets.last;
  expect([host.reachability.evidence(16), host.reachability.evidence(15)]).toEqual([false, false]);
  expect(host.reachability.evidence(1)).toBe(true);
  expect(host.reachability.evidence(64)).toBe(false);
  expect(host.reachability.allowance).toBe(Number.POSITIVE_INFINITY);
  give(1000);
  expect(sent()).toEqual([1000]);
});

it("asks for one bit more after each wrong guess, up to 64, none of which may lie in between", () => {
  const { puppets, send } = setup();
  send(1);
  const { host } = puppets.last;
  expect(host.reachability.evidence(31)).toBe(false);
  host.reachability.doubt();
  expect(host.reachability.evidence(32)).toBe(false);
  for (let guess = 0; guess < 100; guess++) host.reachability.doubt();
  expect([host.reachability.evidence(32), host.reachability.evidence(31)]).toEqual([false, false]);
  expect(host.reachability.evidence(1)).toBe(true);
});

it("begins anew at another address", () => {
  const { puppets, network, send } = setup();
  send(1);
  puppets.last.host.claim("me");
  puppets.last.host.reachability.evidence(64);
  puppets.route = () => ({ to: "channel", claim: "me" });
  network.device(20_000).send(new Uint8Array(5));
  expect(puppets.all).toHaveLength(1);
  expect(puppets.last.host.reachability.allowance).toBe(15);
});

it("holds what is answered past all channels to the same bound", () => {
  const { puppets, device, send, sent } = setup();
  puppets.route = () => ({ to: "sender", bytes: new Uint8Array(6) });
  send(1);
  send(2);
  expect(sent()).toEqual([6]);
  puppets.route = () => ({ to: "channel" });
  send(2);
  puppets.route = () => ({ to: "sender", bytes: new Uint8Array(6) });
  device.send(new Uint8Array(1));
  device.send(new Uint8Array(1));
  expect(sent()).toEqual([6, 6]);
});

it("bounds nothing where the endpoint does not ask for it, and nothing on streams", () => {
  const world = new World();
  const puppets = new Puppets();
  world.datagrams("test", puppets).device().send(new Uint8Array(1));
  expect(puppets.last.host.reachability.allowance).toBe(Number.POSITIVE_INFINITY);
  const streams = Object.assign(new Puppets(), { unprovenFactor: 3 });
  world.streams("test", streams).connect();
  expect(streams.last.host.reachability.allowance).toBe(Number.POSITIVE_INFINITY);
});
