/** What real clusters did against expectation, each said again by a scripted server. */
import { describe, expect, it, vi } from "vitest";
import { type Duration, hours, milliseconds, minutes, seconds } from "#core/lib/time.ts";
import type { ServerCaps } from "#core/mqtt/client/server-limits.ts";
import type { UpstreamOptions } from "#core/upstream/options.ts";
import { PROFILES } from "#core/upstream/profiles.ts";
import { mqtt } from "#gateways/mqtt/index.ts";
import { engineOf } from "../../support/engine-of-run.ts";
import { type AnyPacket, MqttDevice, mqttDefaults } from "../../support/mqtt-device.ts";
import { type Line, ScriptedServer, virtualServer } from "../../support/scripted-server.ts";
import { onlyServer } from "../../support/upstream-world.ts";
import { World } from "../../support/world.ts";

type Script = ScriptedServer["answer"];

/** A gateway before a server that answers as it should, but for what `script` does. */
function site(script: Script, options: Partial<UpstreamOptions> = {}, caps?: ServerCaps) {
  const servers = new ScriptedServer();
  const choice = () => {
    const server = virtualServer(() => world, servers);
    return onlyServer(caps === undefined ? server : { ...server, caps });
  };
  const world: World = new World({ before: { choice, options } });
  const listener = world.streams(
    "mqtt",
    world.open(mqtt, mqttDefaults()).endpoint({ name: "tcp", transport: "tcp" }),
  );
  servers.answer = (line, packet) => (line.clientId === "dev" ? script(line, packet) : undefined);
  const device = (version: 4 | 5 = 5) => new MqttDevice(listener.connect(), version);
  return { world, servers, device, counters: engineOf(world).context.counters };
}

const KEPT = { clean: false, properties: { sessionExpiryInterval: 100_000 } };
const TAKEN = { cmd: "disconnect", reasonCode: 0x8e };
const commands = (packets: readonly AnyPacket[]): string[] => packets.map(({ cmd }) => cmd);

describe("S1: DISCONNECT 0x8E within two seconds of CONNACK, which an ejabberd sends to the wrong side", () => {
  it("is tried once more, and the device keeps its connection", () => {
    const { world, servers, device, counters } = site(() => undefined);
    const dev = device();
    dev.connect("dev", KEPT);
    world.settle();
    world.advance(milliseconds(1_900));
    servers.last("dev").say(TAKEN);
    world.settle();
    world.advance(seconds(1));
    expect([servers.of("dev").length, dev.closed, counters.takeovers.value]).toEqual([2, false, 0]);
    expect(commands(dev.publish("a", "x", { qos: 1, messageId: 1 })).concat(commands(dev.take()))).toContain(
      "puback",
    );
  });

  it("is believed when it comes again at once: there is no ping-pong", () => {
    const { world, servers, device, counters } = site((line, packet) => {
      if (packet.cmd !== "connect") return undefined;
      line.welcome();
      line.say(TAKEN);
      return true;
    });
    const dev = device();
    const heard = dev.connect("dev", KEPT);
    world.advance(minutes(10));
    expect([servers.of("dev").length, dev.closed, counters.takeovers.value]).toEqual([2, true, 1]);
    expect([...heard, ...dev.take()].at(-1)).toMatchObject({ cmd: "disconnect", reasonCode: 0x8e });
  });

  it("is believed when it comes later", () => {
    const { world, servers, device } = site(() => undefined);
    const dev = device();
    dev.connect("dev", KEPT);
    world.advance(milliseconds(2_100));
    servers.last("dev").say(TAKEN);
    world.settle();
    world.advance(minutes(1));
    expect([servers.of("dev").length, dev.closed]).toEqual([1, true]);
  });
});

