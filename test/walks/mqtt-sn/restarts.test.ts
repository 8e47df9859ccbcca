/** Wills and sleep times over restarts of the gateway, in every way of stopping (MQTT-SN 1.2 §6.14). */
import { describe, expect, it } from "vitest";
import type { Message } from "#core/bus/message.ts";
import { mqttSn } from "#gateways/mqtt-sn/index.ts";
import { Lives } from "../../support/lives.ts";
import { SnDevice, snConfig } from "../../support/mqtt-sn-device.ts";
import type { DatagramNetwork } from "../../support/world.ts";

type Stop = "killed" | "terminated";

/** A gateway that stops and starts, and the devices in front of it, who know nothing of that. */
class Gateway {
  readonly lives = new Lives();
  network!: DatagramNetwork;
  wills: Message[] = [];

  constructor() {
    this.#open();
  }

  device(port = 10_000): SnDevice {
    return new SnDevice(this.network, port, "10.0.0.1");
  }

  wait(length: number): void {
    this.lives.world.advance(length as never);
  }

  async stop(how: Stop, downFor: number): Promise<void> {
    if (how === "terminated") {
      for (const loop of [...this.network.runtime.door.loops]) loop.stop("shutdown");
    }
    await this.lives.commit();
    this.lives.kill(downFor);
    this.#open();
  }

  /** How long from now until the will comes; undefined when it does not within the limit. */
  until(limit: number): number | undefined {
    for (let waited = 0; waited <= limit; waited += 1000) {
      if (this.wills.length > 0) return waited;
      this.wait(1000);
    }
    return undefined;
  }

  #open(): void {
    const { world } = this.lives;
    this.wills = world.listen("will/#");
    this.lives.restore();
    const endpoint = world.open(mqttSn, snConfig()).endpoint({ name: "test", transport: "udp" });
    this.network = world.datagrams("mqtt-sn", endpoint);
  }
}

function connectWithWill(device: SnDevice, clean: boolean, keepAlive = 60): void {
  device.connect("d1", { clean, will: true, keepAlive });
  device.willTopic("will/d1", 1);
  expect(device.willMessage("gone")).toEqual(["CONNACK code 0"]);
}

const ways: [Stop, boolean][] = [
  ["killed", false],
  ["killed", true],
  ["terminated", false],
  ["terminated", true],
];

