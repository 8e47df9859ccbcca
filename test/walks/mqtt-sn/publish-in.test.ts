import { describe, expect, it } from "vitest";
import type { Commits } from "#core/bus/commits.ts";
import type { ListenerPolicy } from "#core/policy/policy.ts";
import { snWorld } from "../../support/mqtt-sn-device.ts";
import { permissive } from "../../support/world.ts";

const AB = 0x6162;
const payloads = (messages: readonly { payload: Uint8Array }[]): string[] =>
  messages.map((message) => new TextDecoder().decode(message.payload));

function connected(config = {}, policy = {}, options = {}) {
  const made = snWorld(config, options, policy);
  const heard = made.world.listen("#");
  const d1 = made.device();
  d1.connect("d1", { keepAlive: 3600 });
  d1.register("a/b");
  return { ...made, d1, heard };
}

describe("MQTT-SN 1.2 §6.6, PUBLISH from a client", () => {
  it("P1 does not answer QoS 0", () => {
    const { d1, heard } = connected();
    expect(d1.publish(1, "x")).toEqual([]);
    expect(heard.map((each) => [each.topic, each.qos])).toEqual([["a/b", 0]]);
  });

  it("P1 answers QoS 1 by PUBACK with the same ids and code 0", () => {
    const { d1, heard } = connected();
    expect(d1.publish(1, "x", { qos: 1, id: 0xbeef })).toEqual([`PUBACK 1 #${0xbeef} code 0`]);
    expect(heard.map((each) => each.qos)).toEqual([1]);
  });

  it("P1 runs QoS 2 through PUBREC, PUBREL, PUBCOMP", () => {
    const { d1, heard } = connected();
    expect(d1.publish(1, "x", { qos: 2, id: 3 })).toEqual(["PUBREC #3"]);
    expect(d1.pubrel(3)).toEqual(["PUBCOMP #3"]);
    expect(heard.map((each) => each.qos)).toEqual([2]);
  });

  it("P2 acknowledges a publish and a subscribe only when the store has committed", () => {
    let commit = (): void => {};
    let writes = 0;
    const commits: Commits = {
      // Every look finds one write more: everything has to wait.
      get writes() {
        return writes++;
      },
      await: (loop, ticket, answer) => {
        commit = () => loop.answered(ticket, answer);
      },
      whenCommitted: (run) => run(false),
      whenSafe: (run) => run(),
    };
    const { d1, heard, world } = connected({}, {}, { commits });
    expect(d1.publish(1, "x", { qos: 1, id: 4 })).toEqual([]);
    commit();
    world.settle();
    expect(d1.hear()).toEqual(["PUBACK 1 #4 code 0"]);
    expect(d1.publish(1, "x", { qos: 2, id: 5 })).toEqual([]);
    expect(d1.publish(1, "x", { qos: 2, id: 5, dup: true })).toEqual([]);
    commit();
    world.settle();
    expect(d1.hear()).toEqual(["PUBREC #5"]);
    expect(heard).toHaveLength(2);
    expect(d1.subscribe("a/b", 1, 0, 6)).toEqual([]);
    commit();
    world.settle();
    expect(d1.hear()).toEqual(["SUBACK 1 #6 qos1 code 0"]);
  });

  it("P9 bounds what waits for the store, and answers congestion above it", () => {
    let writes = 0;
    const commits: Commits = {
      get writes() {
        return writes++;
      },
      await: () => {},
      whenCommitted: (run) => run(false),
      whenSafe: (run) => run(),
    };
    const { d1 } = connected({ inboundMax: 2 }, {}, { commits });
    expect(d1.publish(1, "x", { qos: 1, id: 1 })).toEqual([]);
    expect(d1.publish(1, "x", { qos: 2, id: 2 })).toEqual([]);
    expect(d1.publish(1, "x", { qos: 1, id: 3 })).toEqual(["PUBACK 1 #3 code 1"]);
    expect(d1.publish(1, "x", { qos: 2, id: 4 })).toEqual(["PUBACK 1 #4 code 1"]);
    expect(d1.subscribe("a/b", 1, 0, 5)).toEqual(["SUBACK 0 #5 qos0 code 1"]);
  });

  it("P3 answers an unknown topic id by PUBACK 2 at every QoS and forwards nothing", () => {
    const { d1, heard } = connected();
    expect(d1.publish(9, "x", { qos: 0, id: 0 })).toEqual(["PUBACK 9 #0 code 2"]);
    expect(d1.publish(9, "x", { qos: 1, id: 5 })).toEqual(["PUBACK 9 #5 code 2"]);
    expect(d1.publish(9, "x", { qos: 2, id: 6 })).toEqual(["PUBACK 9 #6 code 2"]);
    expect(d1.publish(0, "x", { qos: 1, id: 7 })).toEqual(["PUBACK 0 #7 code 2"]);
    expect(d1.publish(0xffff, "x", { qos: 1, id: 8 })).toEqual(["PUBACK 65535 #8 code 2"]);
    expect(heard).toEqual([]);
  });

  it("P4 answers an unknown predefined id by PUBACK 2, and publishes known ones up to 65,535", () => {
    const { d1, heard } = connected({
      predefinedTopics: [
        { id: 1, topic: "pre/1" },
        { id: 65_535, topic: "pre/max" },
        { id: 2, topic: "mine", client: "d1" },
        { id: 2, topic: "all" },
        { id: 3, topic: "others", client: "d2" },
      ],
    });
    expect(d1.publish(4, "x", { qos: 1, type: 1 })).toEqual(["PUBACK 4 #1 code 2"]);
    expect(d1.publish(3, "x", { qos: 1, type: 1 })).toEqual(["PUBACK 3 #1 code 2"]);
    expect(d1.publish(1, "x", { qos: 1, type: 1 })).toEqual(["PUBACK 1 #1 code 0"]);
    d1.publish(65_535, "x", { type: 1 });
    d1.publish(2, "x", { type: 1 });
    expect(heard.map((each) => each.topic)).toEqual(["pre/1", "pre/max", "mine"]);
  });

  it("P4 reads predefined topics from a file", () => {
    const files = { "topics.json": new TextEncoder().encode('[{"id": 12, "topic": "from/file"}]') };
    const { d1, heard } = connected({ predefinedTopicsFile: "topics.json" }, {}, { files });
    d1.publish(12, "x", { type: 1 });
    expect(heard.map((each) => each.topic)).toEqual(["from/file"]);
  });

  it("P5 takes the two octets of a short name for the topic, and refuses wildcards, NUL and bad UTF-8", () => {
    const { d1, heard } = connected();
    expect(d1.publish(AB, "x", { qos: 1, type: 2 })).toEqual([`PUBACK ${AB} #1 code 0`]);
    expect(heard.map((each) => each.topic)).toEqual(["ab"]);
    for (const name of [0x6123, 0x2b61, 0x2300, 0x0061, 0xc328]) {
      expect(d1.publish(name, "x", { qos: 1, type: 2 })).toEqual([`PUBACK ${name} #1 code 2`]);
    }
    expect(heard).toHaveLength(1);
  });

  it("P6 refuses the reserved topic id type and MsgId 0 at QoS 2; MsgId 0 at QoS 1, and one at QoS 0, is accepted", () => {
    const { d1, heard } = connected();
    expect(d1.publish(1, "x", { qos: 1, type: 3, id: 5 })).toEqual(["PUBACK 1 #5 code 3"]);
    expect(d1.publish(1, "x", { qos: 2, id: 0 })).toEqual(["PUBACK 1 #0 code 3"]);
    expect(heard).toEqual([]);
    expect(d1.publish(1, "x", { qos: 1, id: 0 })).toEqual(["PUBACK 1 #0 code 0"]);
    expect(d1.publish(1, "x", { qos: 0, id: 77 })).toEqual([]);
    expect(heard).toHaveLength(2);
  });

  it("P7 forwards QoS 2 once however often it is repeated, and answers every repeat", () => {
    const { d1, heard } = connected();
    d1.publish(1, "x", { qos: 2, id: 3 });
    expect(d1.publish(1, "x", { qos: 2, id: 3, dup: true })).toEqual(["PUBREC #3"]);
    expect(d1.pubrel(3)).toEqual(["PUBCOMP #3"]);
    expect(d1.pubrel(3)).toEqual(["PUBCOMP #3"]);
    expect(d1.pubrel(1234)).toEqual(["PUBCOMP #1234"]);
    expect(heard).toHaveLength(1);
    d1.publish(1, "y", { qos: 2, id: 3 });
    expect(payloads(heard)).toEqual(["x", "y"]);
  });

  it("P7 keeps the MsgId over a reconnect", () => {
    const { device, world } = snWorld();
    const heard = world.listen("#");
    const d1 = device();
    d1.connect("d1", { clean: false });
    d1.publish(AB, "x", { qos: 2, type: 2, id: 3 });
    d1.disconnect();
    d1.connect("d1", { clean: false });
    expect(d1.publish(AB, "x", { qos: 2, type: 2, id: 3, dup: true })).toEqual(["PUBREC #3"]);
    expect(heard).toHaveLength(1);
  });

  it("P8 may forward a QoS 1 repeat twice, or drops it where that is configured", () => {
    for (const dropRepeatedQos1 of [false, true]) {
      const { d1, heard } = connected({ dropRepeatedQos1 });
      d1.publish(1, "x", { qos: 1, id: 5 });
      expect(d1.publish(1, "x", { qos: 1, id: 5, dup: true })).toEqual(["PUBACK 1 #5 code 0"]);
      expect(heard).toHaveLength(dropRepeatedQos1 ? 1 : 2);
      d1.publish(1, "y", { qos: 1, id: 5, dup: true });
      d1.publish(1, "y", { qos: 1, id: 6 });
      expect(heard).toHaveLength(dropRepeatedQos1 ? 3 : 4);
    }
  });

  it("P9 takes several QoS 2 exchanges at a time, and answers congestion above the bound", () => {
    const { d1, heard } = connected({}, {}, { session: { inboundMax: 3 } });
    for (const id of [1, 2, 3]) expect(d1.publish(1, "x", { qos: 2, id })).toEqual([`PUBREC #${id}`]);
    expect(d1.publish(1, "x", { qos: 2, id: 4 })).toEqual(["PUBACK 1 #4 code 1"]);
    expect(heard).toHaveLength(3);
    d1.pubrel(1);
    expect(d1.publish(1, "x", { qos: 2, id: 4 })).toEqual(["PUBREC #4"]);
  });

  it("P10 answers congestion over the rate; at QoS 0 at most once a second", () => {
    const { d1, heard, wait } = connected({}, {}, { limits: { messageRate: 5 } });
    const answers = Array.from({ length: 20 }, (_, index) => d1.publish(1, "x", { qos: 1, id: index + 1 }));
    const congested = answers.flat().filter((answer) => answer.endsWith("code 1"));
    expect(congested.length).toBeGreaterThan(10);
    expect(heard.length + congested.length).toBe(20);
    const quiet = Array.from({ length: 20 }, () => d1.publish(1, "x")).flat();
    expect(quiet).toEqual(["PUBACK 1 #0 code 1"]);
    wait(1000);
    for (let index = 0; index < 10; index++) quiet.push(...d1.publish(1, "x"));
    expect(quiet).toHaveLength(2);
  });

  it("answers a publish that the ACL forbids by code 3, and never by a code above 3 (F8)", () => {
    const { d1, heard } = connected({}, { mayPublish: () => false });
    expect(d1.publish(1, "x", { qos: 1, id: 5 })).toEqual(["PUBACK 1 #5 code 3"]);
    expect(d1.publish(1, "x", { qos: 2, id: 6 })).toEqual(["PUBACK 1 #6 code 3"]);
    expect(d1.publish(1, "x", { qos: 0 })).toEqual(["PUBACK 1 #0 code 3"]);
    expect(heard).toEqual([]);
  });

  it("P11 passes RETAIN on, and clears by an empty retained payload", () => {
    const { d1, world, device } = connected();
    d1.publish(1, "kept", { qos: 1, retain: true });
    const d2 = device(2);
    d2.connect("d2");
    expect(d2.subscribe("a/b")).toEqual(["SUBACK 1 #1 qos0 code 0", 'PUBLISH 1 qos0 retain "kept"']);
    expect(d1.publish(1, "", { qos: 1, retain: true })).toEqual(["PUBACK 1 #1 code 0"]);
    expect(world.bus.retained("a/b", 10)).toEqual([]);
  });

  it("P14 accepts a publish of a sleeper and leaves its state alone, or refuses it where that is configured", () => {
    const { d1, heard, world } = connected();
    d1.subscribe("down", 1);
    d1.disconnect(1000);
    expect(d1.publish(1, "x", { qos: 1 })).toEqual(["PUBACK 1 #1 code 0"]);
    world.publish("down", "x", { qos: 1 });
    expect(d1.hear()).toEqual([]);
    expect(payloads(heard)).toEqual(["x", "x"]);
    const strict = connected({ sleep: { publish: "refuse" } });
    strict.d1.disconnect(1000);
    expect(strict.d1.publish(1, "x", { qos: 1 })).toEqual(["PUBACK 1 #1 code 3"]);
    expect(strict.d1.subscribe("a")).toEqual(["SUBACK 0 #1 qos0 code 3"]);
    expect(strict.d1.register("a")).toEqual(["REGACK 0 #1 code 3"]);
    expect(strict.heard).toEqual([]);
  });

  it("P14 counts a publish of a sleeper as a sign of life", () => {
    const { d1, wait, world } = connected();
    d1.disconnect(100);
    wait(100_000);
    d1.publish(1, "x", { qos: 1 });
    wait(100_000);
    expect(world.disconnects).toEqual([]);
    wait(20_000);
    expect(world.disconnects).toHaveLength(1);
  });

  it("publishes under the mountpoint (§7.1 t_publish_mountpoint)", () => {
    const { d1, heard } = connected({}, { mountpoint: () => "site/" });
    d1.publish(1, "x", { qos: 1 });
    expect(heard.map((each) => each.topic)).toEqual(["site/a/b"]);
  });
});

