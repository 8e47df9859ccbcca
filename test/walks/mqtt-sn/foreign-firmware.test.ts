/**
 * What other people's clients on microcontrollers send, octet for octet, and what they demand of the answers. Read from
 * their sources; the table in the gateway's README says where each of them leaves the specification.
 */
import { describe, expect, it } from "vitest";
import { sessionOf } from "../../support/engine-of-run.ts";
import { TRUSTED } from "../../support/mqtt-sn-device.ts";
import { hex, last, meet } from "../../support/mqtt-sn-octets.ts";

describe("RIOT emcute", () => {
  it("counts MsgIds from 0x1234, and repeats after 15 s without DUP: the same answer, and one message", () => {
    const { client, heard, wait } = meet();
    expect(client.say("0C 04 04 01 01 68 'emcute'")).toEqual(hex("03 05 00"));
    expect(client.say("0B 0A 00 00 12 34 'topic'")).toEqual(hex("07 0B 00 01 12 34 00"));
    expect(client.say("08 0C 20 00 01 12 35 'x'")).toEqual(hex("07 0D 00 01 12 35 00"));
    wait(15_000);
    expect(client.say("08 0C 20 00 01 12 35 'x'")).toEqual(hex("07 0D 00 01 12 35 00"));
    // What has no DUP is no repeat (§5.3.4), so QoS 1 may come twice.
    expect(heard.length).toBe(2);
    expect(client.say("02 18")).toEqual(hex("02 18"));
  });

  it("repeats each part of its handshake until it is answered, the last one too; later it means nothing", () => {
    const { client } = meet();
    for (const _ of [1, 2]) expect(client.say("0C 04 0C 01 01 68 'emcute'")).toEqual(hex("02 06"));
    for (const _ of [1, 2]) expect(client.say("09 07 20 'will/t'")).toEqual(hex("02 08"));
    for (const _ of [1, 2]) expect(client.say("06 09 'gone'")).toEqual(hex("03 05 00"));
    expect(client.say("02 16")).toEqual(hex("02 17"));
    expect(client.say("06 09 'gone'")).toEqual([]);
  });

  it("connects with a will, and changes both parts", () => {
    const { client, wait, heard } = meet();
    expect(client.say("0C 04 0C 01 01 68 'emcute'")).toEqual(hex("02 06"));
    expect(client.say("09 07 20 'will/t'")).toEqual(hex("02 08"));
    expect(client.say("06 09 'gone'")).toEqual(hex("03 05 00"));
    expect(client.say("08 1A 10 'other'")).toEqual(hex("03 1B 00"));
    expect(client.say("06 1C 'lost'")).toEqual(hex("03 1D 00"));
    wait(396_000);
    expect(last(heard)).toBe("other lost");
  });

  it("takes a SUBACK only with an id above 0, and UNSUBSCRIBES by name; REGISTER and stray DISCONNECT it ignores", () => {
    const { client, world } = meet();
    client.say("0C 04 04 01 01 68 'emcute'");
    expect(client.say("0A 12 20 12 34 'topic'")).toEqual(hex("08 13 20 00 01 12 34 00"));
    world.publish("topic", "x", { qos: 1, retain: true });
    expect(client.hear()).toEqual(hex("08 0C 20 00 01 00 01 'x'"));
    expect(client.say("07 0D 00 01 00 01 00")).toEqual([]);
    expect(client.say("0A 14 00 12 35 'topic'")).toEqual(hex("04 15 12 35"));
    expect(client.say("0A 12 20 12 36 'topic'")).toEqual(
      hex("08 13 20 00 01 12 36 00", "08 0C 30 00 01 00 02 'x'"),
    );
  });

  it("refuses a PUBLISH with DUP by code 3: it gets it once more without DUP, which it takes", () => {
    const { client, world, wait } = meet();
    client.say("0C 04 04 01 01 68 'emcute'");
    client.say("0A 12 20 12 34 'topic'");
    world.publish("topic", "x", { qos: 1 });
    client.hear();
    wait(10_000);
    expect(client.hear()).toEqual(hex("08 0C A0 00 01 00 01 'x'"));
    expect(client.say("07 0D 00 01 00 01 03")).toEqual(hex("08 0C 20 00 01 00 01 'x'"));
    expect(client.say("07 0D 00 01 00 01 00")).toEqual([]);
    expect(world.sessionCounters.dead.value).toBe(0);
  });

  it("refuses the predefined type by code 3, which the text demands of us: that message is dead, the next is not", () => {
    const { client, world } = meet({ predefinedTopics: [{ id: 9, topic: "pre" }] });
    client.say("0C 04 04 01 01 68 'emcute'");
    client.say("07 12 21 12 34 00 09");
    client.say("0A 12 20 12 35 'topic'");
    world.publish("pre", "x", { qos: 1 });
    expect(client.hear()).toEqual(hex("08 0C 21 00 09 00 01 'x'"));
    expect(client.say("07 0D 00 09 00 01 03")).toEqual([]);
    expect(world.sessionCounters.dead.value).toBe(1);
    world.publish("topic", "x", { qos: 1 });
    expect(client.hear()).toEqual(hex("08 0C 20 00 01 00 02 'x'"));
  });

  it("pings every 360 s, and answers our own PINGREQ where the gateway probes", () => {
    const { client, wait } = meet({ probe: true });
    client.say("0C 04 04 01 01 68 'emcute'");
    wait(360_000);
    expect(client.say("02 16")).toEqual(hex("02 17"));
    wait(396_000);
    expect(client.hear()).toEqual(hex("02 16"));
    expect(client.say("02 17")).toEqual([]);
    wait(360_000);
    expect(client.say("02 16")).toEqual(hex("02 17"));
  });
});

