/**
 * What other people's clients on hosts send, octet for octet, and what they demand of the answers. Read from their
 * sources; the table in the gateway's README says where each of them leaves the specification.
 */
import { describe, expect, it } from "vitest";
import { snWorld } from "../../support/mqtt-sn-device.ts";
import { ForeignClient, hex } from "../../support/mqtt-sn-octets.ts";

function meet(config: Record<string, unknown> = {}) {
  const made = snWorld(config);
  const heard = made.world.listen("#");
  return { ...made, client: new ForeignClient(made.network), heard };
}
const last = (heard: readonly { topic: string; payload: Uint8Array }[]): string => {
  const message = heard.at(-1);
  return message === undefined ? "" : `${message.topic} ${Buffer.from(message.payload).toString()}`;
};

describe("mqtt-sn-tools", () => {
  it("mqtt-sn-pub: CONNACK is the first thing it hears, then REGACK, PUBACK, DISCONNECT without a duration", () => {
    const { client, heard } = meet();
    expect(client.say("17 04 04 01 00 0A 'mqtt-sn-tools-123'")).toEqual(hex("03 05 00"));
    expect(client.say("0B 0A 00 00 00 01 'topic'")).toEqual(hex("07 0B 00 01 00 01 00"));
    expect(client.say("09 0C 20 00 01 00 02 'hi'")).toEqual(hex("07 0D 00 01 00 02 00"));
    expect(client.say("02 18")).toEqual(hex("02 18"));
    expect(last(heard)).toBe("topic hi");
  });

  it("mqtt-sn-pub: two letters are a short name, -T is predefined, -n is an empty message, -e puts it to sleep", () => {
    const { client, heard, world } = meet({ predefinedTopics: [{ id: 10, topic: "pre" }] });
    client.say("09 04 04 01 00 0A 'pub'");
    expect(client.say("08 0C 02 'tt' 00 00 'x'")).toEqual([]);
    expect(last(heard)).toBe("tt x");
    expect(client.say("07 0C 11 00 0A 00 00")).toEqual([]);
    expect(last(heard)).toBe("pre ");
    expect(client.say("04 18 0E 10")).toEqual(hex("02 18"));
    expect(world.sessions.connected).toBe(1);
  });

  it("mqtt-sn-pub -q -1: one datagram and no answer, also behind a forwarder with its process id for a name", () => {
    const { client, heard } = meet({ predefinedTopics: [{ id: 10, topic: "pre" }] });
    expect(client.say("08 0C 61 00 0A 00 00 '1'")).toEqual([]);
    expect(client.say("08 0C 62 'tt' 00 00 '2'")).toEqual([]);
    expect(client.say("07 FE 00 '1A2B' 08 0C 62 'tt' 00 00 '3'")).toEqual([]);
    expect(heard.map((each) => Buffer.from(each.payload).toString())).toEqual(["1", "2", "3"]);
  });

  it("mqtt-sn-pub --fe: every answer is wrapped, and its length is that of both messages", () => {
    const { client } = meet();
    expect(client.say("07 FE 00 '1A2B' 09 04 04 01 00 0A 'pub'")).toEqual(hex("07 FE 00 '1A2B' 03 05 00"));
    expect(client.say("07 FE 00 '1A2B' 02 18")).toEqual(hex("07 FE 00 '1A2B' 02 18"));
  });

  it("mqtt-sn-sub: pings at its keep-alive and wants some word within 1.5 times that", () => {
    const { client, world, wait } = meet();
    client.say("09 04 04 01 00 0A 'sub'");
    expect(client.say("0A 12 20 00 01 'topic'")).toEqual(hex("08 13 20 00 01 00 01 00"));
    for (let count = 0; count < 3; count++) {
      wait(10_000);
      expect(client.say("02 16")).toEqual(hex("02 17"));
    }
    world.publish("topic", "hi", { qos: 1 });
    expect(client.hear()).toEqual(hex("09 0C 20 00 01 00 01 'hi'"));
    expect(client.say("07 0D 00 01 00 01 00")).toEqual([]);
  });

  it("mqtt-sn-sub -c: what waited comes behind CONNACK, and SUBACK while REGISTER is open; its id needs no REGACK", () => {
    const { client, world, wait } = meet();
    client.say("09 04 00 01 00 0A 'sub'");
    client.say("0A 12 20 00 01 'topic'");
    client.say("02 18");
    world.publish("topic", "hi", { qos: 1 });
    const register = "0B 0A 00 01 00 01 'topic'";
    expect(client.say("09 04 00 01 00 0A 'sub'")).toEqual(hex("03 05 00", register));
    // It waits for SUBACK: REGISTER is answered on the way, and a PUBLISH is printed but not acknowledged.
    const publish = "09 0C 20 00 01 00 01 'hi'";
    expect(client.say("0A 12 20 00 02 'topic'")).toEqual(hex("08 13 20 00 01 00 02 00", publish));
    expect(client.say("07 0B 00 01 00 01 00")).toEqual([]);
    wait(10_000);
    expect(client.hear()).toEqual(hex("09 0C A0 00 01 00 01 'hi'"));
    expect(client.say("07 0D 00 01 00 01 00")).toEqual([]);
  });

  it("mqtt-sn-sub: more than 255 octets it cannot read; the message is given up, and the client is not", () => {
    const { client, world, wait } = meet();
    client.say("09 04 04 01 00 0A 'sub'");
    client.say("0A 12 20 00 01 'topic'");
    world.publish("topic", "x".repeat(300), { qos: 1 });
    world.publish("topic", "hi", { qos: 1 });
    const second = hex("09 0C 20 00 01 00 02 'hi'")[0];
    const heard: string[] = [];
    for (let count = 0; count < 40 && !heard.includes(second ?? ""); count++) {
      wait(7000);
      heard.push(...client.say("02 16"));
    }
    expect(heard).toContain(second);
    expect(heard).not.toContain("02 18");
    expect(world.sessionCounters.dead.value).toBe(1);
    expect(client.say("07 0D 00 01 00 02 00")).toEqual([]);
    expect(world.sessions.get("mqtt-sn", "sub")?.unsettled).toBe(0);
  });
});

