import { describe, expect, it } from "vitest";
import { networkOf } from "#core/drive/unproven-peers.ts";
import { snWorld } from "../../support/mqtt-sn-device.ts";
import { fc } from "../../support/property.ts";

describe("peers whose address is not proven", () => {
  it("go for newcomers, the longest silent first, and nobody is refused", () => {
    const { world, network, device } = snWorld({}, { limits: { connections: 100, unproven: 50 } });
    device(1).connect("first");
    device(2).connect("second");
    for (let port = 0; port < 5000; port++) {
      const spoofed = device(10_000 + port, `192.0.${port & 0xff}.1`);
      expect(spoofed.connect(`s${port}`)).toEqual(["CONNACK code 0"]);
      // Who is heard stays.
      if (port % 20 === 0) expect(device(1).ping()).toEqual(["PINGRESP"]);
    }
    expect(device(2).ping()).toEqual(["DISCONNECT"]);
    expect(network.runtime.peers.count).toBeLessThanOrEqual(51);
    expect(network.runtime.unproven.count).toBe(50);
    expect(network.runtime.door.loops.size).toBe(50);
    expect(world.counter("unproven_displaced").value).toBeGreaterThan(4900);
    expect(world.notes.filter(({ note }) => note.event === "unproven-displaced")).toHaveLength(1);
    expect(world.notes.filter(({ note }) => note.event === "peer-refused")).toHaveLength(0);
  });

  it("of one network have a share, and only they pay for what is above it (/24, /64)", () => {
    const { device } = snWorld({}, { limits: { unprovenOfNetwork: 10 } });
    device(1, "198.51.100.7").connect("innocent");
    device(1, "2001:db8:1:2::1").connect("innocent6");
    for (let port = 0; port < 100; port++) {
      device(10_000 + port, `192.0.2.${port}`).connect(`s${port}`);
      device(10_000 + port, `2001:db8:9:9:${port.toString(16)}::1`).connect(`t${port}`);
    }
    expect(device(1, "198.51.100.7").ping()).toEqual(["PINGRESP"]);
    expect(device(1, "2001:db8:1:2::1").ping()).toEqual(["PINGRESP"]);
    expect(device(10_000, "192.0.2.0").ping()).toEqual(["DISCONNECT"]);
    expect(device(10_099, "192.0.2.99").ping()).toEqual(["PINGRESP"]);
  });

  it("a sleeper among them is found again by its client id, with what waited for it (MQTT-SN 1.2 §6.14)", () => {
    const { world, device } = snWorld({}, { limits: { unproven: 20 } });
    const d1 = device().asleep("d1", "a/b");
    world.publish("a/b", "x", { qos: 1 });
    for (let port = 0; port < 100; port++) device(20_000 + port, "192.0.2.1").connect(`s${port}`);
    d1.hear();
    expect(d1.ping("d1")).toEqual(['REGISTER 1 #1 "a/b"']);
    expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 #1 qos1 "x"']);
    expect(d1.puback(1, 1)).toEqual(["PINGRESP"]);
  });

  it("leave nothing behind, wherever they go", () => {
    const step = fc.record({ port: fc.nat(30), what: fc.nat(5) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const { world, network, device } = snWorld({}, { limits: { unproven: 10, unprovenOfNetwork: 6 } });
        for (const { port, what } of steps) {
          const each = device(port, `10.0.${port % 3}.1`);
          if (what < 2) each.connect(`d${port % 12}`, { clean: what === 0 });
          else if (what === 2) each.disconnect(30);
          else if (what === 3) each.ping(`d${port % 12}`);
          else if (what === 4) each.disconnect();
          else world.advance(10_000 as never);
          expect(network.runtime.unproven.count).toBe(network.runtime.peers.count);
          expect(network.runtime.unproven.count).toBe(network.runtime.door.loops.size);
          expect(network.runtime.unproven.count).toBeLessThanOrEqual(10);
        }
      }),
    );
  });

  it("networks are /24 of IPv4 and /64 of IPv6, however the address is written", () => {
    expect(networkOf("192.0.2.7")).toBe(networkOf("192.0.2.250"));
    expect(networkOf("192.0.2.7")).not.toBe(networkOf("192.0.3.7"));
    expect(networkOf("2001:db8::1")).toBe(networkOf("2001:db8:0:0:5::"));
    expect(networkOf("2001:db8::1")).not.toBe(networkOf("2001:db8:0:1::1"));
    expect(networkOf("::1")).toBe(networkOf("::2"));
  });
});