describe("S4: no session, and SUBSCRIBE closes the connection, as RabbitMQ does while the node of a queue is down", () => {
  it("is backed off from further and further, and the device is not taken for one that was taken over", () => {
    let closes = false;
    const script: Script = (line, packet) => {
      if (!closes || packet.cmd !== "subscribe") return undefined;
      line.end();
      return true;
    };
    const { world, servers, device, counters } = site(script, { grace: hours(2) });
    const dev = device();
    dev.connect("dev", KEPT);
    world.settle();
    dev.subscribe("a", 1);
    world.settle();
    closes = true;
    servers.last("dev").end();
    world.settle();
    const triesIn = (length: Duration): number => {
      const before = servers.of("dev").length;
      world.advance(length);
      return servers.of("dev").length - before;
    };
    const first = triesIn(minutes(2));
    const later = triesIn(hours(1));
    expect(first).toBeGreaterThan(3);
    // Up to two minutes between two tries, one minute on the average.
    expect(later).toBeLessThan(120);
    expect(later).toBeGreaterThan(30);
    expect([dev.closed, counters.takeovers.value]).toEqual([false, 0]);
    closes = false;
    world.advance(minutes(3));
    servers.last("dev").say({ cmd: "publish", topic: "a", payload: "again", qos: 1, messageId: 1 });
    world.settle();
    expect(commands(dev.take())).toContain("publish");
  });
});

describe("S3: more outstanding than Receive Maximum, as mosquitto has it", () => {
  it("is taken and counted; the device gets no more than it can take", () => {
    const { world, servers, device, counters } = site(() => undefined);
    const dev = device();
    dev.connect("dev", { properties: { receiveMaximum: 3 } });
    world.settle();
    const line = servers.last("dev");
    expect(line.got("connect")[0]).toMatchObject({ properties: { receiveMaximum: 3 } });
    for (let id = 1; id <= 11; id++)
      line.say({ cmd: "publish", topic: "a", payload: `${id}`, qos: 1, messageId: id });
    world.settle();
    const got: string[] = [];
    let taken = dev.take();
    for (let next = taken.shift(); next !== undefined; next = taken.shift()) {
      expect(taken.length).toBeLessThan(3);
      got.push(String(next["payload"]));
      taken = [...taken, ...dev.send({ cmd: "puback", messageId: next["messageId"] })];
    }
    world.settle();
    expect(got).toEqual(Array.from({ length: 11 }, (_, index) => `${index + 1}`));
    expect([counters.overshoots.value, line.got("puback").length, line.closed]).toEqual([8, 11, false]);
  });
});

describe("what a server has sent (U-056)", () => {
  const answers = (line: Line) => line.packets.filter(({ cmd }) => /^pub(ack|rec|comp)$/.test(cmd));

  it("is acknowledged to it when the device has acknowledged it, and not before: QoS 1 and both steps of QoS 2", () => {
    const { world, servers, device } = site(() => undefined);
    const dev = device();
    dev.connect("dev", KEPT);
    world.settle();
    const line = servers.last("dev");
    line.say({ cmd: "publish", topic: "a", payload: "1", qos: 1, messageId: 5 });
    line.say({ cmd: "publish", topic: "a", payload: "2", qos: 2, messageId: 6 });
    world.settle();
    expect(dev.take()).toMatchObject([
      { cmd: "publish", messageId: 5 },
      { cmd: "publish", messageId: 6 },
    ]);
    world.advance(seconds(50));
    expect(answers(line)).toEqual([]);
    dev.send({ cmd: "puback", messageId: 5 });
    world.settle();
    expect(answers(line)).toMatchObject([{ cmd: "puback", messageId: 5 }]);
    const released = dev.send({ cmd: "pubrec", messageId: 6 });
    world.settle();
    expect(answers(line)).toMatchObject([{ cmd: "puback" }, { cmd: "pubrec", messageId: 6 }]);
    // PUBREL has come back by then, and goes on to the device.
    expect([...released, ...dev.take()]).toMatchObject([{ cmd: "pubrel", messageId: 6 }]);
    world.advance(seconds(50));
    expect(answers(line)).toHaveLength(2);
    dev.send({ cmd: "pubcomp", messageId: 6 });
    world.settle();
    expect(answers(line)[2]).toMatchObject({ cmd: "pubcomp", messageId: 6 });
  });

  it("is not acknowledged to it while the device does not take it, nor when the device is lost", () => {
    const { world, servers, device } = site(() => undefined);
    const dev = device();
    dev.connect("dev", { ...KEPT, properties: { ...KEPT.properties, receiveMaximum: 1 } });
    world.settle();
    const line = servers.last("dev");
    for (const messageId of [5, 6]) line.say({ cmd: "publish", topic: "a", payload: "x", qos: 1, messageId });
    world.settle();
    expect(dev.take()).toHaveLength(1);
    dev.stream.drop();
    world.settle();
    world.advance(minutes(1));
    expect(answers(line)).toEqual([]);
  });
});

