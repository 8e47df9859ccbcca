/** The one gate to the bus: everything passes it, and it knows what each message has to wait for. */
import { describe, expect, it } from "vitest";
import type { Inspection, Origin } from "#core/bus/gate.ts";
import { Message } from "#core/bus/message.ts";
import { hours, seconds } from "#core/lib/time.ts";
import { KeptWorld } from "../../support/kept-world.ts";
import { messageOf, type Puppet, Puppets, text } from "../../support/puppet.ts";
import { World, type WorldOptions } from "../../support/world.ts";

function openIn(world: World) {
  const puppets = new Puppets();
  const listener = world.streams("puppet", puppets);
  return (): { puppet: Puppet; drop(): void } => {
    const stream = listener.connect();
    return { puppet: puppets.last, drop: () => stream.drop() };
  };
}

/** A client that publishes to `b` and `c` from within its delivery of `a`, under tickets 2 and 3. */
function nesting(options: WorldOptions = {}) {
  const world = new World(options);
  const open = openIn(world);
  const { puppet } = open();
  const client = puppet.connect("nesting");
  client.subscribe("a", { qos: 1 }, 1);
  const said: unknown[] = [];
  puppet.onDeliver = () => {
    said.push(client.publish(messageOf("b", "b", 1), 2), client.publish(messageOf("c", "c", 1), 3));
  };
  puppet.settles = true;
  puppet.answers.length = 0;
  return { world, open, puppet, said };
}

const answersOf = (puppet: Puppet) => puppet.answers.map(({ ticket, answer }) => [ticket, answer]);

describe("a QoS 1 publish made inside a delivery", () => {
  it("to nobody is answered so, once it has been routed", () => {
    const { world, puppet, said } = nesting();
    world.publish("a", "go", { qos: 0 });
    expect(said).toEqual(["pending", "pending"]);
    expect(answersOf(puppet)).toEqual([
      [2, "no-subscribers"],
      [3, "no-subscribers"],
    ]);
    expect(world.counters.get("messages_no_subscribers")?.value).toBe(2);
  });

  it("to a durable session that is away is answered when it is committed, and not before", async () => {
    const kept = new KeptWorld();
    const { world, open, puppet, said } = nesting(kept.options);
    kept.of(world);
    const away = open();
    away.puppet.connect("away", { sessionExpiry: hours(1) }).subscribe("b", { qos: 1 }, 1);
    await kept.commit();
    away.drop();
    await kept.commit();
    world.publish("a", "go", { qos: 0 });
    expect(said).toEqual(["pending", "pending"]);
    expect(answersOf(puppet)).toEqual([[3, "no-subscribers"]]);
    await kept.commit();
    expect(answersOf(puppet)).toEqual([
      [3, "no-subscribers"],
      [2, "accepted"],
    ]);
    expect(world.sessions.get("puppet", "away")?.queued).toBe(1);
  });

  it("is refused where the store cannot keep it, without any effect", async () => {
    const kept = new KeptWorld();
    const failing = { ...kept.options, commits: { ...kept.options.commits!, failing: true, writes: 0 } };
    const { world, open, puppet } = nesting(failing);
    const away = open();
    // Not refused: the subscription of a session that ends with its connection needs no store.
    away.puppet.connect("away").subscribe("b", { qos: 1 }, 1);
    world.sessions.get("puppet", "away")!.expiry = hours(1);
    world.publish("a", "go", { qos: 0 });
    expect(answersOf(puppet)).toEqual([
      [2, "unavailable"],
      [3, "no-subscribers"],
    ]);
    expect(away.puppet.delivered).toEqual([]);
  });

  it("does not make the message that caused it wait", async () => {
    const kept = new KeptWorld();
    const { world, open } = nesting(kept.options);
    kept.of(world);
    const away = open();
    away.puppet.connect("away", { sessionExpiry: hours(1) }).subscribe("b", { qos: 1 }, 1);
    await kept.commit();
    away.drop();
    await kept.commit();
    const outer = open().puppet.connect("outer");
    expect(outer.publish(messageOf("a", "go", 1), 9)).toBe("accepted");
  });

  it("at QoS 0 is accepted at once, and nothing comes under its ticket", () => {
    const { puppet, world } = nesting();
    const client = puppet.connect("other");
    puppet.onDeliver = () => expect(client.publish(messageOf("d", "d"), 4)).toBe("accepted");
    world.publish("a", "go", { qos: 0 });
    expect(puppet.answers).toEqual([]);
  });
});

