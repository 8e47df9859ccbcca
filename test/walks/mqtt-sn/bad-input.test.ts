import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { snWorld } from "../../support/mqtt-sn-device.ts";

const malformed: { name: string; bytes: string }[] = JSON.parse(
  readFileSync(new URL("../../vectors/mqtt-sn/malformed.json", import.meta.url), "utf8"),
);

describe("MQTT-SN 1.2, bad input", () => {
  it.each(malformed)("is dropped without an answer and without a trace: $name", ({ bytes }) => {
    const { world, device, network } = snWorld();
    const stranger = device(1);
    expect(stranger.raw(bytes)).toEqual([]);
    expect(network.runtime.peers.count).toBe(0);
    const d1 = device(2);
    d1.connect("d1");
    expect(d1.raw(bytes)).toEqual([]);
    expect(d1.ping()).toEqual(["PINGRESP"]);
    expect(world.counter("malformed").value).toBe(2);
  });

  it("disconnects a client after so many malformed messages, and no other one", () => {
    const { device } = snWorld({ malformedMax: 5 });
    const [d1, d2] = [device(1), device(2)];
    d1.connect("d1");
    d2.connect("d2");
    for (let count = 0; count < 4; count++) expect(d1.raw("06 0C 00 00 05 00")).toEqual([]);
    expect(d1.raw("06 0C 00 00 05 00")).toEqual(["DISCONNECT"]);
    expect(d2.ping()).toEqual(["PINGRESP"]);
  });

  it("answers CONNECT without a client id by CONNACK 3, and one cut in its fixed part not at all", () => {
    const { device } = snWorld();
    expect(device(1).raw("06 04 04 01 00 3C")).toEqual(["CONNACK code 3"]);
    expect(device(2).raw("05 04 04 01 00")).toEqual([]);
  });

  it("drops PINGREQ with a client id over the limit", () => {
    const { device } = snWorld();
    expect(device(1).ping("x".repeat(129))).toEqual([]);
    const d1 = device(2);
    d1.connect("d1");
    expect(d1.ping("x".repeat(129))).toEqual([]);
  });

  it("drops an oversized datagram of a stranger, and answers a client's QoS 1 and 2 by PUBACK 3", () => {
    const { world, device } = snWorld({ messageSizeMax: 100 });
    const heard = world.listen("#");
    const d1 = device(1);
    d1.connect("d1");
    d1.register("a");
    const big = "x".repeat(200);
    expect(d1.publish(1, big, { qos: 1, id: 5 })).toEqual(["PUBACK 1 #5 code 3"]);
    expect(d1.publish(1, big, { qos: 2, id: 6 })).toEqual(["PUBACK 1 #6 code 3"]);
    expect(d1.publish(1, "x".repeat(80), { qos: 1, id: 7 })).toEqual(["PUBACK 1 #7 code 0"]);
    expect(heard).toHaveLength(1);
    expect(device(2).publish(0x6162, big, { qos: -1, type: 2 })).toEqual([]);
    expect(heard).toHaveLength(1);
  });

  it("answers well-formed messages from an endpoint with no session by DISCONNECT, malformed ones by nothing (K5)", () => {
    const { device } = snWorld();
    expect(device(1).raw("07 0C 00 00 01 00 00")).toEqual(["DISCONNECT"]);
    expect(device(2).raw("06 0C 00 00 01 00")).toEqual([]);
  });

  it("a flood of one endpoint is answered by congestion, and ends nothing", () => {
    const { device } = snWorld({}, { limits: { messageRate: 10 } });
    const [d1, d2] = [device(1), device(2)];
    d1.connect("d1");
    d2.connect("d2");
    for (let count = 0; count < 2000; count++) d1.publish(0x6162, "x", { type: 2 });
    expect(d1.ping()).toEqual(["PINGRESP"]);
    expect(d2.publish(0x6162, "x", { qos: 1, type: 2 })).toEqual([`PUBACK ${0x6162} #1 code 0`]);
  });

  it("an interrupted will handshake leaves nothing behind, whatever interrupts it", () => {
    const { world, device, network, wait } = snWorld();
    for (const [port, message] of malformed.entries()) {
      const d1 = device(port + 1);
      d1.connect(`d${port}`, { will: true });
      d1.raw(message.bytes);
      expect(d1.willTopic("w")).toEqual(["WILLMSGREQ"]);
      d1.raw(message.bytes);
    }
    wait(100_000);
    expect(world.sessions.count).toBe(0);
    expect(network.runtime.peers.count).toBe(0);
  });
});