describe.each(ways)("MQTT-SN 1.2 §6.14, a gateway that is %s, CleanSession %s", (how, clean) => {
  it("a sleeper's will comes when its sleep time is over, not at the restart", async () => {
    const gateway = new Gateway();
    const d1 = gateway.device();
    connectWithWill(d1, clean);
    d1.disconnect(100);
    gateway.wait(30_000);
    await gateway.stop(how, 10_000);
    expect(gateway.wills).toEqual([]);
    // 110 s from its last sign of life (§7.2), of which 40 s are over.
    expect(gateway.until(200_000)).toBe(70_000);
    expect(gateway.wills.map(({ topic, qos }) => [topic, qos])).toEqual([["will/d1", 1]]);
  });

  it("the time of a sleeper counts from its last wake-up", async () => {
    const gateway = new Gateway();
    const d1 = gateway.device();
    connectWithWill(d1, clean);
    d1.disconnect(100);
    gateway.wait(95_000);
    expect(d1.ping("d1")).toEqual(["PINGRESP"]);
    gateway.wait(20_000);
    await gateway.stop(how, 0);
    expect(gateway.until(200_000)).toBe(90_000);
  });

  it("a sleeper that wakes up in time finds its buffer, and no will is published", async () => {
    const gateway = new Gateway();
    const d1 = gateway.device();
    connectWithWill(d1, clean);
    d1.subscribe("a/b", 1);
    d1.disconnect(100);
    gateway.lives.world.publish("a/b", "x", { qos: 1 });
    gateway.wait(30_000);
    await gateway.stop(how, 10_000);
    const again = gateway.device(20_000);
    expect(again.ping("d1")).toEqual(['REGISTER 1 #1 "a/b"']);
    expect(again.regack(1, 1)).toEqual(['PUBLISH 1 #1 qos1 "x"']);
    expect(again.puback(1, 1)).toEqual(["PINGRESP"]);
    gateway.wait(109_000);
    expect(gateway.wills).toEqual([]);
    gateway.wait(1000);
    expect(gateway.wills).toHaveLength(1);
    expect(again.hear()).toEqual(["DISCONNECT"]);
    expect(again.ping("d1")).toEqual(["DISCONNECT"]);
  });

  it("a sleeper that comes too late is not found: DISCONNECT", async () => {
    const gateway = new Gateway();
    const d1 = gateway.device();
    connectWithWill(d1, clean);
    d1.disconnect(100);
    gateway.wait(30_000);
    await gateway.stop(how, 10_000);
    gateway.wait(71_000);
    expect(gateway.device().ping("d1")).toEqual(["DISCONNECT"]);
    expect(gateway.wills).toHaveLength(1);
    const connected = gateway.device(3).connect("d1", { clean: false });
    expect(connected).toEqual(["CONNACK code 0"]);
    expect(gateway.lives.world.sessions.count).toBe(1);
  });

  it("an active device's will comes when its keep-alive is over, an eighth later at most", async () => {
    const gateway = new Gateway();
    const d1 = gateway.device();
    connectWithWill(d1, clean);
    for (let minute = 0; minute < 5; minute++) {
      gateway.wait(60_000);
      expect(d1.ping()).toEqual(["PINGRESP"]);
    }
    gateway.wait(10_000);
    await gateway.stop(how, 20_000);
    expect(gateway.wills).toEqual([]);
    const left = gateway.until(200_000);
    expect(left).toBeGreaterThanOrEqual(60_000);
    expect(left).toBeLessThanOrEqual(60_000 + 90_000 / 8 + 1000);
  });

  it("an active device that connects again keeps its will back", async () => {
    const gateway = new Gateway();
    connectWithWill(gateway.device(), clean);
    await gateway.stop(how, 20_000);
    expect(gateway.device().publish(1, "x", { qos: 1 })).toEqual(["DISCONNECT"]);
    connectWithWill(gateway.device(), clean);
    gateway.wait(89_000);
    expect(gateway.wills).toEqual([]);
    gateway.wait(2000);
    expect(gateway.wills).toHaveLength(1);
  });

  it("a will whose time is over while the gateway is away comes at its start, once", async () => {
    const gateway = new Gateway();
    const d1 = gateway.device();
    connectWithWill(d1, clean);
    d1.disconnect(100);
    await gateway.stop(how, 3_600_000);
    expect(gateway.wills).toHaveLength(1);
    await gateway.stop(how, 1000);
    expect(gateway.wills).toEqual([]);
    gateway.wait(3_600_000);
    expect(gateway.wills).toEqual([]);
  });

  it("a second restart takes nothing from the time, and adds nothing", async () => {
    const gateway = new Gateway();
    const d1 = gateway.device();
    connectWithWill(d1, clean);
    d1.disconnect(100);
    for (let life = 0; life < 3; life++) {
      gateway.wait(10_000);
      await gateway.stop(life === 1 ? "killed" : how, 10_000);
      expect(gateway.wills).toEqual([]);
    }
    expect(gateway.until(200_000)).toBe(50_000);
  });

  it("a device that said goodbye has no will, and a clean session leaves nothing", async () => {
    const gateway = new Gateway();
    const d1 = gateway.device();
    connectWithWill(d1, clean);
    expect(d1.disconnect()).toEqual(["DISCONNECT"]);
    await gateway.stop(how, 10_000);
    gateway.wait(3_600_000);
    expect(gateway.wills).toEqual([]);
    if (clean) expect(gateway.lives.engine.records).toBe(0);
  });

  it("nothing of a clean session is left in the store once its device is lost", async () => {
    const gateway = new Gateway();
    const d1 = gateway.device();
    connectWithWill(d1, clean);
    d1.subscribe("a/b", 1);
    d1.disconnect(100);
    gateway.lives.world.publish("a/b", "x", { qos: 1 });
    await gateway.stop(how, 1000);
    gateway.wait(200_000);
    await gateway.lives.commit();
    if (clean) expect(gateway.lives.engine.records).toBe(0);
    else expect(gateway.lives.world.sessions.count).toBe(1);
  });
});

describe("MQTT-SN 1.2 §6.14, a device that loses its address to another one", () => {
  it.each([false, true])("is expected as long as it would have been there, CleanSession %s", (clean) => {
    const gateway = new Gateway();
    connectWithWill(gateway.device(), clean);
    gateway.wait(30_000);
    expect(gateway.device().connect("d2")).toEqual(["CONNACK code 0"]);
    gateway.wait(59_000);
    expect(gateway.wills).toEqual([]);
    gateway.wait(1000);
    expect(gateway.wills).toHaveLength(1);
    expect(gateway.lives.world.sessions.count).toBe(clean ? 1 : 2);
  });
});

describe("MQTT-SN 1.2 §6.14, a sleeper that is lost", () => {
  it.each([false, true])("is no sleeper any more: PINGREQ gets DISCONNECT, CleanSession %s", (clean) => {
    const gateway = new Gateway();
    const d1 = gateway.device();
    connectWithWill(d1, clean);
    d1.subscribe("a/b", 1);
    d1.disconnect(100);
    gateway.wait(110_000);
    expect(d1.hear()).toEqual(["DISCONNECT"]);
    gateway.lives.world.publish("a/b", "x", { qos: 1 });
    expect(d1.ping("d1")).toEqual(["DISCONNECT"]);
    // A clean session has ended with its sleep; the other one waits for CONNECT.
    expect(gateway.lives.world.sessions.count).toBe(clean ? 0 : 1);
    expect(d1.connect("d1", { clean: false })).toEqual([
      "CONNACK code 0",
      ...(clean ? [] : ['REGISTER 1 #1 "a/b"']),
    ]);
  });
});
