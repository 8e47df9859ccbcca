import { expect, it } from "vitest";
import { Message } from "#core/bus/message.ts";
import { topicMatches } from "#core/bus/topic.ts";
import { TopicTree } from "#core/bus/topic-tree.ts";
import type { Instant } from "#core/lib/time.ts";
import { fc } from "../../support/property.ts";
import { Puppets } from "../../support/puppet.ts";
import { World } from "../../support/world.ts";

const level = fc.constantFrom("a", "b", "$c", "");
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/"));
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { maxLength: 3 }), fc.boolean())
  .map(([levels, all]) => (all || levels.length === 0 ? [...levels, "#"] : levels).join("/"));

it("a walk over a tree finds what a filter matches, each once, whatever is removed and added meanwhile", () => {
  const change = fc.record({ topic, removes: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(topic, { maxLength: 20 }),
      filter,
      fc.array(change, { maxLength: 20 }),
      (topics, wanted, changes) => {
        const tree = new TopicTree<string>();
        for (const each of topics) tree.set(each, each);
        const untouched = new Set(topics);
        const found: string[] = [];
        for (const each of tree.found(wanted)) {
          found.push(each);
          const next = changes.shift();
          if (next === undefined) continue;
          untouched.delete(next.topic);
          if (next.removes) tree.delete(next.topic);
          else tree.set(next.topic, next.topic);
        }
        for (const each of found)
          expect([wanted, each, topicMatches(wanted, each)]).toEqual([wanted, each, true]);
        for (const each of untouched) {
          expect(found.filter((one) => one === each).length).toBe(topicMatches(wanted, each) ? 1 : 0);
        }
      },
    ),
  );
});

it("subscribing to everything again and again and reading nothing costs no memory for each retained message", () => {
  const RETAINED = 20_000;
  const world = new World();
  for (let index = 0; index < RETAINED; index++) {
    world.bus.retainedMessages.restore(
      new Message(`t/${index % 100}/${index}`, new Uint8Array(10), 1, true, world.now as Instant),
    );
  }
  const puppets = new Puppets();
  const listener = world.streams("puppet", puppets);
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const began = process.cpuUsage().user;
  for (let client = 0; client < 100; client++) {
    listener.connect();
    const connected = puppets.last.connect(`c${client}`, { credit: 1 });
    for (let times = 0; times < 60; times++) connected.subscribe("#", { qos: 1 }, times);
  }
  // As arrays, 100 clients x 60 subscribes x 20,000 messages would be 960 MB and seconds of work.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(50e6);
  expect(process.cpuUsage().user - began).toBeLessThan(3e6);
});

it("who subscribes and reads gets all, and once what is published meanwhile", () => {
  const world = new World();
  for (let index = 0; index < 300; index++) world.publish(`t/${index}`, "old", { qos: 1, retain: true });
  world.advance(1 as never);
  const puppets = new Puppets();
  world.streams("puppet", puppets).connect();
  const puppet = puppets.last;
  const client = puppet.connect("c", { credit: 1 });
  client.subscribe("#", { qos: 1 }, 1);
  world.advance(1 as never);
  world.publish("t/299", "new", { qos: 1, retain: true });
  for (let next = 0; next < puppet.delivered.length; next++) {
    client.settle(puppet.delivered[next]!.delivery.id, "done");
    world.settle();
  }
  const got = puppet.delivered.map(
    ({ delivery }) => `${delivery.topic} ${Buffer.from(delivery.message.payload)}`,
  );
  expect(got.length).toBe(300);
  expect(new Set(got).size).toBe(300);
  expect(got).toContain("t/299 new");
});

it("retained messages are handed out in turns, and what others publish comes between", () => {
  const CLIENTS = 20;
  const RETAINED = 2_000;
  const world = new World();
  for (let index = 0; index < RETAINED; index++) {
    world.bus.retainedMessages.restore(new Message(`t/${index}`, new Uint8Array(10), 0, true, world.now));
  }
  const puppets = new Puppets();
  const listener = world.streams("puppet", puppets);
  const readers = Array.from({ length: CLIENTS }, (_, index) => {
    listener.connect();
    const puppet = puppets.last;
    puppet.connect(`c${index}`).subscribe("t/#", { qos: 0 }, 1);
    return puppet;
  });
  listener.connect();
  const innocent = puppets.last;
  innocent.connect("innocent").subscribe("echo", { qos: 0 }, 1);
  const got = (): number[] => readers.map(({ delivered }) => delivered.length);
  for (let turn = 0; got().some((count) => count < RETAINED); turn++) {
    const before = got();
    world.settle("one turn");
    const grown = got().map((count, index) => count - before[index]!);
    expect(grown.reduce((sum, count) => sum + count)).toBeLessThanOrEqual(1_024);
    // Nobody is ahead of another by more than one share.
    expect(Math.max(...got()) - Math.min(...got())).toBeLessThanOrEqual(100);
    world.gate.publish(new Message("echo", Buffer.from(`${turn}`), 0, false, world.now), undefined, "system");
    expect(innocent.take()).toEqual([`${turn}`]);
  }
  for (const { delivered } of readers) {
    expect(delivered.map(({ delivery }) => delivery.topic)).toEqual(
      Array.from({ length: RETAINED }, (_, index) => `t/${index}`),
    );
  }
});
