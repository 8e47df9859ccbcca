import { describe, expect, it } from "vitest";
import { snWorld } from "../../support/mqtt-sn-device.ts";

const beaconTo = [{ address: "10.0.0.255", port: 1884 }];

describe("MQTT-SN 1.2 §6.1, advertisement and discovery", () => {
  it("G1 broadcasts ADVERTISE on its beat with the real time to the next one", () => {
    const { device, wait } = snWorld(
      { gatewayId: 9, discovery: { advertise: true, interval: "15m" } },
      { beaconTo },
    );
    const everybody = device(1884, "10.0.0.255");
    wait(0);
    expect(everybody.hear()).toEqual(["ADVERTISE 9 900"]);
    wait(899_000);
    expect(everybody.hear()).toEqual([]);
    wait(1000);
    expect(everybody.hear()).toEqual(["ADVERTISE 9 900"]);
  });

  it("G1 is off by default", () => {
    const { device, wait } = snWorld({}, { beaconTo });
    wait(10_000_000);
    expect(device(1884, "10.0.0.255").hear()).toEqual([]);
  });

  it("G2 advertises and answers only while the bus accepts messages", () => {
    const { world, device, wait } = snWorld(
      { discovery: { advertise: true, interval: "60s" } },
      { beaconTo },
    );
    const everybody = device(1884, "10.0.0.255");
    world.healthy = false;
    wait(300_000);
    expect(everybody.hear()).toEqual([]);
    expect(device().raw("03 01 00")).toEqual([]);
    world.healthy = true;
    wait(60_000);
    expect(everybody.hear()).toEqual(["ADVERTISE 1 60"]);
  });

  it("G3 answers SEARCHGW at once by GWINFO with its id and no address (§7.1 t_broadcast_test1)", () => {
    const { device } = snWorld({ gatewayId: 77 });
    expect(device().raw("03 01 00")).toEqual(["GWINFO 77"]);
    expect(device(2).raw("01 00 05 01 01")).toEqual(["GWINFO 77"]);
  });

  it("G3 broadcasts GWINFO too where that is configured", () => {
    const { device } = snWorld({ discovery: { broadcastInfo: true } }, { beaconTo });
    expect(device().raw("03 01 01")).toEqual(["GWINFO 1"]);
    expect(device(1884, "10.0.0.255").hear()).toEqual(["GWINFO 1"]);
  });

  it("G3 answers a SEARCHGW to all after a random time where that is configured, and one to itself at once", () => {
    const { network, wait } = snWorld({ discovery: { searchDelay: "5s" }, unknownReplies: 100 });
    const search = Uint8Array.of(3, 1, 0);
    const devices = Array.from({ length: 20 }, (_, index) => network.device(10_000 + index));
    for (const device of devices) device.sendToGroup(search);
    const answered = (): number => devices.filter((device) => device.take().length > 0).length;
    expect(answered()).toBe(0);
    const counts = Array.from({ length: 5 }, () => {
      wait(1000);
      return answered();
    });
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(20);
    expect(Math.max(...counts)).toBeLessThan(20);
    const path = { address: "10.0.0.9", port: 1, key: "10.0.0.9:1", toGroup: false };
    network.deliverAll([{ bytes: search, address: "10.0.0.9", port: 1, path }]);
    expect(network.device(1, "10.0.0.9").take()).toHaveLength(1);
  });

  it("G3 leaves a SEARCHGW to another gateway whose GWINFO it hears first, and not to itself", () => {
    const { network, device, wait } = snWorld({ gatewayId: 1, discovery: { searchDelay: "5s" } });
    const searcher = network.device();
    searcher.sendToGroup(Uint8Array.of(3, 1, 0));
    device(1884, "10.0.0.2").raw("03 02 02");
    wait(5000);
    expect(searcher.take()).toEqual([]);
    searcher.sendToGroup(Uint8Array.of(3, 1, 0));
    device(1884, "10.0.0.3").raw("03 02 01");
    wait(5000);
    expect(searcher.take()).toHaveLength(1);
  });

  it("G4 makes no state of SEARCHGW, answers each sender once a second, and drops a wrong length", () => {
    const { device, network, wait } = snWorld();
    const d1 = device();
    expect(d1.raw("03 01 00")).toEqual(["GWINFO 1"]);
    for (let repeat = 0; repeat < 100; repeat++) expect(d1.raw("03 01 00")).toEqual([]);
    wait(1000);
    expect(d1.raw("03 01 00")).toEqual(["GWINFO 1"]);
    expect(device(2).raw("04 01 00 00")).toEqual([]);
    expect(device(3).raw("02 01")).toEqual([]);
    expect(network.runtime.peers.count).toBe(0);
    const quiet = snWorld({ discovery: { search: false } });
    expect(quiet.device().raw("03 01 00")).toEqual([]);
  });

  it("G5 stands by: it advertises when it has missed the other gateway's beats, and stops when that is back", () => {
    const { device, wait } = snWorld(
      { discovery: { advertise: true, interval: "60s", standby: true, missed: 3 } },
      { beaconTo },
    );
    const everybody = device(1884, "10.0.0.255");
    const active = device(1884, "10.0.0.2");
    for (let beat = 0; beat < 10; beat++) {
      active.raw("05 00 02 00 3C");
      wait(60_000);
    }
    expect(everybody.hear()).toEqual([]);
    wait(120_000);
    expect(everybody.hear()).toEqual(["ADVERTISE 1 60"]);
    active.raw("05 00 02 00 3C");
    wait(60_000);
    expect(everybody.hear()).toEqual([]);
  });

  it("G6 drops and counts ADVERTISE, GWINFO and all that only a gateway sends, from anybody", () => {
    const { world, device, network } = snWorld();
    const fromGateway = [
      "05 00 01 03 84",
      "03 02 07",
      "05 02 07 AB CD",
      "03 05 00",
      "02 06",
      "02 08",
      "08 13 40 00 05 00 02 00",
      "04 15 00 03",
      "03 1B 00",
      "03 1D 03",
    ];
    const stranger = device(1);
    for (const message of fromGateway) expect(stranger.raw(message)).toEqual([]);
    const d1 = device(2);
    d1.connect("d1");
    for (const message of fromGateway) expect(d1.raw(message)).toEqual([]);
    expect(world.counter("dropped").value).toBe(2 * fromGateway.length);
    expect(d1.ping()).toEqual(["PINGRESP"]);
    expect(network.runtime.peers.count).toBe(1);
  });
});
