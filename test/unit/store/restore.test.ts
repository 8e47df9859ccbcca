import { describe, expect, it } from "vitest";
import { Message } from "#core/bus/message.ts";
import type { Delivery, DeliveryId } from "#core/contract/delivery.ts";
import { after, type Duration, seconds } from "#core/lib/time.ts";
import type { Key, Table } from "#core/session/store.ts";
import { checkRecords } from "#core/store/check.ts";
import { Life } from "../../support/durable-life.ts";
import { MemoryEngine } from "../../support/memory-engine.ts";

const text = ({ message }: Delivery): string => new TextDecoder().decode(message.payload);
const START = 1_700_000_000_000;

/** One life, a crash, and the next. */
async function across(
  first: (life: Life) => void | Promise<void>,
  later = 1000,
  queueMax = 100,
): Promise<{ life: Life; engine: MemoryEngine }> {
  const engine = new MemoryEngine();
  const life = new Life(engine, START);
  await first(life);
  await life.commit();
  expect(checkRecords(engine).problems).toEqual([]);
  const next = new Life(engine, life.now + later, queueMax);
  expect(next.restored.orphans).toBe(0);
  return { life: next, engine };
}

describe("after a crash", () => {
  it("a session is there, with its subscriptions, memo and what waits for it, in order", async () => {
    const { life } = await across((life) => {
      const session = life.open("a");
      session.memo = { location: "x" };
      session.username = "ann";
      life.connect(session, 0);
      life.sessions.subscribe(session, "t/#", { qos: 1, identifier: 7, noLocal: true });
      for (let count = 0; count < 5; count++) life.publish(`t/${count}`, `m${count}`);
    });
    const session = life.sessions.get("mqtt", "a")!;
    expect(session).toMatchObject({
      memo: { location: "x" },
      username: "ann",
      occupant: undefined,
      queued: 5,
    });
    expect(session.subscriptions.get("t/#")).toMatchObject({ qos: 1, identifier: 7, noLocal: true });
    const got = life.connect(life.open("a"), 10);
    expect(got.map(text)).toEqual(["m0", "m1", "m2", "m3", "m4"]);
    expect(got[0]).toMatchObject({ topic: "t/0", subscriptionIds: [7], duplicate: false });
    life.publish("t/new", "m5");
    expect(got.map(text).at(-1)).toBe("m5");
  });

  it("unsettled deliveries come again under their ids, and a release stays a release [MQTT-4.4.0-1]", async () => {
    const { life } = await across(async (life) => {
      const session = life.open("a");
      const got = life.connect(session);
      life.sessions.subscribe(session, "t", { qos: 2 });
      for (const payload of ["one", "two", "three"]) life.publish("t", payload, { qos: 2 });
      await life.commit();
      expect(got.map(({ id }) => id)).toEqual([1, 2, 3]);
      session.received(2 as DeliveryId);
      session.settle(1 as DeliveryId, "done");
    });
    const got = life.connect(life.open("a"));
    expect(got.map((delivery) => [delivery.id, text(delivery), delivery.stage])).toEqual([
      [2, "two", "release"],
      [3, "three", "publish"],
    ]);
  });

  it("holds a QoS 2 message back until it is kept under its id [MQTT-4.3.3]", async () => {
    const life = new Life(new MemoryEngine(), START);
    const session = life.open("a");
    const got = life.connect(session);
    life.sessions.subscribe(session, "t", { qos: 2 });
    life.publish("t", "at most twice", { qos: 1 });
    life.publish("t", "exactly once", { qos: 2 });
    expect(got.map(text)).toEqual(["at most twice"]);
    await life.commit();
    expect(got.map(text)).toEqual(["at most twice", "exactly once"]);
  });

  it("does not send twice what was held back while its client came again", async () => {
    const life = new Life(new MemoryEngine(), START);
    const session = life.open("a");
    life.connect(session);
    life.sessions.subscribe(session, "t", { qos: 2 });
    life.publish("t", "once", { qos: 2 });
    life.sessions.leave(session, "closed", life.now);
    const got = life.connect(life.open("a"));
    await life.commit();
    expect(got.map(text)).toEqual(["once"]);
  });

  it("inbound QoS 2 ids are known until they are released, with DUP or without [MQTT-4.3.3-10]", async () => {
    const { life } = await across((life) => {
      const session = life.open("a");
      life.connect(session);
      for (const id of [4, 5, 6]) session.acceptInbound(id);
      session.releaseInbound(5);
    });
    const session = life.open("a");
    expect(session.inboundIds).toEqual([4, 6]);
    expect(session.acceptInbound(4)).toBe("duplicate");
    expect(session.acceptInbound(5)).toBe("new");
    expect(session.releaseInbound(4)).toBe(true);
    expect(session.acceptInbound(4)).toBe("new");
  });

  it("retained and delayed messages are there, unless their time is over", async () => {
    const { life, engine } = await across((life) => {
      const properties = { contentType: "a/b", correlationData: new Uint8Array([1, 2]) };
      life.publish("r/a", "1", { retain: true, properties });
      life.publish("r/b", "2", { retain: true, expiry: seconds(5) });
      life.publish("r/c", "3", { retain: true, expiry: seconds(100) });
      life.publish("r/d", "4", { retain: true });
      life.publish("r/d", "", { retain: true });
      life.publish("$SYS/x", "5", { retain: true });
      life.gate.delayed.add(
        new Message("d", new Uint8Array([68]), 1, false, life.now),
        after(life.now, seconds(60)),
      );
    }, 10_000);
    const found = life.bus.retained("#", 100);
    expect(found.map(({ topic }) => topic).sort()).toEqual(["r/a", "r/c"]);
    const message = found.find(({ topic }) => topic === "r/a")!;
    expect(message.properties?.contentType).toBe("a/b");
    expect([...message.properties!.correlationData!]).toEqual([1, 2]);
    const got = life.connect(life.open("a", 0));
    life.sessions.subscribe(life.sessions.get("mqtt", "a")!, "d", { qos: 0 });
    life.advance(seconds(49));
    expect(got).toEqual([]);
    life.advance(seconds(2));
    expect(got.map(text)).toEqual(["D"]);
    await life.commit();
    expect(engine.records).toBe(2);
  });

  it("a session that has expired meanwhile is gone, and its will is published [MQTT-3.1.2-8]", async () => {
    const { life, engine } = await across((life) => {
      const witness = life.open("witness");
      life.connect(witness, 0);
      life.sessions.subscribe(witness, "will", { qos: 1 });
      const session = life.open("a", seconds(5));
      const payload = new TextEncoder().encode("gone");
      session.will = { topic: "will", payload, qos: 1, retain: false, delay: seconds(60), options: {} };
      life.connect(session);
      life.sessions.subscribe(session, "t", { qos: 1 });
      life.sessions.leave(session, "lost", life.now);
      life.publish("t", "never read");
    }, 10_000);
    expect(life.sessions.get("mqtt", "a")).toBeUndefined();
    expect(life.connect(life.open("witness")).map(text)).toEqual(["gone"]);
    await life.commit();
    expect(checkRecords(engine)).toMatchObject({ problems: [] });
    expect(checkRecords(engine).records.get("session")).toBe(1);
  });

  it("a will waits for its delay, counted from when its client left", async () => {
    const { life } = await across((life) => {
      const session = life.open("a", seconds(600));
      const payload = new TextEncoder().encode("late");
      session.will = { topic: "will", payload, qos: 1, retain: true, delay: seconds(60), options: {} };
      life.connect(session);
      life.sessions.leave(session, "lost", life.now);
    }, 50_000);
    life.advance(seconds(9));
    expect(life.bus.retained("will", 1)).toEqual([]);
    life.advance(seconds(2));
    expect(life.bus.retained("will", 1)).toHaveLength(1);
  });

  it("a client that was connected is away from the restart on", async () => {
    const { life, engine } = await across((life) => {
      life.connect(life.open("a", seconds(100)));
    }, 3_600_000);
    expect(life.sessions.get("mqtt", "a")).toBeDefined();
    life.advance(seconds(99));
    await life.commit();
    const third = new Life(engine, life.now + 2000);
    expect(third.sessions.get("mqtt", "a")).toBeUndefined();
  });

  it("what a shared subscription gave to a session goes to another member when the session ends", async () => {
    const { life } = await across((life) => {
      const session = life.open("a", seconds(5));
      life.connect(session, 0);
      life.sessions.subscribe(session, "$share/g/t", { qos: 1 });
      life.publish("t", "for the group");
    });
    const other = life.open("b");
    const got = life.connect(other);
    life.sessions.subscribe(other, "$share/g/t", { qos: 1 });
    life.advance(seconds(10));
    expect(got.map(text)).toEqual(["for the group"]);
  });

  it("a queue that has become shorter keeps what its drop rule keeps", async () => {
    const { life, engine } = await across(
      (life) => {
        const session = life.open("a");
        life.connect(session, 0);
        life.sessions.subscribe(session, "t", { qos: 1 });
        for (let count = 0; count < 5; count++) life.publish("t", `m${count}`);
      },
      1000,
      2,
    );
    expect(life.connect(life.open("a")).map(text)).toEqual(["m3", "m4"]);
    await life.commit();
    expect(checkRecords(engine).problems).toEqual([]);
    expect(checkRecords(engine).records.get("queue")).toBe(2);
  });
});