describe("MQTT-SN 1.2 §6.8, PUBLISH with QoS -1", () => {
  const pre = { predefinedTopics: [{ id: 1, topic: "pre/1" }] };

  it("P12 takes a short name or a predefined id from anybody, answers nothing, keeps RETAIN, makes no session", () => {
    const { world, device, network } = snWorld(pre);
    const heard = world.listen("#");
    const stranger = device();
    expect(stranger.publish(1, "x", { qos: -1, type: 1, retain: true })).toEqual([]);
    expect(stranger.publish(AB, "y", { qos: -1, type: 2 })).toEqual([]);
    expect(heard.map((each) => [each.topic, each.qos, each.retain])).toEqual([
      ["pre/1", 0, true],
      ["ab", 0, false],
    ]);
    expect(world.sessions.count).toBe(0);
    expect(network.runtime.peers.count).toBe(0);
  });

  it("P12 drops normal and reserved topic id types, unknown ids and bad names without a word", () => {
    const { world, device } = snWorld(pre);
    const heard = world.listen("#");
    const stranger = device();
    for (const [type, id] of [
      [0, 1],
      [3, 1],
      [1, 2],
      [2, 0x2361],
    ] as const) {
      expect(stranger.publish(id, "x", { qos: -1, type })).toEqual([]);
    }
    expect(heard).toEqual([]);
  });

  it("P12 goes through authentication, ACL, mountpoint and rate like any publish", () => {
    const asked: string[] = [];
    const { world, device } = snWorld(
      { ...pre, credentials: { username: "sn-%c" } },
      { limits: { messageRate: 1000 } },
      {
        mountpoint: () => "site/",
        mayPublish: (identity, topic, qos, retain) => {
          asked.push(`${identity.clientId} ${identity.username} ${topic} ${qos} ${retain}`);
          return topic === "pre/1";
        },
      },
    );
    const heard = world.listen("#");
    device().publish(1, "x", { qos: -1, type: 1 });
    device().publish(AB, "x", { qos: -1, type: 2 });
    expect(heard.map((each) => each.topic)).toEqual(["site/pre/1"]);
    expect(asked).toEqual([
      "mqtt-sn-anonymous sn-mqtt-sn-anonymous pre/1 0 false",
      "mqtt-sn-anonymous sn-mqtt-sn-anonymous ab 0 false",
    ]);
    const closed = snWorld(
      pre,
      {},
      {
        authenticate: () => ({ ok: false, refusal: "unauthenticated", reason: "" }),
      },
    );
    const nothing = closed.world.listen("#");
    expect(closed.device().publish(1, "x", { qos: -1, type: 1 })).toEqual([]);
    expect(nothing).toEqual([]);
  });

  it("P12 is off, for listed senders, or for listed topics where that is configured", () => {
    const off = snWorld({ ...pre, qosMinusOne: { mode: "off" } });
    const offHeard = off.world.listen("#");
    expect(off.device().publish(1, "x", { qos: -1, type: 1 })).toEqual([]);
    expect(offHeard).toEqual([]);
    const listed = snWorld({
      ...pre,
      qosMinusOne: { mode: "listed", addresses: ["10.1.0.0/16", "fd00::/8"] },
    });
    const heard = listed.world.listen("#");
    listed.device(1, "10.2.0.1").publish(1, "no", { qos: -1, type: 1 });
    listed.device(1, "10.1.9.9").publish(1, "yes", { qos: -1, type: 1 });
    listed.device(1, "fd12::1").publish(1, "v6", { qos: -1, type: 1 });
    listed.device(1, "fe80::1").publish(1, "no", { qos: -1, type: 1 });
    expect(payloads(heard)).toEqual(["yes", "v6"]);
    const topics = snWorld({ ...pre, qosMinusOne: { topics: ["pre/+"] } });
    const some = topics.world.listen("#");
    topics.device().publish(AB, "no", { qos: -1, type: 2 });
    topics.device().publish(1, "yes", { qos: -1, type: 1 });
    expect(payloads(some)).toEqual(["yes"]);
  });

  it("P12 does not disturb the session of a client at that address, awake or asleep", () => {
    const { world, device } = snWorld(pre);
    const heard = world.listen("pre/1");
    const d1 = device();
    d1.connect("d1");
    d1.subscribe("down", 1);
    expect(d1.publish(1, "x", { qos: -1, type: 1 })).toEqual([]);
    expect(d1.ping()).toEqual(["PINGRESP"]);
    d1.disconnect(1000);
    expect(d1.publish(1, "y", { qos: -1, type: 1 })).toEqual([]);
    world.publish("down", "z", { qos: 1 });
    expect(d1.hear()).toEqual([]);
    expect(heard.map((each) => each.publisher)).toEqual(["mqtt-sn:d1", "mqtt-sn:d1"]);
  });

  /** Logins that are answered when the test says so, in the order in which they were asked. */
  function slowly(policy: Partial<ListenerPolicy> = {}) {
    const waiting: (() => void)[] = [];
    const made = snWorld(
      pre,
      {},
      {
        ...policy,
        authenticate: async (request, peer, now) => {
          await new Promise<void>((resolve) => waiting.push(resolve));
          return permissive("mqtt-sn").authenticate(request, peer, now);
        },
      },
    );
    const heard = made.world.listen("pre/1");
    return {
      ...made,
      heard: () => heard.map(({ payload }) => String(Buffer.from(payload))),
      async answer(count = waiting.length) {
        for (const one of waiting.splice(0, count)) one();
        await new Promise((resolve) => setImmediate(resolve));
        made.world.settle();
      },
    };
  }
  const minusOne = { qos: -1, type: 1 } as const;

  it("P12 loses none of several, nor what connects behind them, while the first is looked at", async () => {
    const { device, heard, answer, network, world } = slowly();
    const sensor = device();
    for (const text of ["1", "2", "3"]) sensor.publish(1, text, minusOne);
    expect(sensor.connect("d1")).toEqual([]);
    sensor.publish(1, "4", minusOne);
    await answer();
    expect(heard()).toEqual(["1", "2", "3", "4"]);
    expect(sensor.hear()).toEqual(["CONNACK code 0"]);
    expect(sensor.ping()).toEqual(["PINGRESP"]);
    sensor.disconnect();
    expect([network.runtime.peers.count, world.core.memory.held]).toEqual([0, 0]);
  });

  it("P12 takes them before the will is known, and ends them with no DISCONNECT that comes meanwhile", async () => {
    const { device, heard, answer, network } = slowly();
    const sensor = device();
    expect(sensor.connect("d1", { will: true })).toEqual(["WILLTOPICREQ"]);
    sensor.publish(1, "1", minusOne);
    expect(sensor.disconnect()).toEqual(["DISCONNECT"]);
    const other = device(11_000);
    other.publish(1, "2", minusOne);
    expect(other.disconnect()).toEqual(["DISCONNECT"]);
    await answer();
    expect(heard()).toEqual(["1", "2"]);
    expect(network.runtime.peers.count).toBe(0);
  });

  it("P13 reads the private form with a topic name only where that is configured", () => {
    const form = "0A 0C 60 00 02 00 00 61 62 78";
    const closed = snWorld();
    const nothing = closed.world.listen("#");
    closed.device().raw(form);
    expect(nothing).toEqual([]);
    const open = snWorld({ qosMinusOne: { nameForm: true } });
    const heard = open.world.listen("#");
    open.device().raw(form);
    expect(heard.map((each) => [each.topic, ...payloads([each])])).toEqual([["ab", "x"]]);
  });
});
