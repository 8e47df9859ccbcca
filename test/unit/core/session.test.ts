import { describe, expect, it } from "vitest";
import type { Grant } from "#core/bus/bus.ts";
import { Message, type QoS } from "#core/bus/message.ts";
import type { Delivery, DeliveryId } from "#core/contract/delivery.ts";
import { type Duration, FOREVER, type Instant, seconds, ZERO } from "#core/lib/time.ts";
import type { Occupant, SessionContext, SessionOptions } from "#core/session/context.ts";
import { newSessionCounters } from "#core/session/counters.ts";
import { Outgoing, waitingId } from "#core/session/outgoing.ts";
import { Session } from "#core/session/session.ts";
import { Window } from "#core/session/window.ts";
import { fc } from "../../support/property.ts";

const NOW = 1_000_000 as Instant;

class Client implements Occupant {
  held = false;
  readonly taken: Delivery[] = [];
  deliver(delivery: Delivery): void {
    this.taken.push(delivery);
  }
  evict(): void {}
  get texts(): string[] {
    return this.taken.map((delivery) => new TextDecoder().decode(delivery.message.payload));
  }
}

function newSession(options: Partial<SessionOptions> = {}, expiry: Duration = seconds(60)) {
  const clock = { at: NOW, now: () => clock.at };
  const counters = newSessionCounters();
  const gate: SessionContext["gate"] = {
    redeliver: (group, message, except) => group.redeliver(message, except),
  };
  const said: string[] = [];
  const session = new Session("mqtt", "c", expiry, {
    options: {
      queue: { messages: 3, bytes: 100_000, drop: "oldest" },
      queueQos0: true,
      inboundMax: 2,
      failuresMax: 3,
      ...options,
    },
    clock,
    counters,
    gate,
    journal: undefined,
    overflowed: (gateway, client, dropped) => said.push(`${gateway} ${client} ${dropped}`),
  });
  return { session, counters, clock, said };
}

const grant = (qos: QoS, more: Partial<Grant> = {}): Grant => ({
  qos,
  retainAsPublished: false,
  identifiers: [],
  group: undefined,
  ...more,
});
const message = (payload: string, qos: QoS = 1, expiry: Duration = FOREVER) =>
  new Message("t", new TextEncoder().encode(payload), qos, false, NOW, undefined, expiry);
const send = (session: Session, ...payloads: string[]) => {
  for (const payload of payloads) session.deliver(message(payload), grant(1));
};

describe("credit", () => {
  it("hands out at most so many unsettled deliveries, in order, and more as they are settled", () => {
    const { session } = newSession();
    const client = new Client();
    session.attach(client, 2);
    send(session, "1", "2", "3", "4");
    expect(client.texts).toEqual(["1", "2"]);
    expect([session.unsettled, session.queued]).toEqual([2, 2]);
    session.settle(client.taken[1]!.id, "done");
    expect(client.texts).toEqual(["1", "2", "3"]);
    session.settle(client.taken[0]!.id, "done");
    expect(client.texts).toEqual(["1", "2", "3", "4"]);
  });

  it("holds back everything at 0, QoS 0 too, and flushes in order when it is raised: a sleeping device", () => {
    const { session } = newSession();
    const client = new Client();
    session.attach(client, 1);
    session.credit(0);
    session.deliver(message("0", 0), grant(0));
    send(session, "1");
    expect(client.texts).toEqual([]);
    session.credit(1);
    expect(client.texts).toEqual(["0", "1"]);
  });

  it("lets no QoS 0 message overtake a queued one", () => {
    const { session } = newSession();
    const client = new Client();
    session.attach(client, 1);
    send(session, "1", "2");
    session.deliver(message("zero", 0), grant(1));
    session.settle(client.taken[0]!.id, "done");
    session.settle(client.taken[1]!.id, "done");
    expect(client.texts).toEqual(["1", "2", "zero"]);
  });

  it("queues while the transport takes no more, and goes on at the flush", () => {
    const { session } = newSession();
    const client = new Client();
    session.attach(client, 10);
    client.held = true;
    send(session, "1");
    session.deliver(message("2", 0), grant(0));
    expect(client.taken).toEqual([]);
    client.held = false;
    session.flush();
    expect(client.texts).toEqual(["1", "2"]);
  });
});