describe("Paho MQTTSNPacket and its samples", () => {
  it("pub0sub1: SUBACK grants QoS 2, PUBACK comes before the message that it publishes to itself", () => {
    const { client } = meet();
    expect(client.say("16 04 04 01 00 0A 'pub0sub1 MQTT-SN'")).toEqual(hex("03 05 00"));
    expect(client.say("16 12 40 00 01 'a long topic name'")).toEqual(hex("08 13 40 00 01 00 01 00"));
    expect(client.say("10 0C 20 00 01 00 02 'mypayload'")).toEqual(
      hex("07 0D 00 01 00 02 00", "10 0C 20 00 01 00 01 'mypayload'"),
    );
    expect(client.say("07 0D 00 01 00 01 00")).toEqual([]);
    expect(client.say("02 18")).toEqual(hex("02 18"));
  });

  it("qos-1pub_extended: a topic name in the payload, only where that is configured (§6.8 does not know it)", () => {
    const publish = "21 0C 60 00 11 00 00 'a long topic name' 'mypayload'";
    const plain = meet();
    expect(plain.client.say(publish)).toEqual([]);
    expect(plain.heard).toEqual([]);
    const extended = meet({ qosMinusOne: { nameForm: true } });
    expect(extended.client.say(publish)).toEqual([]);
    expect(last(extended.heard)).toBe("a long topic name mypayload");
  });

  it("MQTTSNClient.h: a build without its QoS switches publishes at QoS 1 with MsgId 0 and waits for nothing", () => {
    const { client, heard } = meet();
    client.say("0A 04 04 01 00 0A 'paho'");
    client.say("0A 12 00 00 01 'topic'");
    expect(client.say("09 0C 20 00 01 00 00 'hi'")).toEqual(
      hex("07 0D 00 01 00 00 00", "09 0C 00 00 01 00 00 'hi'"),
    );
    expect(last(heard)).toBe("topic hi");
  });
});