describe("RIOT asymcute", () => {
  it("has several requests open at once, with MsgIds drawn by lot; each answer finds its own", () => {
    const { client } = meet();
    expect(client.say("0B 04 04 01 01 68 'async'")).toEqual(hex("03 05 00"));
    expect(client.say("07 0A 00 00 F3 01 'a'")).toEqual(hex("07 0B 00 01 F3 01 00"));
    expect(client.say("08 12 20 80 00 'b/c'")).toEqual(hex("08 13 20 00 02 80 00 00"));
    expect(client.say("08 0C 20 00 01 00 07 '1'")).toEqual(hex("07 0D 00 01 00 07 00"));
    expect(client.say("08 14 00 00 05 'b/c'")).toEqual(hex("04 15 00 05"));
  });

  it("rejects unknown ids with code 2 at QoS 0 too, and never answers REGISTER: the topic is given up, not the client", () => {
    const { client, world, wait } = meet(TRUSTED);
    client.say("0B 04 04 01 01 68 'async'");
    client.say("08 12 20 00 01 'n/#'");
    for (let message = 0; message < 8; message++) {
      world.publish("n/1", String(message), { qos: 1 });
      for (let count = 0; count < 8; count++) {
        wait(10_000);
        for (const answer of client.hear()) {
          const publish = /^.. 0C .. (.. ..) (.. ..)/.exec(answer);
          if (publish !== null) client.say(`07 0D ${publish[1]} ${publish[2]} 02`);
        }
        expect(client.say("02 16")).toContain(hex("02 17")[0]);
      }
    }
    expect(sessionOf(world, "mqtt-sn", "async")?.unsettled).toBe(0);
    expect(world.sessionCounters.dead.value).toBe(8);
    expect(world.sessions.connected).toBe(1);
    client.hear();
    // By name it takes what it subscribed.
    expect(client.say("08 12 20 00 02 'n/2'")).toHaveLength(1);
    world.publish("n/2", "x");
    expect(client.hear()).toHaveLength(1);
  });

  it("answers a QoS 0 message of an unknown id with PUBACK 2 and MsgId 0: REGISTER comes anew", () => {
    const { client, world } = meet();
    client.say("0B 04 04 01 01 68 'async'");
    client.say("0A 12 00 00 01 'topic'");
    world.publish("topic", "x");
    expect(client.hear()).toEqual(hex("08 0C 00 00 01 00 00 'x'"));
    expect(client.say("07 0D 00 01 00 00 02")).toEqual([]);
    world.publish("topic", "y");
    expect(client.hear()).toEqual(hex("0B 0A 00 01 00 01 'topic'"));
  });

  it("uses the long form from 249 octets on", () => {
    const { client, heard } = meet();
    client.say("0B 04 04 01 01 68 'async'");
    client.say("0B 0A 00 00 00 01 'topic'");
    const payload = "x".repeat(242);
    expect(client.say(`01 00 FB 0C 20 00 01 00 02 '${payload}'`)).toEqual(hex("07 0D 00 01 00 02 00"));
    expect(last(heard)).toBe(`topic ${payload}`);
  });
});