describe("S5: NATS sends again what is not acknowledged", () => {
  it("on the same connection: the device does not see it twice", () => {
    const { world, servers, device, counters } = site(() => undefined);
    const dev = device();
    dev.connect("dev", KEPT);
    world.settle();
    const line = servers.last("dev");
    const message = { cmd: "publish", topic: "a", payload: "m", qos: 1, messageId: 5 };
    line.say(message);
    for (let times = 0; times < 3; times++) line.say({ ...message, dup: true });
    world.settle();
    const seen = dev.take();
    expect(seen).toMatchObject([{ cmd: "publish", messageId: 5 }]);
    expect([line.got("puback"), counters.repeats.value]).toEqual([[], 3]);
    dev.send({ cmd: "puback", messageId: 5 });
    world.settle();
    expect(line.got("puback")).toMatchObject([{ messageId: 5 }]);
  });

  it("after a move under other ids, while its old ones are given to new messages", () => {
    const { world, servers, device } = site((line, packet) => {
      if (packet.cmd !== "connect") return undefined;
      line.welcome(true);
      return true;
    });
    const dev = device();
    dev.connect("dev", KEPT);
    world.settle();
    for (const [id, payload] of [
      [1, "m0"],
      [2, "m1"],
    ] as const)
      servers.last("dev").say({ cmd: "publish", topic: "a", payload, qos: 1, messageId: id });
    world.settle();
    expect(dev.take().map(({ payload }) => String(payload))).toEqual(["m0", "m1"]);
    servers.last("dev").end();
    world.settle();
    world.advance(seconds(5));
    const line = servers.last("dev");
    line.say({ cmd: "publish", topic: "a", payload: "new", qos: 1, messageId: 1 });
    line.say({ cmd: "publish", topic: "a", payload: "m1", qos: 1, messageId: 3, dup: true });
    line.say({ cmd: "publish", topic: "a", payload: "m0", qos: 1, messageId: 2, dup: true });
    world.settle();
    const [fresh, ...more] = dev.take();
    expect([String(fresh?.["payload"]), more]).toEqual(["new", []]);
    for (const messageId of [1, 2, fresh?.["messageId"]]) dev.send({ cmd: "puback", messageId });
    world.settle();
    // m0 is 2 there now, m1 is 3, and the new one is 1.
    expect(line.got("puback").map(({ messageId }) => messageId)).toEqual([2, 3, 1]);
  });
});

