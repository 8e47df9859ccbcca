import { expect, it } from "vitest";
import type { Client } from "#core/contract/client.ts";
import { seconds } from "#core/lib/time.ts";
import { fc } from "../../support/property.ts";
import { proving } from "../../support/proven.ts";
import { Puppets } from "../../support/puppet.ts";
import { World, type WorldOptions } from "../../support/world.ts";

function site(options: WorldOptions = {}) {
  const world = new World(options);
  const puppets = new Puppets();
  const listener = world.streams("puppet", puppets, proving("puppet"));
  const come = (username: string | undefined, more: object = {}) => {
    listener.connect();
    const puppet = puppets.last;
    const answer = puppet.tryConnect("S", { sessionExpiry: seconds(60), username, ...more });
    if (answer === "pending") throw new Error("an answer at once was expected");
    return { puppet, answer, client: answer.ok ? answer.client : undefined };
  };
  return { world, come };
}

const USERS = [undefined, "alice", "bob"] as const;
const WAYS = {
  resume: { cleanStart: false },
  begin: { cleanStart: true },
  wake: { kind: "resume" },
  request: { kind: "single" },
} as const;

it.each(["refuse", "anew"] as const)(
  "a session is never resumed, taken over or ended by another user than whose it is: %s",
  (otherUser) => {
    const step = fc.record({
      user: fc.constantFrom(...USERS),
      way: fc.constantFrom(...(Object.keys(WAYS) as (keyof typeof WAYS)[])),
      leaves: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const { world, come } = site({ otherUser });
        /** Whose the session is, as far as this test knows, and what that user is subscribed to. */
        let owner: string | undefined | "nobody yet" = "nobody yet";
        for (const { user, way, leaves } of steps) {
          const before = world.sessions.get("puppet", "S");
          const foreign = before !== undefined && owner !== user;
          const { puppet, answer, client } = come(user, WAYS[way]);
          if (foreign && otherUser === "refuse" && owner !== undefined) {
            expect(answer).toMatchObject({ ok: false });
            expect(world.sessions.get("puppet", "S")).toBe(before);
            continue;
          }
          if (client === undefined || way === "request") continue;
          if (foreign) expect(answer).toMatchObject({ ok: true, sessionPresent: false });
          if (foreign) expect([...client.subscriptions().keys()]).toEqual([]);
          owner = user;
          client.subscribe(`of/${user}`, { qos: 1 }, 1);
          for (const each of USERS) world.publish(`of/${each}`, String(each), { qos: 1 });
          expect(new Set(puppet.take())).toEqual(new Set([String(user)]));
          if (leaves) client.end("lost");
          for (const each of USERS) world.publish(`of/${each}`, String(each), { qos: 1 });
        }
      }),
    );
  },
);

it("what nobody was proven for ends when somebody proven comes with its client id", () => {
  const { come, world } = site();
  come(undefined).client?.subscribe("of/nobody", { qos: 1 }, 1);
  expect(come("alice").answer).toMatchObject({ ok: true, sessionPresent: false });
  world.publish("of/nobody", "m", { qos: 1 });
  expect(world.sessions.get("puppet", "S")?.unsettled).toBe(0);
});

it("a further session belongs to the user of its client", () => {
  const { come } = site();
  const open = (of: Client, puppet: ReturnType<typeof come>["puppet"]) =>
    puppet.tryConnect("S//work", { kind: "further", of, sessionExpiry: seconds(60) });
  const bob = come("bob", { clientId: "b" });
  expect(open(bob.client!, bob.puppet)).toMatchObject({ ok: true });
  const alice = come("alice", { clientId: "a" });
  expect(open(alice.client!, alice.puppet)).toMatchObject({ ok: false, refusal: "forbidden" });
  // Nor as a client id of its own.
  expect(come("alice", { clientId: "S//work" }).answer).toMatchObject({ ok: false, refusal: "forbidden" });
});

it("a session that returns under another mountpoint brings nothing that was queued under the former one", () => {
  const places = [undefined, "a/", "b/"] as const;
  const step = fc.record({
    place: fc.constantFrom(...places),
    settles: fc.nat(3),
    qos: fc.constantFrom(0, 1, 2),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
      const world = new World();
      const puppets = new Puppets();
      let mountpoint = "";
      const listener = world.streams("puppet", puppets, { mountpoint: () => mountpoint });
      for (const { place, settles, qos } of steps) {
        mountpoint = place ?? "";
        listener.connect();
        const puppet = puppets.last;
        const client = puppet.connect("S", { sessionExpiry: seconds(60), credit: 1 + settles });
        client.subscribe("#", { qos: 2, retainHandling: 2 }, 1);
        for (const each of places) world.publish(`${each ?? ""}t`, each ?? "", { qos: qos as 0 | 1 | 2 });
        for (let round = 0; round < puppet.delivered.length; round++) {
          const { delivery } = puppet.delivered[round]!;
          if (delivery.stage === "release") continue;
          // What was published under another mountpoint has another first level, or another payload.
          expect(delivery.message.topic.startsWith(mountpoint)).toBe(true);
          if (mountpoint !== "") expect(delivery.topic).toBe("t");
          if (round < settles) client.settle(delivery.id, "done");
        }
        client.end("lost");
      }
    }),
  );
});

it("the id of a QoS 2 message that was handed out under another mountpoint is released, not used again", () => {
  const world = new World();
  const puppets = new Puppets();
  let mountpoint = "a/";
  const listener = world.streams("puppet", puppets, { mountpoint: () => mountpoint });
  const come = () => {
    listener.connect();
    return { puppet: puppets.last, client: puppets.last.connect("S", { sessionExpiry: seconds(60) }) };
  };
  const first = come();
  first.client.subscribe("t", { qos: 2 }, 1);
  world.publish("a/t", "1", { qos: 2 });
  const { id } = first.puppet.delivered[0]!.delivery;
  first.client.end("lost");
  mountpoint = "b/";
  const second = come();
  expect(second.puppet.delivered.map(({ delivery }) => [delivery.id, delivery.stage])).toEqual([
    [id, "release"],
  ]);
});
