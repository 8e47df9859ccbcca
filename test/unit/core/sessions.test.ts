import { describe, expect, it } from "vitest";
import type { Will } from "#core/contract/client.ts";
import { type Duration, days, FOREVER, minutes, seconds, ZERO } from "#core/lib/time.ts";
import { messageOf, Puppets, text } from "../../support/puppet.ts";
import { World, type WorldOptions } from "../../support/world.ts";

function site(options: WorldOptions = {}) {
  const world = new World(options);
  const puppets = new Puppets();
  const listener = world.streams("puppet", puppets);
  const open = () => {
    const stream = listener.connect();
    return { stream, puppet: puppets.last };
  };
  return { world, open };
}

const will = (delay: Duration = ZERO): Will => ({
  topic: "will",
  payload: text("gone"),
  qos: 1,
  retain: false,
  delay,
  options: {},
});

describe("a take-over", () => {
  it("tells the former connection, which closes, and hands the session over with what it had not settled", () => {
    const { world, open } = site();
    const old = open();
    old.puppet.connect("c", { sessionExpiry: minutes(1) }).subscribe("t", { qos: 1 }, 1);
    world.publish("t", "unsettled", { qos: 1 });
    const { puppet } = open();
    const answer = puppet.tryConnect("c", { sessionExpiry: minutes(1) });
    expect(answer).toMatchObject({ ok: true, sessionPresent: true });
    expect(old.puppet.log.at(-1)).toBe("stop taken-over c");
    expect(old.stream.closed).toBe(true);
    expect(puppet.delivered[0]?.delivery).toMatchObject({ duplicate: true });
    expect([world.sessions.takenOver, world.sessions.connected]).toEqual([1, 1]);
  });

  it("publishes the will of the former connection, unless it says that it ends in order", () => {
    const { world, open } = site();
    const heard = world.listen("will");
    open().puppet.connect("c", { will: will() });
    const second = open().puppet;
    const client = second.connect("c", { will: will() });
    expect(heard).toHaveLength(1);
    second.onStop = () => client.end("closed");
    open().puppet.connect("c");
    expect(heard).toHaveLength(1);
  });

  it("publishes no will that is delayed, when the session goes on [MQTT-3.1.3-9]", () => {
    const { world, open } = site();
    const heard = world.listen("will");
    const request = { will: will(seconds(10)), sessionExpiry: minutes(1) };
    open().puppet.connect("c", request);
    open().puppet.connect("c", { sessionExpiry: minutes(1) });
    world.advance(minutes(5));
    expect(heard).toEqual([]);
  });

  it("publishes a delayed will at once, when the session is thrown away [MQTT-3.1.2-8]", () => {
    const { world, open } = site();
    const heard = world.listen("will");
    open().puppet.connect("c", { will: will(seconds(10)), sessionExpiry: minutes(1) });
    open().puppet.connect("c", { cleanStart: true });
    expect(heard).toHaveLength(1);
  });
});

