import { describe, expect, it } from "vitest";
import { ContentType, HandshakeType } from "#core/dtls/constants.ts";
import { fragmentOf } from "#core/dtls/handshake/message.ts";
import { DtlsMemory } from "#core/dtls/memory.ts";
import { plainRecord } from "#core/dtls/record.ts";
import { minutes, seconds } from "#core/lib/time.ts";
import { DtlsDevice } from "../../support/dtls-device.ts";
import { DtlsWorld, SETTINGS } from "../../support/dtls-world.ts";
import { mulberry32 } from "../../support/random.ts";

const limits = (some: object) => ({ settings: { limits: { ...SETTINGS.limits, ...some } } });

/** Answers the cookie and then says nothing more. */
function silent(world: DtlsWorld, address: string, port: number): void {
  const device = new DtlsDevice(world, { address, port, flight: () => [], wait: minutes(60) });
  device.connect();
}

describe("a flood beside devices that work", () => {
  it("of records that are forged or of nobody is dropped, counted, not answered, and costs a device nothing", () => {
    const world = new DtlsWorld();
    const device = new DtlsDevice(world, { cid: Uint8Array.of(1) });
    device.connect();
    const random = mulberry32(5);
    const sent = world.sent.length;
    const good = device.record(new Uint8Array(20));
    for (let count = 0; count < 20_000; count++) {
      const bad = new Uint8Array(good);
      bad[14 + Math.floor(random() * (bad.length - 14))]! ^= 1 + Math.floor(random() * 255);
      // From its own address, and from others that would like to move it.
      if (count % 2 === 0) world.send(bad, device.address, device.port);
      else world.send(bad, `203.0.113.${count % 250}`, count);
    }
    expect(world.sent.length).toBe(sent);
    expect(world.dropped.length).toBeGreaterThanOrEqual(20_000);
    expect(world.listener.handshakes).toBe(0);
    device.send("still here");
    expect(world.received).toHaveLength(1);
    expect(world.received[0]?.from).toBe(`${device.address} ${device.port}`);
  });

  it("of ClientHellos from forged addresses is remembered nowhere, and others shake hands meanwhile", () => {
    const world = new DtlsWorld(limits({ handshakes: 4 }));
    const forger = new DtlsDevice(world, { port: 9 });
    const message = { type: HandshakeType.clientHello, sequence: 0, body: forger.hello() };
    const hello = plainRecord(ContentType.handshake, 0, fragmentOf(message, 0, message.body.length));
    for (let count = 0; count < 5_000; count++)
      world.send(hello, `198.51.${count >> 8}.${count & 255}`, 5684);
    expect(world.listener.handshakes).toBe(0);
    const device = new DtlsDevice(world);
    device.connect();
    expect(device.state).toBe("open");
  });

  it("of handshakes from one address that are not brought to an end costs other addresses no place", () => {
    const world = new DtlsWorld(limits({ handshakes: 10, handshakesPerAddress: 100 }));
    for (let port = 1; port <= 50; port++) silent(world, "203.0.113.1", port);
    expect(world.listener.handshakes).toBe(10);
    for (let port = 1; port <= 5; port++) {
      const device = new DtlsDevice(world, { address: "192.0.2.7", port });
      device.connect();
      expect(device.state).toBe("open");
    }
    expect(world.outcomes).toContain("none too_many");
  });

  it("is the same for all ports of an address and all addresses of a /64 (IPv6)", () => {
    const world = new DtlsWorld(limits({ handshakes: 10 }));
    for (let count = 1; count <= 50; count++) silent(world, `2001:db8::${count.toString(16)}`, 1);
    const device = new DtlsDevice(world, { address: "2001:db8:1::1" });
    device.connect();
    expect(device.state).toBe("open");
  });

  it("of handshakes in one second ends at the limit of its address, and begins again with the next", () => {
    const world = new DtlsWorld(limits({ handshakesPerAddress: 3 }));
    const open = (port: number) => {
      const device = new DtlsDevice(world, { port });
      device.connect();
      return device.state === "open";
    };
    expect([1, 2, 3, 4, 5].map(open)).toEqual([true, true, true, false, false]);
    expect(world.outcomes.filter((outcome) => outcome === "none too_fast")).toHaveLength(2);
    world.pass(seconds(2));
    expect(open(6)).toBe(true);
  });
});

describe("the memory that all listeners share", () => {
  it("is bounded: the listener that has most gives up the associations that were idle for longest", () => {
    const memory = new DtlsMemory(120_000);
    const [big, small] = [new DtlsWorld({ memory }), new DtlsWorld({ memory })];
    const connect = (world: DtlsWorld, port: number) => {
      const device = new DtlsDevice(world, { port });
      device.connect();
      return device;
    };
    const few = [1, 2, 3].map((port) => connect(small, port));
    const many = Array.from({ length: 60 }, (_, index) => connect(big, index + 1));
    expect(many.at(-1)!.state).toBe("open");
    expect(many[0]!.state).toBe("closed");
    expect(big.listener.octets + small.listener.octets).toBeLessThanOrEqual(120_000);
    expect(few.map(({ state }) => state)).toEqual(["open", "open", "open"]);
    expect(small.listener.associations.size).toBe(3);
  });
});
