import { describe, expect, it } from "vitest";
import { after, milliseconds, seconds, ZERO } from "#core/lib/time.ts";
import type { ListenerPolicy, Verdict } from "#core/policy/policy.ts";
import { compileRewrite } from "#core/policy/rewrite.ts";
import { messageOf, Puppets, text } from "../../support/puppet.ts";
import { permissive, World, type WorldOptions } from "../../support/world.ts";

function site(policy: Partial<ListenerPolicy> = {}, options: WorldOptions = {}) {
  const world = new World(options);
  const puppets = new Puppets();
  const listener = world.streams("puppet", puppets, policy);
  return {
    world,
    puppets,
    listener,
    open: () => {
      const stream = listener.connect();
      return { stream, puppet: puppets.last };
    },
  };
}

describe("topics", () => {
  it("are judged as the device names them, then rewritten, then mounted: subscribe, unsubscribe, retained, publish", () => {
    const asked: string[] = [];
    const { world, open } = site({
      mayPublish: (_identity, topic) => asked.push(`publish ${topic}`) > 0,
      maySubscribe: (_identity, filter) => asked.push(`subscribe ${filter}`) > 0,
      rewritePublish: (_identity, topic) => topic.replace("old/", "new/"),
      rewriteSubscribe: (_identity, filter) => filter.replace("old/", "new/"),
      mountpoint: () => "site/",
    });
    const { puppet } = open();
    const client = puppet.connect("c");
    expect(client.subscribe("old/+", { qos: 1 }, 1)).toBe(1);
    world.publish("site/new/1", "in");
    expect(puppet.delivered[0]?.delivery.topic).toBe("new/1");
    client.publish(messageOf("old/2", "out", 0, true), 1);
    expect(client.retained("old/#", 10, 2)).toMatchObject([{ topic: "new/2" }]);
    expect(client.unsubscribe("old/+", 3)).toBe("unsubscribed");
    expect(client.unsubscribe("old/+", 4)).toBe("no-subscription");
    expect(asked).toEqual(["subscribe old/+", "publish old/2", "subscribe old/#"]);
  });

  it.each(["$share/g/", "$queue/", ""])(
    "are rewritten inside %s too, and so confined by a rule for all",
    (prefix) => {
      const rule = { action: "both", filter: "#", pattern: "^(.*)$", target: "tenant/%c/$1" } as const;
      const rewriteSubscribe = compileRewrite([rule], "subscribe");
      const { world, open } = site({ rewriteSubscribe, mountpoint: () => "m/" });
      const { puppet } = open();
      const client = puppet.connect("c");
      expect(client.subscribe(`${prefix}#`, { qos: 0 }, 1)).toBe(0);
      world.publish("m/other", "not for this tenant");
      world.publish("m/tenant/c/x", "its own");
      expect(puppet.take()).toEqual(["its own"]);
      expect(client.unsubscribe(`${prefix}#`, 9)).toBe("unsubscribed");
    },
  );

  it("refuse a filter that a rewrite rule has broken", () => {
    const { open } = site({ rewriteSubscribe: () => "a/#/b" });
    expect(open().puppet.connect("c").subscribe("x", { qos: 0 }, 1)).toBe("malformed");
  });

  it("under $SYS are nobody's to publish, also delayed and as a will", () => {
    const { world, open } = site();
    const { stream, puppet } = open();
    const heard = world.listen("$SYS/#");
    const will = {
      topic: "$SYS/x",
      payload: text("w"),
      qos: 0,
      retain: false,
      delay: ZERO,
      options: {},
    } as const;
    const client = puppet.connect("c", { will });
    expect(client.publish(messageOf("$SYS/x", "m"), 1)).toBe("forbidden");
    expect(client.publish(messageOf("$delayed/1/$SYS/x", "m"), 1)).toBe("forbidden");
    expect(client.mayPublish("$SYS/x", 0, false)).toBe("forbidden");
    stream.drop();
    world.advance(seconds(5));
    expect(heard).toEqual([]);
  });

  it("behind $delayed are judged by the topic that they will have", () => {
    const { world, open } = site({ mayPublish: (_identity, topic) => topic === "ok" });
    const client = open().puppet.connect("c");
    const heard = world.listen("ok");
    expect(client.publish(messageOf("$delayed/2/no", "m"), 1)).toBe("forbidden");
    expect(client.publish(messageOf("$delayed/2/ok", "m"), 1)).toBe("accepted");
    expect(client.publish(messageOf("$delayed/x/ok", "m"), 1)).toBe("malformed");
    world.advance(seconds(1));
    expect(heard).toHaveLength(0);
    world.advance(seconds(1));
    expect(heard).toHaveLength(1);
  });

  it("deeper than the listener's limit are refused, and so is a subscription too many", () => {
    const { open } = site({}, { limits: { topicLevels: 3, subscriptions: 2 } });
    const client = open().puppet.connect("c");
    expect(client.publish(messageOf("a/b/c/d", "m"), 1)).toBe("quota");
    expect(client.subscribe("a/b/+/d", { qos: 0 }, 1)).toBe("quota");
    expect(client.subscribe("$share/g/a/b/c", { qos: 0 }, 1)).toBe(0);
    expect(client.subscribe("b", { qos: 0 }, 1)).toBe(0);
    expect(client.subscribe("c", { qos: 0 }, 1)).toBe("quota");
    expect(client.subscribe("b", { qos: 1 }, 1)).toBe(1);
  });
});