describe("a deaf session (R3b): NATS has it, and the node that was to send for it is dead", () => {
  /** The server has a session of `dev` each time, and sends nothing of what is published; `heals`: on the connection of this number. */
  function deaf(heals: number) {
    const { world, servers, device, counters } = site((line, packet) => {
      if (packet.cmd === "connect")
        line.answer(packet, packet["clean"] !== true && servers.of("dev").length > 1);
      if (packet.cmd === "connect") return true;
      return undefined;
    });
    const other = device();
    const dev = device();
    const normal = servers.answer;
    servers.answer = (line, packet) => {
      if (
        line.clientId === "other" &&
        packet.cmd === "publish" &&
        packet["topic"] === "a" &&
        servers.of("dev").length >= heals
      )
        servers.last("dev").say({ cmd: "publish", topic: "a", payload: "x", qos: 1, messageId: 77 });
      return normal(line, packet);
    };
    dev.connect("dev", KEPT);
    world.settle();
    dev.subscribe("a", 1);
    other.connect("other");
    world.settle();
    // The node dies, and with it the connection.
    servers.last("dev").end();
    world.settle();
    world.advance(seconds(5));
    dev.take();
    const publish = (topic = "a") => {
      other.publish(topic, "x", { qos: 1, messageId: 1 });
      world.settle();
      world.advance(seconds(1));
    };
    return { world, servers, dev, again: device, publish, counters };
  }
  const connects = (servers: ScriptedServer) =>
    servers.of("dev").map((line) => line.got("connect")[0]?.["clean"]);

  it("is noticed when what a device has published does not come, connected anew, and then made anew with all its filters", () => {
    const { world, servers, dev, publish, counters } = deaf(4);
    publish();
    expect([connects(servers), counters.deaf.value]).toEqual([[false, false], 0]);
    world.advance(seconds(40));
    expect([connects(servers), counters.deaf.value]).toEqual([[false, false, false], 1]);
    expect(servers.last("dev").got("subscribe")).toEqual([]);
    publish();
    world.advance(seconds(40));
    expect([connects(servers), counters.deaf.value]).toEqual([[false, false, false, true], 2]);
    expect(servers.last("dev").got("subscribe")).toMatchObject([{ subscriptions: [{ topic: "a", qos: 1 }] }]);
    publish();
    expect(commands(dev.take())).toEqual(["publish"]);
    world.advance(minutes(10));
    expect([connects(servers).length, counters.deaf.value, dev.closed]).toEqual([4, 2, false]);
  });

  it("is made anew again and again until it hears: a cluster may count on the dead node for a while", () => {
    const { world, servers, dev, publish, counters } = deaf(6);
    for (let found = 1; found <= 4; found++) {
      publish();
      world.advance(seconds(40));
      expect(counters.deaf.value).toBe(found);
    }
    expect(connects(servers)).toEqual([false, false, false, true, false, true]);
    publish();
    expect(commands(dev.take())).toEqual(["publish"]);
    world.advance(minutes(10));
    expect([connects(servers).length, counters.deaf.value, dev.closed]).toEqual([6, 4, false]);
  });

  it("is noticed also when its device has come back by itself meanwhile", () => {
    const { world, servers, dev, again, publish, counters } = deaf(99);
    dev.stream.drop();
    world.settle();
    const back = again();
    expect(back.connect("dev", KEPT)).toMatchObject([{ cmd: "connack", sessionPresent: true }]);
    publish();
    world.advance(seconds(40));
    expect([connects(servers), counters.deaf.value]).toEqual([[false, false, false, false], 1]);
    publish();
    world.advance(seconds(40));
    expect([connects(servers).at(-1), counters.deaf.value, back.closed]).toEqual([true, 2, false]);
  });

  it("is not made anew where a new connection hears again", () => {
    const { world, servers, dev, publish, counters } = deaf(3);
    publish();
    world.advance(seconds(40));
    publish();
    expect(commands(dev.take())).toEqual(["publish"]);
    world.advance(minutes(10));
    expect([connects(servers), counters.deaf.value]).toEqual([[false, false, false], 1]);
  });

  it("is none that is sent what matches, nor one that nothing matches", () => {
    const { world, servers, publish, counters } = deaf(2);
    publish("b");
    publish();
    world.advance(minutes(10));
    expect([connects(servers), counters.deaf.value]).toEqual([[false, false], 0]);
  });

  it("is none as long as other messages come, which may have waited before that one", () => {
    const { world, servers, publish, counters } = deaf(99);
    publish();
    for (let sent = 0; sent < 30; sent++) {
      servers.last("dev").say({ cmd: "publish", topic: "else", payload: "x", qos: 0 });
      world.settle();
      world.advance(seconds(3));
    }
    expect([connects(servers), counters.deaf.value]).toEqual([[false, false], 0]);
    world.advance(seconds(40));
    expect([connects(servers), counters.deaf.value]).toEqual([[false, false, false], 1]);
  });

  it("is none whose device withholds acknowledgements: a server may wait for them", () => {
    const { world, servers, publish, counters } = deaf(99);
    servers.last("dev").say({ cmd: "publish", topic: "else", payload: "x", qos: 1, messageId: 9 });
    world.settle();
    publish();
    world.advance(minutes(10));
    expect([connects(servers), counters.deaf.value]).toEqual([[false, false], 0]);
  });
});

