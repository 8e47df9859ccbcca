import { describe, expect, it } from "vitest";
import { Directory } from "#core/door/directory.ts";
import { minutes, seconds } from "#core/lib/time.ts";
import { type ClientFilter, Clients } from "#core/operate/clients.ts";
import { type Puppet, Puppets } from "../../support/puppet.ts";
import { World, type WorldOptions } from "../../support/world.ts";

function site(options: WorldOptions = {}, anyTopic = true) {
  const world = new World(options);
  const puppets = new Puppets();
  world.open(
    { name: "puppet", schema: {} as never, anyTopic, open: () => ({ endpoint: () => puppets }) },
    {},
  );
  const listener = world.streams("puppet", puppets);
  const clients = new Clients(world.core, world.gateways);
  const connect = (id: string, login: Parameters<Puppet["connect"]>[1] = {}, address = "10.0.0.1") => {
    const stream = listener.connect({ address });
    const client = puppets.last.connect(id, login);
    world.settle();
    return { client, stream, delivered: puppets.last.delivered };
  };
  const names = (filter?: ClientFilter) => clients.page(filter).items.map(({ clientId }) => clientId);
  return { world, clients, connect, names };
}

describe("the directory of clients", () => {
  it("has who is connected and who is away with a session, and nobody else", () => {
    const { world, clients, connect, names } = site();
    connect("stays");
    const durable = connect("away", { sessionExpiry: minutes(1) });
    const gone = connect("gone");
    world.advance(seconds(5));
    durable.stream.drop();
    gone.stream.drop();
    expect([names(), clients.count, clients.connected]).toEqual([["stays", "away"], 2, 1]);
    expect(clients.get("puppet", "away")).toMatchObject({
      ...{ gateway: "puppet", presence: "away", address: "10.0.0.1", since: world.now },
      session: { expiry: 60_000, endsAt: world.now + 60_000 },
    });
    world.advance(minutes(1));
    expect([names(), clients.count]).toEqual([["stays"], 1]);
    expect(clients.get("puppet", "away")).toBeUndefined();
  });

  it("keeps the place of a client that comes back, is taken over, or begins anew", () => {
    const { clients, connect, names } = site();
    const durable = { sessionExpiry: minutes(1) };
    const first = connect("a", durable);
    connect("b", durable);
    first.stream.drop();
    connect("a", durable);
    connect("b", durable);
    expect([names(), clients.connected]).toEqual([["a", "b"], 2]);
    const second = connect("a", { ...durable, cleanStart: true });
    second.stream.drop();
    expect([names().sort(), clients.connected]).toEqual([["a", "b"], 1]);
    expect(names({ presence: "away" })).toEqual(["a"]);
  });

  it("says when a client last spoke, how it came, what it has and what waits for it", () => {
    const { world, clients, connect } = site();
    const will = { topic: "w", payload: new Uint8Array(3), qos: 1, retain: true, delay: 0, options: {} };
    const puppet = connect("c", {
      keepAlive: seconds(30),
      sessionExpiry: minutes(5),
      will,
      credit: 0,
    } as never);
    puppet.client.subscribe("t/#", { qos: 1 }, 1);
    world.advance(seconds(7));
    puppet.stream.send(Buffer.from("x"));
    world.advance(seconds(3));
    world.publish("t/1", "hello", { qos: 1, expiry: seconds(60) } as never);
    expect(clients.get("puppet", "c")).toMatchObject({
      ...{ presence: "connected", keepAlive: 30, subscriptions: 1, queued: 1, unsettled: 0 },
      ...{ heardAt: world.now - 3_000, since: world.now - 10_000, transport: "tcp" },
      session: { will: { topic: "w", qos: 1, retain: true, bytes: 3 }, inbound: 0 },
    });
    const [first, ...others] = clients.queue("puppet", "c") ?? [];
    expect(others).toEqual([]);
    expect(first).toMatchObject({ topic: "t/1", qos: 1, stage: "queued" });
    expect(Buffer.from(first?.payload ?? []).toString()).toBe("hello");
    expect(clients.subscriptions("puppet", "c")).toMatchObject([{ filter: "t/#", options: { qos: 1 } }]);
  });

  it("finds by gateway, name, address, presence and part of a text", () => {
    const { connect, names } = site();
    connect("meter-1", {}, "192.0.2.1");
    connect("meter-2", { sessionExpiry: minutes(1) }, "192.0.2.2").stream.drop();
    connect("lamp", {}, "192.0.2.2");
    expect(names({ text: "meter" })).toEqual(["meter-1", "meter-2"]);
    expect(names({ address: "192.0.2.2" })).toEqual(["meter-2", "lamp"]);
    expect(names({ presence: "away" })).toEqual(["meter-2"]);
    expect(names({ clientId: "lamp", gateway: "puppet" })).toEqual(["lamp"]);
    expect(names({ gateway: "mqtt" })).toEqual([]);
  });

  it("lists several that make single requests under one name, each while it is there", () => {
    const { clients, connect, names } = site();
    const first = connect("sensor", { kind: "single" } as never);
    const second = connect("sensor", { kind: "single" } as never);
    connect("sensor");
    expect(names()).toEqual(["sensor", "sensor", "sensor"]);
    // The one that has a session.
    expect(clients.get("puppet", "sensor")?.session).toBeDefined();
    second.stream.drop();
    first.stream.drop();
    expect([names(), clients.count, clients.connected]).toEqual([["sensor"], 1, 1]);
  });
});

