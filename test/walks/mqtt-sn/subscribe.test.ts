import { describe, expect, it } from "vitest";
import { snWorld } from "../../support/mqtt-sn-device.ts";

const AB = 0x6162;

function connected(config = {}, policy = {}, options = {}) {
  const made = snWorld(config, options, policy);
  const d1 = made.device();
  d1.connect("d1", { keepAlive: 3600 });
  return { ...made, d1 };
}

describe("MQTT-SN 1.2 §6.9, SUBSCRIBE", () => {
  it("U1 grants a plain name an id that PUBLISH then uses without REGISTER", () => {
    const { world, d1 } = connected();
    expect(d1.subscribe("a/b", 2, 0, 9)).toEqual(["SUBACK 1 #9 qos2 code 0"]);
    world.publish("a/b", "x");
    expect(d1.hear()).toEqual(['PUBLISH 1 qos0 "x"']);
  });

  it("U1 shares the id with REGISTER of the same name (§7.1 t_subscribe)", () => {
    const { d1 } = connected();
    expect(d1.register("a/b")).toEqual(["REGACK 1 #1 code 0"]);
    expect(d1.subscribe("a/b")).toEqual(["SUBACK 1 #1 qos0 code 0"]);
  });

  it("U2 answers id 0 to a wildcard, a short name and a shared filter, and the id asked for to a predefined one", () => {
    const { d1 } = connected({ predefinedTopics: [{ id: 77, topic: "pre" }] });
    expect(d1.subscribe("a/#", 1)).toEqual(["SUBACK 0 #1 qos1 code 0"]);
    expect(d1.subscribe("+/b", 1)).toEqual(["SUBACK 0 #1 qos1 code 0"]);
    expect(d1.subscribe(AB, 1, 2)).toEqual(["SUBACK 0 #1 qos1 code 0"]);
    expect(d1.subscribe("$share/g/a", 1)).toEqual(["SUBACK 0 #1 qos1 code 0"]);
    expect(d1.subscribe(77, 1, 1)).toEqual(["SUBACK 77 #1 qos1 code 0"]);
    expect(d1.subscribe("plain", 1)).toEqual(["SUBACK 1 #1 qos1 code 0"]);
  });

  it("U3 refuses bad filters, type 11 and QoS 11 by code 3, unknown predefined ids by code 2", () => {
    const { d1, world } = connected();
    for (const filter of ["a/#/b", "a+", "", "a\0b", "$share/g"]) {
      expect(d1.subscribe(filter, 1, 0, 5)).toEqual(["SUBACK 0 #5 qos0 code 3"]);
    }
    expect(d1.raw("07 12 00 00 05 C3 28")).toEqual(["SUBACK 0 #5 qos0 code 3"]);
    expect(d1.subscribe("a", 1, 3, 5)).toEqual(["SUBACK 0 #5 qos0 code 3"]);
    expect(d1.subscribe("a", -1, 0, 5)).toEqual(["SUBACK 0 #5 qos0 code 3"]);
    expect(d1.subscribe(42, 1, 1, 5)).toEqual(["SUBACK 0 #5 qos0 code 2"]);
    world.publish("a", "x");
    expect(d1.hear()).toEqual([]);
    expect(d1.ping()).toEqual(["PINGRESP"]);
  });

  it("U3 answers congestion over a limit, and not supported where the ACL says no", () => {
    expect(connected({}, {}, { limits: { subscriptions: 0 } }).d1.subscribe("a")).toEqual([
      "SUBACK 0 #1 qos0 code 1",
    ]);
    expect(connected({ topicIdsMax: 1 }).d1.register("a")).toEqual(["REGACK 1 #1 code 0"]);
    const { d1 } = connected({ topicIdsMax: 1 });
    d1.register("a");
    expect(d1.subscribe("b")).toEqual(["SUBACK 0 #1 qos0 code 1"]);
    expect(connected({}, { maySubscribe: () => false }).d1.subscribe("a")).toEqual([
      "SUBACK 0 #1 qos0 code 3",
    ]);
  });

  it("U4 knows no wildcards in a short name", () => {
    const { d1 } = connected();
    for (const name of [0x2300, 0x6123, 0x2b2b]) {
      expect(d1.subscribe(name, 0, 2)).toEqual(["SUBACK 0 #1 qos0 code 3"]);
    }
  });

  it("U5 sends retained messages after SUBACK, with RETAIN", () => {
    const { world, d1 } = connected();
    world.publish("a/b", "kept", { retain: true });
    expect(d1.subscribe("a/b")).toEqual(["SUBACK 1 #1 qos0 code 0", 'PUBLISH 1 qos0 retain "kept"']);
    world.publish("a/b", "live", { retain: true });
    expect(d1.hear()).toEqual(['PUBLISH 1 qos0 "live"']);
  });

  it("U5 replaces the QoS when a subscription is repeated", () => {
    const { world, d1 } = connected();
    d1.subscribe("a/b", 0);
    expect(d1.subscribe("a/b", 1)).toEqual(["SUBACK 1 #1 qos1 code 0"]);
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.hear()).toEqual(['PUBLISH 1 #1 qos1 "x"']);
  });

  it("U6 answers UNSUBSCRIBE always, in all three forms, and stops the messages", () => {
    const { world, d1 } = connected({ predefinedTopics: [{ id: 77, topic: "pre" }] });
    d1.subscribe("a/b");
    d1.subscribe(77, 0, 1);
    d1.subscribe(AB, 0, 2);
    expect(d1.unsubscribe("a/b", 0, 8)).toEqual(["UNSUBACK #8"]);
    expect(d1.unsubscribe(77, 1, 9)).toEqual(["UNSUBACK #9"]);
    expect(d1.unsubscribe(AB, 2, 10)).toEqual(["UNSUBACK #10"]);
    for (const topic of ["a/b", "pre", "ab"]) world.publish(topic, "x");
    expect(d1.hear()).toEqual([]);
    expect(d1.unsubscribe("never", 0, 11)).toEqual(["UNSUBACK #11"]);
  });

  it("U6 answers an UNSUBSCRIBE with a bad type, filter or id, and changes nothing", () => {
    const { world, d1 } = connected();
    d1.subscribe("a/b");
    expect(d1.unsubscribe("a/#/b", 0, 8)).toEqual(["UNSUBACK #8"]);
    expect(d1.unsubscribe("a/b", 3, 9)).toEqual(["UNSUBACK #9"]);
    expect(d1.unsubscribe(5, 1, 10)).toEqual(["UNSUBACK #10"]);
    world.publish("a/b", "x");
    expect(d1.hear()).toEqual(['PUBLISH 1 qos0 "x"']);
  });

  it("U7 answers a second SUBSCRIBE like the first", () => {
    const { d1 } = connected();
    expect([...d1.subscribe("a", 0, 0, 1), ...d1.subscribe("b", 0, 0, 2)]).toEqual([
      "SUBACK 1 #1 qos0 code 0",
      "SUBACK 2 #2 qos0 code 0",
    ]);
  });

  it("subscribes under the mountpoint and delivers without it (§7.1 t_publish_mountpoint)", () => {
    const { world, d1 } = connected({}, { mountpoint: () => "site/" });
    d1.subscribe("a/b");
    world.publish("site/a/b", "in");
    world.publish("a/b", "out");
    expect(d1.hear()).toEqual(['PUBLISH 1 qos0 "in"']);
  });
});