/** Notes what passes, and does with it what a test says. */
class Noted implements Inspection {
  readonly seen: [origin: Origin, topic: string][] = [];
  readonly done: string[] = [];
  change: (message: Message) => Message | undefined = (message) => message;

  entering(message: Message, _from: object | undefined, origin: Origin): Message | undefined {
    this.seen.push([origin, message.topic]);
    return this.change(message);
  }

  routed(message: Message, origin: Origin, routed: string): void {
    this.done.push(`${origin} ${message.topic} ${routed}`);
  }
}

function inspected() {
  const world = new World();
  const noted = new Noted();
  world.gate.inspection = noted;
  return { world, noted, open: openIn(world) };
}

describe("every message passes", () => {
  it("those of clients, within a delivery and outside", () => {
    const { world } = nesting();
    const noted = new Noted();
    world.gate.inspection = noted;
    world.publish("a", "go");
    expect(noted.seen).toEqual([
      ["system", "a"],
      ["client", "b"],
      ["client", "c"],
    ]);
    expect(noted.done).toEqual(["system a matched", "client b none", "client c none"]);
  });

  it("wills, at once and after their delay", () => {
    const { world, noted, open } = inspected();
    for (const delay of [seconds(0), seconds(5)]) {
      const { puppet, drop } = open();
      const will = {
        topic: `w/${delay}`,
        payload: text("gone"),
        qos: 0,
        retain: false,
        delay,
        options: {},
      } as const;
      puppet.connect(`c${delay}`, { sessionExpiry: hours(1), will });
      drop();
    }
    world.advance(seconds(6));
    expect(noted.seen).toEqual([
      ["will", "w/0"],
      ["will", "w/5000"],
    ]);
  });

  it("delayed ones, when their time has come", () => {
    const { world, noted, open } = inspected();
    const client = open().puppet.connect("c");
    expect(client.publish(messageOf("$delayed/5/d", "later", 1), 1)).toBe("accepted");
    expect(noted.seen).toEqual([]);
    world.advance(seconds(6));
    expect(noted.seen).toEqual([["delayed", "d"]]);
  });

  it("what a gateway says for a client that stays away", () => {
    const { world, noted, open } = inspected();
    const { puppet, drop } = open();
    puppet.connect("c", { sessionExpiry: hours(1) });
    drop();
    const word = { topic: "last", payload: text("gone"), qos: 0, retain: false, options: {} } as const;
    expect(world.sessions.lastWord("puppet", "c", word, (memo) => memo)).toBe(true);
    expect(noted.seen).toEqual([["last-word", "last"]]);
  });

  it("what a member of a shared subscription has left, in line behind what passes", () => {
    const { world, noted, open } = inspected();
    const [one, two] = [open(), open()];
    const leaving = one.puppet.connect("leaving", { credit: 1 });
    leaving.subscribe("$share/g/s", { qos: 1 }, 1);
    world.publish("s", "first", { qos: 1 });
    two.puppet.connect("staying").subscribe("$share/g/s", { qos: 1 }, 1);
    leaving.end("closed");
    expect(noted.seen).toEqual([
      ["system", "s"],
      ["redelivery", "s"],
    ]);
    expect(noted.done).toEqual(["system s matched", "redelivery s matched"]);
    expect(two.puppet.take()).toEqual(["first"]);
  });
});

describe("an inspection", () => {
  it("may put another message in a message's place", () => {
    const { world, noted } = inspected();
    const heard = world.listen("#");
    noted.change = ({ topic, qos, retain, publishedAt }) =>
      new Message(`${topic}/changed`, text("other"), qos, retain, publishedAt);
    world.publish("t", "one");
    expect(heard.map(({ topic, payload }) => [topic, Buffer.from(payload).toString()])).toEqual([
      ["t/changed", "other"],
    ]);
  });

  it("may stop a message, whose publisher hears nothing of it", () => {
    const { world, noted, open } = inspected();
    const heard = world.listen("#");
    noted.change = () => undefined;
    expect(
      open()
        .puppet.connect("c")
        .publish(messageOf("t", "one", 1), 1),
    ).toBe("accepted");
    expect([heard, noted.done]).toEqual([[], []]);
  });
});
