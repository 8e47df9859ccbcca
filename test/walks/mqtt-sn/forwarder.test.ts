import { describe, expect, it } from "vitest";
import { sessionOf } from "../../support/engine-of-run.ts";
import { snWorld } from "../../support/mqtt-sn-device.ts";

describe("MQTT-SN 1.2 §5.5, devices behind a forwarder", () => {
  it("E1 answers to the forwarder, wrapped with the node id of the device", () => {
    const d1 = snWorld().device().behind("0a0b");
    expect(d1.connect("d1")).toEqual(["[0a0b] CONNACK code 0"]);
    expect(d1.register("a/b")).toEqual(["[0a0b] REGACK 1 #1 code 0"]);
    expect(d1.publish(1, "x", { qos: 1 })).toEqual(["[0a0b] PUBACK 1 #1 code 0"]);
  });

  it("E1 sends the very octets of §5.5", () => {
    const { device, network } = snWorld();
    const forwarder = device();
    network.deliver(Uint8Array.of(4, 0xfe, 1, 7, 7, 4, 4, 1, 0, 60, 0x61), forwarder.address, forwarder.port);
    expect(forwarder.hearBytes().map((bytes) => [...bytes])).toEqual([[4, 0xfe, 0, 7, 3, 5, 0]]);
  });

  it("E1 tells several devices behind one forwarder apart, and the forwarder itself", () => {
    const { world, device } = snWorld();
    const devices = ["01", "02", "0102"].map((node) => device().behind(node));
    const direct = device();
    for (const [index, each] of devices.entries()) {
      each.connect(`d${index}`, { clean: false });
      each.subscribe(`to/${index}`, 1);
    }
    expect(direct.connect("direct")).toEqual(["CONNACK code 0"]);
    for (const index of [2, 0, 1]) world.publish(`to/${index}`, `for ${index}`, { qos: 1 });
    expect(direct.hear()).toEqual([
      '[0102] PUBLISH 1 #1 qos1 "for 2"',
      '[01] PUBLISH 1 #1 qos1 "for 0"',
      '[02] PUBLISH 1 #1 qos1 "for 1"',
    ]);
    expect(devices[1]?.puback(1, 1)).toEqual([]);
    expect(sessionOf(world, "mqtt-sn", "d1")?.unsettled).toBe(0);
    expect(sessionOf(world, "mqtt-sn", "d0")?.unsettled).toBe(1);
  });

  it("E1 lets devices behind a forwarder sleep and wake", () => {
    const { world, device } = snWorld();
    const d1 = device().behind("01").asleep("d1", "a/b");
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.ping("d1")).toEqual(['[01] PUBLISH 1 #1 qos1 "x"']);
    expect(d1.puback(1, 1)).toEqual(["[01] PINGRESP"]);
  });

  it("E2 lets a sleeper move between forwarders, node ids and directly by PINGREQ", () => {
    const { world, device } = snWorld();
    const d1 = device(1).behind("01").asleep("d1", "a/b");
    world.publish("a/b", "1", { qos: 1 });
    d1.move(2).behind("99");
    expect(d1.ping("d1")).toEqual(['[99] PUBLISH 1 #1 qos1 "1"']);
    expect(d1.puback(1, 1)).toEqual(["[99] PINGRESP"]);
    d1.node = undefined;
    world.publish("a/b", "2", { qos: 1 });
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #2 qos1 "2"']);
    expect(d1.puback(1, 2)).toEqual(["PINGRESP"]);
  });

  it("E2 lets an active client move by CONNECT, and tells the old node", () => {
    const { device } = snWorld();
    const old = device(1).behind("01");
    old.connect("d1", { clean: false });
    expect(device(2).behind("02").connect("d1", { clean: false })).toEqual(["[02] CONNACK code 0"]);
    expect(old.hear()).toEqual(["[01] DISCONNECT"]);
  });

  it("E2 drops nested encapsulation, a missing message and node ids over 64 octets", () => {
    const { device, world } = snWorld();
    const forwarder = device();
    expect(forwarder.raw("04 FE 00 07 04 FE 00 08 07 04 04 01 00 3C 61")).toEqual([]);
    expect(forwarder.raw("04 FE 00 07")).toEqual([]);
    expect(forwarder.raw(`44 FE 00 ${"09".repeat(65)} 07 04 04 01 00 3C 61`)).toEqual([]);
    expect(forwarder.raw("04 FE 00 07 09 04 04 01 00 3C 61")).toEqual([]);
    expect(world.counter("malformed").value).toBe(4);
    expect(world.connects).toEqual([]);
  });

  it("E3 takes forwarders only from listed addresses where that is configured, and does not answer others", () => {
    const { device } = snWorld({ forwarders: { mode: "listed", addresses: ["10.0.0.1"] } });
    expect(device(1, "10.0.0.1").behind("01").connect("d1")).toEqual(["[01] CONNACK code 0"]);
    expect(device(1, "10.0.0.2").behind("01").connect("d2")).toEqual([]);
    const off = snWorld({ forwarders: { mode: "off" } });
    expect(off.device().behind("01").connect("d1")).toEqual([]);
  });

  it("E3 answers SEARCHGW through a forwarder with the radius in Ctrl", () => {
    const { network, device } = snWorld({ gatewayId: 5 });
    const searcher = device();
    network.deliver(Uint8Array.of(4, 0xfe, 0, 7, 3, 1, 2), searcher.address, searcher.port);
    expect(searcher.hearBytes().map((bytes) => [...bytes])).toEqual([[4, 0xfe, 2, 7, 3, 2, 5]]);
  });

  it("answers a stranger behind a forwarder by DISCONNECT, wrapped, and keeps nothing of it", () => {
    const { device, network } = snWorld();
    expect(device().behind("01").publish(1, "x", { qos: 1 })).toEqual(["[01] DISCONNECT"]);
    expect(network.runtime.peers.count).toBe(0);
  });

  it("takes QoS -1 through a forwarder", () => {
    const { world, device, network } = snWorld();
    const heard = world.listen("ab");
    expect(device().behind("01").publish(0x6162, "x", { qos: -1, type: 2 })).toEqual([]);
    expect(heard).toHaveLength(1);
    expect(network.runtime.peers.count).toBe(0);
  });
});
