/** Requests that were sent to a multicast group (RFC 7252 §8). */
import { describe, expect, it } from "vitest";
import type { World } from "#core/testing/index.ts";
import { CoapDevice, packet, type Sent } from "../../support/coap-device.ts";
import { type Overrides, stackWorld } from "../../support/coap-site.ts";

const CORE: Sent = { type: "NON", path: ".well-known/core", token: "grp" };
const advance = (world: World, length: number): void =>
  world.advance(length as Parameters<World["advance"]>[0]);

function group(overrides: Overrides = {}, seed = 1) {
  const of = stackWorld(overrides, { seed });
  const device = new CoapDevice(of.network);
  return {
    ...of,
    device,
    toGroup: (sent: Sent) => device.device.sendToGroup(packet(sent)),
    wait: (length: number) => advance(of.world, length),
  };
}

describe("a request to a group for /.well-known/core", () => {
  it("is answered after a random time of at most DEFAULT_LEISURE, without memory of the peer (§8.2)", () => {
    const times = new Set<number>();
    for (let seed = 1; seed <= 20; seed++) {
      const { toGroup, device, network, wait } = group({}, seed);
      toGroup({ ...CORE, id: 7 });
      let answers = device.take();
      let time = 0;
      for (; answers.length === 0 && time <= 5000; time += 100) {
        wait(100);
        answers = device.take();
      }
      expect(time).toBeLessThanOrEqual(5000);
      times.add(time);
      expect(answers).toMatchObject([{ type: "NON", code: "2.05", token: "grp" }]);
      expect(answers[0]?.payload).toContain("</t>");
      expect(network.runtime.peers.count).toBe(0);
    }
    expect(times.size).toBeGreaterThan(10);
  });

  it("is answered at once with a leisure of zero", () => {
    const { toGroup, device, wait } = group({ leisure: "0s" });
    toGroup(CORE);
    wait(0);
    expect(device.take()).toHaveLength(1);
  });

  it("has one answer coming, however often it is asked meanwhile", () => {
    const { toGroup, device, wait, network } = group();
    for (let id = 1; id <= 10; id++) toGroup({ ...CORE, id });
    wait(5000);
    expect(device.take()).toHaveLength(1);
    expect(network.runtime.dropped).toBe(9);
    toGroup({ ...CORE, id: 11 });
    wait(5000);
    expect(device.take()).toHaveLength(1);
  });

  it("filters, and is silent where nothing is found (RFC 6690 §4.1)", () => {
    const { toGroup, device, wait } = group();
    toGroup({ ...CORE, query: ["if=sensor"] });
    wait(5000);
    expect(device.take()[0]?.payload).toBe('</u>;if="sensor";title="the second"');
    toGroup({ ...CORE, query: ["rt=nobody"] });
    wait(5000);
    expect(device.take()).toEqual([]);
  });

  it("gets the first block where all is more than three times the request, and the rest by itself (RFC 9175 §2.4)", () => {
    const { toGroup, device, wait } = group({ amplification: "large-only" });
    const length = packet(CORE).length;
    toGroup(CORE);
    wait(5000);
    const [first] = device.take();
    expect(first?.bytes.length).toBeLessThanOrEqual(3 * length);
    const block = first?.number(23) ?? 0;
    expect([block >> 4, block & 8]).toEqual([0, 8]);
    let whole = first!.payload;
    for (let number = 1, more = true; more; number++) {
      const next = device.ask({ path: ".well-known/core", options: [[23, number * 16 + (block & 7)]] });
      expect(next.code).toBe("2.05");
      expect(next.raw(4)).toEqual(first?.raw(4));
      whole += next.payload;
      more = ((next.number(23) ?? 0) & 8) !== 0;
    }
    expect(whole).toBe('</t>;rt="test.one test.two";ct=0;obs,</u>;if="sensor";title="the second"');
    expect(first?.number(28)).toBe(whole.length);
  });

  it("is not answered any more when the listener closes meanwhile", () => {
    const { toGroup, device, wait, network } = group();
    toGroup(CORE);
    network.runtime.close();
    wait(10_000);
    expect(device.take()).toEqual([]);
  });
});

describe("anything else that a group was sent", () => {
  it.each([
    ["a confirmable request (§8.1)", { ...CORE, type: "CON" }],
    ["a request for something else", { type: "NON", path: "t" }],
    ["a request that nobody serves, and would be 4.04", { type: "NON", path: "nothing" }],
    ["another method", { ...CORE, code: "PUT" }],
    ["a critical option that is unknown, and would be 4.02", { ...CORE, options: [[2049, "x"]] }],
    ["another format, which would be 4.06", { ...CORE, options: [[17, 50]] }],
    ["a later block", { ...CORE, options: [[23, 16]] }],
    ["a ping, which would be reset (§8.1)", { type: "CON", code: "0.00" }],
  ] as [string, Sent][])("does nothing and is not answered: %s", (_, sent) => {
    const { toGroup, device, wait, network, site } = group();
    toGroup(sent);
    wait(10_000);
    expect(device.take()).toEqual([]);
    expect(site.executed).toBe(0);
    expect(network.runtime.peers.count).toBe(0);
    expect(network.runtime.dropped).toBe(1);
  });

  it("nor are bytes that are no message, from a peer that is known, either", () => {
    const { device, wait, network } = group();
    device.ask({ path: "t" });
    for (const bytes of [[], [0x40], [0x4f, 1, 0, 1], [0x40, 1, 0, 1, 0xff]])
      device.device.sendToGroup(Uint8Array.from(bytes));
    wait(1000);
    expect(device.take()).toEqual([]);
    expect(network.runtime.dropped).toBe(4);
  });
});
