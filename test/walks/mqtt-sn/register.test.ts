import { describe, expect, it } from "vitest";
import { sessionOf } from "../../support/engine-of-run.ts";
import { snWorld, TRUSTED } from "../../support/mqtt-sn-device.ts";

describe("MQTT-SN 1.2 §6.5, topic registration", () => {
  it("R1 assigns an id, and the same one for the same name; the client's TopicId counts for nothing", () => {
    const device = snWorld().device();
    device.connect("d1");
    expect(device.register("a/b", 7)).toEqual(["REGACK 1 #7 code 0"]);
    expect(device.register("a/c", 8, 99)).toEqual(["REGACK 2 #8 code 0"]);
    expect(device.register("a/b", 9)).toEqual(["REGACK 1 #9 code 0"]);
  });

  it("F7 gives ids to each client alone", () => {
    const { device } = snWorld();
    const [d1, d2] = [device(1), device(2)];
    d1.connect("d1");
    d2.connect("d2");
    d1.register("a");
    expect(d2.register("b")).toEqual(["REGACK 1 #1 code 0"]);
    expect(d2.publish(2, "x", { qos: 1 })).toEqual(["PUBACK 2 #1 code 2"]);
  });

  it("R2 refuses wildcards, nothing, bad UTF-8 and NUL with code 3 and id 0", () => {
    const device = snWorld().device();
    device.connect("d1");
    for (const name of ["a/#", "+", "", "a\0b"]) {
      expect(device.register(name, 5)).toEqual(["REGACK 0 #5 code 3"]);
    }
    expect(device.raw("08 0A 00 00 00 05 C3 28")).toEqual(["REGACK 0 #5 code 3"]);
    expect(device.register("$sys")).toEqual(["REGACK 1 #1 code 0"]);
  });

  it("R3 answers congestion at the limit of ids, and DISCONNECT when not connected", () => {
    const { device } = snWorld({ topicIdsMax: 3 });
    const d1 = device(1);
    d1.connect("d1");
    for (const name of ["a", "b", "c"]) d1.register(name);
    expect(d1.register("d")).toEqual(["REGACK 0 #1 code 1"]);
    expect(d1.register("b")).toEqual(["REGACK 2 #1 code 0"]);
    expect(device(2).register("a")).toEqual(["DISCONNECT"]);
  });

  it("R4 gives a predefined name a normal id too, and answers a second REGISTER", () => {
    const device = snWorld({ predefinedTopics: [{ id: 77, topic: "pre" }] }).device();
    device.connect("d1");
    expect(device.register("pre", 1)).toEqual(["REGACK 1 #1 code 0"]);
    expect(device.register("other", 2)).toEqual(["REGACK 2 #2 code 0"]);
  });

  it("a storm of REGISTER leaves no more than the limit behind", () => {
    const { device, world } = snWorld({ topicIdsMax: 100 });
    const d1 = device();
    d1.connect("d1");
    let accepted = 0;
    for (let index = 0; index < 5000; index++) {
      const [answer] = d1.register(`t/${index}`, (index % 65_535) + 1);
      if (answer?.endsWith("code 0") === true) accepted++;
    }
    expect(accepted).toBe(100);
    expect(world.sessions.count).toBe(1);
  });
});

