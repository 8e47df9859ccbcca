/** What comes too late, or to nobody: expired messages, groups made anew, alarms far away, readers that do not read. */
import { describe, expect, it } from "vitest";
import { Message } from "#core/bus/message.ts";
import { SharedGroup } from "#core/bus/shared-group.ts";
import { Door } from "#core/door/door.ts";
import { Deadlines } from "#core/drive/deadlines.ts";
import { CallbackAlarm } from "#core/lib/alarm.ts";
import { days, type Instant, minutes, seconds, ZERO } from "#core/lib/time.ts";
import { ConfiguredPolicy } from "#core/policy/configured-policy.ts";
import { UNLIMITED } from "#core/policy/unlimited.ts";
import { commitWhenTold } from "../../support/commit-when-told.ts";
import { HandClock, settingsWith } from "../../support/policy.ts";
import { fc } from "../../support/property.ts";
import { messageOf, Puppets, text } from "../../support/puppet.ts";
import { StreamListener, World, type WorldOptions } from "../../support/world.ts";

function site(options: WorldOptions = {}, policy: Parameters<World["streams"]>[2] = {}) {
  const world = new World(options);
  const puppets = new Puppets();
  const listener = world.streams("puppet", puppets, policy);
  const come = (clientId: string, request: object = {}) => {
    const stream = listener.connect();
    const puppet = puppets.last;
    return { stream, puppet, client: puppet.connect(clientId, { sessionExpiry: seconds(60), ...request }) };
  };
  return { world, puppets, listener, come };
}

describe("a message that has expired [MQTT-3.3.2-5]", () => {
  it("is not given to another member of its group", () => {
    const { world, come } = site();
    const [first, second] = [come("a", { sessionExpiry: ZERO }), come("b")];
    first.client.subscribe("$share/g/t", { qos: 1 }, 1);
    world.publish("t", "m", { qos: 1, expiry: seconds(5) });
    second.client.subscribe("$share/g/t", { qos: 1 }, 1);
    world.advance(seconds(6));
    first.client.end("lost");
    expect(second.puppet.take()).toEqual([]);
    expect(world.sessionCounters.droppedExpired.value).toBe(1);
  });

  it("is not published when its delay is longer than its life, and not retained", () => {
    const { world, come } = site();
    const { client } = come("a");
    const heard = world.listen("t");
    const message = new Message("$delayed/10/t", text("m"), 1, true, world.now, undefined, seconds(5));
    expect(client.publish(message, 1)).toBe("accepted");
    world.advance(seconds(11));
    expect([heard.length, world.bus.retained("t", 1).length]).toEqual([0, 0]);
  });
});

describe("a shared message that nobody settled", () => {
  it("goes to who is a member when it is given back, also when all had left meanwhile and the group is a new one", () => {
    const { world, come } = site();
    const first = come("a");
    first.client.subscribe("$share/g/t", { qos: 1 }, 1);
    world.publish("t", "m", { qos: 1 });
    first.client.unsubscribe("$share/g/t", 9);
    const second = come("b");
    second.client.subscribe("$share/g/t", { qos: 1 }, 1);
    first.client.setSessionExpiry(ZERO);
    first.client.end("lost");
    expect(second.puppet.take()).toEqual(["m"]);
  });

  it("is dealt in turn also while all members are away", () => {
    const group = new SharedGroup("g", "t", "round_robin", Math.random);
    const counts = [0, 0, 0];
    counts.forEach((_, index) => {
      const deliver = () => counts[index]!++;
      group.join({ key: String(index), available: false, deliver }, { qos: 1 });
    });
    for (let sent = 0; sent < 9; sent++) group.deliver(messageOf("t", "m"));
    expect(counts).toEqual([3, 3, 3]);
  });
});

