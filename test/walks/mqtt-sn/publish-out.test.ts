import { describe, expect, it } from "vitest";
import { sessionOf } from "../../support/engine-of-run.ts";
import { snWorld, TRUSTED } from "../../support/mqtt-sn-device.ts";

function subscribed(config = {}, qos: 0 | 1 | 2 = 2) {
  const made = snWorld({ ...TRUSTED, ...config });
  const d1 = made.device();
  d1.connect("d1", { clean: false, keepAlive: 3600 });
  d1.subscribe("a/b", qos);
  return { ...made, d1 };
}

describe("MQTT-SN 1.2 §6.10, PUBLISH to a client", () => {
  it("O2 keeps the order over topics that have to be announced first", () => {
    const { world, d1 } = subscribed();
    d1.subscribe("n/#", 0);
    for (let index = 0; index < 20; index++) world.publish(`n/${index % 4}`, `${index}`);
    world.publish("a/b", "last");
    const got: string[] = [];
    for (let heard = d1.hear(); heard.length > 0; ) {
      const next: string[] = [];
      for (const line of heard) {
        const register = /^REGISTER (\d+) #(\d+)/.exec(line);
        if (register !== null) next.push(...d1.regack(Number(register[1]), Number(register[2])));
        else got.push(/"(.*)"/.exec(line)?.[1] ?? "");
      }
      heard = next;
    }
    expect(got).toEqual([...Array.from({ length: 20 }, (_, index) => `${index}`), "last"]);
  });

  it("O2 lets nothing overtake a message that waits for REGACK (§7.1 enqueue_delivering_messages)", () => {
    const { world, d1 } = subscribed();
    d1.subscribe("n/#", 1);
    world.publish("n/1", "first", { qos: 1 });
    world.publish("a/b", "second");
    expect(d1.hear()).toEqual(['REGISTER 2 #1 "n/1"']);
    expect(d1.regack(2, 1)).toEqual(['PUBLISH 2 #1 qos1 "first"', 'PUBLISH 1 qos0 "second"']);
  });

  it("O3 has one QoS 1 or 2 exchange in flight", () => {
    const { world, d1 } = subscribed();
    for (const payload of ["1", "2", "3"]) world.publish("a/b", payload, { qos: payload === "2" ? 2 : 1 });
    expect(d1.hear()).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    expect(d1.puback(1, 1)).toEqual(['PUBLISH 1 #2 qos2 "2"']);
    expect(d1.pubrec(2)).toEqual(["PUBREL #2"]);
    expect(d1.pubcomp(2)).toEqual(['PUBLISH 1 #3 qos1 "3"']);
    expect(d1.puback(1, 3)).toEqual([]);
  });

  it("O3 has more where that is configured", () => {
    const { world, d1 } = subscribed({ inFlight: 3 });
    for (const payload of ["1", "2", "3", "4"]) world.publish("a/b", payload, { qos: 1 });
    expect(d1.hear()).toHaveLength(3);
    expect(d1.puback(1, 2)).toEqual(['PUBLISH 1 #4 qos1 "4"']);
  });

  it("O4 repeats with DUP after T_retry, N_retry times; the client is lost by its keep-alive, the message stays", () => {
    const { world, d1, wait } = subscribed();
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.hear()).toEqual(['PUBLISH 1 #1 qos1 "x"']);
    for (let repeat = 0; repeat < 3; repeat++) {
      wait(9_999);
      expect(d1.hear()).toEqual([]);
      wait(1);
      expect(d1.hear()).toEqual(['PUBLISH 1 #1 qos1 dup "x"']);
    }
    wait(3_600_000 * 1.1 - 30_001);
    expect(d1.hear()).toEqual([]);
    wait(1);
    expect(d1.hear()).toEqual(["DISCONNECT"]);
    expect(d1.connect("d1", { clean: false })).toEqual(["CONNACK code 0", 'REGISTER 1 #1 "a/b"']);
    expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 #1 qos1 dup "x"']);
    expect(d1.puback(1, 1)).toEqual([]);
  });

  it("O4 repeats again at the next sign of life", () => {
    const { world, d1, wait } = subscribed();
    world.publish("a/b", "x", { qos: 1 });
    wait(600_000);
    d1.hear();
    expect(d1.ping()).toEqual(["PINGRESP", 'PUBLISH 1 #1 qos1 dup "x"']);
    wait(10_000);
    expect(d1.hear()).toEqual(['PUBLISH 1 #1 qos1 dup "x"']);
    expect(d1.puback(1, 1)).toEqual([]);
    expect(sessionOf(world, "mqtt-sn", "d1")?.unsettled).toBe(0);
  });

  it("O4 repeats PUBREL without asking for the message again, also after a reconnect", () => {
    const { world, d1, wait } = subscribed();
    world.publish("a/b", "x", { qos: 2 });
    d1.hear();
    expect(d1.pubrec(1)).toEqual(["PUBREL #1"]);
    expect(d1.pubrec(1)).toEqual(["PUBREL #1"]);
    wait(10_000);
    expect(d1.hear()).toEqual(["PUBREL #1"]);
    d1.disconnect();
    expect(d1.connect("d1", { clean: false })).toEqual(["CONNACK code 0", "PUBREL #1"]);
    expect(d1.pubcomp(1)).toEqual([]);
    expect(sessionOf(world, "mqtt-sn", "d1")?.unsettled).toBe(0);
  });

  it("O4 says DUP only when it repeats", () => {
    const { world, d1 } = subscribed();
    world.publish("a/b", "1", { qos: 2 });
    world.publish("a/b", "2", { qos: 2 });
    expect(d1.hear()).toEqual(['PUBLISH 1 #1 qos2 "1"']);
    d1.pubrec(1);
    expect(d1.pubcomp(1)).toEqual(['PUBLISH 1 #2 qos2 "2"']);
  });

  it("O5 drops what is too long, silently to the client and loudly to the operator, and goes on", () => {
    const { world, d1 } = subscribed({ messageSizeMax: 1000 });
    world.publish("a/b", "x".repeat(5000), { qos: 1 });
    world.publish("a/b", "x".repeat(989), { qos: 1 });
    world.publish("a/b", "fits", { qos: 1 });
    const [first] = d1.hear();
    expect(first?.length).toBe('PUBLISH 1 #2 qos1 ""'.length + 989);
    expect(d1.puback(1, 2)).toEqual(['PUBLISH 1 #3 qos1 "fits"']);
    expect(world.counter("too_long").value).toBe(1);
    expect(world.notes.map(({ note }) => note.event)).toContain("too-long");
    expect(sessionOf(world, "mqtt-sn", "d1")?.unsettled).toBe(1);
  });

  it("O5 drops a message whose topic does not fit into REGISTER", () => {
    const { world, d1 } = subscribed({ messageSizeMax: 64 });
    d1.subscribe("n/#", 1);
    world.publish(`n/${"x".repeat(100)}`, "1", { qos: 1 });
    expect(d1.hear()).toEqual([]);
    world.publish("a/b", "2", { qos: 1 });
    expect(d1.hear()).toEqual(['PUBLISH 1 #2 qos1 "2"']);
  });

  it("O5 sends 5,000 octets whole in the long form", () => {
    const { world, d1 } = subscribed();
    world.publish("a/b", "x".repeat(5000));
    const [bytes] = d1.hearBytes();
    expect([bytes?.length, bytes?.[0], bytes?.[1], bytes?.[2], bytes?.[3]]).toEqual([
      5009, 1, 0x13, 0x91, 0x0c,
    ]);
  });

  it("O6 sends at the lower of published and granted QoS, and one copy for overlapping filters", () => {
    const { world, d1 } = subscribed({}, 1);
    d1.subscribe("a/#", 2);
    world.publish("a/b", "x", { qos: 2 });
    expect(d1.hear()).toEqual(['PUBLISH 1 #1 qos2 "x"']);
    d1.unsubscribe("a/#");
    d1.pubrec(1);
    d1.pubcomp(1);
    world.publish("a/b", "y", { qos: 2 });
    expect(d1.hear()).toEqual(['PUBLISH 1 #2 qos1 "y"']);
  });

  it("O7 gives MsgIds from 1 to 65,535, never 0, and apart from those of the client", () => {
    const { world, d1 } = subscribed();
    const seen = new Set<number>();
    for (let index = 0; index < 65_540; index++) {
      world.publish("a/b", "", { qos: 1 });
      const id = Number(/#(\d+)/.exec(d1.hear()[0] ?? "")?.[1]);
      seen.add(id);
      d1.puback(1, id);
    }
    expect(seen.has(0)).toBe(false);
    expect(seen.size).toBe(65_535);
    world.publish("a/b", "down", { qos: 1 });
    const id = Number(/#(\d+)/.exec(d1.hear()[0] ?? "")?.[1]);
    expect(d1.publish(1, "up", { qos: 1, id })[0]).toBe(`PUBACK 1 #${id} code 0`);
  });

  it("F8 takes any code but 0 for a rejection: 3 and above give the message up, 1 asks again later", () => {
    const { world, d1, wait } = subscribed();
    for (const payload of ["1", "2", "3"]) world.publish("a/b", payload, { qos: 1 });
    d1.hear();
    expect(d1.puback(1, 1, 3)).toEqual(['PUBLISH 1 #2 qos1 "2"']);
    expect(d1.puback(1, 2, 0x80)).toEqual(['PUBLISH 1 #3 qos1 "3"']);
    expect(d1.puback(1, 3, 1)).toEqual([]);
    wait(10_000);
    expect(d1.hear()).toEqual(['PUBLISH 1 #3 qos1 dup "3"']);
    expect(d1.puback(1, 3)).toEqual([]);
    expect(world.sessionCounters.dead.value).toBe(2);
  });

  it("ignores acknowledgements that match nothing; an unknown PUBREC is answered by PUBREL", () => {
    const { world, d1 } = subscribed();
    expect(d1.puback(1, 99)).toEqual([]);
    expect(d1.pubcomp(99)).toEqual([]);
    expect(d1.pubrec(99)).toEqual(["PUBREL #99"]);
    world.publish("a/b", "x", { qos: 2 });
    d1.hear();
    expect(d1.puback(1, 1)).toEqual([]);
    expect(d1.pubcomp(1)).toEqual([]);
    expect(sessionOf(world, "mqtt-sn", "d1")?.unsettled).toBe(1);
  });
});