describe("a session whose client is away", () => {
  it("ends when its expiry has passed, counted from the loss, and not before", () => {
    const { world, open } = site();
    const { stream, puppet } = open();
    puppet.connect("c", { sessionExpiry: minutes(1) }).subscribe("t", { qos: 1 }, 1);
    stream.drop();
    world.advance(seconds(59));
    expect(world.sessions.count).toBe(1);
    world.advance(seconds(2));
    expect([world.sessions.count, world.sessions.expired, world.bus.filters]).toEqual([0, 1, 0]);
  });

  it("never ends when it was to last for ever, and lasts no longer than is allowed", () => {
    const { world, open } = site({ expiryMax: days(7) });
    const { stream, puppet } = open();
    const client = puppet.connect("c", { sessionExpiry: FOREVER });
    expect(client.sessionExpiry).toBe(days(7));
    stream.drop();
    world.advance(days(6));
    expect(world.sessions.count).toBe(1);
    world.advance(days(1));
    expect(world.sessions.count).toBe(0);
  });

  it.each([
    ["its delay, when that is shorter", seconds(10), 10],
    ["the end of the session, when that is shorter", minutes(5), 60],
    ["nothing, when there is no delay", ZERO, 0],
  ])("publishes its will after %s (MQTT 5 §3.1.3.2.2)", (_what, delay, at) => {
    const { world, open } = site();
    const heard = world.listen("will");
    const { stream, puppet } = open();
    puppet.connect("c", { will: will(delay), sessionExpiry: minutes(1) });
    stream.drop();
    if (at > 0) {
      world.advance(seconds(at - 1));
      expect(heard).toHaveLength(0);
      world.advance(seconds(1));
    }
    expect(heard).toHaveLength(1);
    world.advance(minutes(10));
    expect(heard).toHaveLength(1);
  });

  it("keeps its will to itself when its client comes back in time, or has said goodbye", () => {
    const { world, open } = site();
    const heard = world.listen("will");
    const request = { will: will(seconds(10)), sessionExpiry: minutes(1) };
    const first = open();
    first.puppet.connect("c", request);
    first.stream.drop();
    world.advance(seconds(9));
    const { puppet } = open();
    puppet.connect("c", request).end("closed");
    world.advance(minutes(2));
    expect(heard).toEqual([]);
  });

  it("is found by resume, which makes none and takes none over", () => {
    const { open } = site();
    const refused = { ok: false, refusal: "unavailable" };
    const { stream, puppet } = open();
    expect(puppet.tryConnect("c", { kind: "resume" })).toMatchObject(refused);
    puppet.connect("c", { sessionExpiry: minutes(1) });
    expect(open().puppet.tryConnect("c", { kind: "resume" })).toMatchObject(refused);
    stream.drop();
    const resumed = open().puppet.tryConnect("c", { kind: "resume", sessionExpiry: minutes(1) });
    expect(resumed).toMatchObject({ ok: true, sessionPresent: true });
  });
});

describe("a session", () => {
  it("moves its subscriptions when its client comes back under another mountpoint", () => {
    let prefix = "a/";
    const { world, open } = site({ policy: { mountpoint: () => prefix } });
    const first = open();
    first.puppet.connect("c", { sessionExpiry: minutes(1) }).subscribe("$share/g/t", { qos: 1 }, 1);
    first.stream.drop();
    prefix = "b/";
    const { puppet } = open();
    puppet.connect("c", { sessionExpiry: minutes(1) });
    world.publish("a/t", "old", { qos: 1 });
    world.publish("b/t", "new", { qos: 1 });
    expect(puppet.delivered.map(({ delivery }) => delivery.topic)).toEqual(["t"]);
    expect(puppet.take()).toEqual(["new"]);
  });

  it("is refused when there are as many as there may be, but an existing one is found", () => {
    const { open } = site({ sessions: 1 });
    const first = open();
    first.puppet.connect("c", { sessionExpiry: minutes(1) });
    expect(open().puppet.tryConnect("d")).toMatchObject({ ok: false, refusal: "quota" });
    first.stream.drop();
    expect(open().puppet.tryConnect("c")).toMatchObject({ ok: true, sessionPresent: true });
  });

  it("gives what it leaves of a shared subscription to another member", () => {
    const { world, open } = site();
    const first = open();
    first.puppet.connect("a").subscribe("$share/g/t", { qos: 1 }, 1);
    world.publish("t", "m", { qos: 1 });
    const second = open();
    second.puppet.connect("b").subscribe("$share/g/t", { qos: 1 }, 1);
    first.stream.drop();
    expect(second.puppet.take()).toEqual(["m"]);
  });

  it("hears its own messages, but not through a no-local subscription [MQTT-3.8.3-3]", () => {
    const { open } = site();
    const { puppet } = open();
    const client = puppet.connect("c");
    client.subscribe("mine", { qos: 0, noLocal: true }, 1);
    client.publish(messageOf("mine", "m"), 2);
    client.subscribe("+", { qos: 0 }, 3);
    client.publish(messageOf("mine", "again"), 4);
    expect(puppet.take()).toEqual(["again"]);
  });
});