describe("S2: ejabberd sends one message at a time, and nothing more of any kind until that is acknowledged", () => {
  it("which the device gets in its order, each when it has acknowledged the one before", () => {
    const waiting = ["1", "2", "3"];
    const next = (line: Line) => {
      const payload = waiting.shift();
      if (payload !== undefined)
        line.say({ cmd: "publish", topic: "a", payload, qos: 1, messageId: 10 + waiting.length });
    };
    const { world, servers, device } = site((line, { cmd }) => {
      if (cmd === "puback") next(line);
      return undefined;
    });
    const dev = device();
    dev.connect("dev", { ...KEPT, properties: { ...KEPT.properties, receiveMaximum: 10 } });
    world.settle();
    next(servers.last("dev"));
    world.settle();
    const got: string[] = [];
    let heard = dev.take();
    for (let message = heard[0]; message !== undefined; message = heard[0]) {
      expect(heard).toHaveLength(1);
      got.push(String(message["payload"]));
      world.advance(seconds(20));
      expect(dev.take()).toEqual([]);
      heard = dev.send({ cmd: "puback", messageId: message["messageId"] });
      world.settle();
      heard.push(...dev.take());
    }
    expect(got).toEqual(["1", "2", "3"]);
    expect([dev.closed, servers.of("dev").length]).toEqual([false, 1]);
  });
});

describe("S7: NATS takes half a second for each subscription", () => {
  /** Answers one SUBSCRIBE after the other, each half a second after the one before. */
  function slow(count: number) {
    const asked: (() => void)[] = [];
    const { world, servers, device } = site((line, packet) => {
      if (packet.cmd !== "subscribe") return undefined;
      asked.push(() => line.answer(packet));
      return true;
    });
    const dev = device();
    dev.connect("dev", KEPT);
    world.settle();
    const subscriptions = Array.from({ length: count }, (_, n) => ({ topic: `f/${n}`, qos: 1 }));
    const heard = [...dev.send({ cmd: "subscribe", messageId: 1, subscriptions })];
    for (let halves = 0; halves < count + 1; halves++) {
      world.advance(milliseconds(500));
      asked.shift()?.();
      world.settle();
      heard.push(...dev.take());
    }
    const suback = heard.find(({ cmd }) => cmd === "suback");
    return { dev, granted: suback?.["granted"] as number[] | undefined, lines: servers.of("dev").length };
  }

  it("a device that asks for forty at once is granted all of them", () => {
    const { dev, granted, lines } = slow(40);
    expect([granted, dev.closed, lines]).toEqual([Array(40).fill(1), false, 1]);
  });

  it("also for two hundred: a server that goes on answering is not away, however long it takes", () => {
    const { dev, granted, lines } = slow(200);
    expect([granted, dev.closed, lines]).toEqual([Array(200).fill(1), false, 1]);
  });
});