describe("a login that takes time", () => {
  function slow() {
    const verdicts: ((verdict: Verdict) => void)[] = [];
    const policy: Partial<ListenerPolicy> = {
      authenticate: () => new Promise((resolve) => verdicts.push(resolve)),
    };
    const made = site(policy);
    const letIn = async (clientId: string) => {
      const { peer } = made.puppets.last.host;
      const who = {
        clientId,
        username: undefined,
        endpointName: undefined,
        superuser: false,
        expiresAt: undefined,
      };
      verdicts.shift()?.({ ok: true, identity: { gateway: "puppet", listener: "test", peer, ...who } });
      await Promise.resolve();
    };
    return { ...made, letIn };
  }

  it("is answered under its ticket, and its session's deliveries come afterwards", async () => {
    const { world, puppets, open, letIn } = slow();
    open();
    expect(puppets.last.tryConnect("c", { sessionExpiry: seconds(60) })).toBe("pending");
    await letIn("c");
    const answer = puppets.last.connects[0]?.answer;
    expect(answer).toMatchObject({ ok: true, sessionPresent: false });
    if (answer?.ok) answer.client.subscribe("t", { qos: 1 }, 2);
    const first = puppets.last;
    first.host.close("gone");
    world.publish("t", "queued", { qos: 1 });
    open();
    puppets.last.tryConnect("c", { sessionExpiry: seconds(60) });
    await letIn("c");
    expect(puppets.last.log).toEqual(["connected", "deliver queued"]);
  });

  it("comes to nothing when the connection has broken meanwhile: no session, no client, no event", async () => {
    const { world, puppets, open, letIn } = slow();
    const { stream } = open();
    puppets.last.tryConnect("c");
    stream.drop("ECONNRESET");
    await letIn("c");
    expect(puppets.last.connects).toEqual([]);
    expect([world.sessions.count, world.connects.length]).toEqual([0, 0]);
  });

  it("that fails refuses the client, and is noted", async () => {
    const { world, open } = site({ authenticate: () => Promise.reject(new Error("no backend")) });
    const { puppet } = open();
    puppet.tryConnect("c");
    await new Promise((resolve) => setImmediate(resolve));
    expect(puppet.connects[0]?.answer).toMatchObject({ ok: false, refusal: "unavailable" });
    expect(world.notes.map(({ note }) => note.event)).toContain("authentication-failed");
  });
});

describe("a login with an end", () => {
  /** Logins of 10 s, counted from each connect. */
  function brief() {
    const made = site({
      authenticate: (request, peer, now) => {
        const verdict = permissive("puppet").authenticate(request, peer, now) as Verdict & { ok: true };
        return { ok: true, identity: { ...verdict.identity, expiresAt: after(now, seconds(10)) } };
      },
    });
    return { ...made, armed: made.world.deadlines.armed };
  }

  it("disconnects its client at that moment and not before; the session lives on", () => {
    const { world, open } = brief();
    const { stream, puppet } = open();
    puppet.connect("c", { sessionExpiry: seconds(60) });
    world.advance(milliseconds(9999));
    expect([puppet.log, stream.ended]).toEqual([[], false]);
    world.advance(milliseconds(1));
    expect([puppet.log, stream.ended]).toEqual([["stop expired c"], true]);
    expect([world.sessions.connected, world.sessions.count]).toEqual([0, 1]);
  });

  it("leaves nothing behind when its client goes first", () => {
    const { world, open, armed } = brief();
    open().puppet.connect("c").end("closed");
    expect(world.deadlines.armed).toBe(armed);
  });

  it("ends for the connection that took the session over when its own time has come", () => {
    const { world, open } = brief();
    const first = open().puppet;
    first.connect("c");
    world.advance(seconds(5));
    const { puppet } = open();
    puppet.connect("c");
    world.advance(seconds(9));
    expect([first.log, puppet.log]).toEqual([["stop taken-over c"], []]);
    world.advance(seconds(1));
    expect(puppet.log).toEqual(["stop expired c"]);
  });
});