describe("Paho LMqttsnClient, the gateway's own test client", () => {
  it("searches first with radius 0, and takes the sender of GWINFO for the gateway", () => {
    const { client } = meet({ gatewayId: 7 });
    expect(client.say("03 01 00")).toEqual(hex("03 02 07"));
  });

  it("says all three parts of its will, and repeats what was not answered without change", () => {
    const { client, wait, heard } = meet();
    for (const _ of [1, 2]) expect(client.say("0C 04 0C 01 00 0A 'GwTest'")).toEqual(hex("02 06"));
    for (const _ of [1, 2]) expect(client.say("0C 07 30 'willTopic'")).toEqual(hex("02 08"));
    expect(client.say("09 09 'willMsg'")).toEqual(hex("03 05 00"));
    wait(15_000);
    expect(last(heard)).toBe("willTopic willMsg");
  });

  it("calls every name of up to two letters short: `a` and `#` in one octet, and publishes `a` filled up with NUL", () => {
    const { client, heard, world } = meet();
    client.say("0C 04 04 01 00 0A 'GwTest'");
    expect(client.say("06 12 02 00 01 'a'")).toEqual(hex("08 13 00 00 01 00 01 00"));
    expect(client.say("06 12 22 00 02 '#'")).toEqual(hex("08 13 20 00 00 00 02 00"));
    expect(client.say("07 12 02 00 03 'ab'")).toEqual(hex("08 13 00 00 00 00 03 00"));
    expect(client.say("06 14 02 00 04 '#'")).toEqual(hex("04 15 00 04"));
    expect(client.say("08 0C 22 'a' 00 00 05 'x'")).toEqual(
      hex("07 0D 61 00 00 05 00", "08 0C 00 00 01 00 00 'x'"),
    );
    expect(last(heard)).toBe("a x");
    world.publish("ab", "y");
    expect(client.hear()).toEqual(hex("08 0C 02 'ab' 00 00 'y'"));
  });

  it("uses the long form from 129 octets of payload on, far below the 256 where it is needed", () => {
    const { client, heard } = meet();
    client.say("0C 04 04 01 00 0A 'GwTest'");
    client.say("0B 0A 00 00 00 01 'topic'");
    const payload = "x".repeat(129);
    expect(client.say(`01 00 8A 0C 20 00 01 00 02 '${payload}'`)).toEqual(hex("07 0D 00 01 00 02 00"));
    expect(last(heard)).toBe(`topic ${payload}`);
  });

  it("rejects REGISTER with code 2 where it has no callback; that name is not offered again (§6.10)", () => {
    const { client, world } = meet();
    client.say("0C 04 04 01 00 0A 'GwTest'");
    client.say("08 12 20 00 01 'n/#'");
    for (const payload of ["1", "2"]) world.publish("n/1", payload, { qos: 1 });
    expect(client.hear()).toEqual(hex("09 0A 00 01 00 01 'n/1'"));
    expect(client.say("07 0B 00 01 00 01 02")).toEqual([]);
    expect(world.sessions.get("mqtt-sn", "GwTest")?.unsettled).toBe(0);
  });

  it("wakes up with a PINGREQ that names nobody, from the port it fell asleep at", () => {
    const { client, world } = meet();
    client.say("0C 04 00 01 00 0A 'GwTest'");
    client.say("0A 12 20 00 01 'topic'");
    expect(client.say("04 18 00 14")).toEqual(hex("02 18"));
    world.publish("topic", "hi", { qos: 1 });
    expect(client.hear()).toEqual([]);
    expect(client.say("02 16")).toEqual(hex("09 0C 20 00 01 00 01 'hi'"));
    expect(client.say("07 0D 00 01 00 01 00")).toEqual(hex("02 17"));
    expect(client.say("0C 04 00 01 00 0A 'GwTest'")).toEqual(hex("03 05 00"));
  });

  it("as a forwarder has the node `wnId` and radius 1, and finds its message behind the wrapping", () => {
    const { client } = meet();
    expect(client.say("07 FE 01 'wnId' 0C 04 04 01 00 0A 'GwTest'")).toEqual(hex("07 FE 00 'wnId' 03 05 00"));
  });
});

