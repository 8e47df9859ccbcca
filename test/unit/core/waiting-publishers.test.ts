import { describe, expect, it } from "vitest";
import { days, seconds } from "#core/lib/time.ts";
import type { Session } from "#core/session/session.ts";
import { fc } from "../../support/property.ts";
import { messageOf, Puppets } from "../../support/puppet.ts";
import { World } from "../../support/world.ts";

const QUEUE = { messages: 100, bytes: 50_000, drop: "oldest" } as const;

function scene(queueWait = seconds(2)) {
  const world = new World({ session: { queue: { ...QUEUE, wait: queueWait } } });
  const puppets = new Puppets();
  const listener = world.streams("puppet", puppets);
  const join = (id: string, credit = 10) => {
    const stream = listener.connect();
    const puppet = puppets.last;
    const client = puppet.connect(id, { sessionExpiry: days(1), credit });
    world.settle();
    return { stream, puppet, client };
  };
  const reader = join("reader");
  reader.client.subscribe("t", { qos: 1 }, 1);
  world.settle();
  const publish = ({ client }: ReturnType<typeof join>, from: number, to: number, topic = "t") => {
    const answers: unknown[] = [];
    for (let number = from; number < to; number++) {
      answers.push(client.publish(messageOf(topic, String(number), 1), number + 1));
      world.settle();
    }
    return answers;
  };
  /** The reader acknowledges what it was handed, as long as there is something new. */
  const read = () => {
    for (let seen = 0; seen < reader.puppet.delivered.length; ) {
      const { client, delivery } = reader.puppet.delivered[seen++]!;
      client.settle(delivery.id, "done");
      world.settle();
      world.advance(0 as never);
    }
  };
  const texts = () =>
    reader.puppet.delivered.map(({ delivery }) => Number(Buffer.from(delivery.message.payload)));
  return { world, listener, puppets, join, reader, publish, read, texts };
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

describe("a publisher at QoS 1", () => {
  it("waits, unacknowledged and then unread, for a connected reader whose queue is nearly full, and nothing is dropped", () => {
    const { world, join, publish, read, texts } = scene();
    const publisher = join("fast");
    publish(publisher, 0, 5_000);
    expect(publisher.stream.readingPaused).toBe(true);
    expect(world.sessions.get("puppet", "reader")?.queued).toBeLessThanOrEqual(76);
    expect(publisher.puppet.answers.length).toBeLessThan(100);
    read();
    expect(texts()).toEqual(range(0, 5_000));
    expect(world.sessionCounters.droppedFull.value).toBe(0);
    expect(publisher.stream.readingPaused).toBe(false);
    expect(world.sessionCounters.publishersWaited.value).toBeGreaterThan(0);
  });

  it("is answered for each message once it has passed, in order", () => {
    const { world, join, publish, read } = scene();
    const publisher = join("fast");
    const atOnce = publish(publisher, 0, 300);
    read();
    world.settle();
    const pending = range(0, 300).filter((number) => atOnce[number] === "pending");
    expect(publisher.puppet.answers.map(({ ticket }) => ticket)).toEqual(pending.map((number) => number + 1));
    expect(publisher.puppet.answers.every(({ answer }) => answer === "accepted")).toBe(true);
  });

  it("waits no longer than the configured time for a reader that has stopped, and then for nobody for a while", () => {
    const { world, join, publish } = scene();
    const publisher = join("fast");
    publish(publisher, 0, 500);
    expect(publisher.stream.readingPaused).toBe(true);
    world.advance(seconds(2));
    expect(publisher.stream.readingPaused).toBe(false);
    publish(publisher, 500, 1_000);
    expect(publisher.stream.readingPaused).toBe(false);
    // What has no room is dropped, counted and said once.
    expect(world.sessionCounters.droppedFull.value).toBeGreaterThan(0);
    expect(world.sessionCounters.readersSlow.value).toBe(1);
    // Another that stops does not hold it up again so soon.
    const other = join("other");
    other.client.subscribe("u", { qos: 1 }, 1);
    world.settle();
    publish(publisher, 0, 500, "u");
    expect(publisher.stream.readingPaused).toBe(false);
  });

  it("waits for nobody who is away, asleep, or itself waiting, nor for itself, nor where that is turned off", () => {
    const away = scene();
    away.reader.client.end("closed");
    away.publish(away.join("a"), 0, 500);
    expect(away.world.sessionCounters.publishersWaited.value).toBe(0);

    const asleep = scene();
    asleep.reader.client.credit(0);
    asleep.publish(asleep.join("a"), 0, 500);
    expect(asleep.world.sessionCounters.publishersWaited.value).toBe(0);

    const itself = scene();
    itself.publish(itself.reader, 0, 500);
    expect(itself.world.sessionCounters.publishersWaited.value).toBe(0);

    const off = scene(seconds(0));
    off.publish(off.join("a"), 0, 500);
    expect(off.world.sessionCounters.publishersWaited.value).toBe(0);
  });

  it.each([
    ["is dropped", ({ session }) => session.drop()],
    ["is dropped with its subscription", ({ world, session }) => world.sessions.revoke(session, "t")],
  ] satisfies [string, (of: { world: World; session: Session }) => void][])(
    "goes on when what waits for the reader %s",
    (_, end) => {
      const { world, join, publish } = scene();
      const publisher = join("fast");
      publish(publisher, 0, 155);
      expect(publisher.stream.readingPaused).toBe(true);
      end({ world, session: world.sessions.get("puppet", "reader")! });
      world.settle();
      expect(publisher.stream.readingPaused).toBe(false);
    },
  );

  it("slows nobody who publishes to others, nor at QoS 0", () => {
    const { world, join, publish } = scene();
    publish(join("fast"), 0, 500);
    const other = join("other");
    publish(other, 0, 200, "elsewhere");
    expect(other.puppet.answers.filter(({ answer }) => answer !== "no-subscribers")).toEqual([]);
    expect(world.sessionCounters.publishersWaited.value).toBe(1);
    other.client.publish(messageOf("t", "x", 0), 1);
    world.settle();
    expect(world.sessionCounters.publishersWaited.value).toBe(1);
  });

  it("that says goodbye is not forgotten: what it has published comes when its time has come", () => {
    const { world, join, publish, read, texts, reader } = scene();
    const publisher = join("fast");
    publish(publisher, 0, 200);
    publisher.client.end("closed");
    world.settle();
    read();
    expect(texts()).toEqual(range(0, 200));
    expect(reader.client.queued).toBe(0);
  });

  it("does not keep who reads waiting for what stands in line when the reader goes", () => {
    const { world, join, publish, reader } = scene();
    const publisher = join("fast");
    publish(publisher, 0, 200);
    reader.client.end("closed");
    world.settle();
    world.advance(0 as never);
    expect(publisher.stream.readingPaused).toBe(false);
    expect(publisher.puppet.answers.length).toBeGreaterThan(0);
  });

  it("holds true whoever publishes, reads, stalls and leaves: all that is answered once, in each publisher's order", () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          kind: fc.constant("publish" as const),
          who: fc.nat(2),
          count: fc.integer({ min: 1, max: 90 }),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          kind: fc.constant("read" as const),
          who: fc.nat(2),
          count: fc.integer({ min: 1, max: 90 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant("pass" as const),
          who: fc.nat(2),
          count: fc.integer({ min: 1, max: 3_000 }),
        }),
      },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { world, join, reader } = scene();
        const publishers = [join("a"), join("b"), join("c")];
        const sent = [0, 0, 0];
        const said = [0, 0, 0];
        let settled = 0;
        for (const { kind, who, count } of steps) {
          if (kind === "publish") {
            for (let index = 0; index < count; index++) {
              const number = sent[who]!++;
              const answer = publishers[who]!.client.publish(
                messageOf("t", `${who} ${number}`, 1),
                number + 1,
              );
              if (answer !== "pending") said[who]!++;
              world.settle();
            }
          } else if (kind === "read") {
            for (let left = count; left > 0 && settled < reader.puppet.delivered.length; left--) {
              const { client, delivery } = reader.puppet.delivered[settled++]!;
              client.settle(delivery.id, "done");
              world.settle();
            }
          } else world.advance(count as never);
        }
        for (let quiet = 0; quiet < 30; quiet++) {
          while (settled < reader.puppet.delivered.length) {
            const { client, delivery } = reader.puppet.delivered[settled++]!;
            client.settle(delivery.id, "done");
            world.settle();
          }
          world.advance(seconds(1));
        }
        const numbers = reader.puppet.delivered.map(({ delivery }) =>
          String(Buffer.from(delivery.message.payload)).split(" ").map(Number),
        );
        publishers.forEach(({ puppet, stream }, who) => {
          const tickets = puppet.answers.map(({ ticket }) => ticket);
          expect(tickets).toEqual([...new Set(tickets)].sort((a, b) => a - b));
          expect(said[who]! + tickets.length).toBe(sent[who]);
          const own = numbers.filter(([by]) => by === who).map(([, number]) => number!);
          expect(own).toEqual([...new Set(own)].sort((a, b) => a - b));
          expect(stream.readingPaused).toBe(false);
        });
        expect(numbers.length + world.sessionCounters.droppedFull.value).toBe(sent[0]! + sent[1]! + sent[2]!);
      }),
      { numRuns: 60 },
    );
  });
});