describe("Zephyr", () => {
  it("searches with radius 1, then connects with its will before anything else", () => {
    const { client } = meet({ gatewayId: 1 });
    expect(client.say("03 01 01")).toEqual(hex("03 02 01"));
    expect(client.say("0C 04 0C 01 00 3C 'zephyr'")).toEqual(hex("02 06"));
    expect(client.say("09 07 30 'will/t'")).toEqual(hex("02 08"));
    expect(client.say("06 09 'gone'")).toEqual(hex("03 05 00"));
  });

  it("registers, subscribes and publishes with MsgIds of one count, also at QoS 0; repeats SUBSCRIBE with DUP", () => {
    const { client, heard } = meet();
    client.say("0C 04 04 01 00 3C 'zephyr'");
    expect(client.say("0B 12 20 00 01 '/topic'")).toEqual(hex("08 13 20 00 01 00 01 00"));
    expect(client.say("0B 12 A0 00 01 '/topic'")).toEqual(hex("08 13 20 00 01 00 01 00"));
    expect(client.say("0A 0A 00 00 00 02 '/out'")).toEqual(hex("07 0B 00 02 00 02 00"));
    expect(client.say("08 0C 00 00 02 00 03 'x'")).toEqual([]);
    expect(client.say("08 0C 20 00 02 00 00 'y'")).toEqual(hex("07 0D 00 02 00 00 00"));
    expect(last(heard)).toBe("/out y");
  });

  it("pings at the very second of its keep-alive, and repeats a PINGREQ after 10 s", () => {
    const { client, wait } = meet();
    client.say("0C 04 04 01 00 3C 'zephyr'");
    for (let count = 0; count < 5; count++) {
      wait(60_000);
      expect(client.say("02 16")).toEqual(hex("02 17"));
    }
    wait(70_000);
    expect(client.say("02 16")).toEqual(hex("02 17"));
  });

  it("keeps its topic ids over a reconnect with CleanSession=0, and publishes without REGISTER", () => {
    const { client, heard, world } = meet();
    client.say("0C 04 00 01 00 3C 'zephyr'");
    client.say("0A 0A 00 00 00 01 '/out'");
    client.say("0B 12 20 00 02 '/topic'");
    client.say("02 18");
    expect(client.say("0C 04 00 01 00 3C 'zephyr'")).toEqual(hex("03 05 00"));
    expect(client.say("08 0C 20 00 01 00 03 'x'")).toEqual(hex("07 0D 00 01 00 03 00"));
    expect(last(heard)).toBe("/out x");
    // Towards it we say the name first (§6.10); the id is the one that it knows.
    world.publish("/topic", "x", { qos: 1 });
    expect(client.hear()).toEqual(hex("0C 0A 00 02 00 01 '/topic'"));
    expect(client.say("07 0B 00 02 00 01 00")).toEqual(hex("08 0C 20 00 02 00 01 'x'"));
  });

  it("never answers a REGISTER of a name over 64 octets, nor an empty message: neither costs it the connection", () => {
    const { client, world, wait } = meet();
    client.say("0C 04 04 01 00 3C 'zephyr'");
    client.say("06 12 20 00 01 '#'");
    world.publish("n/".repeat(40), "x", { qos: 1 });
    const heard: string[] = [];
    for (let count = 0; count < 60; count++) {
      wait(7000);
      heard.push(...client.say("02 16"));
    }
    expect(heard).not.toContain(hex("02 18")[0]);
    expect(world.sessionCounters.dead.value).toBe(1);
    client.say("0B 12 20 00 02 '/topic'");
    world.publish("/topic", "", { qos: 1 });
    expect(client.hear()).toEqual(hex("07 0C 20 00 02 00 02"));
    expect(world.sessions.connected).toBe(1);
  });

  it("takes the DISCONNECT that grants its sleep for the end of the connection; it may connect at once (§6.14)", () => {
    const { client } = meet();
    client.say("0C 04 00 01 00 3C 'zephyr'");
    expect(client.say("04 18 00 3C")).toEqual(hex("02 18"));
    expect(client.say("0C 04 00 01 00 3C 'zephyr'")).toEqual(hex("03 05 00"));
  });
});