describe("settling", () => {
  it("gives a delivery that the client could not take back to the head of the queue, as a duplicate", () => {
    const { session } = newSession();
    const client = new Client();
    session.attach(client, 1);
    send(session, "1", "2");
    session.settle(client.taken[0]!.id, "again");
    expect(session.queued).toBe(2);
    session.flush();
    expect(client.texts).toEqual(["1", "1"]);
    expect(client.taken[1]!.duplicate).toBe(true);
  });

  it("forgets and counts what nobody will take", () => {
    const { session, counters } = newSession();
    const client = new Client();
    session.attach(client, 1);
    send(session, "1", "2");
    session.settle(client.taken[0]!.id, "dead");
    expect(client.texts).toEqual(["1", "2"]);
    expect(counters.dead.value).toBe(1);
  });

  it("ignores ids that are not unsettled, and says so", () => {
    const { session } = newSession();
    const client = new Client();
    session.attach(client, 1);
    send(session, "1");
    expect(session.settle(77 as DeliveryId, "done")).toBe(false);
    expect(session.settle(0 as DeliveryId, "done")).toBe(false);
    expect(session.unsettled).toBe(1);
    const { id } = client.taken[0]!;
    expect(session.settle(id, "done")).toBe(true);
    expect(session.settle(id, "done")).toBe(false);
  });
});

describe("a session that outlives its connection", () => {
  it("hands out again what was unsettled, under the same ids, before anything new [MQTT-4.4.0-1]", () => {
    const { session } = newSession();
    const first = new Client();
    session.attach(first, 2);
    send(session, "1", "2", "3");
    session.received(first.taken[1]!.id);
    session.detach();
    send(session, "4");
    const second = new Client();
    session.attach(second, 10);
    expect(second.texts).toEqual(["1", "2", "3", "4"]);
    expect(second.taken.slice(0, 2).map((delivery) => delivery.id)).toEqual(first.taken.map(({ id }) => id));
    expect(second.taken.map((delivery) => delivery.duplicate)).toEqual([true, true, false, false]);
  });

  it("owes only the release of a QoS 2 message that the client has [MQTT-4.3.3]", () => {
    const { session } = newSession();
    const first = new Client();
    session.attach(first, 2);
    session.deliver(message("1", 2), grant(2));
    session.received(first.taken[0]!.id);
    session.detach();
    const second = new Client();
    session.attach(second, 2);
    expect(second.taken[0]!.stage).toBe("release");
  });

  it("waits with the unsettled until there is credit", () => {
    const { session } = newSession();
    const first = new Client();
    session.attach(first, 2);
    send(session, "1");
    session.detach();
    const second = new Client();
    session.attach(second, 0);
    expect(second.taken).toEqual([]);
    session.credit(1);
    expect(second.texts).toEqual(["1"]);
  });

  it("hands out again no more than the new connection's credit, and the rest as it settles [MQTT-3.3.4-9]", () => {
    const { session } = newSession({ queue: { messages: 100, bytes: 100_000, drop: "oldest" } });
    const first = new Client();
    session.attach(first, 20);
    const all = Array.from({ length: 20 }, (_, index) => String(index));
    send(session, ...all);
    session.detach();
    send(session, "new");
    const second = new Client();
    session.attach(second, 2);
    expect(second.texts).toEqual(["0", "1"]);
    expect([session.unsettled, session.queued]).toEqual([2, 19]);
    for (let next = 0; next < 20; next++) session.settle(second.taken[next]!.id, "done");
    expect(second.texts).toEqual([...all, "new"]);
  });

  it("takes the acknowledgement of what it has not handed out again yet", () => {
    const { session } = newSession();
    const first = new Client();
    session.attach(first, 3);
    send(session, "1", "2", "3");
    session.detach();
    const second = new Client();
    session.attach(second, 1);
    session.settle(first.taken[1]!.id, "done");
    expect([session.unsettled, session.queued]).toEqual([1, 1]);
    session.settle(second.taken[0]!.id, "done");
    expect(second.texts).toEqual(["1", "3"]);
  });

  it("keeps the retained messages that its connection had no credit for (MQTT 5 §4.1)", () => {
    const { session } = newSession({ queue: { messages: 100, bytes: 100_000, drop: "oldest" } });
    const first = new Client();
    session.attach(first, 1);
    session.replay(
      "#",
      ["r1", "r2", "r3", "r4", "r5"]
        .map((topic) => new Message(topic, Buffer.from(topic), 1, true, NOW))
        .values(),
      grant(1),
    );
    session.deliver(new Message("r4", Buffer.from("newer"), 1, false, NOW), grant(1));
    session.detach();
    const second = new Client();
    session.attach(second, 10);
    expect(second.texts).toEqual(["r1", "newer", "r2", "r3", "r5"]);
    expect(second.taken.map(({ retain }) => retain)).toEqual([true, false, true, true, true]);
  });

  it("drops no queued message for retained ones that find no room", () => {
    const { session, counters } = newSession();
    session.attach(new Client(), 1);
    session.replay(
      "#",
      ["r1", "r2", "r3", "r4"].map((topic) => new Message(topic, Buffer.from(topic), 1, true, NOW)).values(),
      grant(1),
    );
    send(session, "1", "2");
    session.detach();
    const second = new Client();
    session.attach(second, 10);
    expect(second.texts).toEqual(["r1", "1", "2", "r2"]);
    expect(counters.droppedFull.value).toBe(1);
  });

  it("drops QoS 0 of absent clients when it is told to", () => {
    const { session, counters } = newSession({ queueQos0: false });
    session.deliver(message("0", 0), grant(0));
    send(session, "1");
    expect(session.queued).toBe(1);
    expect(counters.droppedAway.value).toBe(1);
  });
});