describe("pages", () => {
  it("show each client that stays once, while others come and go", () => {
    const { clients, connect } = site();
    const all = Array.from({ length: 300 }, (_, index) => connect(`c${index}`));
    const seen: string[] = [];
    let next: number | undefined = 0;
    for (let page = 0; next !== undefined; page++) {
      const { items, next: following } = clients.page({}, { after: next, limit: 7 });
      seen.push(...items.map(({ clientId }) => clientId));
      next = following;
      // Of those that were seen most go, of the others some, and new ones come.
      for (let index = 0; index < 6; index++) all[page * 7 + index]?.stream.drop();
      if (page < 5) all[290 + page]?.stream.drop();
      if (page < 10) connect(`new${page}`);
    }
    const expected = Array.from({ length: 290 }, (_, index) => `c${index}`);
    expect(seen.slice(0, 290)).toEqual(expected);
    expect(seen.slice(290)).toEqual([
      ...Array.from({ length: 5 }, (_, index) => `c${295 + index}`),
      ...Array.from({ length: 10 }, (_, index) => `new${index}`),
    ]);
  });

  it("end after so many looks where a filter lets few through", () => {
    const { clients, connect } = site();
    for (let index = 0; index < 50; index++) connect(`c${index}`);
    const first = clients.page({ clientId: "c45" }, { looks: 20 });
    expect([first.items, first.next]).toEqual([[], 20]);
    const second = clients.page({ clientId: "c45" }, { looks: 20, after: 20 });
    const third = clients.page({ clientId: "c45" }, { looks: 20, after: second.next ?? 0 });
    expect([second.items, third.items.map(({ clientId }) => clientId), third.next]).toEqual([
      [],
      ["c45"],
      undefined,
    ]);
  });
});

describe("orders", () => {
  it("kick a client, whose session lives on", () => {
    const { world, clients, connect } = site();
    const puppet = connect("c", { sessionExpiry: minutes(1) });
    expect([clients.kick("puppet", "nobody"), clients.kick("puppet", "c")]).toEqual([0, 1]);
    expect([puppet.stream.ended, world.sessions.count]).toEqual([true, 1]);
  });

  it("end a session with what waits in it, whether its client is here or away", () => {
    const { world, clients, connect, names } = site();
    const here = connect("here", { sessionExpiry: minutes(1) });
    connect("away", { sessionExpiry: minutes(1) }).stream.drop();
    expect(clients.endSession("puppet", "nobody")).toMatchObject({ ok: false, refusal: "unknown" });
    expect([clients.endSession("puppet", "here"), clients.endSession("puppet", "away")]).toEqual([
      { ok: true },
      { ok: true },
    ]);
    world.settle();
    expect([here.stream.ended, world.sessions.count, names()]).toEqual([true, 0, []]);
  });

  it("subscribe a client to what it has not asked for, here or away, and end that", () => {
    const { world, clients, connect } = site();
    const puppet = connect("c", { sessionExpiry: minutes(1) });
    expect(clients.subscribe("puppet", "c", "a/#", { qos: 1 })).toEqual({ ok: true });
    world.publish("a/1", "1", { qos: 1 });
    expect(puppet.delivered.map(({ delivery }) => delivery.topic)).toEqual(["a/1"]);
    puppet.stream.drop();
    expect(clients.subscribe("puppet", "c", "b", { qos: 1 })).toEqual({ ok: true });
    world.publish("b", "2", { qos: 1 });
    expect(clients.get("puppet", "c")?.queued).toBe(1);
    expect(clients.unsubscribe("puppet", "c", "b")).toEqual({ ok: true });
    expect(clients.get("puppet", "c")?.queued).toBe(0);
    expect(clients.unsubscribe("puppet", "c", "b")).toMatchObject({ ok: false, refusal: "unknown" });
    expect(clients.subscribe("puppet", "c", "a/#/b", { qos: 1 })).toMatchObject({ refusal: "failed" });
    expect(clients.subscribe("puppet", "c", "$share/g", { qos: 1 })).toMatchObject({ refusal: "failed" });
  });

  it("subscribe nobody whose gateway takes only what its clients ask for", () => {
    const { clients, connect } = site({}, false);
    connect("c");
    expect(clients.subscribe("puppet", "c", "a", { qos: 0 })).toMatchObject({ refusal: "conflict" });
  });
});

describe("a thousand clients", () => {
  it("cost the directory no more than their entries when they have gone", () => {
    const engine = { watcher: undefined } as never;
    const directory = new Directory(engine);
    for (let round = 0; round < 3; round++) {
      const came = Array.from({ length: 1_000 }, (_, index) => ({
        ...{ id: `c${index}`, gateway: "g", single: true, session: {}, listed: undefined },
      }));
      for (const client of came) directory.arrived(client as never, 0 as never);
      expect([...directory.after(0)].length).toBe(1_000);
      // In an order that leaves holes.
      for (const client of [...came.filter((_, at) => at % 3 > 0), ...came.filter((_, at) => at % 3 === 0)])
        directory.left(client as never, true);
      expect([[...directory.after(0)], directory.count, directory.connected]).toEqual([[], 0, 0]);
    }
  });
});
