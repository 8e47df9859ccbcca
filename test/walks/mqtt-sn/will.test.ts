import { describe, expect, it } from "vitest";
import type { Message } from "#core/bus/message.ts";
import { type SnDevice, snWorld } from "../../support/mqtt-sn-device.ts";

const LOST = 200_000;
const text = (message: Message | undefined): string => new TextDecoder().decode(message?.payload);

function withWill(device: SnDevice, clean = false): SnDevice {
  device.connect("d1", { clean, will: true });
  device.willTopic("will/d1", 1, true);
  device.willMessage("gone");
  return device;
}

describe("MQTT-SN 1.2 §6.4, updating the will", () => {
  it("W3 replaces topic, QoS and RETAIN, and the message, each on its own", () => {
    const { world, device, wait } = snWorld();
    const wills = world.listen("#");
    const d1 = withWill(device());
    expect(d1.willTopic("other", 2, false, true)).toEqual(["WILLTOPICRESP code 0"]);
    expect(d1.willMessage("changed", true)).toEqual(["WILLMSGRESP code 0"]);
    wait(LOST);
    expect(wills.map((will) => [will.topic, text(will), will.qos, will.retain])).toEqual([
      ["other", "changed", 2, false],
    ]);
  });

  it("W3 keeps the message when only the topic changes, and the topic when only the message does", () => {
    for (const [topic, message, expected] of [
      ["other", undefined, ["other", "gone"]],
      [undefined, "changed", ["will/d1", "changed"]],
    ] as const) {
      const { world, device, wait } = snWorld();
      const wills = world.listen("#");
      const d1 = withWill(device());
      if (topic !== undefined) d1.willTopic(topic, 0, false, true);
      if (message !== undefined) d1.willMessage(message, true);
      wait(LOST);
      expect(wills.map((will) => [will.topic, text(will)])).toEqual([expected]);
    }
  });

  it("W3 deletes topic and message at an empty WILLTOPICUPD", () => {
    const { world, device, wait } = snWorld();
    const wills = world.listen("#");
    const d1 = withWill(device());
    expect(d1.willTopic(undefined, 0, false, true)).toEqual(["WILLTOPICRESP code 0"]);
    expect(d1.willMessage("anything", true)).toEqual(["WILLMSGRESP code 3"]);
    wait(LOST);
    expect(wills).toEqual([]);
  });

  it("W4 refuses WILLMSGUPD without a will topic", () => {
    const device = snWorld().device();
    device.connect("d1");
    expect(device.willMessage("x", true)).toEqual(["WILLMSGRESP code 3"]);
    expect(device.willTopic("w", 0, false, true)).toEqual(["WILLTOPICRESP code 0"]);
    expect(device.willMessage("x", true)).toEqual(["WILLMSGRESP code 0"]);
  });

  it("W4 refuses a will topic with a wildcard, bad UTF-8, or QoS -1: RESP 3, and CONNACK 3 in the handshake", () => {
    const d1 = withWill(snWorld().device());
    expect(d1.willTopic("a/#", 0, false, true)).toEqual(["WILLTOPICRESP code 3"]);
    expect(d1.willTopic("a", -1, false, true)).toEqual(["WILLTOPICRESP code 3"]);
    expect(d1.raw("05 1A 00 C3 28")).toEqual(["WILLTOPICRESP code 3"]);
    expect(d1.raw("03 1A 00")).toEqual(["WILLTOPICRESP code 3"]);
    const d2 = snWorld().device();
    for (const topic of ["07 07 00 61 2F 2B 62", "05 07 00 C3 28", "04 07 60 61", "03 07 00"]) {
      d2.connect("d2", { will: true });
      expect(d2.raw(topic)).toEqual(["CONNACK code 3"]);
    }
  });

  it("W5 publishes the will when keep-alive runs out, with QoS and RETAIN as stored", () => {
    const { world, device, wait } = snWorld();
    const wills = world.listen("#");
    withWill(device());
    wait(LOST);
    expect(wills.map((will) => [will.topic, text(will), will.qos, will.retain])).toEqual([
      ["will/d1", "gone", 1, true],
    ]);
  });

  it("W5 publishes the will when the sleep timer runs out", () => {
    const { world, device, wait } = snWorld();
    const wills = world.listen("#");
    withWill(device()).disconnect(100);
    wait(109_000);
    expect(wills).toEqual([]);
    wait(2000);
    expect(wills.map(text)).toEqual(["gone"]);
  });

  it("W5 publishes no will on DISCONNECT, with or without a duration", () => {
    const { world, device } = snWorld();
    const wills = world.listen("#");
    const d1 = withWill(device());
    d1.disconnect(1000);
    d1.disconnect();
    expect(wills).toEqual([]);
    expect(withWill(d1).disconnect()).toEqual(["DISCONNECT"]);
    expect(wills).toEqual([]);
  });

  it("W6 publishes no will after an update and DISCONNECT", () => {
    const { world, device, wait } = snWorld();
    const wills = world.listen("#");
    const d1 = withWill(device());
    d1.willMessage("changed", true);
    d1.disconnect();
    wait(LOST);
    expect(wills).toEqual([]);
  });

  it("W7 keeps the will of a persistent session after it was published", () => {
    const { world, device, wait } = snWorld();
    const wills = world.listen("#");
    const d1 = withWill(device());
    wait(LOST);
    d1.hear();
    expect(d1.connect("d1", { clean: false })).toEqual(["CONNACK code 0"]);
    wait(LOST);
    expect(wills.map(text)).toEqual(["gone", "gone"]);
  });

  it("publishes the will under the mountpoint, and only if the ACL allows it (§7.1 t_will_publish_*)", () => {
    for (const allowed of [true, false]) {
      const { world, device, wait } = snWorld(
        {},
        {},
        { mountpoint: () => "site/", mayPublish: (_identity, topic) => allowed && topic === "will/d1" },
      );
      const wills = world.listen("#");
      withWill(device());
      wait(LOST);
      expect(wills.map((will) => will.topic)).toEqual(allowed ? ["site/will/d1"] : []);
    }
  });
});