describe("Paho's Python client and its descendants", () => {
  it("registers with MsgId 0, asks for CleanSession=0 whatever it was told, and never sends PINGREQ", () => {
    const { client, wait } = meet();
    expect(client.say("0A 04 00 01 00 1E 'linh'")).toEqual(hex("03 05 00"));
    expect(client.say("0C 0A 00 00 00 00 'topic1'")).toEqual(hex("07 0B 00 01 00 00 00"));
    wait(45_000);
    expect(client.hear()).toEqual(hex("02 18"));
  });

  it("fills a name of one letter up with a space, and acknowledges with topic id 0", () => {
    const { client, world, heard } = meet();
    client.say("0A 04 00 01 00 1E 'linh'");
    expect(client.say("07 12 42 00 02 'k '")).toEqual(hex("08 13 40 00 00 00 02 00"));
    expect(client.say("0C 0C 02 'k ' 00 00 'qos 0'")).toEqual(hex("0C 0C 02 'k ' 00 00 'qos 0'"));
    expect(last(heard)).toBe("k  qos 0");
    world.publish("k ", "1", { qos: 1 });
    expect(client.hear()).toEqual(hex("08 0C 22 'k ' 00 01 '1'"));
    expect(client.say("07 0D 00 00 00 01 00")).toEqual([]);
    expect(world.sessions.get("mqtt-sn", "linh")?.unsettled).toBe(0);
  });

  it("never answers REGISTER: it stays connected, and gets the message under that id", () => {
    const { client, world, wait } = meet();
    client.say("0A 04 00 01 02 58 'linh'");
    expect(client.say("08 12 20 00 02 'n/+'")).toEqual(hex("08 13 20 00 00 00 02 00"));
    client.say("08 0A 00 00 00 00 'up'");
    world.publish("n/1", "first", { qos: 1 });
    const register = hex("09 0A 00 02 00 01 'n/1'");
    expect(client.hear()).toEqual(register);
    for (let count = 0; count < 3; count++) {
      wait(5000);
      client.say("08 0C 00 00 01 00 00 't'");
      wait(5000);
      expect(client.hear()).toEqual(register);
    }
    wait(10_000);
    expect(client.hear()).toEqual(hex("0C 0C 20 00 02 00 01 'first'"));
    expect(client.say("07 0D 00 00 00 01 00")).toEqual([]);
    world.publish("n/1", "next");
    expect(client.hear()).toEqual(hex("0B 0C 00 00 02 00 00 'next'"));
  });

  it("SUBSCRIBE after a reconnect teaches it the id again, though REGISTER for it is open", () => {
    const { client, world } = meet();
    client.say("0A 04 00 01 00 1E 'linh'");
    client.say("0B 12 40 00 02 'topic1'");
    client.say("02 18");
    world.publish("topic1", "1", { qos: 1 });
    expect(client.say("0A 04 00 01 00 1E 'linh'")).toEqual(hex("03 05 00", "0C 0A 00 01 00 01 'topic1'"));
    expect(client.say("0B 12 40 00 02 'topic1'")).toEqual(
      hex("08 13 40 00 01 00 02 00", "08 0C 20 00 01 00 01 '1'"),
    );
  });
});

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
    expect(world.sessions.get("mqtt-sn", "WolfMQTTClient")?.unsettled).toBe(0);
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