describe("Nordic's nRF SDK", () => {
  it("names itself in each PINGREQ, also while it is active, and only then", () => {
    const { client, world } = meet();
    client.say("0B 04 00 01 00 3C 'nrf52'");
    expect(client.say("07 16 'nrf52'")).toEqual(hex("02 17"));
    client.say("0A 12 20 00 01 'topic'");
    expect(client.say("04 18 00 3C")).toEqual(hex("02 18"));
    world.publish("topic", "x", { qos: 1 });
    expect(client.say("07 16 'nrf52'")).toEqual(hex("08 0C 20 00 01 00 01 'x'"));
    expect(client.say("07 0D 00 01 00 01 00")).toEqual(hex("02 17"));
  });
});

describe("Contiki (aignacio)", () => {
  it("has one octet for a MsgId: ours begin at 1, so that its REGACK can be the right one", () => {
    const { client, world } = meet();
    expect(client.say("0D 04 04 01 00 0A 'contiki'")).toEqual(hex("03 05 00"));
    expect(client.say("08 12 00 00 01 'n/#'")).toEqual(hex("08 13 00 00 00 00 01 00"));
    world.publish("n/1", "x");
    expect(client.hear()).toEqual(hex("09 0A 00 01 00 01 'n/1'"));
    expect(client.say("07 0B 00 01 00 01 00")).toEqual(hex("08 0C 00 00 01 00 00 'x'"));
  });

  it("publishes at QoS 1 with MsgId 0, and ends with DISCONNECT of duration 0", () => {
    const { client, heard, world } = meet();
    client.say("0D 04 04 01 00 0A 'contiki'");
    expect(client.say("0B 0A 00 00 00 01 'topic'")).toEqual(hex("07 0B 00 01 00 01 00"));
    expect(client.say("0A 0C 20 00 01 00 00 'hi' 00")).toEqual(hex("07 0D 00 01 00 00 00"));
    expect(last(heard)).toBe("topic hi\0");
    expect(client.say("09 16 'contiki'")).toEqual(hex("02 17"));
    expect(client.say("04 18 00 00")).toEqual(hex("02 18"));
    expect(world.sessions.connected).toBe(0);
  });

  it("subscribes to its registered id as if it were predefined, and wants that id in SUBACK", () => {
    const { client, world } = meet();
    client.say("0D 04 04 01 00 0A 'contiki'");
    client.say("0B 0A 00 00 00 01 'topic'");
    expect(client.say("07 12 01 00 01 00 01")).toEqual(hex("08 13 00 00 01 00 01 00"));
    world.publish("topic", "x");
    expect(client.hear()).toEqual(hex("08 0C 00 00 01 00 00 'x'"));
    expect(client.say("07 12 01 00 02 00 02")).toEqual(hex("08 13 00 00 00 00 02 02"));
  });

  it("gets code 2 for that where predefined topics are configured: the id could be another topic (§6.7)", () => {
    const { client } = meet({ predefinedTopics: [{ id: 9, topic: "pre" }] });
    client.say("0D 04 04 01 00 0A 'contiki'");
    client.say("0B 0A 00 00 00 01 'topic'");
    expect(client.say("07 12 01 00 01 00 01")).toEqual(hex("08 13 00 00 00 00 01 02"));
  });
});