describe("MQTT-SN 1.2 §6.10, REGISTER by the gateway", () => {
  const subscribed = (config = {}) => {
    const made = snWorld({ ...TRUSTED, ...config });
    const d1 = made.device();
    d1.connect("d1", { clean: false });
    d1.subscribe("a/#", 1);
    return { ...made, d1 };
  };

  it("R5 announces a wildcard match before its first PUBLISH, waits for REGACK, and then never again", () => {
    const { world, d1 } = subscribed();
    world.publish("a/b", "one", { qos: 1 });
    expect(d1.hear()).toEqual(['REGISTER 1 #1 "a/b"']);
    expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 #1 qos1 "one"']);
    expect(d1.puback(1, 1)).toEqual([]);
    world.publish("a/b", "two", { qos: 1 });
    expect(d1.hear()).toEqual(['PUBLISH 1 #2 qos1 "two"']);
  });

  it("R5 announces again after a reconnect without clean session", () => {
    const { world, d1 } = subscribed();
    world.publish("a/b", "one");
    d1.hear();
    d1.regack(1, 1);
    d1.disconnect();
    d1.connect("d1", { clean: false });
    world.publish("a/b", "two");
    expect(d1.hear()).toEqual(['REGISTER 1 #1 "a/b"']);
    expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 qos0 "two"']);
  });

  it("R5 has one REGISTER outstanding", () => {
    const { world, d1 } = subscribed({ inFlight: 10 });
    world.publish("a/b", "1", { qos: 1 });
    world.publish("a/c", "2", { qos: 1 });
    expect(d1.hear()).toEqual(['REGISTER 1 #1 "a/b"']);
    expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 #1 qos1 "1"', 'REGISTER 2 #2 "a/c"']);
  });

  it("R6 takes a rejection for an unsubscribe from that name: nothing of it is sent, the rest is", () => {
    const { world, d1 } = subscribed();
    for (const payload of ["1", "2"]) world.publish("a/b", payload, { qos: 1 });
    world.publish("a/c", "3", { qos: 1 });
    expect(d1.hear()).toEqual(['REGISTER 1 #1 "a/b"']);
    expect(d1.regack(1, 1, 3)).toEqual(['REGISTER 2 #3 "a/c"']);
    expect(d1.regack(2, 3)).toEqual(['PUBLISH 2 #3 qos1 "3"']);
    d1.puback(2, 3);
    world.publish("a/b", "4", { qos: 1 });
    expect(d1.hear()).toEqual([]);
    expect(world.sessionCounters.dead.value).toBe(3);
    expect(sessionOf(world, "mqtt-sn", "d1")?.unsettled).toBe(0);
  });

  it("R6 offers a rejected name again in the next connection, or when the client subscribes it by name", () => {
    const { world, d1 } = subscribed();
    world.publish("a/b", "1");
    d1.hear();
    d1.regack(1, 1, 3);
    expect(d1.subscribe("a/b")).toEqual(["SUBACK 1 #1 qos0 code 0"]);
    world.publish("a/b", "2");
    expect(d1.hear()).toEqual(['PUBLISH 1 qos0 "2"']);
  });

  it("R7 ignores a REGACK that matches nothing", () => {
    const { world, d1 } = subscribed();
    expect(d1.regack(1, 1)).toEqual([]);
    world.publish("a/b", "1", { qos: 1 });
    d1.hear();
    expect(d1.regack(1, 99)).toEqual([]);
    expect(d1.regack(42, 1)).toEqual([]);
    expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    expect(d1.regack(1, 1)).toEqual([]);
  });

  it("R7 repeats REGISTER N_retry times, then waits for a sign of life; the client is lost by its keep-alive", () => {
    const { world, d1, wait } = subscribed();
    d1.disconnect();
    d1.connect("d1", { clean: false, keepAlive: 300 });
    world.publish("a/b", "1", { qos: 1 });
    d1.hear();
    for (let repeat = 0; repeat < 3; repeat++) {
      wait(10_000);
      expect(d1.hear()).toEqual(['REGISTER 1 #1 "a/b"']);
    }
    wait(289_999);
    expect(d1.hear()).toEqual([]);
    wait(10_001);
    expect(d1.hear()).toEqual(["DISCONNECT"]);
    expect(d1.connect("d1", { clean: false })).toEqual(["CONNACK code 0", 'REGISTER 1 #1 "a/b"']);
  });

  it("R7 asks again at a sign of life, and a late REGACK is as good as any", () => {
    const { world, d1, wait } = subscribed();
    d1.disconnect();
    d1.connect("d1", { clean: false, keepAlive: 3600 });
    world.publish("a/b", "1", { qos: 1 });
    wait(600_000);
    d1.hear();
    expect(d1.ping()).toEqual(["PINGRESP", 'REGISTER 1 #1 "a/b"']);
    expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 #1 qos1 "1"']);
  });

  it("R8 announces anew and sends again when the client knows not the id (§7.1 invalid_topic_id)", () => {
    const { world, d1 } = subscribed();
    world.publish("a/b", "1", { qos: 1 });
    d1.hear();
    d1.regack(1, 1);
    expect(d1.puback(1, 1, 2)).toEqual(['REGISTER 1 #1 "a/b"']);
    expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    expect(d1.puback(1, 1)).toEqual([]);
    expect(sessionOf(world, "mqtt-sn", "d1")?.unsettled).toBe(0);
  });

  it("R8 gives a message up that a client goes on rejecting", () => {
    const { world, d1 } = subscribed();
    world.publish("a/b", "1", { qos: 1 });
    world.publish("a/b", "2", { qos: 1 });
    d1.hear();
    d1.regack(1, 1);
    for (let count = 0; count < 3; count++) {
      expect(d1.puback(1, 1, 2)).toEqual(['REGISTER 1 #1 "a/b"']);
      expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    }
    expect(d1.puback(1, 1, 2)).toEqual(['PUBLISH 1 #2 qos1 "2"']);
    expect(world.sessionCounters.dead.value).toBe(1);
  });

  it("R8 cures an unknown predefined id by a normal one", () => {
    const { world, device } = snWorld({ predefinedTopics: [{ id: 9, topic: "a/b" }] });
    const d1 = device();
    d1.connect("d1");
    d1.subscribe("a/#", 1);
    world.publish("a/b", "1", { qos: 1 });
    expect(d1.hear()).toEqual(['PUBLISH predefined 9 #1 qos1 "1"']);
    expect(d1.puback(9, 1, 2)).toEqual(['REGISTER 1 #1 "a/b"']);
    expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    d1.puback(1, 1);
    world.publish("a/b", "2", { qos: 1 });
    expect(d1.hear()).toEqual(['PUBLISH 1 #2 qos1 "2"']);
  });

  it("R8 announces the topic anew after a rejected QoS 0 message, which itself is gone", () => {
    const { world, d1 } = subscribed();
    world.publish("a/b", "1");
    d1.hear();
    d1.regack(1, 1);
    expect(d1.puback(1, 0, 2)).toEqual([]);
    world.publish("a/b", "2");
    expect(d1.hear()).toEqual(['REGISTER 1 #1 "a/b"']);
  });
});