describe("the queue's limits", () => {
  it.each([
    ["oldest", ["b", "0", "c"]],
    ["newest", ["a", "b", "0"]],
    ["qos0-first", ["a", "b", "c"]],
  ] as const)("drops by policy %s and counts it", (drop, left) => {
    const { session, counters } = newSession({ queue: { messages: 3, bytes: 100_000, drop } });
    send(session, "a", "b");
    session.deliver(message("0", 0), grant(0));
    send(session, "c");
    const client = new Client();
    session.attach(client, 10);
    expect(client.texts).toEqual(left);
    expect(counters.droppedFull.value).toBe(1);
  });

  it("counts bytes too, and refuses a message that would never fit without emptying the queue for it", () => {
    const { session, counters } = newSession({ queue: { messages: 100, bytes: 400, drop: "oldest" } });
    send(session, "a", "b");
    session.deliver(message("x".repeat(500)), grant(1));
    expect(session.queued).toBe(2);
    send(session, "c", "d");
    expect(session.queued).toBe(3);
    expect(session.queuedBytes).toBeLessThanOrEqual(400);
    expect(counters.droppedFull.value).toBe(2);
  });

  it("makes room from expired messages first, and never hands one out [MQTT-3.3.2-5]", () => {
    const { session, clock, counters } = newSession();
    session.deliver(message("short", 1, seconds(1)), grant(1));
    send(session, "a", "b");
    clock.at = (NOW + 2000) as Instant;
    send(session, "c");
    session.deliver(message("brief", 1, seconds(3)), grant(1));
    clock.at = (NOW + 5000) as Instant;
    const client = new Client();
    session.attach(client, 10);
    expect(client.texts).not.toContain("short");
    expect(client.texts).not.toContain("brief");
    expect(counters.droppedExpired.value).toBeGreaterThan(0);
  });

  it("never holds more than its limits, whatever happens", () => {
    const step = fc.record({
      kind: fc.constantFrom("deliver", "settle", "credit", "detach", "attach", "again"),
      qos: fc.constantFrom<QoS>(0, 1, 2),
      number: fc.nat(20),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { session } = newSession({ queue: { messages: 5, bytes: 2000, drop: "qos0-first" } });
        let client = new Client();
        let attached = false;
        let window = 4;
        for (const { kind, qos, number } of steps) {
          if (kind === "deliver") session.deliver(message("x".repeat(number * 10), qos), grant(qos));
          if (kind === "settle") session.settle(number as DeliveryId, "done");
          if (kind === "again") session.settle(number as DeliveryId, "again");
          if (kind === "credit" && attached) {
            window = Math.max(window, number % 4);
            session.credit(window);
          }
          if (kind === "detach") {
            session.detach();
            attached = false;
          }
          if (kind === "attach" && !attached) {
            client = new Client();
            attached = true;
            window = 1 + (number % 4);
            session.attach(client, window);
          }
          // What is given back is never refused, so the queue may exceed its count by the window.
          expect(session.queued).toBeLessThanOrEqual(5 + 4);
          expect(session.unsettled).toBeLessThanOrEqual(attached ? window : 4);
        }
      }),
    );
  });
});

