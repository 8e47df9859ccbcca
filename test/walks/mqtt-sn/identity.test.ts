import { describe, expect, it } from "vitest";
import type { LoginRequest } from "#core/contract/client.ts";
import { Clients } from "#core/operate/clients.ts";
import { snWorld } from "../../support/mqtt-sn-device.ts";
import { permissive } from "../../support/world.ts";

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes);

/** A world whose policy writes down what it is asked. */
function asking(config: Record<string, unknown>, files?: Record<string, Uint8Array>) {
  const asked: LoginRequest[] = [];
  const made = snWorld(config, files === undefined ? {} : { files }, {
    authenticate: (request, peer, now) => {
      asked.push(request as LoginRequest);
      return permissive("mqtt-sn").authenticate(request, peer, now);
    },
  });
  return { ...made, asked };
}

describe("credentials of devices, which MQTT-SN 1.2 cannot send", () => {
  it("come from templates with client id, address and node", () => {
    const { device, asked } = asking({
      credentials: { username: "sn/%c@%a/%n%%", password: "secret-%c" },
    });
    device().behind("0a").connect("d1");
    expect([asked[0]?.username, text(asked[0]?.password)]).toEqual(["sn/d1@10.0.0.1/0a%", "secret-d1"]);
  });

  it("come from a list, and from a file; the list wins over the templates", () => {
    const { device, asked } = asking(
      {
        credentials: {
          username: "everybody",
          clients: [{ client: "d1", username: "alice", password: "a" }],
          file: "clients.json",
        },
      },
      { "clients.json": new TextEncoder().encode('[{"client": "d2", "username": "bob"}]') },
    );
    for (const [port, id] of ["d1", "d2", "d3"].entries()) device(port + 1).connect(id);
    expect(asked.map((each) => [each.username, text(each.password)])).toEqual([
      ["alice", "a"],
      ["bob", undefined],
      ["everybody", undefined],
    ]);
  });

  it("refuse devices that are not listed where that is configured", () => {
    const { device } = asking({ credentials: { listedOnly: true, clients: [{ client: "d1" }] } });
    expect(device(1).connect("d1")).toEqual(["CONNACK code 0"]);
    expect(device(2).connect("d2")).toEqual(["CONNACK code 3"]);
    expect(device(3).ping("d3")).toEqual(["DISCONNECT"]);
  });

  it("are none by default", () => {
    const { device, asked } = asking({});
    device().connect("d1");
    expect([asked[0]?.username, asked[0]?.password]).toEqual([undefined, undefined]);
  });
});

describe("MQTT-SN 1.2 §4.2, aggregating mode", () => {
  it("asks for one shared identity upstream, and keeps queue, will and access rules each device's own", () => {
    const { world, device, asked } = asking({ mode: "aggregating", aggregateClientId: "site-7" });
    const [d1, d2] = [device(1), device(2)];
    d1.asleep("d1", "a/b");
    d2.connect("d2");
    d2.publish(0x6162, "x", { qos: -1, type: 2 });
    device(3).publish(0x6162, "x", { qos: -1, type: 2 });
    expect(asked.map((each) => [each.clientId, each.aggregate])).toEqual([
      ["d1", "site-7"],
      ["d2", "site-7"],
      ["mqtt-sn-anonymous", "site-7"],
    ]);
    world.publish("a/b", "x", { qos: 1 });
    expect(d2.hear()).toEqual([]);
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos1 "x"']);
  });

  it("is off by default: each device is its own", () => {
    const { device, asked } = asking({});
    device().connect("d1");
    expect(asked[0]?.aggregate).toBeUndefined();
  });
});

describe("a device and the core", () => {
  it("is said goodbye to when an operator ends its session, and a stranger from then on", () => {
    const { world, device, network } = snWorld();
    const d1 = device();
    d1.connect("d1");
    for (const loop of [...network.runtime.door.loops]) loop.stop("kicked");
    world.settle();
    expect(d1.hear()).toEqual(["DISCONNECT"]);
    expect(d1.ping()).toEqual(["DISCONNECT"]);
  });

  it("does not lose its will to a shutdown: it is kept for the next start, and not published", () => {
    const { world, device, network } = snWorld();
    const wills = world.listen("#");
    const d1 = device();
    d1.connect("d1", { clean: false, will: true });
    d1.willTopic("will");
    d1.willMessage("gone");
    d1.disconnect(3600);
    for (const loop of [...network.runtime.door.loops]) loop.stop("shutdown");
    world.settle();
    expect(wills).toEqual([]);
    expect(d1.hear()).toEqual(["DISCONNECT"]);
  });

  it("is found asleep after a restart by its client id, with buffer, topic ids and will", () => {
    const { world, device, network, wait } = snWorld();
    const wills = world.listen("will");
    const d1 = device();
    d1.connect("d1", { clean: false, will: true });
    d1.willTopic("will");
    d1.willMessage("gone");
    d1.subscribe("a/b", 1);
    d1.disconnect(100);
    for (const loop of [...network.runtime.door.loops]) loop.stop("shutdown");
    world.publish("a/b", "x", { qos: 1 });
    world.settle();
    d1.hear();
    d1.move(20_000);
    expect(d1.ping("d1")).toEqual(['REGISTER 1 #1 "a/b"']);
    expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 #1 qos1 "x"']);
    expect(d1.puback(1, 1)).toEqual(["PINGRESP"]);
    wait(200_000);
    expect(wills).toHaveLength(1);
  });

  it("shows its state, buffer and when it counts as lost", () => {
    const { world, device, network } = snWorld();
    device().asleep("d1", "a/b", { sleep: 100 });
    world.publish("a/b", "x", { qos: 1 });
    const [loop] = [...network.runtime.door.loops];
    const clients = new Clients(world.core, world.gateways);
    expect(loop?.closed).toBe(false);
    expect(clients.get("mqtt-sn", "d1")).toMatchObject({ state: "asleep", queued: 1 });
    expect(clients.get("mqtt-sn", "d1")?.detail).toEqual({
      topicIds: [{ id: 1, topic: "a/b", state: "known" }],
      cleanSession: false,
      inFlight: 0,
      patience: 110_000,
      lostAt: world.now + 110_000,
    });
  });
});