describe("a memo that is made when it is asked for", () => {
  it("says what is so now, and what was so last once its client has left", () => {
    const { world, open } = site();
    const client = open().puppet.connect("c", { sessionExpiry: seconds(60) });
    const device = { readings: 1, toJSON: () => ({ readings: device.readings }) };
    client.remember(device);
    expect(client.memo).toEqual({ readings: 1 });
    device.readings = 2;
    expect([...world.sessions.memos("puppet")]).toEqual([{ clientId: "c", memo: { readings: 2 } }]);
    client.end("lost");
    device.readings = 3;
    expect(open().puppet.connect("c", { sessionExpiry: seconds(60) }).memo).toEqual({ readings: 2 });
  });
});

describe("a client", () => {
  it("is given an id of its own when it brings none", () => {
    const { open } = site();
    const [a, b] = [open().puppet.connect(""), open().puppet.connect("")];
    expect(a.id).toMatch(/^auto-[0-9a-f]{24}$/);
    expect(b.id).not.toBe(a.id);
  });

  it("that has ended does nothing and answers unavailable", () => {
    const { open } = site();
    const client = open().puppet.connect("c");
    client.end("closed");
    expect(client.publish(messageOf("t", "m", 1), 1)).toBe("unavailable");
    expect(client.subscribe("t", { qos: 0 }, 1)).toBe("unavailable");
    expect(client.retained("#", 1, 2)).toBe("unavailable");
    expect(client.unsubscribe("t", 3)).toBe("unavailable");
    expect(client.acceptInbound(1, messageOf("t", "m", 2))).toBe("full");
  });

  it("for a single request publishes and reads, and leaves no session behind", () => {
    const { world, open } = site();
    const client = open().puppet.connect("c", { kind: "single" });
    const heard = world.listen("t");
    expect(client.publish(messageOf("t", "m", 1, true), 1)).toBe("accepted");
    expect(client.retained("t", 1, 2)).toHaveLength(1);
    expect(client.subscribe("t", { qos: 0 }, 1)).toBe("forbidden");
    expect([heard.length, world.sessions.count, world.connects.length]).toEqual([1, 0, 0]);
  });
});

describe("clients of one aggregate", () => {
  it("are one client to no-local, to subscribers and in counts, and each has a session of its own", () => {
    const { world, open } = site();
    const shared = { aggregate: "all", sessionExpiry: seconds(60) };
    const [a, b, other] = [open(), open(), open()];
    const clientA = a.puppet.connect("a", shared);
    const clientB = b.puppet.connect("b", shared);
    other.puppet.connect("other").subscribe("t", { qos: 1, noLocal: true }, 1);
    clientA.subscribe("t", { qos: 1, noLocal: true }, 1);
    clientB.subscribe("t", { qos: 1 }, 1);
    const heard = world.listen("t");
    clientA.publish(messageOf("t", "m", 1), 2);
    expect([a.puppet.take(), b.puppet.take(), other.puppet.take()]).toEqual([[], ["m"], ["m"]]);
    expect(heard[0]?.publisher).toBe("puppet:all");
    expect(world.connects.map(({ clientId }) => clientId)).toEqual(["all", "other"]);
    a.stream.drop();
    expect(world.disconnects).toEqual([]);
    b.stream.drop();
    expect(world.disconnects.map(({ event }) => event.clientId)).toEqual(["all"]);
    expect(world.sessions.count).toBe(3);
  });

  it("include those that live for one request, on whatever listener", () => {
    const { world, open } = site();
    const { puppet } = open();
    puppet.connect("a", { aggregate: "all" }).subscribe("t", { qos: 0, noLocal: true }, 1);
    const elsewhere = new Puppets();
    world.streams("puppet", elsewhere).connect();
    const request = elsewhere.last.connect("b", { aggregate: "all", kind: "single" });
    expect(request.publish(messageOf("t", "m"), 1)).toBe("accepted");
    expect(puppet.take()).toEqual([]);
  });

  it("may leave it and join it between connections", () => {
    const { world, open } = site();
    const options = { sessionExpiry: seconds(60) };
    const first = open();
    first.puppet.connect("a", options).subscribe("t", { qos: 1, noLocal: true }, 1);
    first.stream.drop();
    const { puppet } = open();
    puppet.connect("a", { ...options, aggregate: "all" });
    const b = open();
    b.puppet.connect("b", { aggregate: "all" }).publish(messageOf("t", "own", 1), 1);
    world.publish("t", "theirs");
    expect(puppet.take()).toEqual(["theirs"]);
  });
});