describe("inbound QoS 2", () => {
  it("knows a packet id from its publish to its release, and no more than the limit (MQTT 5 §4.3.3)", () => {
    const { session } = newSession();
    expect(session.acceptInbound(1)).toBe("new");
    expect(session.acceptInbound(1)).toBe("duplicate");
    expect(session.acceptInbound(2)).toBe("new");
    expect(session.acceptInbound(3)).toBe("full");
    session.detach();
    expect(session.acceptInbound(1)).toBe("duplicate");
    expect(session.releaseInbound(1)).toBe(true);
    expect(session.releaseInbound(1)).toBe(false);
    expect(session.acceptInbound(1)).toBe("new");
  });
});

describe("retained messages for a subscribe", () => {
  it("are drawn as credit allows, with RETAIN, before later messages [MQTT-3.3.1-8]", () => {
    const { session } = newSession();
    const client = new Client();
    session.attach(client, 2);
    const retained = ["r1", "r2", "r3", "r4", "r5"].map((payload) => message(payload));
    session.replay("#", retained.values(), grant(1));
    send(session, "live");
    expect(client.texts).toEqual(["r1", "r2"]);
    // Of the retained ones at least the next is counted.
    expect(session.queued).toBeGreaterThanOrEqual(2);
    for (let settled = 0; settled < 5; settled++) session.settle(client.taken[settled]!.id, "done");
    expect(client.texts).toEqual(["r1", "r2", "r3", "r4", "r5", "live"]);
    expect(client.taken.map((delivery) => delivery.retain)).toEqual([true, true, true, true, true, false]);
  });
});

describe("mountpoints", () => {
  it("are taken off the topic that the client sees", () => {
    const { session } = newSession();
    session.mountpoint = "tenant/1/";
    const client = new Client();
    session.attach(client, 2);
    session.deliver(new Message("tenant/1/a", new Uint8Array(), 0, false, NOW), grant(0));
    expect(client.taken[0]!.topic).toBe("a");
  });
});

describe("an operator's order to delete one message that waits", () => {
  const idOf = (session: Session, place: number): string => waitingId([...session.waiting()][place]!);

  it("takes it out of the queue, counts it as lost, and the others keep their order, QoS 0 among them", () => {
    const { session, counters } = newSession();
    const client = new Client();
    session.attach(client, 0);
    session.deliver(message("zero", 0), grant(0));
    send(session, "1", "2");
    expect(session.delete(idOf(session, 1))).toBe("deleted");
    expect(session.delete(idOf(session, 0))).toBe("deleted");
    expect([session.queued, session.lost, counters.droppedDeleted.value]).toEqual([1, 2, 2]);
    session.credit(5);
    expect(client.texts).toEqual(["2"]);
  });

  it("knows no id of one that is gone, nor of one that has its place after a restart", () => {
    const { session } = newSession();
    send(session, "1");
    const id = idOf(session, 0);
    expect([session.delete(id), session.delete(id)]).toEqual(["deleted", "unknown"]);
    const { session: next } = newSession();
    next.deliver(new Message("t", new Uint8Array(), 1, false, (NOW + 1) as Instant), grant(1));
    expect(next.delete(id)).toBe("unknown");
  });

  it("leaves to a connected client what it was handed: it may settle it still (MQTT 5 §2.2.1)", () => {
    const { session } = newSession();
    const client = new Client();
    session.attach(client, 1);
    send(session, "poison", "2");
    expect(session.delete(idOf(session, 0))).toBe("handed-out");
    expect([session.unsettled, session.queued, session.lost]).toEqual([1, 1, 0]);
  });

  it("takes away what an earlier connection was handed, and the client goes on with the next", () => {
    const { session } = newSession();
    session.attach(new Client(), 1);
    send(session, "poison", "2");
    session.detach();
    expect(session.delete(idOf(session, 0))).toBe("deleted");
    const back = new Client();
    session.attach(back, 1);
    expect(back.texts).toEqual(["2"]);
    expect(back.taken[0]!.duplicate).toBe(false);
  });

  it("takes away what this connection has not been handed again yet", () => {
    const { session } = newSession();
    session.attach(new Client(), 2);
    send(session, "1", "poison", "3");
    session.detach();
    const back = new Client();
    session.attach(back, 1);
    expect(session.delete(idOf(session, 1))).toBe("deleted");
    session.settle(back.taken[0]!.id, "done");
    expect(back.texts).toEqual(["1", "3"]);
    session.settle(back.taken[1]!.id, "done");
    expect([session.unsettled, session.queued]).toEqual([0, 0]);
  });

  it("releases the id of a QoS 2 message that was handed out, once, and takes no received one back [MQTT-4.3.3]", () => {
    const { session } = newSession();
    session.attach(new Client(), 1);
    session.deliver(message("poison", 2), grant(2));
    session.detach();
    const id = idOf(session, 0);
    expect([session.delete(id), session.delete(id), session.lost]).toEqual(["deleted", "received", 1]);
    const back = new Client();
    session.attach(back, 1);
    expect(back.taken.map(({ stage }) => stage)).toEqual(["release"]);
  });

  it("gives one that was lent to it back to nobody: it is settled there too", () => {
    const { session } = newSession();
    const said: string[] = [];
    const lent = { done: () => said.push("done"), back: () => said.push("back"), resume: () => {} };
    session.deliver(message("1"), grant(1), lent as never);
    expect(session.delete(idOf(session, 0))).toBe("deleted");
    expect(said).toEqual(["done"]);
  });
});

