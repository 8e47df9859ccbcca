/**
 * What more of other people's clients on hosts send, octet for octet, and what they demand of the answers. Read from
 * their sources; the table in the gateway's README says where each of them leaves the specification.
 */
import { describe, expect, it } from "vitest";
import { sessionOf } from "../../support/engine-of-run.ts";
import { hex, last, meet } from "../../support/mqtt-sn-octets.ts";

describe("cc.mqttsn client library", () => {
  it("believes a PUBACK only with its own topic id and MsgId, for all kinds of ids", () => {
    const { client } = meet({ predefinedTopics: [{ id: 0x0102, topic: "pre" }] });
    client.say("08 04 04 01 00 3C 'cc'");
    client.say("0B 0A 00 00 00 01 'topic'");
    expect(client.say("08 0C 20 00 01 00 02 'x'")).toEqual(hex("07 0D 00 01 00 02 00"));
    expect(client.say("08 0C 21 01 02 00 03 'x'")).toEqual(hex("07 0D 01 02 00 03 00"));
    expect(client.say("08 0C 22 'ab' 00 04 'x'")).toEqual(hex("07 0D 'ab' 00 04 00"));
    // An id that is gone: it registers anew, with a new MsgId and without DUP.
    expect(client.say("08 0C 20 00 09 00 05 'x'")).toEqual(hex("07 0D 00 09 00 05 02"));
  });

  it("goes through QoS 2, and gets a repeat with DUP, without which it would not answer", () => {
    const { client, world, wait } = meet();
    client.say("08 04 04 01 00 3C 'cc'");
    client.say("0A 12 40 00 01 'topic'");
    world.publish("topic", "x", { qos: 2 });
    expect(client.hear()).toEqual(hex("08 0C 40 00 01 00 01 'x'"));
    wait(10_000);
    expect(client.hear()).toEqual(hex("08 0C C0 00 01 00 01 'x'"));
    expect(client.say("04 0F 00 01")).toEqual(hex("04 10 00 01"));
    expect(client.say("04 0E 00 01")).toEqual([]);
  });

  it("has a will without a topic: WILLTOPIC of two octets ends the questions (§5.4.7); updates come one by one", () => {
    const { client } = meet();
    expect(client.say("08 04 0C 01 00 3C 'cc'")).toEqual(hex("02 06"));
    expect(client.say("02 07")).toEqual(hex("03 05 00"));
    expect(client.say("07 1A 30 'will'")).toEqual(hex("03 1B 00"));
    expect(client.say("06 1C 'gone'")).toEqual(hex("03 1D 00"));
    expect(client.say("02 1A")).toEqual(hex("03 1B 00"));
  });

  it("sleeps, and asks with a PINGREQ that names nobody", () => {
    const { client, world } = meet();
    client.say("08 04 04 01 00 3C 'cc'");
    client.say("0A 12 20 00 01 'topic'");
    expect(client.say("04 18 02 58")).toEqual(hex("02 18"));
    world.publish("topic", "x", { qos: 1 });
    expect(client.say("02 16")).toEqual(hex("08 0C 20 00 01 00 01 'x'"));
    expect(client.say("07 0D 00 01 00 01 00")).toEqual(hex("02 17"));
    expect(client.say("02 18")).toEqual(hex("02 18"));
  });

  it("may be built without a client id, which §5.3.1 does not allow: refused, or named by the operator", () => {
    expect(meet().client.say("06 04 04 01 00 3C")).toEqual(hex("03 05 03"));
    expect(meet({ emptyClientId: "unnamed" }).client.say("06 04 04 01 00 3C")).toEqual(hex("03 05 00"));
  });
});

describe("wolfMQTT", () => {
  it("demands the exact length of each answer, and PUBACK in it may have no topic id", () => {
    const { client, world } = meet();
    expect(client.say("14 04 0C 01 00 3C 'WolfMQTTClient'")).toEqual(hex("02 06"));
    expect(client.say("0F 07 20 'wolf/lwt/msg'")).toEqual(hex("02 08"));
    expect(client.say("07 09 'bye!!'")).toEqual(hex("03 05 00"));
    expect(client.say("0B 0A 00 00 00 01 'topic'")).toEqual(hex("07 0B 00 01 00 01 00"));
    expect(client.say("0A 12 20 00 02 'topic'")).toEqual(hex("08 13 20 00 01 00 02 00"));
    world.publish("topic", "x", { qos: 1 });
    expect(client.hear()).toEqual(hex("08 0C 20 00 01 00 01 'x'"));
    expect(client.say("07 0D 00 00 00 01 00")).toEqual([]);
    expect(sessionOf(world, "mqtt-sn", "WolfMQTTClient")?.unsettled).toBe(0);
    expect(client.say("0A 14 20 00 03 'topic'")).toEqual(hex("04 15 00 03"));
    expect(client.say("02 16")).toEqual(hex("02 17"));
    expect(client.say("04 18 00 3C")).toEqual(hex("02 18"));
  });

  it("without a callback answers REGISTER by code 3, which unsubscribes that name and nothing else", () => {
    const { client, world } = meet();
    client.say("14 04 04 01 00 3C 'WolfMQTTClient'");
    client.say("08 12 20 00 01 'n/#'");
    world.publish("n/1", "x", { qos: 1 });
    expect(client.hear()).toEqual(hex("09 0A 00 01 00 01 'n/1'"));
    expect(client.say("07 0B 00 01 00 01 03")).toEqual([]);
    expect(client.say("02 16")).toEqual(hex("02 17"));
  });
});