describe("MQTT-SN 1.2 §6.10, which topic id a PUBLISH carries", () => {
  const pre = { predefinedTopics: [{ id: 77, topic: "a/b" }] };

  it("O1 uses the predefined id when the client subscribed by it", () => {
    const { world, d1 } = connected(pre);
    d1.subscribe(77, 1, 1);
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.hear()).toEqual(['PUBLISH predefined 77 #1 qos1 "x"']);
  });

  it("O1 uses the id of SUBACK when the client subscribed by name, and the predefined one when by both", () => {
    const { world, d1 } = connected(pre);
    d1.subscribe("a/b");
    world.publish("a/b", "1");
    expect(d1.hear()).toEqual(['PUBLISH 1 qos0 "1"']);
    d1.subscribe(77, 0, 1);
    world.publish("a/b", "2");
    expect(d1.hear()).toEqual(['PUBLISH predefined 77 qos0 "2"']);
    d1.unsubscribe(77, 1);
    d1.subscribe("a/b");
    world.publish("a/b", "3");
    expect(d1.hear()).toEqual(['PUBLISH 1 qos0 "3"']);
  });

  it("O1 answers a wildcard match by the predefined id, then the short name, then REGISTER", () => {
    const { world, d1 } = connected(pre);
    d1.subscribe("#");
    world.publish("a/b", "1");
    world.publish("ab", "2");
    expect(d1.hear()).toEqual(['PUBLISH predefined 77 qos0 "1"', 'PUBLISH short ab qos0 "2"']);
    world.publish("a", "3");
    expect(d1.hear()).toEqual(['REGISTER 1 #1 "a"']);
    expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 qos0 "3"']);
  });

  it("O1 sends a two-octet name in two octets, whatever letters it has", () => {
    const { world, d1 } = connected();
    d1.subscribe("+");
    world.publish("é", "1");
    world.publish("ab", "2");
    expect(d1.hear()).toEqual([
      `PUBLISH short ${String.fromCharCode(0xc3, 0xa9)} qos0 "1"`,
      'PUBLISH short ab qos0 "2"',
    ]);
    world.publish("éa", "3");
    expect(d1.hear()).toEqual(['REGISTER 1 #1 "éa"']);
  });
});
