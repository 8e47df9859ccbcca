/** What an address is sent that has proven nothing: three times what came from it (RFC 9175 §2.4), until it proves itself. */
import { describe, expect, it } from "vitest";
import { KeptWorld } from "../../support/kept-world.ts";
import { type SnDevice, snWorld } from "../../support/mqtt-sn-device.ts";

const LARGE = "x".repeat(200);

function subscribed(filter = "a/b", qos: 0 | 1 | 2 = 1, config = {}) {
  const made = snWorld(config);
  const d1 = made.device();
  d1.connect("d1", { clean: false, keepAlive: 3600 });
  d1.subscribe(filter, qos);
  return { ...made, d1 };
}

/** Answers questions as any client answers a REGISTER; what came besides. */
function answer(device: SnDevice, heard: readonly string[], code = 0): string[] {
  const open = [...heard];
  const rest: string[] = [];
  for (let line = open.shift(); line !== undefined; line = open.shift()) {
    const [, id = "", messageId = ""] = /^REGISTER (\d+) #(\d+) "\$"$/.exec(line) ?? [];
    if (id === "") rest.push(line);
    else open.push(...device.regack(Number(id), Number(messageId), code));
  }
  return rest;
}

describe("an address that has proven nothing, MQTT-SN 1.2 and RFC 9175 §2.4", () => {
  it("gets a short message, and is asked by REGISTER with ids drawn at random before a long one", () => {
    const { world, d1 } = subscribed();
    world.publish("a/b", "short", { qos: 1 });
    expect(d1.hear()).toEqual(['PUBLISH 1 #1 qos1 "short"']);
    d1.puback(1, 1);
    world.publish("a/b", LARGE, { qos: 1 });
    const first = d1.hear();
    expect(first).toEqual([expect.stringMatching(/^REGISTER \d+ #\d+ "\$"$/)]);
    expect(answer(d1, first)).toEqual([`PUBLISH 1 #2 qos1 "${LARGE}"`]);
  });

  it("proves itself also by rejecting what it is asked to register", () => {
    const { world, d1 } = subscribed();
    world.publish("a/b", LARGE, { qos: 1 });
    expect(answer(d1, d1.hear(), 3)).toEqual([`PUBLISH 1 #1 qos1 "${LARGE}"`]);
  });

  it("that guesses an answer has to answer twice in a row, and its answers before a guess count no more", () => {
    const { world, d1 } = subscribed();
    world.publish("a/b", LARGE, { qos: 1 });
    const [, id = "", messageId = ""] = /REGISTER (\d+) #(\d+)/.exec(d1.hear()[0] ?? "") ?? [];
    expect(d1.regack(Number(id) ^ 1, Number(messageId))).toEqual([]);
    const second = d1.regack(Number(id), Number(messageId));
    expect(second).toEqual([expect.stringMatching(/^REGISTER \d+ #\d+ "\$"$/)]);
    expect(d1.regack(Number(id), Number(messageId))).toEqual([]);
    const [, id2 = "", messageId2 = ""] = /REGISTER (\d+) #(\d+)/.exec(second[0] ?? "") ?? [];
    // Two more are asked for.
    const third = d1.regack(Number(id2), Number(messageId2));
    expect(third).toEqual([expect.stringMatching(/^REGISTER \d+ #\d+ "\$"$/)]);
    expect(answer(d1, third)).toEqual([`PUBLISH 1 #1 qos1 "${LARGE}"`]);
  });

  it("gets no flood of retained messages for a SUBSCRIBE", () => {
    const { world, device } = snWorld();
    for (let topic = 0; topic < 1000; topic++) world.publish(`r/${topic}`, LARGE, { retain: true });
    const d1 = device();
    d1.connect("d1");
    const sent = [...d1.subscribe("#", 0), ...d1.hear()].join();
    world.advance(600_000 as never);
    expect(`${sent}${d1.hear().join()}`).not.toContain(LARGE);
  });

  it("and never answers REGISTER gets what its own messages allow, in order", () => {
    const { world, d1, wait } = subscribed("a/b", 0);
    for (let index = 0; index < 20; index++) world.publish("a/b", `reading ${index}`);
    const got: string[] = [];
    for (let minute = 0; minute < 400; minute++) {
      wait(20_000);
      got.push(...d1.ping(), ...d1.hear());
    }
    const readings = got
      .filter((line) => line.startsWith("PUBLISH"))
      .map((line) => /\d+(?=")/.exec(line)?.[0]);
    expect(readings).toEqual(Array.from({ length: 20 }, (_, index) => `${index}`));
  });

  it("a sleeper that wakes up elsewhere is asked again, and gets its buffer before PINGRESP", () => {
    const { world, device } = snWorld();
    const d1 = device().asleep("d1", "a/b");
    for (const payload of ["1", LARGE, "3"]) world.publish("a/b", payload, { qos: 1 });
    d1.move(20_000);
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    expect(answer(d1, d1.puback(1, 1))).toEqual([`PUBLISH 1 #2 qos1 "${LARGE}"`]);
    expect(d1.puback(1, 2)).toEqual(['PUBLISH 1 #3 qos1 "3"']);
    expect(d1.puback(1, 3)).toEqual(["PINGRESP"]);
  });

  it("is asked nothing where the operator knows that senders cannot be forged", () => {
    const { world, d1 } = subscribed("a/b", 1, { unprovenFactor: 0 });
    world.publish("a/b", LARGE, { qos: 1 });
    expect(d1.hear()).toEqual([`PUBLISH 1 #1 qos1 "${LARGE}"`]);
  });
});

describe("MQTT-SN 1.2 §6.10, one order for one topic", () => {
  it("in a flush QoS 0 does not overtake QoS 1 and 2 of its topic, and other topics do not wait", () => {
    const { world, device } = snWorld();
    const d1 = device();
    d1.connect("d1", { clean: false });
    d1.subscribe("a/b", 2);
    d1.subscribe("c/d", 2, 0, 2);
    d1.disconnect(3600);
    world.publish("a/b", "1", { qos: 1 });
    world.publish("a/b", "2");
    world.publish("c/d", "other");
    world.publish("a/b", "3", { qos: 2 });
    world.publish("a/b", "4");
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos1 "1"', 'PUBLISH 2 qos0 "other"']);
    expect(d1.puback(1, 1)).toEqual(['PUBLISH 1 qos0 "2"', 'PUBLISH 1 #2 qos2 "3"']);
    expect(d1.pubrec(2).sort()).toEqual(["PUBREL #2", 'PUBLISH 1 qos0 "4"'].sort());
    expect(d1.pubcomp(2)).toEqual(["PINGRESP"]);
  });

  it("also while the client is active, and also when the message is given up", () => {
    const { world, d1, wait } = subscribed("a/b", 1, { unprovenFactor: 0 });
    world.publish("a/b", "1", { qos: 1 });
    world.publish("a/b", "2");
    expect(d1.hear()).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    wait(10_000);
    expect(d1.hear()).toEqual(['PUBLISH 1 #1 qos1 dup "1"']);
    expect(d1.puback(1, 1, 3)).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    expect(d1.puback(1, 1, 3)).toEqual(['PUBLISH 1 qos0 "2"']);
  });
});

describe("MQTT-SN 1.2 §6.14, a sleeper is sent nothing but answers", () => {
  it("a late PUBACK that does not know the topic id: REGISTER comes with the next wake-up", () => {
    const { world, device } = snWorld();
    const d1 = device().asleep("d1", "a/b");
    world.publish("a/b", "1", { qos: 1 });
    d1.ping("d1");
    d1.disconnect(3600);
    expect(d1.puback(1, 1, 2)).toEqual([]);
    expect(d1.ping("d1")).toEqual(['REGISTER 1 #1 "a/b"']);
    expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    expect(d1.puback(1, 1)).toEqual(["PINGRESP"]);
  });

  it("a late PUBACK that does not know DUP, a late REGACK, a late PUBREC: what follows waits too", () => {
    const { world, device, wait } = snWorld({ unprovenFactor: 0 });
    const d1 = device().asleep("d1", "a/#");
    world.publish("a/b", "1", { qos: 1 });
    expect(d1.ping("d1")).toEqual(['REGISTER 1 #1 "a/b"']);
    d1.disconnect(3600);
    expect(d1.regack(1, 1)).toEqual([]);
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    wait(10_000);
    expect(d1.hear()).toEqual(['PUBLISH 1 #1 qos1 dup "1"']);
    d1.disconnect(3600);
    expect(d1.puback(1, 1, 3)).toEqual([]);
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    expect(d1.puback(1, 1)).toEqual(["PINGRESP"]);
    const d2 = device(2).asleep("d2", "a/b", { qos: 2 });
    world.publish("a/b", "2", { qos: 2 });
    d2.ping("d2");
    d2.disconnect(3600);
    expect(d2.pubrec(1)).toEqual(["PUBREL #1"]);
    wait(60_000);
    expect(d2.hear()).toEqual([]);
    expect(d2.ping("d2")).toEqual(["PUBREL #1"]);
  });
});

describe("MQTT-SN 1.2 §6.6, `dropRepeatedQos1`", () => {
  it("does not acknowledge a repeat of what was refused", () => {
    let allowed = false;
    const { world, device } = snWorld({ dropRepeatedQos1: true }, {}, { mayPublish: () => allowed });
    const heard = world.listen("#");
    const d1 = device();
    d1.connect("d1");
    d1.register("a/b", 1);
    expect(d1.publish(1, "x", { qos: 1, id: 7 })).toEqual(["PUBACK 1 #7 code 3"]);
    expect(d1.publish(1, "x", { qos: 1, id: 7, dup: true })).toEqual(["PUBACK 1 #7 code 3"]);
    expect(heard).toHaveLength(0);
    allowed = true;
    for (let time = 0; time < 2; time++)
      expect(d1.publish(1, "y", { qos: 1, id: 8, dup: time > 0 })).toEqual(["PUBACK 1 #8 code 0"]);
    expect(heard).toHaveLength(1);
  });

  it("does not acknowledge a repeat before the store has the message", async () => {
    const kept = new KeptWorld();
    const { world, device } = snWorld({ dropRepeatedQos1: true }, kept.options);
    kept.of(world);
    const d2 = device(2);
    d2.connect("d2", { clean: false });
    await kept.commit();
    d2.subscribe("a/b", 1);
    d2.disconnect(3600);
    await kept.commit();
    const d1 = device();
    d1.connect("d1");
    d1.register("a/b", 1);
    expect(d1.publish(1, "x", { qos: 1, id: 7 })).toEqual([]);
    expect(d1.publish(1, "x", { qos: 1, id: 7, dup: true })).toEqual([]);
    await kept.commit();
    expect(d1.hear()).toEqual(["PUBACK 1 #7 code 0"]);
    expect(d1.publish(1, "x", { qos: 1, id: 7, dup: true })).toEqual(["PUBACK 1 #7 code 0"]);
    expect(world.sessions.get("mqtt-sn", "d2")?.queued).toBe(1);
  });
});