describe("NATS and RabbitMQ show $ topics to who subscribes to #", () => {
  it("the device is told none of them [MQTT-4.7.2-1], but for those that it has asked for by name", () => {
    const { world, servers, device, counters } = site(() => undefined);
    const dev = device();
    dev.connect("dev", KEPT);
    world.settle();
    dev.subscribe("#", 1);
    world.settle();
    dev.take();
    const line = servers.last("dev");
    const topics = ["$JS/API/x", "$isthmus/devices/s", "plain"];
    const say = (first: number) => {
      for (const [index, topic] of topics.entries())
        line.say({ cmd: "publish", topic, payload: "x", qos: 1, messageId: first + index });
      world.settle();
      return dev.take().map((packet) => packet["topic"]);
    };
    expect(say(1)).toEqual(["plain"]);
    // Acknowledged, or it would come again.
    expect(line.got("puback").map(({ messageId }) => messageId)).toEqual([1, 2]);
    expect(counters.unasked.value).toBe(2);
    dev.subscribe("$JS/#", 1);
    world.settle();
    dev.take();
    expect(say(11)).toEqual(["$JS/API/x", "plain"]);
  });

  it("nor before it has answered SUBSCRIBE [MQTT-3.8.4-3]", () => {
    const { world, device } = site((line, packet) => {
      if (packet.cmd !== "subscribe") return undefined;
      for (const topic of ["$JS/API/x", "$SYS/x", "plain"])
        line.say({ cmd: "publish", topic, payload: "x", qos: 0 });
      return undefined;
    });
    const dev = device();
    dev.connect("dev", KEPT);
    world.settle();
    const topicsAfter = (filter: string) => {
      const heard = dev.subscribe(filter, 1);
      world.settle();
      return [...heard, ...dev.take()].flatMap(({ cmd, topic }) => (cmd === "publish" ? [topic] : []));
    };
    expect(topicsAfter("#")).toEqual(["plain"]);
    expect(topicsAfter("$SYS/#")).toEqual(["$SYS/x", "plain"]);
  });
});

describe("AWS IoT answers nothing to what is of QoS 2 (by its maker's word: it was not run)", () => {
  it("so its profile asks for QoS 1, and the device's exchange goes on as it should", () => {
    const { caps } = PROFILES.aws;
    const { servers, device, counters } = site(() => undefined, {}, caps);
    const dev = device();
    dev.connect("dev", KEPT);
    expect(dev.publish("a", "x", { qos: 2, messageId: 7 })).toMatchObject([{ cmd: "pubrec", messageId: 7 }]);
    expect(servers.last("dev").got("publish")).toMatchObject([{ qos: 1 }]);
    expect(counters.lowered.value).toBe(1);
    dev.subscribe("a", 2);
    expect(servers.last("dev").got("subscribe")).toMatchObject([{ subscriptions: [{ qos: 1 }] }]);
  });
});

describe("S6: closed without CONNACK a second after CONNECT, as the flapping guard of NATS has it", () => {
  it("the device waits, and comes in with the first try that is answered", () => {
    let left = 3;
    const { world, servers, device } = site(
      (line, packet) => {
        if (packet.cmd !== "connect" || left-- <= 0) return undefined;
        world.defer(() => line.end());
        return true;
      },
      { patience: seconds(30) },
    );
    const dev = device();
    dev.connect("dev", KEPT);
    world.advance(seconds(30));
    expect([commands(dev.take()), dev.closed, servers.of("dev").length]).toEqual([["connack"], false, 4]);
  });

  it("or is refused once its patience is over, with a word", () => {
    const { world, device } = site((line, packet) => {
      if (packet.cmd === "connect") line.end();
      return packet.cmd === "connect";
    });
    const dev = device();
    dev.connect("dev", KEPT);
    world.advance(seconds(15));
    expect(dev.take()).toMatchObject([{ cmd: "connack", reasonCode: 0x88 }]);
  });
});

describe("S8: ActiveMQ says that there is no session, and has it", () => {
  it("what it sends reaches the device once, and is acknowledged under its id", () => {
    const { world, servers, device } = site(() => undefined);
    const dev = device();
    dev.connect("dev", KEPT);
    world.settle();
    dev.subscribe("a", 1);
    world.settle();
    dev.take();
    servers.last("dev").end();
    world.settle();
    world.advance(seconds(5));
    const line = servers.last("dev");
    // Its subscriptions are made again, whether it has them or not.
    expect(line.got("subscribe")).toHaveLength(1);
    line.say({ cmd: "publish", topic: "a", payload: "queued", qos: 1, messageId: 9, dup: true });
    world.settle();
    const [message, ...more] = dev.take();
    expect([String(message?.["payload"]), more]).toEqual(["queued", []]);
    dev.send({ cmd: "puback", messageId: message?.["messageId"] });
    world.settle();
    expect(line.got("puback")).toMatchObject([{ messageId: 9 }]);
  });
});

