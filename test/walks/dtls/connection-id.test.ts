import { describe, expect, it } from "vitest";
import { utf8 } from "#core/lib/bytes.ts";
import { minutes, seconds } from "#core/lib/time.ts";
import { DtlsDevice } from "../../support/dtls-device.ts";
import { DtlsWorld, SETTINGS } from "../../support/dtls-world.ts";

const texts = (world: DtlsWorld): string[] =>
  world.received.map(({ bytes }) => Buffer.from(bytes).toString());
const heard = (device: DtlsDevice): string[] => device.received.map((bytes) => Buffer.from(bytes).toString());

function connected(options: ConstructorParameters<typeof DtlsDevice>[1] = {}, world = new DtlsWorld()) {
  const device = new DtlsDevice(world, { cid: Uint8Array.of(0xc1, 0xd0), ...options });
  device.connect();
  expect(device.state).toBe("open");
  const [association] = world.listener.associations.all();
  return { world, device, association: association! };
}

describe("connection ids (RFC 9146)", () => {
  for (const cid of [Uint8Array.of(0xc1, 0xd0), new Uint8Array(0)]) {
    it(`are negotiated both ways, with ${cid.length} octets of the device's`, () => {
      const { world, device, association } = connected({ cid });
      expect(device.gatewayCid).toHaveLength(6);
      device.send("up");
      world.listener.write(association, utf8("down"));
      expect([texts(world), heard(device)]).toEqual([["up"], ["down"]]);
      // §4: a record of ours carries the device's, and its type hides, unless that is empty.
      expect(world.sent.at(-1)?.bytes[0]).toBe(cid.length === 0 ? 23 : 25);
    });
  }

  it("are not answered where none are configured, or the device offers none", () => {
    const off = { connectionId: { length: 0, draft: false, padTo: 1 } };
    const world = new DtlsWorld({ settings: off });
    const device = new DtlsDevice(world, { cid: Uint8Array.of(1) });
    device.connect();
    expect([device.state, device.gatewayCid.length]).toEqual(["open", 0]);
    const without = new DtlsDevice(new DtlsWorld());
    without.connect();
    expect(without.gatewayCid).toHaveLength(0);
  });

  it("let a device that slept behind a NAT go on from another address, without a handshake", () => {
    const { world, device, association } = connected();
    device.send("before");
    world.pass(minutes(90));
    device.move("203.0.113.77", 1024);
    device.send("after");
    expect(world.received.map(({ from }) => from)).toEqual(["192.0.2.1 40000", "203.0.113.77 1024"]);
    expect(world.received.map((one) => one.association)).toEqual([association, association]);
    world.listener.write(association, utf8("found you"));
    expect(heard(device)).toEqual(["found you"]);
    expect(world.outcomes).toHaveLength(1);
  });

  it("move nobody for a record that is forged, replayed, or not the newest (§6)", () => {
    const { world, device, association } = connected();
    const older = device.record(utf8("older"));
    const newer = device.record(utf8("newer"));
    device.sendBytes(newer);
    const forged = device.record(utf8("forged"));
    forged[forged.length - 1]! ^= 1;
    for (const record of [forged, newer]) world.send(record, "198.51.100.66", 666);
    expect(association).toMatchObject({ address: "192.0.2.1", port: 40_000 });
    // Older than the newest: it is content all the same, and says nothing about where the device is now.
    world.send(older, "198.51.100.66", 666);
    expect(texts(world)).toEqual(["newer", "older"]);
    expect(association).toMatchObject({ address: "192.0.2.1", port: 40_000 });
  });

  it("send to a fresh address three times what came from it, until it answers (§6)", () => {
    const { world, device, association } = connected();
    device.move("203.0.113.5", 5);
    device.send("x".repeat(20));
    const before = world.sent.length;
    for (let time = 0; time < 50; time++) world.listener.write(association, utf8("y".repeat(20)));
    const octets = world.sent.slice(before).reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(octets).toBeLessThanOrEqual(3 * (13 + 6 + 8 + 20 + 1 + 8));
    expect(world.dropped.filter((why) => why === "unproven").length).toBeGreaterThan(40);
    device.send("I hear you");
    for (let time = 0; time < 50; time++) world.listener.write(association, utf8("z"));
    expect(heard(device).filter((text) => text === "z")).toHaveLength(50);
  });

  it("are needed in every record once they are agreed (§4)", () => {
    const { world, device } = connected();
    const id = device.gatewayCid;
    device.gatewayCid = new Uint8Array(0);
    device.send("without");
    device.gatewayCid = id;
    device.send("with");
    expect(texts(world)).toEqual(["with"]);
    expect(world.dropped).toEqual(["unprotected"]);
  });

  it("carry padding, and take it off (§4)", () => {
    const world = new DtlsWorld({ settings: { connectionId: { ...SETTINGS.connectionId, padTo: 16 } } });
    const { device, association } = connected({}, world);
    device.send("hello");
    const sizes = ["a", "abcdef", "0123456789abcde"].map((text) => {
      world.listener.write(association, utf8(text));
      return world.sent.at(-1)!.bytes.length;
    });
    expect(new Set(sizes).size).toBe(1);
    expect(heard(device)).toEqual(["a", "abcdef", "0123456789abcde"]);
    const to = { epoch: 1, sequence: device.sequence++, cid: device.gatewayCid };
    device.sendBytes(device.writing!.seal(23, utf8("padded"), to, 40));
    expect(texts(world)).toEqual(["hello", "padded"]);
  });

  it("keep a device apart from another that gets its former address", () => {
    const { world, device } = connected();
    const second = new DtlsDevice(world, { cid: Uint8Array.of(7), identity: "dev1" });
    device.move("203.0.113.9", 9);
    device.send("moved");
    second.attach();
    second.connect();
    second.send("second");
    device.send("first");
    expect(world.listener.associations.size).toBe(2);
    expect(world.received.map(({ from }) => from)).toEqual([
      "203.0.113.9 9",
      "192.0.2.1 40000",
      "203.0.113.9 9",
    ]);
    world.pass(seconds(1));
  });
});