it("a will on $delayed/<seconds>/ comes so much later, on the topic that is meant, if that one is allowed", () => {
  const { world, come } = site({}, { mayPublish: (_, topic) => topic === "w", mountpoint: () => "m/" });
  const [heard, literal] = [world.listen("m/w"), world.listen("m/$delayed/#")];
  const will = { payload: text("w"), qos: 0, retain: false, delay: ZERO, options: {} };
  come("a", { will: { ...will, topic: "$delayed/5/w" } }).client.end("lost");
  come("b", { will: { ...will, topic: "$delayed/5/secret" } }).client.end("lost");
  world.advance(seconds(4));
  expect(heard.length).toBe(0);
  world.advance(seconds(2));
  expect([heard.length, literal.length]).toEqual([1, 0]);
});

it("CONNECT is refused when what it changes cannot be committed, and waits no longer", () => {
  const told = commitWhenTold();
  const { world, puppets, listener } = site({ commits: told.commits });
  listener.connect();
  expect(puppets.last.tryConnect("c", { committed: true, sessionExpiry: seconds(60) })).toBe("pending");
  told.failAll();
  world.settle();
  expect(puppets.last.connects).toMatchObject([{ answer: { ok: false, refusal: "unavailable" } }]);
  expect(world.sessions.get("puppet", "c")?.occupant !== undefined).toBe(false);
});

it("a client that reads nothing is given up, however long its keep-alive is put off", () => {
  const { world, come } = site({ limits: { stallTimeout: minutes(2) } });
  const { stream, puppet, client } = come("slow");
  puppet.onDeliver = () => puppet.host.sendView(new Uint8Array(10_000));
  client.subscribe("t", { qos: 0 }, 1);
  stream.capacity = 1000;
  world.publish("t", "m");
  world.advance(minutes(1.9));
  stream.takeBytes();
  world.publish("t", "m");
  world.advance(minutes(1.9));
  expect(stream.closed).toBe(false);
  world.advance(minutes(0.2));
  expect(stream.closed).toBe(true);
  expect(puppet.log).toContain("stop overload");
});

it("a change of the rates reaches who is connected", () => {
  const settings = (messageRate: number) =>
    settingsWith({
      gateways: {
        puppet: {
          mountpoint: "",
          listeners: { l: { authenticate: true, accessRules: [], limits: { ...UNLIMITED, messageRate } } },
        },
      },
    });
  const policy = new ConfiguredPolicy(settings(Number.POSITIVE_INFINITY), new HandClock());
  const world = new World();
  const puppets = new Puppets();
  const listener = new StreamListener(world, new Door(world.core, policy.listener("puppet", "l")), puppets);
  const { readingPaused } = listener.connect();
  const client = puppets.last.connect("c");
  const send = () => {
    for (let sent = 0; sent < 3; sent++) client.publish(messageOf("t", "m"), 1);
    return world.counter("clients_throttled").value;
  };
  expect([readingPaused, send()]).toEqual([false, 0]);
  policy.update(settings(1));
  expect(send()).toBe(1);
  policy.update(settings(Number.POSITIVE_INFINITY));
  world.advance(minutes(1));
  expect(send()).toBe(1);
  client.end("closed");
});

describe("the timer wheel", () => {
  it("goes on with alarms however far away they are", () => {
    const start = 1_764_000_000_000;
    const far = fc.double({ min: 1, max: 1e17, noNaN: true });
    fc.assert(
      fc.property(fc.array(far, { maxLength: 5 }), (distances) => {
        const wheel = new Deadlines(start as Instant);
        let fired = 0;
        const alarms = distances.map(() => new CallbackAlarm(() => fired++));
        for (const [index, alarm] of alarms.entries())
          wheel.arm(alarm, (start + distances[index]!) as Instant);
        wheel.advance((start + days(1)) as Instant);
        expect(fired).toBe(distances.filter((distance) => distance <= days(1)).length);
        wheel.advance((start + days(3650)) as Instant);
        expect(fired).toBe(distances.filter((distance) => distance <= days(3650)).length);
      }),
    );
  });
});