describe("the end of a session", () => {
  it("gives shared messages to the group, but no QoS 2 message that was handed out [MQTT-4.8.2-5]", () => {
    const { session } = newSession({}, ZERO);
    const passedOn: string[] = [];
    const group = {
      group: "g",
      filter: "t",
      redeliver: (passed: Message) => passedOn.push(new TextDecoder().decode(passed.payload)) > 0,
    };
    session.attach(new Client(), 2);
    session.deliver(message("one", 1), grant(1, { group }));
    session.deliver(message("two", 2), grant(2, { group }));
    session.deliver(message("queued", 2), grant(2, { group }));
    session.detach();
    session.end();
    expect(passedOn).toEqual(["one", "queued"]);
  });
});

describe("the window", () => {
  const delivery = () => new Outgoing(message("x"), "t", 1, false, [], undefined);

  it("gives ids from 1 to 65,535, wraps, and skips those in use [MQTT-2.2.1-3]", () => {
    const window = new Window();
    const first = window.add(delivery());
    expect(first).toBe(1);
    for (let count = 2; count <= 65_535; count++) window.remove(window.add(delivery()));
    expect(window.add(delivery())).toBe(2);
    expect(window.size).toBe(2);
  });

  it("finds what it holds, for any order of adding and removing", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { maxLength: 300 }), (choices) => {
        const window = new Window();
        const held = new Map<DeliveryId, Outgoing>();
        for (const choice of choices) {
          if (choice % 3 > 0 || held.size === 0) {
            const added = delivery();
            held.set(window.add(added), added);
          } else {
            const id = [...held.keys()][choice % held.size]!;
            expect(window.remove(id)).toBe(held.get(id));
            held.delete(id);
          }
          expect(window.size).toBe(held.size);
          for (const [id, expected] of held) expect(window.get(id)).toBe(expected);
        }
      }),
    );
  });
});

describe("a queue that is full", () => {
  it("says so at the first message that it drops, and once a minute how many more there were", () => {
    const { session, clock, said, counters } = newSession();
    send(session, "1", "2", "3");
    expect(said).toEqual([]);
    send(session, "4", "5", "6");
    expect(said).toEqual(["mqtt c 1"]);
    clock.at = (NOW + 59_999) as Instant;
    send(session, "7");
    clock.at = (NOW + 60_000) as Instant;
    send(session, "8");
    expect(said).toEqual(["mqtt c 1", "mqtt c 4"]);
    expect(counters.droppedFull.value).toBe(5);
  });
});
