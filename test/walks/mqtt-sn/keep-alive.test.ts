import { describe, expect, it } from "vitest";
import { snWorld } from "../../support/mqtt-sn-device.ts";

describe("MQTT-SN 1.2 §6.11, §6.12, keep-alive and disconnect", () => {
  it.each([
    [10, 15],
    [60, 90],
    [100, 110],
    [65_535, 72_088.5],
  ])("K1 gives a keep-alive of %i s a tolerance up to %d s (§7.2)", (keepAlive, patience) => {
    const { world, device, wait } = snWorld();
    device().connect("d1", { keepAlive });
    wait(patience * 1000 - 1);
    expect(world.disconnects).toHaveLength(0);
    wait(1);
    expect(world.disconnects).toMatchObject([{ how: "silent" }]);
  });

  it("K1 restarts the timer with any message", () => {
    const { world, device, wait } = snWorld();
    const d1 = device();
    d1.connect("d1", { keepAlive: 10 });
    for (let index = 0; index < 5; index++) {
      wait(14_000);
      d1.publish(1, "x");
    }
    expect(world.disconnects).toHaveLength(0);
    wait(15_000);
    expect(world.disconnects).toHaveLength(1);
  });

  it("K2 sends one DISCONNECT to a silent client and forgets its connection", () => {
    const { device, wait, network } = snWorld();
    const d1 = device();
    d1.connect("d1", { keepAlive: 10 });
    wait(15_000);
    expect(d1.hear()).toEqual(["DISCONNECT"]);
    expect(network.runtime.peers.count).toBe(0);
    wait(100_000);
    expect(d1.hear()).toEqual([]);
  });

  it("K2 asks once by PINGREQ before it gives up, where that is configured; PINGRESP is a sign of life (K3)", () => {
    const { device, wait } = snWorld({ probe: true });
    const d1 = device();
    d1.connect("d1", { keepAlive: 10 });
    wait(15_000);
    expect(d1.hear()).toEqual(["PINGREQ"]);
    expect(d1.raw("02 17")).toEqual([]);
    wait(14_000);
    expect(d1.hear()).toEqual([]);
    wait(1000);
    expect(d1.hear()).toEqual(["PINGREQ"]);
    wait(10_000);
    expect(d1.hear()).toEqual(["DISCONNECT"]);
  });

  it("K3 answers PINGREQ of an active client at once, also with its own client id", () => {
    const { world, device } = snWorld();
    const d1 = device();
    d1.connect("d1");
    d1.subscribe("a/b", 1);
    world.publish("a/b", "x", { qos: 1 });
    d1.hear();
    expect(d1.ping()).toEqual(["PINGRESP"]);
    expect(d1.ping("d1")).toEqual(["PINGRESP"]);
  });

  it("K4 answers DISCONNECT, ends the connection without a will, and answers repeats", () => {
    const { world, device, wait } = snWorld();
    const wills = world.listen("#");
    const d1 = device();
    d1.connect("d1", { will: true });
    d1.willTopic("w");
    d1.willMessage("gone");
    expect(d1.disconnect()).toEqual(["DISCONNECT"]);
    expect(world.disconnects).toHaveLength(1);
    expect(d1.disconnect()).toEqual(["DISCONNECT"]);
    wait(1000);
    expect(d1.disconnect()).toEqual(["DISCONNECT"]);
    expect(wills).toEqual([]);
  });

  it("K4 answers DISCONNECT as the very first message (§7.1 t_first_disconnect)", () => {
    expect(snWorld().device().disconnect()).toEqual(["DISCONNECT"]);
    expect(snWorld().device().disconnect(100)).toEqual(["DISCONNECT"]);
  });

  it("K5 answers DISCONNECT to a message that maps to no session, makes no channel, and not without end", () => {
    const { device, network, wait } = snWorld({ unknownReplies: 3 });
    const stranger = device(1);
    expect(stranger.publish(1, "x", { qos: 1 })).toEqual(["DISCONNECT"]);
    expect(stranger.publish(1, "x", { qos: 1 })).toEqual([]);
    wait(1000);
    for (const send of [
      () => stranger.subscribe("a"),
      () => device(2).ping(),
      () => device(3).puback(1, 1),
      () => device(4).pubrel(1),
    ]) {
      const answer = send();
      expect(answer).toEqual(answer.length === 0 ? [] : ["DISCONNECT"]);
    }
    expect(device(5).register("a")).toEqual([]);
    expect(network.runtime.peers.count).toBe(0);
  });

  it("K5 does not play DISCONNECT back and forth with another gateway", () => {
    const { device } = snWorld();
    const other = device();
    let answers = 0;
    for (let turn = 0; turn < 100; turn++) answers += other.disconnect().length;
    expect(answers).toBe(1);
  });

  it("K6 answers every repeat in the same way and without side effects", () => {
    const { world, device } = snWorld();
    const d1 = device();
    d1.connect("d1");
    for (let repeat = 0; repeat < 3; repeat++) {
      expect(d1.register("a/b", 1)).toEqual(["REGACK 1 #1 code 0"]);
      expect(d1.subscribe("a/b", 1, 0, 2)).toEqual(["SUBACK 1 #2 qos1 code 0"]);
      expect(d1.unsubscribe("x", 0, 3)).toEqual(["UNSUBACK #3"]);
    }
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.hear()).toHaveLength(1);
  });
});