describe("the records of a session", () => {
  it("hold a message once, however many wait for it, as long as one does", async () => {
    const engine = new MemoryEngine();
    const life = new Life(engine, START);
    const sessions = ["a", "b", "c"].map((id) => life.open(id));
    const [first, ...others] = sessions.map((session, index) => life.connect(session, index === 0 ? 5 : 0));
    for (const session of sessions) life.sessions.subscribe(session, "t", { qos: 1 });
    // A small view of a large buffer, as it comes from a socket.
    const payload = new Uint8Array(new ArrayBuffer(65_536), 100, 3).fill(65);
    life.gate.publish(new Message("t", payload, 1, false, life.now), undefined, "system");
    await life.commit();
    const count = (table: "message" | "queue") => checkRecords(engine).records.get(table);
    expect([count("message"), count("queue")]).toEqual([1, 3]);
    sessions[0]!.settle(first![0]!.id, "done");
    await life.commit();
    expect([count("message"), count("queue")]).toEqual([1, 2]);
    for (const session of sessions) life.sessions.discard(session);
    await life.commit();
    expect(engine.records).toBe(0);
    expect(others.flat()).toEqual([]);
  });

  it("go when it ceases to be durable, and come when it becomes so", async () => {
    const engine = new MemoryEngine();
    const life = new Life(engine, START);
    const session = life.open("a", 0);
    life.connect(session, 0);
    life.sessions.subscribe(session, "t", { qos: 1 });
    life.publish("t", "m");
    session.acceptInbound(9);
    await life.commit();
    expect(engine.records).toBe(0);
    life.sessions.setExpiry(session, seconds(60));
    await life.commit();
    expect(engine.records).toBe(4);
    expect(checkRecords(engine).problems).toEqual([]);
    life.sessions.setExpiry(session, 0 as Duration);
    await life.commit();
    expect(engine.records).toBe(0);
  });

  it("leave nothing of messages that a full queue drops", async () => {
    const engine = new MemoryEngine();
    const life = new Life(engine, START, 3);
    const session = life.open("a");
    life.connect(session, 0);
    life.sessions.subscribe(session, "t", { qos: 2 });
    for (let count = 0; count < 10; count++) {
      life.publish("t", `m${count}`, { qos: 1 });
      if (count % 4 === 0) await life.commit();
    }
    await life.commit();
    expect(checkRecords(engine).problems).toEqual([]);
    expect(engine.records).toBe(5);
  });

  it("of a client that reads at once are never written", async () => {
    const engine = new MemoryEngine();
    const life = new Life(engine, START);
    const session = life.open("a");
    const got = life.connect(session);
    life.sessions.subscribe(session, "t", { qos: 1 });
    await life.commit();
    const before = engine.commits;
    life.publish("t", "m");
    session.settle(got[0]!.id, "done");
    await life.commit();
    expect(engine.commits).toBe(before);
  });
});

