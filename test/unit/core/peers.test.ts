import { describe, expect, it } from "vitest";
import type { Roaming } from "#core/drive/peers.ts";
import { seconds } from "#core/lib/time.ts";
import { messageOf, Puppets, text } from "../../support/puppet.ts";
import { World } from "../../support/world.ts";

/** Datagrams are `name text`: the name is what the sender claims to be, `-` for nothing. */
function site(roaming: Roaming = "anywhere") {
  const world = new World({ roaming });
  const puppets = new Puppets();
  puppets.route = ({ bytes }) => {
    const [name = "-"] = Buffer.from(bytes).toString().split(" ");
    return name === "-" ? { to: "channel" } : { to: "channel", claim: name };
  };
  const network = world.datagrams("puppet", puppets);
  const device = network.device(1000);
  device.send(text("- hello"));
  puppets.last.host.claim("d");
  return { world, puppets, network, device, first: puppets.last };
}

describe("a device that claims its name from a new address", () => {
  it.each([
    ["anywhere", "another host", 2000, "10.9.9.9", true],
    ["anywhere", "another port", 2000, "10.0.0.1", true],
    ["same-host", "another host", 2000, "10.9.9.9", false],
    ["same-host", "another port", 2000, "10.0.0.1", true],
    ["never", "another port", 2000, "10.0.0.1", false],
  ] as const)("is, with roaming %s and %s, followed: %5$s", (roaming, _where, port, address, followed) => {
    const { puppets, device, first, network } = site(roaming);
    device.move(port, address);
    device.send(text("d there"));
    expect(puppets.all).toHaveLength(followed ? 1 : 2);
    expect(first.received.includes("d there")).toBe(followed);
    expect(network.runtime.peers.moved).toBe(followed ? 1 : 0);
  });

  it("is answered there, and its former address is free for another", () => {
    const { puppets, device, first, world, network } = site();
    device.move(2000);
    device.send(text("d there"));
    first.host.send(text("answer"));
    world.settle();
    expect(device.take().map((bytes) => Buffer.from(bytes).toString())).toEqual(["answer"]);
    network.device(1000).send(text("- someone else"));
    expect(puppets.all).toHaveLength(2);
    expect(first.host.peer.port).toBe(2000);
  });

  it("takes the address over from a device that had it before, which is gone", () => {
    const { puppets, device, first, network } = site();
    network.device(2000).send(text("- other"));
    const other = puppets.last;
    device.move(2000);
    device.send(text("d there"));
    expect(other.log).toEqual(["closed"]);
    device.send(text("- again"));
    expect(first.received).toEqual(["- hello", "d there", "- again"]);
  });

  it("is not believed once it has taken its claim back, or another has made it", () => {
    const { puppets, device, first, network } = site();
    network.device(3000).send(text("- other"));
    puppets.last.host.claim("d");
    const other = puppets.last;
    device.move(2000);
    device.send(text("d there"));
    expect(other.received).toContain("d there");
    other.host.unclaim("d");
    network.device(4000).send(text("d nobody"));
    expect(puppets.all).toHaveLength(3);
    expect(first.received).toEqual(["- hello"]);
  });

  it("is forgotten with its claims when its channel closes", () => {
    const { puppets, device, first } = site();
    first.host.close("done");
    device.move(2000);
    device.send(text("d there"));
    expect(puppets.all).toHaveLength(2);
  });
});

describe("datagrams", () => {
  it("of several devices behind one address are told apart by their node", () => {
    const world = new World();
    const puppets = new Puppets();
    puppets.route = ({ bytes }) => ({ to: "channel", node: String(bytes[0]) });
    const network = world.datagrams("puppet", puppets);
    for (const node of [1, 2, 1]) network.device(1).send(Uint8Array.of(node));
    expect(puppets.all.map(({ host }) => host.peer.node)).toEqual(["1", "2"]);
    expect(puppets.all.map(({ received }) => received.length)).toEqual([2, 1]);
  });

  it("that belong to nobody are counted, and strangers are answered without a channel", () => {
    const world = new World();
    const puppets = new Puppets();
    const network = world.datagrams("puppet", puppets);
    puppets.route = () => ({ to: "nobody", why: "noise" });
    network.device(1).send(text("x"));
    puppets.route = () => ({ to: "sender", bytes: text("go away") });
    const stranger = network.device(2);
    stranger.send(text("x"));
    expect(stranger.take().map((bytes) => Buffer.from(bytes).toString())).toEqual(["go away"]);
    expect([puppets.all.length, network.runtime.dropped]).toEqual([0, 1]);
  });

  it("that are sent while a batch is read leave after it, in one batch", () => {
    const world = new World();
    const puppets = new Puppets();
    puppets.prepare = (puppet) => {
      puppet.onReceive = (bytes) => puppet.host.send(bytes);
    };
    const network = world.datagrams("puppet", puppets);
    const batches: number[] = [];
    const send = network.send.bind(network);
    network.send = (batch) => {
      batches.push(batch.length);
      send(batch);
    };
    const from = (port: number) => ({ bytes: text("x"), address: "10.0.0.1", port });
    network.deliverAll([from(1), from(2), from(1)]);
    expect(batches).toEqual([3]);
  });

  it("announce the gateway at the beacon's period, and not while it has nothing to say", () => {
    const world = new World({ beaconTo: [{ address: "10.0.0.255", port: 9 }] });
    const puppets = new Puppets();
    let healthy = true;
    puppets.beacon = { period: seconds(10), bytes: () => (healthy ? text("here") : undefined) };
    const network = world.datagrams("puppet", puppets);
    world.advance(seconds(25));
    const heard = () => network.sent.get("10.0.0.255:9")?.length;
    expect(heard()).toBe(3);
    healthy = false;
    world.advance(seconds(20));
    expect(heard()).toBe(3);
  });
});

it("a channel that fails is closed alone, and others go on", () => {
  const { world, puppets, network } = site();
  const heard = world.listen("t");
  const failures: string[] = [];
  world.core.note = (_gateway, note) => void failures.push(note.event);
  const bad = network.device(5);
  bad.send(text("- x"));
  puppets.last.onReceive = () => {
    throw new Error("our bug");
  };
  const failing = puppets.last;
  bad.send(text("- y"));
  network.device(6).send(text("- z"));
  puppets.last.connect("ok").publish(messageOf("t", "m"), 1);
  expect(failures).toEqual(["channel-failure"]);
  expect(world.core.counters.channelFailures.value).toBe(1);
  expect(heard).toHaveLength(1);
  bad.send(text("- again"));
  expect(failing.received).not.toContain("- again");
});
