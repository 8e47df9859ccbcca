/**
 * What other people's clients on hosts send, octet for octet, and what they demand of the answers. Read from their
 * sources; the table in the gateway's README says where each of them leaves the specification.
 */
import { describe, expect, it } from "vitest";
import { sessionOf } from "../../support/engine-of-run.ts";
import { TRUSTED } from "../../support/mqtt-sn-device.ts";
import { hex, last, meet } from "../../support/mqtt-sn-octets.ts";

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
    const { client, world, wait } = meet(TRUSTED);
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
    expect(sessionOf(world, "mqtt-sn", "sub")?.unsettled).toBe(0);
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

  it("miscounts messages of 249 octets of payload: 258 octets, and 256 in the length", () => {
    const { client, heard } = meet();
    client.say("0A 04 04 01 00 0A 'paho'");
    client.say("0B 0A 00 00 00 01 'topic'");
    const payload = "x".repeat(249);
    expect(client.say(`01 01 00 0C 20 00 01 00 02 '${payload}'`)).toEqual(hex("07 0D 00 01 00 02 00"));
    expect(last(heard)).toBe(`topic ${payload}`);
  });

  it("a client that sends its whole buffer: what is behind the length is no part of the message (§5.2.1)", () => {
    const { client, world, heard } = meet();
    expect(client.say("09 04 00 01 00 00 'pad' A5 A5 A5")).toEqual(hex("03 05 00"));
    expect(sessionOf(world, "mqtt-sn", "pad")).toBeDefined();
    expect(client.say("0B 0A 00 00 00 01 'topic' 00 00 00")).toEqual(hex("07 0B 00 01 00 01 00"));
    expect(client.say("08 0C 20 00 01 00 02 'x' 00 7F")).toEqual(hex("07 0D 00 01 00 02 00"));
    expect(last(heard)).toBe("topic x");
    expect(client.say("04 18 00 3C A5")).toEqual(hex("02 18"));
    client.port++;
    expect(client.say("05 16 'pad' A5 A5")).toEqual(hex("02 17"));
    expect(client.say("07 FE 00 '1A2B' 09 04 04 01 00 0A 'pad' A5")).toEqual(hex("07 FE 00 '1A2B' 03 05 00"));
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
    for (const _ of [1, 2]) expect(client.say("09 09 'willMsg'")).toEqual(hex("03 05 00"));
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
    expect(sessionOf(world, "mqtt-sn", "GwTest")?.unsettled).toBe(0);
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
    expect(sessionOf(world, "mqtt-sn", "linh")?.unsettled).toBe(0);
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