describe("S9: MQTT 5 is closed without CONNACK, as by RabbitMQ before 3.13", () => {
  it("3.1.1 is tried at once, and remembered", () => {
    const versions: number[] = [];
    const { world, device } = site((line, packet) => {
      if (packet.cmd !== "connect") return undefined;
      versions.push(line.version);
      if (line.version === 5) line.end();
      return line.version === 5;
    });
    const dev = device();
    expect(dev.connect("dev", KEPT)).toMatchObject([{ cmd: "connack", reasonCode: 0 }]);
    dev.stream.drop();
    world.advance(minutes(1));
    expect(device().connect("dev", KEPT)).toMatchObject([{ cmd: "connack", reasonCode: 0 }]);
    expect(versions).toEqual([5, 4, 4]);
  });
});

describe("S10: RabbitMQ answers a QoS 2 PUBLISH with PUBACK", () => {
  it("which ends the exchange: the device gets all its answers, the server no PUBREL", () => {
    const { servers, device } = site((line: Line, { cmd, messageId }) => {
      if (cmd === "publish") line.say({ cmd: "puback", messageId });
      return cmd === "publish";
    });
    const dev = device();
    dev.connect("dev", KEPT);
    expect(dev.publish("a", "x", { qos: 2, messageId: 7 })).toMatchObject([{ cmd: "pubrec", messageId: 7 }]);
    expect(dev.send({ cmd: "pubrel", messageId: 7 })).toMatchObject([{ cmd: "pubcomp", messageId: 7 }]);
    expect(servers.last("dev").got("pubrel")).toEqual([]);
  });
});

describe("a session that is made anew, where the server refuses a filter of it, as NATS does while a node of its consumers is dead", () => {
  /** Refuses SUBSCRIBE with the next of these; without one it is taken. */
  function refusing(...reasons: readonly number[]) {
    const left = [...reasons];
    const { world, servers, device } = site((line, packet) => {
      if (packet.cmd !== "subscribe" || servers.of("dev").length < 2) return undefined;
      const granted = [left.shift() ?? 1];
      line.say({ cmd: "suback", messageId: packet["messageId"] as number, granted, properties: {} });
      return true;
    });
    const dev = device();
    dev.connect("dev", KEPT);
    world.settle();
    dev.subscribe("a", 1);
    world.settle();
    /** It ends the connection, and has no session when the next one comes. */
    const lose = () => {
      servers.last("dev").end();
      world.settle();
    };
    const asked = () => servers.of("dev").flatMap((line) => line.got("subscribe")).length - 1;
    lose();
    return { world, servers, dev, asked, lose };
  }

  it("asks for it again, after a second, two, four, and at most a minute, until it has it", () => {
    const { world, dev, asked } = refusing(0x80, 0x83, 0x97, 0x80, 0x80, 0x80, 0x80, 0x80);
    const note = vi.spyOn(engineOf(world).context, "note");
    const times: number[] = [];
    for (let at = 0; at < 600; at++) {
      while (times.length < asked()) times.push(at);
      world.advance(seconds(1));
    }
    expect(times.slice(1).map((at, index) => at - times[index]!)).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
    expect(dev.closed).toBe(false);
    const said = note.mock.calls.filter(([{ event }]) => event === "upstream-subscription-refused");
    expect(said.map(([{ detail }]) => detail)).toEqual([{ filter: "a", refusal: "forbidden", again: true }]);
  });

  it("believes a server that decides: not authorized is not asked again", () => {
    const { world, asked } = refusing(0x87);
    world.advance(hours(1));
    expect(asked()).toBe(1);
  });

  it("does not ask for what its client does not want any more", () => {
    const { world, dev, asked } = refusing(0x80, 0x80, 0x80);
    dev.send({ cmd: "unsubscribe", messageId: 9, unsubscriptions: ["a"] });
    world.settle();
    world.advance(hours(1));
    expect(asked()).toBe(1);
  });

  it("asks once on the next connection, which has them all made anew", () => {
    const { world, asked, lose } = refusing(0x80);
    world.advance(seconds(2));
    const before = asked();
    lose();
    world.advance(hours(1));
    expect([before, asked()]).toEqual([2, 3]);
  });
});