describe("Arduino (Donovan) and what became of it", () => {
  it("sends a DISCONNECT of six octets, of which the duration is read", () => {
    const { client, world } = meet();
    client.say("09 04 04 01 00 0A 'ard'");
    expect(client.say("06 18 00 00 00 00")).toEqual(hex("02 18"));
    expect(world.sessions.connected).toBe(0);
    client.say("09 04 04 01 00 0A 'ard'");
    expect(client.say("06 18 00 3C 00 00")).toEqual(hex("02 18"));
    expect(client.say("05 16 'ard'")).toEqual(hex("02 17"));
  });

  it("leaves the length of CONNECT in WILLTOPIC: the topic ends where its NUL is", () => {
    const { client, heard, wait } = meet();
    expect(client.say("09 04 0C 01 00 0A 'ard'")).toEqual(hex("02 06"));
    expect(client.say("09 07 00 'w/t' 00 'rd'")).toEqual(hex("02 08"));
    expect(client.say("06 09 'gone'")).toEqual(hex("03 05 00"));
    wait(15_000);
    expect(last(heard)).toBe("w/t gone");
  });

  it("S3ler: a NUL ends each name, numbers come with the low octet first, a registered id is called short", () => {
    const { client, heard, world } = meet();
    expect(client.say("0C 04 04 01 3C 00 'S3ler' 00")).toEqual(hex("03 05 00"));
    expect(sessionOf(world, "mqtt-sn", "S3ler")).toBeDefined();
    expect(client.say("0C 0A 00 00 01 00 'topic' 00")).toEqual(hex("07 0B 00 01 01 00 00"));
    expect(client.say("09 0C 22 00 01 02 00 'hi'")).toEqual(hex("07 0D 00 01 02 00 00"));
    expect(last(heard)).toBe("topic hi");
    expect(client.say("0A 12 20 03 00 'down' 00")).toEqual(hex("08 13 20 00 02 03 00 00"));
    world.publish("down", "x", { qos: 1 });
    expect(client.hear()).toEqual(hex("08 0C 20 00 02 00 01 'x'"));
    expect(client.say("09 16 'S3ler' 00")).toEqual([]);
    expect(client.say("08 16 'S3ler' 00")).toEqual(hex("02 17"));
  });

  it("Bittailor: the flags have their bits in the other order, and MsgIds begin at 0", () => {
    const { client, heard, world } = meet();
    expect(client.say("09 04 20 01 00 0A 'nrf'")).toEqual(hex("03 05 00"));
    expect(client.say("0A 12 00 00 00 'topic'")).toEqual(hex("08 13 00 00 01 00 00 00"));
    expect(client.say("0A 0A 00 00 00 01 'upon'")).toEqual(hex("07 0B 00 02 00 01 00"));
    expect(client.say("09 0C 20 00 02 00 00 'hi'")).toEqual(hex("07 0D 00 02 00 00 00"));
    expect(last(heard)).toBe("upon hi");
    world.publish("topic", "x");
    expect(client.hear()).toEqual(hex("08 0C 00 00 01 00 00 'x'"));
  });
});

describe("OpenThread (kyberpunk)", () => {
  it("never answers REGISTER while it is awake: at the fourth wake the message comes without", () => {
    const { client, world, wait } = meet();
    client.say("0A 04 00 01 00 1E 'thrd'");
    client.say("08 12 20 00 01 'n/#'");
    expect(client.say("04 18 02 58")).toEqual(hex("02 18"));
    world.publish("n/1", "x", { qos: 1 });
    for (let wake = 0; wake < 3; wake++) {
      expect(client.say("06 16 'thrd'")).toEqual(hex("09 0A 00 01 00 01 'n/1'"));
      wait(300_000);
      client.hear();
    }
    expect(client.say("06 16 'thrd'")).toEqual(hex("08 0C 20 00 01 00 01 'x'"));
    expect(client.say("07 0D 00 01 00 01 00")).toEqual(hex("02 17"));
  });
});

describe("mqtt-sn-tools-rs", () => {
  it("ignores REGISTER: the message comes at last under the id that was offered", () => {
    const { client, world, wait } = meet();
    client.say("08 04 04 01 00 0A 'rs'");
    client.say("08 12 00 00 01 'n/#'");
    world.publish("n/1", "x");
    const heard = client.hear();
    for (let count = 0; count < 10; count++) {
      wait(7000);
      heard.push(...client.say("02 16"));
    }
    expect(heard).toContain(hex("08 0C 00 00 01 00 00 'x'")[0]);
    expect(heard).not.toContain(hex("02 18")[0]);
  });
});