describe("records that make no sense", () => {
  const changesOf = (table: Table, key: Key, value: unknown) => [{ table, key, value: () => value }];

  it("are set aside, whatever they are, and everything else comes back", async () => {
    const engine = new MemoryEngine();
    const life = new Life(engine, START);
    const session = life.open("a");
    life.connect(session, 0);
    life.sessions.subscribe(session, "t", { qos: 1 });
    life.publish("t", "kept", { qos: 1, retain: true });
    await life.commit();
    const tables = ["session", "subscription", "message", "queue", "inbound", "retained", "delayed"] as const;
    const keys = [900, "text", [1, 900], [1, "x"]] as const;
    const values = [undefined, null, 1, "x", [], {}, [1, 2, 3], { qos: 9 }, [null], [[]], { gateway: 1 }];
    for (const table of tables) {
      for (const [index, value] of values.entries()) {
        const key = typeof keys[index % 4] === "object" ? ([1, 900 + index] as Key) : 900 + index;
        await engine.commit(changesOf(table, table === "retained" ? `bad/${index}` : key, value ?? null));
      }
    }
    const next = new Life(engine, START + 1);
    expect(next.restored.aside).toBeGreaterThan(30);
    expect(next.restored).toMatchObject({ retained: 1, deliveries: 1 });
    expect(next.connect(next.open("a")).map(text)).toEqual(["kept"]);
    await next.commit();
    const aside = [...engine.entries("aside")];
    expect(aside.length).toBe(next.restored.aside);
    const later = new Life(engine, START + 2);
    expect(later.restored.aside).toBe(0);
  });
});
