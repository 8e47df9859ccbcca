import { describe, expect, it } from "vitest";
import { sessionOf } from "../../support/engine-of-run.ts";
import { type SnDevice, snWorld } from "../../support/mqtt-sn-device.ts";

const T_RETRY = 10_000;

function sleeper(config = {}, options: { clean?: boolean; sleep?: number; filter?: string } = {}) {
  const made = snWorld(config);
  const { filter = "a/b", ...rest } = options;
  const d1 = made.device().asleep("d1", filter, rest);
  return { ...made, d1, session: () => sessionOf(made.world, "mqtt-sn", "d1") };
}

/** Acknowledges everything; answers what was published, and says where PINGRESP came. */
function drain(device: SnDevice, first: readonly string[]): string[] {
  const log: string[] = [];
  const open = [...first];
  for (let line = open.shift(); line !== undefined; line = open.shift()) {
    const [, id = "0", messageId = "0"] = /(\d+) #(\d+)/.exec(line) ?? [];
    if (line.startsWith("REGISTER")) open.push(...device.regack(Number(id), Number(messageId)));
    else if (line.includes("qos1")) open.push(...device.puback(Number(id), Number(messageId)));
    else if (line.includes("qos2")) open.push(...device.pubrec(Number(messageId)));
    else if (line.startsWith("PUBREL")) open.push(...device.pubcomp(Number(/#(\d+)/.exec(line)?.[1])));
    log.push(line.startsWith("PUBLISH") ? (/"(.*)"/.exec(line)?.[1] ?? "") : line);
  }
  return log;
}

describe("MQTT-SN 1.2 §6.14, falling asleep", () => {
  it("active, DISCONNECT(d): answers DISCONNECT without a duration and sends nothing more", () => {
    const { world, device } = snWorld();
    const d1 = device();
    d1.connect("d1", { clean: false });
    d1.subscribe("a/b", 1);
    expect(d1.disconnect(3600)).toEqual(["DISCONNECT"]);
    expect(d1.hearBytes()).toEqual([]);
    world.publish("a/b", "x", { qos: 1 });
    world.publish("a/b", "y");
    expect(d1.hear()).toEqual([]);
    expect(sessionOf(world, "mqtt-sn", "d1")?.queued).toBe(2);
  });

  it("Z1 supervises a sleeper by its sleep duration and not by its keep-alive", () => {
    const { world, device, wait } = snWorld();
    const d1 = device();
    d1.connect("d1", { keepAlive: 10 });
    d1.disconnect(1000);
    wait(1_099_999);
    expect(world.disconnects).toHaveLength(0);
    wait(1);
    expect(world.disconnects).toHaveLength(1);
  });

  it("asleep, silence: the device is lost (§7.1 asleep_test01)", () => {
    const { world, d1, wait, network } = sleeper({}, { sleep: 20 });
    wait(30_000);
    expect(world.disconnects).toMatchObject([{ reason: "lost", how: "silent" }]);
    expect(network.runtime.peers.count).toBe(0);
    d1.hear();
    expect(d1.ping()).toEqual(["DISCONNECT"]);
  });

  it("asleep or awake, DISCONNECT(d2): a new sleep duration", () => {
    const { world, d1, wait } = sleeper({}, { sleep: 20 });
    wait(20_000);
    expect(d1.disconnect(1000)).toEqual(["DISCONNECT"]);
    wait(1_000_000);
    expect(world.disconnects).toHaveLength(0);
    world.publish("a/b", "x", { qos: 1 });
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos1 "x"']);
    expect(d1.disconnect(2000)).toEqual(["DISCONNECT"]);
    wait(2_100_000);
    expect(world.disconnects).toHaveLength(0);
    expect(drain(d1, d1.ping("d1"))).toEqual(["x", "PINGRESP"]);
  });

  it("Z6 takes a duration of 0 for a plain DISCONNECT", () => {
    const { world, device } = snWorld();
    const d1 = device();
    d1.connect("d1");
    expect(d1.disconnect(0)).toEqual(["DISCONNECT"]);
    expect(world.disconnects).toHaveLength(1);
  });

  it("asleep or awake, DISCONNECT: disconnected (§7.1 asleep_test08)", () => {
    const { world, d1 } = sleeper();
    expect(d1.disconnect()).toEqual(["DISCONNECT"]);
    expect(world.disconnects).toHaveLength(1);
    const other = sleeper();
    other.world.publish("a/b", "x", { qos: 1 });
    other.d1.ping("d1");
    expect(other.d1.disconnect()).toEqual(["DISCONNECT"]);
    expect(other.world.disconnects).toHaveLength(1);
    expect(other.d1.connect("d1", { clean: false })).toEqual(["CONNACK code 0", 'REGISTER 1 #1 "a/b"']);
  });
});

describe("MQTT-SN 1.2 §6.14, waking up", () => {
  it("answers PINGRESP at once when nothing waits", () => {
    expect(sleeper().d1.ping("d1")).toEqual(["PINGRESP"]);
  });

  it("Z2 sends PINGRESP only after the last PUBACK (§7.1 asleep_test03, 05)", () => {
    const { world, d1 } = sleeper();
    for (const payload of ["1", "2", "3"]) world.publish("a/b", payload, { qos: 1 });
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    expect(d1.puback(1, 1)).toEqual(['PUBLISH 1 #2 qos1 "2"']);
    expect(d1.puback(1, 2)).toEqual(['PUBLISH 1 #3 qos1 "3"']);
    expect(d1.puback(1, 3)).toEqual(["PINGRESP"]);
  });

  it("Z2 sends PINGRESP only after the last PUBCOMP (§7.1 asleep_test06)", () => {
    const { world, device } = snWorld();
    const d1 = device().asleep("d1", "a/b", { qos: 2 });
    world.publish("a/b", "1", { qos: 2 });
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos2 "1"']);
    expect(d1.pubrec(1)).toEqual(["PUBREL #1"]);
    expect(d1.pubcomp(1)).toEqual(["PINGRESP"]);
  });

  it("sends buffered QoS 0 before PINGRESP, in order among the rest", () => {
    const { world, d1 } = sleeper();
    for (let index = 0; index < 10; index++)
      world.publish("a/b", `${index}`, { qos: index % 3 === 2 ? 1 : 0 });
    const log = drain(d1, d1.ping("d1"));
    expect(log).toEqual([...Array.from({ length: 10 }, (_, index) => `${index}`), "PINGRESP"]);
    const only = sleeper();
    for (const payload of ["a", "b", "c"]) only.world.publish("a/b", payload);
    expect(drain(only.d1, only.d1.ping("d1"))).toEqual(["a", "b", "c", "PINGRESP"]);
  });

  it("sends REGISTER before PUBLISH where the topic is new, and no PUBLISH before REGACK (§7.1 asleep_test04)", () => {
    const { world, d1 } = sleeper({}, { filter: "a/#" });
    world.publish("a/b", "1");
    world.publish("a/c", "2", { qos: 1 });
    world.publish("a/b", "3");
    expect(d1.ping("d1")).toEqual(['REGISTER 1 #1 "a/b"']);
    expect(d1.regack(1, 1)).toEqual(['PUBLISH 1 qos0 "1"', 'REGISTER 2 #1 "a/c"']);
    expect(d1.regack(2, 1)).toEqual(['PUBLISH 2 #1 qos1 "2"', 'PUBLISH 1 qos0 "3"']);
    expect(d1.puback(2, 1)).toEqual(["PINGRESP"]);
  });

  it("Z2 ends the flush also when the last topic is rejected", () => {
    const { world, d1 } = sleeper({}, { filter: "a/#" });
    world.publish("a/b", "1", { qos: 1 });
    expect(d1.ping("d1")).toEqual(['REGISTER 1 #1 "a/b"']);
    expect(d1.regack(1, 1, 3)).toEqual(["PINGRESP"]);
  });

  it("Z2 ends the flush also when all that waited is too long or has expired", () => {
    const { world, d1, wait } = sleeper({ messageSizeMax: 200 });
    world.publish("a/b", "x".repeat(300), { qos: 1 });
    world.publish("a/b", "x".repeat(300));
    expect(d1.ping("d1")).toEqual(["PINGRESP"]);
    world.publish("a/b", "old", { qos: 1, expiry: 1000 as never });
    wait(2000);
    expect(d1.ping("d1")).toEqual(["PINGRESP"]);
  });

  it("restarts the sleep timer after PINGRESP: two wake-ups keep a device alive (§7.1 asleep_test02)", () => {
    const { world, d1, wait } = sleeper({}, { sleep: 100 });
    for (let wake = 0; wake < 5; wake++) {
      wait(100_000);
      expect(d1.ping("d1")).toEqual(["PINGRESP"]);
    }
    expect(world.disconnects).toEqual([]);
    wait(110_000);
    expect(world.disconnects).toHaveLength(1);
  });

  it("awake, repeat of PINGREQ: the flush goes on and is not started again (§7.1 asleep_test09)", () => {
    const { world, d1 } = sleeper();
    for (const payload of ["1", "2"]) world.publish("a/b", payload, { qos: 1 });
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    expect(d1.ping("d1")).toEqual([]);
    expect(d1.puback(1, 1)).toEqual(['PUBLISH 1 #2 qos1 "2"']);
    expect(d1.puback(1, 2)).toEqual(["PINGRESP"]);
    expect(d1.ping("d1")).toEqual(["PINGRESP"]);
  });

  it("awake, new message: joins the running flush, up to a limit", () => {
    const { world, d1 } = sleeper({ sleep: { flushExtra: 1 } });
    world.publish("a/b", "1", { qos: 1 });
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    for (const payload of ["2", "3"]) world.publish("a/b", payload, { qos: 1 });
    expect(d1.puback(1, 1)).toEqual(['PUBLISH 1 #2 qos1 "2"']);
    expect(d1.puback(1, 2)).toEqual(["PINGRESP"]);
    expect(drain(d1, d1.ping("d1"))).toEqual(["3", "PINGRESP"]);
  });

  it("awake, no acknowledgement after the repeats: asleep again, and the same message first at the next wake", () => {
    const { world, d1, wait } = sleeper();
    for (const payload of ["1", "2"]) world.publish("a/b", payload, { qos: 1 });
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    for (let repeat = 0; repeat < 3; repeat++) {
      wait(T_RETRY);
      expect(d1.hear()).toEqual(['PUBLISH 1 #1 qos1 dup "1"']);
    }
    wait(5 * T_RETRY);
    expect(d1.hear()).toEqual([]);
    expect(world.disconnects).toEqual([]);
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos1 dup "1"']);
    expect(d1.puback(1, 1)).toEqual(['PUBLISH 1 #2 qos1 "2"']);
    expect(d1.puback(1, 2)).toEqual(["PINGRESP"]);
  });

  it("keeps the MsgId of a QoS 2 message over a broken flush, so that the device can tell the repeat", () => {
    const { world, device, wait } = snWorld();
    const d1 = device().asleep("d1", "a/b", { qos: 2 });
    world.publish("a/b", "1", { qos: 2 });
    d1.ping("d1");
    wait(10 * T_RETRY);
    d1.hear();
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos2 dup "1"']);
    d1.pubrec(1);
    wait(10 * T_RETRY);
    d1.hear();
    expect(d1.ping("d1")).toEqual(["PUBREL #1"]);
    expect(d1.pubcomp(1)).toEqual(["PINGRESP"]);
  });

  it("keeps what waits for a REGACK over a broken flush", () => {
    const { world, d1, wait } = sleeper({}, { filter: "a/#" });
    world.publish("a/b", "1");
    world.publish("a/b", "2");
    d1.ping("d1");
    wait(10 * T_RETRY);
    d1.hear();
    expect(drain(d1, d1.ping("d1"))).toEqual(['REGISTER 1 #1 "a/b"', "1", "2", "PINGRESP"]);
  });

  it("awake, no acknowledgement: the sleep timer decides whether the device is lost", () => {
    const { world, d1, wait } = sleeper({}, { sleep: 20 });
    world.publish("a/b", "1", { qos: 1 });
    d1.ping("d1");
    wait(50_000);
    expect(world.disconnects).toHaveLength(1);
    expect(d1.connect("d1", { clean: false }).at(-1)).toBe('REGISTER 1 #1 "a/b"');
  });

  it("loses nothing when the device falls asleep in the middle of a flush", () => {
    const { world, d1 } = sleeper();
    for (const payload of ["1", "2", "3"]) world.publish("a/b", payload, { qos: 1 });
    d1.ping("d1");
    expect(d1.puback(1, 1)).toEqual(['PUBLISH 1 #2 qos1 "2"']);
    expect(d1.disconnect(3600)).toEqual(["DISCONNECT"]);
    expect(drain(d1, d1.ping("d1"))).toEqual(["2", "3", "PINGRESP"]);
  });

  it("takes a late acknowledgement of a sleeper for what it is, and sends nothing", () => {
    const { world, d1 } = sleeper();
    for (const payload of ["1", "2"]) world.publish("a/b", payload, { qos: 1 });
    d1.ping("d1");
    d1.disconnect(3600);
    expect(d1.puback(1, 1)).toEqual([]);
    expect(drain(d1, d1.ping("d1"))).toEqual(["2", "PINGRESP"]);
  });

  it("asleep, CONNECT: CONNACK, then the buffer as active (§7.1 asleep_test07)", () => {
    const { world, d1 } = sleeper();
    for (const payload of ["1", "2"]) world.publish("a/b", payload, { qos: 1 });
    expect(d1.connect("d1", { clean: false })).toEqual(["CONNACK code 0", 'PUBLISH 1 #1 qos1 "1"']);
    expect(d1.puback(1, 1)).toEqual(['PUBLISH 1 #2 qos1 "2"']);
    expect(d1.puback(1, 2)).toEqual([]);
    world.publish("a/b", "3", { qos: 1 });
    expect(d1.hear()).toEqual(['PUBLISH 1 #3 qos1 "3"']);
  });

  it("awake, CONNECT: CONNACK and active, what is in flight comes again", () => {
    const { world, d1 } = sleeper();
    world.publish("a/b", "1", { qos: 1 });
    d1.ping("d1");
    expect(d1.connect("d1", { clean: false })).toEqual(["CONNACK code 0", 'PUBLISH 1 #1 qos1 dup "1"']);
    expect(d1.puback(1, 1)).toEqual([]);
    expect(d1.ping()).toEqual(["PINGRESP"]);
  });

  it("Z3 resumes with CleanSession=0, Will=0 also a session that began clean", () => {
    const { world, d1 } = sleeper({}, { clean: true });
    world.publish("a/b", "1", { qos: 1 });
    expect(d1.connect("d1", { clean: false })).toEqual(["CONNACK code 0", 'PUBLISH 1 #1 qos1 "1"']);
    d1.puback(1, 1);
    d1.disconnect();
    expect(world.sessions.count).toBe(0);
  });

  it("Z3 honours any other flags as a new connection", () => {
    const { world, d1, session } = sleeper();
    world.publish("a/b", "1", { qos: 1 });
    expect(d1.connect("d1", { clean: true })).toEqual(["CONNACK code 0"]);
    expect(session()?.queued).toBe(0);
    const will = sleeper();
    will.world.publish("a/b", "1", { qos: 1 });
    expect(will.d1.connect("d1", { clean: false, will: true })).toEqual(["WILLTOPICREQ"]);
    will.d1.willTopic("w");
    expect(will.d1.willMessage("x")).toEqual(["CONNACK code 0", 'REGISTER 1 #1 "a/b"']);
  });

  it("Z7 buffers QoS 1 and 2, bounded by the session's queue", () => {
    const made = snWorld({}, { session: { queue: { messages: 5, bytes: 1 << 20, drop: "oldest" } } });
    const d1 = made.device().asleep("d1", "a/b");
    for (let index = 0; index < 20; index++) made.world.publish("a/b", `${index}`, { qos: 1 });
    expect(drain(d1, d1.ping("d1"))).toEqual(["15", "16", "17", "18", "19", "PINGRESP"]);
    expect(made.world.sessionCounters.droppedFull.value).toBe(15);
  });

  it("Z8 keeps topic ids over sleep, or announces them anew where that is configured", () => {
    for (const [forgetTopicIds, first] of [
      [false, 'PUBLISH 1 qos0 "x"'],
      [true, 'REGISTER 1 #1 "a/b"'],
    ] as const) {
      const { world, d1 } = sleeper({ sleep: { forgetTopicIds } });
      world.publish("a/b", "x");
      expect(d1.ping("d1")[0]).toBe(first);
    }
  });

  it("PINGREQ of an active client with another id answers DISCONNECT and leaves the client alone", () => {
    const { device } = snWorld();
    const d1 = device();
    d1.connect("d1");
    expect(d1.ping("d2")).toEqual(["DISCONNECT"]);
    expect(d1.ping()).toEqual(["PINGRESP"]);
  });
});

describe("MQTT-SN 1.2 §6.14, waking up elsewhere", () => {
  it("Z4 follows PINGREQ(client id) to a new port, and everything after it", () => {
    const { world, d1 } = sleeper();
    world.publish("a/b", "1", { qos: 1 });
    d1.move(20_000);
    expect(d1.ping("d1")).toEqual(['PUBLISH 1 #1 qos1 "1"']);
    expect(d1.puback(1, 1)).toEqual(["PINGRESP"]);
    expect(d1.publish(1, "up", { qos: 1 })).toEqual(["PUBACK 1 #1 code 0"]);
    d1.move(10_000);
    expect(d1.hear()).toEqual([]);
    expect(d1.publish(1, "up", { qos: 1 })).toEqual(["DISCONNECT"]);
  });

  it("Z4 follows in the middle of a flush", () => {
    const { world, d1 } = sleeper();
    for (const payload of ["1", "2"]) world.publish("a/b", payload, { qos: 1 });
    d1.ping("d1");
    d1.move(20_000, "10.9.9.9");
    expect(d1.ping("d1")).toEqual([]);
    expect(d1.puback(1, 1)).toEqual(['PUBLISH 1 #2 qos1 "2"']);
    expect(d1.puback(1, 2)).toEqual(["PINGRESP"]);
  });

  it.each([
    ["anywhere", "10.9.9.9", true],
    ["same-host", "10.0.0.1", true],
    ["same-host", "10.9.9.9", false],
    ["never", "10.0.0.1", false],
  ] as const)(
    "Z4 with roaming %s, PINGREQ from a new port of %s is followed: %s",
    (roaming, address, followed) => {
      const { world, device } = snWorld({}, { roaming });
      const d1 = device().asleep("d1", "a/b");
      world.publish("a/b", "1", { qos: 1 });
      d1.move(20_000, address);
      expect(d1.ping("d1")).toEqual([followed ? 'PUBLISH 1 #1 qos1 "1"' : "DISCONNECT"]);
      if (followed) return;
      // The sleeper's own session is untouched, and CONNECT takes it anywhere.
      expect(d1.connect("d1", { clean: false })[0]).toBe("CONNACK code 0");
    },
  );

  it("Z4 returns to active from a new port with CONNECT", () => {
    const { world, d1 } = sleeper();
    world.publish("a/b", "1", { qos: 1 });
    d1.move(20_000);
    expect(d1.connect("d1", { clean: false })).toEqual(["CONNACK code 0", 'PUBLISH 1 #1 qos1 "1"']);
    expect(d1.puback(1, 1)).toEqual([]);
  });

  it("Z5 answers DISCONNECT to an unknown client id and to one that is not asleep, and rebinds nothing", () => {
    const { world, device } = snWorld();
    const d1 = device(1);
    d1.connect("d1", { clean: false });
    d1.subscribe("a/b", 1);
    const thief = device(2);
    expect(thief.ping("d1")).toEqual(["DISCONNECT"]);
    expect(device(3).ping("nobody")).toEqual(["DISCONNECT"]);
    world.publish("a/b", "mine", { qos: 1 });
    expect(d1.hear()).toEqual(['PUBLISH 1 #1 qos1 "mine"']);
    expect(thief.hear()).toEqual([]);
    d1.disconnect();
    expect(device(4).ping("d1")).toEqual(["DISCONNECT"]);
    expect(world.sessions.connected).toBe(0);
  });

  it("finds a sleeper whose port another device got in the meantime (§7.1 same_source_tuple_reused)", () => {
    const { world, d1, device } = sleeper();
    const intruder = device(10_000);
    expect(intruder.connect("d2")).toEqual(["CONNACK code 0"]);
    world.publish("a/b", "1", { qos: 1 });
    expect(intruder.hear()).toEqual([]);
    d1.move(20_000);
    expect(drain(d1, d1.ping("d1"))).toEqual(['REGISTER 1 #1 "a/b"', "1", "PINGRESP"]);
    expect(intruder.ping()).toEqual(["PINGRESP"]);
  });

  it("finds a sleeper with a clean session in the same way, and ends it when it oversleeps", () => {
    const { world, d1, device, wait } = sleeper({}, { clean: true, sleep: 100 });
    device(10_000).connect("d2", { keepAlive: 0 });
    wait(50_000);
    d1.move(20_000);
    expect(d1.ping("d1")).toEqual(["PINGRESP"]);
    device(20_000).connect("d3", { keepAlive: 0 });
    wait(120_000);
    d1.move(30_000);
    expect(d1.ping("d1")).toEqual(["DISCONNECT"]);
    expect(sessionOf(world, "mqtt-sn", "d1")).toBeUndefined();
  });

  it("publishes the will of such a sleeper when its time is over, and not before", () => {
    const { world, device, wait } = snWorld();
    const wills = world.listen("will");
    const d1 = device(1);
    d1.connect("d1", { clean: false, will: true });
    d1.willTopic("will");
    d1.willMessage("gone");
    d1.disconnect(100);
    device(1).connect("d2", { keepAlive: 0 });
    wait(109_000);
    expect(wills).toEqual([]);
    wait(2000);
    expect(wills).toHaveLength(1);
  });

  it("finds a sleeper that wakes up on the old port of another sleeper, which is found as well", () => {
    const { world, device } = snWorld();
    const d1 = device(1).asleep("d1", "to/1");
    const d2 = device(2).asleep("d2", "to/2");
    world.publish("to/1", "one", { qos: 1 });
    world.publish("to/2", "two", { qos: 1 });
    d1.move(2);
    expect(drain(d1, d1.ping("d1"))).toEqual(["one", "PINGRESP"]);
    d2.move(1);
    expect(drain(d2, d2.ping("d2"))).toEqual(['REGISTER 1 #1 "to/2"', "two", "PINGRESP"]);
  });

  it("tells two devices apart that share one address", () => {
    const { world, device } = snWorld();
    const [d1, d2] = [device(1).asleep("d1", "to/1"), device(2).asleep("d2", "to/2")];
    world.publish("to/1", "one", { qos: 1 });
    world.publish("to/2", "two", { qos: 1 });
    d1.move(3);
    d2.move(4);
    expect(drain(d2, d2.ping("d2"))).toEqual(["two", "PINGRESP"]);
    expect(drain(d1, d1.ping("d1"))).toEqual(["one", "PINGRESP"]);
  });
});