describe("the Java client (622)", () => {
  it("subscribes names of up to two letters as short ones, and wakes up by its client id from another port", () => {
    const { client, world } = meet();
    client.say("0A 04 00 01 00 3C 'java'");
    expect(client.say("06 12 42 00 01 'a'")).toEqual(hex("08 13 40 00 01 00 01 00"));
    expect(client.say("07 12 42 00 02 'ab'")).toEqual(hex("08 13 40 00 00 00 02 00"));
    expect(client.say("04 18 02 58")).toEqual(hex("02 18"));
    world.publish("a", "1", { qos: 1 });
    world.publish("ab", "2", { qos: 1 });
    client.port++;
    expect(client.say("06 16 'java'")).toEqual(hex("08 0C 20 00 01 00 01 '1'"));
    expect(client.say("07 0D 00 01 00 01 00")).toEqual(hex("08 0C 22 'ab' 00 02 '2'"));
    expect(client.say("07 0D 'ab' 00 02 00")).toEqual(hex("02 17"));
  });
});

describe("Mobius", () => {
  it("publishes its registered ids as predefined ones, at each QoS, and believes PUBACK of an id above 0", () => {
    const { client, heard } = meet();
    expect(client.say("0C 04 04 01 00 3C 'mobius'")).toEqual(hex("03 05 00"));
    expect(client.say("0B 0A 00 00 00 01 'topic'")).toEqual(hex("07 0B 00 01 00 01 00"));
    expect(client.say("08 0C 01 00 01 00 00 '0'")).toEqual([]);
    expect(client.say("08 0C 21 00 01 00 02 '1'")).toEqual(hex("07 0D 00 01 00 02 00"));
    expect(client.say("08 0C 41 00 01 00 03 '2'")).toEqual(hex("04 0F 00 03"));
    expect(client.say("04 10 00 03")).toEqual(hex("04 0E 00 03"));
    expect(heard.map(({ topic, payload }) => `${topic} ${Buffer.from(payload)}`)).toEqual([
      "topic 0",
      "topic 1",
      "topic 2",
    ]);
  });

  it("where predefined topics are configured that id means one of them, or nothing (§6.7)", () => {
    const { client, heard } = meet({ predefinedTopics: [{ id: 1, topic: "pre", client: "mobius" }] });
    client.say("0C 04 04 01 00 3C 'mobius'");
    client.say("07 0A 00 00 00 01 'a'");
    client.say("07 0A 00 00 00 02 'b'");
    expect(client.say("08 0C 21 00 01 00 03 '1'")).toEqual(hex("07 0D 00 01 00 03 00"));
    expect(client.say("08 0C 21 00 02 00 04 '2'")).toEqual(hex("07 0D 00 02 00 04 02"));
    expect(heard.map(({ topic }) => topic)).toEqual(["pre"]);
  });

  it("subscribes with no flag in SUBACK but the QoS, and answers QoS 2 step by step", () => {
    const { client, world } = meet();
    client.say("0C 04 04 01 00 3C 'mobius'");
    expect(client.say("0A 12 40 00 01 'topic'")).toEqual(hex("08 13 40 00 01 00 01 00"));
    world.publish("topic", "x", { qos: 2 });
    expect(client.hear()).toEqual(hex("08 0C 40 00 01 00 01 'x'"));
    expect(client.say("04 0F 00 01")).toEqual(hex("04 10 00 01"));
    expect(client.say("04 0E 00 01")).toEqual([]);
    expect(client.say("0A 14 00 00 02 'topic'")).toEqual(hex("04 15 00 02"));
  });
});

describe("pymqttsn (filipek92)", () => {
  it("has its numbers with the low octet first, keep-alive 0, and MsgIds from 2", () => {
    const { client, world, heard, wait } = meet();
    expect(client.say("08 04 00 01 00 00 'py'")).toEqual(hex("03 05 00"));
    expect(client.say("0B 0A 00 00 02 00 'topic'")).toEqual(hex("07 0B 00 01 02 00 00"));
    expect(client.say("08 0C 20 00 01 03 00 'x'")).toEqual(hex("07 0D 00 01 03 00 00"));
    expect(last(heard)).toBe("topic x");
    expect(client.say("08 12 00 04 00 'n/#'")).toEqual(hex("08 13 00 00 00 04 00 00"));
    world.publish("n/1", "y");
    expect(client.hear()).toEqual(hex("09 0A 00 02 00 01 'n/1'"));
    expect(client.say("07 0B 00 02 00 01 00")).toEqual(hex("08 0C 00 00 02 00 00 'y'"));
    // Nobody says how long it may be silent, so `idleTimeout` does.
    wait(3_000_000);
    expect(client.hear()).toEqual([]);
  });
});
