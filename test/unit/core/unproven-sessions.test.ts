/** Sessions that outlive clients which perhaps never were: a forged datagram can make one, in every datagram gateway. */
import { describe, expect, it } from "vitest";
import { mqttSn } from "#gateways/mqtt-sn/index.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubOf } from "../../support/coap-site.ts";
import { Lives } from "../../support/lives.ts";
import { mqttSite } from "../../support/mqtt-device.ts";
import { SnDevice, snConfig, snWorld } from "../../support/mqtt-sn-device.ts";
import { fc } from "../../support/property.ts";
import type { World, WorldOptions } from "../../support/world.ts";

const LARGE = "x".repeat(200);

/** Forged CONNECTs with CleanSession=0, one datagram each. */
function forge(device: (port: number, address: string) => SnDevice, count: number, from = 0): void {
  for (let each = from; each < from + count; each++)
    device(1 + (each % 60_000), `192.0.${each & 0xff}.1`).connect(`forged-${each}`, { clean: false });
}

const ended = ({ notes }: World): number =>
  notes.filter(({ note }) => note.event === "unproven-sessions-ended").length;

/** Peers go early, so that sessions are without them. */
const sn = (options: WorldOptions = {}, limits = { unproven: 10 }) => snWorld({}, { ...options, limits });

/** Answers the question that a long message makes the gateway ask. */
function prove(world: World, device: SnDevice, topic: string): void {
  world.publish(topic, LARGE, { qos: 1 });
  const [, id = "", messageId = ""] = /REGISTER (\d+) #(\d+)/.exec(device.hear()[0] ?? "") ?? [];
  device.regack(Number(id), Number(messageId));
}

describe("sessions whose clients are away and have never proven their address", () => {
  it("have a bound, at which the oldest goes for the newest, which is said once", () => {
    const { world, device } = sn({ unproven: 50 });
    forge(device, 1000);
    expect(world.sessions.count).toBe(60);
    expect(world.sessions.get("mqtt-sn", "forged-999")).toBeDefined();
    expect(world.sessions.get("mqtt-sn", "forged-939")).toBeUndefined();
    expect(ended(world)).toBe(1);
  });

  it("keep nobody out where there is room for no more", () => {
    const { world, device } = sn({ unproven: 50, sessions: 40 });
    forge(device, 200);
    expect(world.sessions.count).toBe(40);
    expect(device(1, "10.0.0.9").connect("newcomer", { clean: false })).toEqual(["CONNACK code 0"]);
  });

  it("of clients that have talked outlive those of clients that were heard once", () => {
    const { world, device } = sn({ unproven: 50 });
    const d1 = device(1, "10.0.0.1");
    d1.connect("talks", { clean: false });
    d1.subscribe("a/b", 1);
    forge(device, 1000);
    expect(d1.connect("talks", { clean: false })).toEqual(["CONNACK code 0"]);
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.hear()).toEqual(['REGISTER 1 #1 "a/b"']);
  });

  it("are not those of a client that has proven its address, wherever it was last", () => {
    const { world, device } = sn({ unproven: 5 });
    const d1 = device(1, "10.0.0.1");
    d1.connect("proven", { clean: false });
    d1.subscribe("a/b", 1);
    prove(world, d1, "a/b");
    d1.disconnect();
    const d2 = device(2, "10.0.0.2");
    d2.connect("proven", { clean: false });
    d2.disconnect();
    for (let each = 0; each < 20; each++) {
      const other = device(100 + each, "10.0.0.3");
      other.connect(`talks-${each}`, { clean: false });
      other.disconnect();
    }
    expect(world.sessions.get("mqtt-sn", "proven")).toBeDefined();
    expect(world.sessions.count).toBe(6);
  });

  it("are none of streams", () => {
    const { world, device } = mqttSite({}, { unproven: 1 });
    for (let each = 0; each < 10; each++) {
      const client = device(5);
      client.connect(`c${each}`, { clean: false, properties: { sessionExpiryInterval: 1000 } });
      client.send({ cmd: "disconnect" });
    }
    expect(world.sessions.count).toBe(10);
  });

  it("are counted over all datagram gateways", () => {
    const { world, device } = sn({ unproven: 20 });
    const { network } = pubsubOf(world, { stack: { amplification: "large-only" } });
    for (let port = 1; port <= 100; port++)
      new CoapDevice(network, port).send({
        code: "POST",
        path: "mqtt/connection",
        query: [`clientid=c${port}`],
      });
    forge(device, 20);
    // Those whose heartbeat stays away leave a session for two hours.
    world.advance(120_000 as never);
    expect(world.sessions.count).toBeLessThanOrEqual(20 + 10);
  });

  it("are known as such after a crash", async () => {
    const lives = new Lives({ unproven: 20 });
    let device: (port: number, address: string) => SnDevice = () => new SnDevice(open(), 1, "");
    const open = () => {
      const endpoint = lives.world.open(mqttSn, snConfig()).endpoint({ name: "test", transport: "udp" });
      const network = lives.world.datagrams("mqtt-sn", endpoint);
      device = (port, address) => new SnDevice(network, port, address);
      return network;
    };
    open();
    forge((port, address) => device(port, address), 15);
    const d1 = device(1, "10.0.0.1");
    d1.connect("proven", { clean: false });
    d1.subscribe("a/b", 1);
    // What was told to the store before the proof does not stay.
    await lives.commit();
    prove(lives.world, d1, "a/b");
    await lives.commit();
    lives.kill(1000);
    lives.restore();
    open();
    expect(lives.world.sessions.unproven.count).toBe(15);
    forge((port, address) => device(port, address), 30, 100);
    for (const loop of [...lives.world.sessions.all()]) loop.occupant?.evict();
    expect(lives.world.sessions.count).toBe(21);
    expect(lives.world.sessions.get("mqtt-sn", "proven")).toBeDefined();
  });

  it("in any order of what clients do are as many as are away and not proven, and no more than the bound", () => {
    const step = fc.record({ client: fc.nat(14), what: fc.nat(5) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const { world, device } = sn({ unproven: 4 }, { unproven: 5 });
        for (const { client, what } of steps) {
          const each = device(client + 1, "10.0.0.1");
          if (what < 2) each.connect(`c${client}`, { clean: what === 0 });
          else if (what === 2) each.disconnect(30);
          else if (what === 3) each.ping(`c${client}`);
          else if (what === 4) each.disconnect();
          else world.advance(20_000 as never);
          let away = 0;
          for (const session of world.sessions.all())
            if (session.occupant === undefined && session.shown !== "proof") away++;
          expect(world.sessions.unproven.count).toBe(away);
          expect(away).toBeLessThanOrEqual(4);
        }
      }),
    );
  });
});
