import { describe, expect, it } from "vitest";
import { days, seconds } from "#core/lib/time.ts";
import { messageOf, Puppets, text } from "../../support/puppet.ts";
import { World } from "../../support/world.ts";

const QUEUE = { messages: 100, bytes: 50_000, drop: "oldest" } as const;

function slowSubscriber(capacity: number) {
  const world = new World({ session: { queue: QUEUE } });
  const puppets = new Puppets();
  const listener = world.streams("puppet", puppets);
  const stream = listener.connect();
  const slow = puppets.last;
  stream.capacity = capacity;
  slow.settles = true;
  slow.onDeliver = (_client, { message }) => slow.host.send(message.payload);
  const client = slow.connect("slow", { sessionExpiry: days(1), credit: 10 });
  client.subscribe("t", { qos: 1 }, 1);
  listener.connect();
  const publisher = puppets.last.connect("fast");
  const flood = (count: number, from = 0) => {
    for (let index = 0; index < count; index++) {
      publisher.publish(messageOf("t", String(from + index).padStart(100, "."), 1), 1);
      world.settle();
    }
  };
  return { world, stream, slow, client, flood };
}

describe("a slow reader", () => {
  it("is handed nothing and not read from once its socket is full, and gets the rest in order when it reads", () => {
    const { world, stream, slow, client, flood } = slowSubscriber(1_000);
    flood(50);
    expect(stream.readingPaused).toBe(true);
    expect(stream.backlog).toBeLessThan(1_200);
    expect(slow.delivered.length + client.queued).toBe(50);
    for (let round = 0; round < 20 && stream.readingPaused; round++) stream.takeBytes();
    expect(client.queued).toBe(0);
    expect(slow.take()).toEqual(Array.from({ length: 50 }, (_, index) => String(index).padStart(100, ".")));
    expect(stream.readingPaused).toBe(false);
    expect(world.core.counters.held.value).toBeGreaterThan(0);
  });

  it("costs no more than its queue however long it is flooded, and what it misses is counted", () => {
    const { world, stream, slow, client, flood } = slowSubscriber(1_000);
    flood(5_000);
    const session = world.sessions.get("puppet", "slow");
    expect(client.queued).toBe(100);
    expect(session?.queuedBytes).toBeLessThanOrEqual(QUEUE.bytes);
    expect(stream.backlog).toBeLessThan(1_200);
    expect(world.sessionCounters.droppedFull.value).toBe(5_000 - 100 - slow.delivered.length);
    for (let round = 0; round < 50 && client.queued > 0; round++) stream.takeBytes();
    expect(slow.take().at(-1)).toBe("4999".padStart(100, "."));
  });

  it("that never settles keeps its window and its queue, and no more", () => {
    const { world, slow, client, flood } = slowSubscriber(1e9);
    slow.settles = false;
    flood(5_000);
    expect([client.unsettled, client.queued]).toEqual([10, 100]);
    expect(world.sessionCounters.droppedFull.value).toBe(4_890);
  });

  it("that is away loses the oldest, counted, and resumes with what is left", () => {
    const { world, stream, flood } = slowSubscriber(1e9);
    stream.drop();
    flood(150);
    world.advance(seconds(1));
    expect(world.sessionCounters.droppedFull.value).toBe(50);
    expect(world.sessions.get("puppet", "slow")?.queued).toBe(100);
  });
});

describe("writes", () => {
  it("of one turn leave together, in order, and large ones are not copied", () => {
    const world = new World();
    const puppets = new Puppets();
    const stream = world.streams("puppet", puppets).connect();
    puppets.last.onReceive = () => {
      for (const part of ["a", "b", "c"]) puppets.last.host.send(text(part));
      puppets.last.host.sendView(new Uint8Array(20_000).fill(0x2e));
      puppets.last.host.send(text("d"));
    };
    stream.send(text("go"));
    expect(stream.written.map(({ length }) => length)).toEqual([3, 20_000, 1]);
    expect(Buffer.from(stream.takeBytes()).toString().replaceAll(".", "")).toBe("abcd");
  });

  it("on a WebSocket stay one message each", () => {
    const world = new World();
    const puppets = new Puppets();
    const stream = world.streams("puppet", puppets).connect({ transport: "ws" });
    for (const part of ["a", "b"]) puppets.last.host.send(text(part));
    world.settle();
    expect(stream.written).toHaveLength(2);
  });
});
