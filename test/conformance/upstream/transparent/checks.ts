/** What interoperability suites of MQTT look at, in cases of our own: through a gateway it must come out the same. */
import {
  ALL,
  type Case,
  enter,
  forget,
  leave,
  lose,
  NEWER,
  one,
  plainly,
  publish,
  STAYS,
  subscribe,
  tell,
  two,
  unsubscribe,
  V5,
} from "./steps.ts";
import type { Talker } from "./talker.ts";

/** Two clients, of which the second takes at most this. */
const withLimits = (
  name: string,
  properties: object,
  script: (a: Talker, b: Talker) => Promise<void>,
): Case =>
  plainly(name, V5, async (open) => {
    const a = await enter(open, 5, "a");
    const b = await enter(open, 5, "b", { properties });
    await script(a, b);
    await a.finish();
    await b.finish();
  });

const MESSAGES: readonly Case[] = [
  plainly(
    "each QoS to oneself",
    ALL,
    one(async (device) => {
      await device.ask(subscribe(1, ["own/#", 2]));
      device.say(publish("own/0", 0));
      await device.take(1);
      device.say(publish("own/1", 1, 5));
      await device.take(1, 1);
      await device.ask(publish("own/2", 2, 6));
      device.say({ cmd: "pubrel", messageId: 6 });
      await device.take(1, 1);
    }),
  ),
  plainly(
    "an empty message, a long one, and topics in any script",
    NEWER,
    two(async (a, b) => {
      await b.ask(subscribe(1, ["größe/#", 1]));
      await tell(a, "größe/leer", 1, 1, { payload: "" });
      await tell(a, "größe/lang", 1, 2, { payload: "long ".repeat(20_000) });
      await tell(a, "größe/測/✓", 1, 3);
      await b.take("größe/測/✓");
    }),
  ),
  plainly("to two who listen at different QoS", NEWER, async (open, version) => {
    const a = await enter(open, version, "a");
    const listeners = [await enter(open, version, "b"), await enter(open, version, "c")];
    for (const [qos, b] of listeners.entries()) await b.ask(subscribe(1, ["both", qos as 0 | 1]));
    await tell(a, "both", 2, 1);
    for (const b of listeners) await b.take(1);
    for (const each of [a, ...listeners]) await each.finish();
  }),
  plainly(
    "topics that begin with $ are not met by wildcards [MQTT-4.7.2-1]",
    NEWER,
    two(async (a, b) => {
      await b.ask(subscribe(1, ["+/dollar", 1]));
      await tell(a, "$app/dollar", 1, 1);
      await tell(a, "app/dollar", 1, 2);
      await b.take("app/dollar");
      await b.ask(subscribe(2, ["$app/+", 1]));
      await tell(a, "$app/dollar", 1, 3);
      await b.take("$app/dollar");
    }),
  ),
  plainly(
    "5.0: a payload that is not the UTF-8 that it says it is",
    V5,
    one(async (device) => void (await device.ask("3209 0001 61 0001 02 0101 ff"))),
  ),
  plainly(
    "5.0: user properties in their order, and one name twice",
    V5,
    two(async (a, b) => {
      await b.ask(subscribe(1, ["u", 0]));
      a.say("301a 0001 75 15 26 0001 62 0001 31 26 0001 61 0001 32 26 0001 62 0001 33 6d");
      await b.next();
      b.hearOctets();
    }),
  ),
  plainly(
    "5.0: a request, and its response",
    V5,
    two(async (a, b) => {
      await a.ask(subscribe(1, ["answers/a", 1]));
      await b.ask(subscribe(1, ["asks", 1]));
      const asked = { responseTopic: "answers/a", correlationData: Buffer.from("7") };
      await tell(a, "asks", 1, 2, { properties: asked });
      await b.take(1);
      await tell(b, "answers/a", 1, 3, { properties: { correlationData: Buffer.from("7") } });
      await a.take(1);
    }),
  ),
];

const SUBSCRIPTIONS: readonly Case[] = [
  plainly(
    "filters that overlap",
    NEWER,
    two(async (a, b) => {
      await b.ask(subscribe(1, ["over/#", 2], ["over/+", 1]));
      await tell(a, "over/x", 2, 3);
      await tell(a, "over/end/x", 1, 4);
      await b.take("over/end/x");
    }),
  ),
  plainly(
    "one of three filters is ended",
    NEWER,
    two(async (a, b) => {
      await b.ask(subscribe(1, ["end/1", 1], ["end/2", 1], ["end/3", 1]));
      await b.ask(unsubscribe(2, "end/2"));
      for (const n of [1, 2, 3]) await tell(a, `end/${n}`, 1, n);
      await b.take("end/3");
    }),
  ),
  plainly("5.0: a shared filter hands each message to one of its group", V5, async (open) => {
    const a = await enter(open, 5, "a");
    const [b, c, d] = [await enter(open, 5, "b"), await enter(open, 5, "c"), await enter(open, 5, "d")];
    for (const each of [b, c]) await each.ask(subscribe(1, ["$share/one/shared/+", 1]));
    await d.ask(subscribe(1, ["$share/two/shared/+", 1]));
    for (const n of [1, 2, 3, 4]) await tell(a, `shared/${n}`, 1, n);
    for (const each of [b, c]) await each.take(2);
    await d.take(4);
    await b.ask(unsubscribe(2, "$share/one/shared/+"));
    await tell(a, "shared/5", 1, 5);
    for (const each of [c, d]) await each.take(1);
    for (const each of [a, b, c, d]) await each.finish();
  }),
  plainly(
    "5.0: no local on a shared filter [MQTT-3.8.3-4]",
    V5,
    one(async (device) => void (await device.ask(subscribe(1, ["$share/g/x", 1, { nl: true }])))),
  ),
  plainly(
    "5.0: subscription identifiers of filters that overlap, and of one that is asked for again",
    V5,
    two(async (a, b) => {
      const named = (id: number, filter: string) => ({
        ...subscribe(id, [filter, 1]),
        properties: { subscriptionIdentifier: id },
      });
      await b.ask(named(1, "named/+"));
      await b.ask(named(2, "named/#"));
      await tell(a, "named/x", 1, 1);
      await tell(a, "named/x/end", 1, 2);
      await b.take("named/x/end");
      await b.ask(named(3, "named/+"));
      await b.ask(subscribe(4, ["named/#", 1]));
      await tell(a, "named/y", 1, 3);
      await tell(a, "named/y/end", 1, 4);
      await b.take("named/y/end");
    }),
  ),
  plainly(
    "5.0: subscription identifier 0",
    V5,
    one(async (device) => void (await device.ask("8209 0001 02 0b00 0001 61 00"))),
  ),
];

const RETAINED: readonly Case[] = [
  plainly(
    "what is retained at each QoS, found by a wildcard, and gone when it is cleared",
    NEWER,
    two(async (a, b) => {
      for (const qos of [0, 1, 2] as const) await tell(a, `kept/${qos}`, qos, qos + 1, { retain: true });
      b.say(subscribe(1, ["kept/+", 2]));
      await b.take(3, 1);
      for (const n of [0, 1, 2]) await tell(a, `kept/${n}`, 1, 4 + n, { retain: true, payload: "" });
      await b.take(3);
      await a.ask(subscribe(8, ["kept/+", 1]));
      a.say(publish("kept/end", 1, 9));
      await a.take("kept/end", 1);
      await b.take("kept/end");
    }),
  ),
  plainly(
    "what is retained comes again to who subscribes again",
    NEWER,
    two(async (a, b) => {
      await tell(a, "again", 1, 1, { retain: true });
      for (const id of [1, 2]) {
        b.say(subscribe(id, ["again", 1]));
        await b.take(1, 1);
      }
      await tell(a, "again", 1, 2, { retain: true, payload: "" });
      await b.take(1);
    }),
  ),
  plainly(
    "5.0: each retain handling, to a filter that is new and to one that is there",
    V5,
    two(async (a, b) => {
      await tell(a, "handled/x", 1, 1, { retain: true });
      for (const rh of [0, 1, 2]) {
        for (const time of [1, 2]) {
          const id = 10 * (rh + 1) + time;
          b.say(subscribe(id, ["handled/#", 1, { rh }]), publish("handled/end", 1, id + 100));
          await b.take("handled/end", 2);
        }
        await b.ask(unsubscribe(rh + 1, "handled/#"));
      }
      await tell(a, "handled/x", 1, 99, { retain: true, payload: "" });
    }),
  ),
  plainly(
    "5.0: retain as published, or not",
    V5,
    two(async (a, b) => {
      await b.ask(subscribe(1, ["flag/+", 0, { rap: true }], ["flag/+/not", 0]));
      for (const topic of ["flag/as", "flag/it/not"]) {
        await tell(a, topic, 1, 1, { retain: true });
        await b.take(topic);
        await tell(a, topic, 1, 2, { retain: true, payload: "" });
        await b.take(topic);
      }
    }),
  ),
];

const SESSIONS: readonly Case[] = [
  plainly("what comes at each QoS while a client is away", NEWER, async (open, version, gone) => {
    const device = await enter(open, version, "device", STAYS);
    await device.ask(subscribe(1, ["away/#", 2]));
    await leave(device, gone);
    const other = await enter(open, version, "other");
    for (const qos of [0, 1, 2] as const) await tell(other, `away/${qos}`, qos, qos + 1);
    const again = await enter(open, version, "device", STAYS);
    await again.take("away/2");
    await tell(other, "away/end", 1, 9);
    await again.take("away/end");
    for (const each of [again, other]) await each.finish();
    await gone("device");
    await forget(open, version, "device");
  }),
  plainly("a clean start throws a session away", NEWER, async (open, version, gone) => {
    const device = await enter(open, version, "device", STAYS);
    await device.ask(subscribe(1, ["old/#", 1]));
    await leave(device, gone);
    await leave(await enter(open, version, "device"), gone);
    const again = await enter(open, version, "device", STAYS);
    await again.ask(subscribe(1, ["new/#", 1]));
    await tell(again, "old/x", 1, 2);
    again.say(publish("new/x", 1, 3));
    await again.take(1, 1);
    await leave(again, gone);
    await forget(open, version, "device");
  }),
  plainly("QoS 1 and 2 to a client that is cut off at each step", NEWER, async (open, version, gone) => {
    const other = await enter(open, version, "other");
    const device = await enter(open, version, "device", STAYS);
    await device.ask(subscribe(1, ["down/#", 2]));
    await tell(other, "down/1", 1, 1);
    await tell(other, "down/2", 2, 2);
    await device.next(2);
    await lose(device, gone);
    // Both again, with DUP and under the same packet ids [MQTT-4.4.0-1].
    const second = await enter(open, version, "device", STAYS);
    await second.next(2);
    second.say({ cmd: "puback", messageId: 1 });
    await second.ask({ cmd: "pubrec", messageId: 2 });
    await lose(second, gone);
    // Nothing but PUBREL.
    const third = await enter(open, version, "device", STAYS);
    await third.next();
    third.say({ cmd: "pubcomp", messageId: 2 });
    await tell(other, "down/end", 1, 3);
    await third.take("down/end");
    await other.finish();
    await leave(third, gone);
    await forget(open, version, "device");
  }),
  plainly("QoS 2 from a client that is cut off at each step", NEWER, async (open, version, gone) => {
    const other = await enter(open, version, "other");
    await other.ask(subscribe(1, ["up/#", 2]));
    const device = await enter(open, version, "device", STAYS);
    await device.ask(publish("up/x", 2, 7));
    await lose(device, gone);
    const second = await enter(open, version, "device", STAYS);
    await second.ask(publish("up/x", 2, 7, { dup: true }));
    await lose(second, gone);
    const third = await enter(open, version, "device", STAYS);
    await third.ask({ cmd: "pubrel", messageId: 7 });
    await tell(third, "up/end", 1, 8);
    await other.take("up/end");
    await other.finish();
    await leave(third, gone);
    await forget(open, version, "device");
  }),
  plainly(
    "5.0: the client id that it was given finds its session again",
    V5,
    async (open, _version, gone) => {
      const device = open(5, "");
      // What this codec would not say: no clean start, and no client id.
      await device.ask("1012 0004 4d515454 05 00 003c 05 1100000064 0000");
      await device.ask(subscribe(1, ["mine", 1]));
      await lose(device, async () => await gone(device.assigned));
      const again = await enter(open, 5, device.assigned as string, STAYS);
      await leave(again, gone);
      await forget(open, 5, device.assigned as string);
    },
  ),
  plainly("5.0: a session without expiry ends with its connection", V5, async (open, _version, gone) => {
    const device = await enter(open, 5, "device", { clean: false });
    await device.ask(subscribe(1, ["short", 1]));
    await leave(device, gone);
    await (await enter(open, 5, "device", { clean: false })).finish();
  }),
  ...(
    [
      ["ends a session that was to stay", 0],
      ["has a session stay longer", 200],
    ] as const
  ).map(([what, sessionExpiryInterval]) =>
    plainly(`5.0: DISCONNECT ${what} [MQTT-3.14.2-2]`, V5, async (open, _version, gone) => {
      const device = await enter(open, 5, "device", STAYS);
      await device.ask(subscribe(1, ["s", 1]));
      await leave(device, gone, { sessionExpiryInterval });
      await leave(await enter(open, 5, "device", STAYS), gone);
      await forget(open, 5, "device");
    }),
  ),
];

const WILLS: readonly Case[] = [
  plainly("a will that is retained, at QoS 2", NEWER, async (open, version, gone) => {
    const app = await enter(open, version, "app");
    await app.ask(subscribe(1, ["wills/#", 2]));
    const properties = {
      ...{ payloadFormatIndicator: true, contentType: "text/plain", responseTopic: "answers/here" },
      ...{ correlationData: Buffer.from("c"), messageExpiryInterval: 100 },
      userProperties: { a: ["1", "2"], b: "3" },
    };
    const will = { topic: "wills/kept", payload: "gone", qos: 2, retain: true };
    await lose(
      await enter(open, version, "device", { will: version === 5 ? { ...will, properties } : will }),
      gone,
    );
    await app.take(1);
    const late = await enter(open, version, "late");
    late.say(subscribe(2, ["wills/kept", 0]));
    await late.take(1, 1);
    await tell(late, "wills/kept", 0, 0, { retain: true, payload: "" });
    for (const each of [late, app]) await each.take(1);
    for (const each of [late, app]) await each.finish();
  }),
  plainly("an empty will", NEWER, async (open, version, gone) => {
    const app = await enter(open, version, "app");
    await app.ask(subscribe(1, ["wills/#", 1]));
    const will = { topic: "wills/empty", payload: "", qos: 0, retain: false };
    await lose(await enter(open, version, "device", { will }), gone);
    await app.take(1);
    await app.finish();
  }),
  plainly("the will of one whose connection is taken by another", NEWER, async (open, version) => {
    const app = await enter(open, version, "app");
    await app.ask(subscribe(1, ["wills/#", 1]));
    const will = { topic: "wills/taken", payload: "gone", qos: 1, retain: false };
    const older = await enter(open, version, "device", { will });
    const newer = await enter(open, version, "device");
    await tell(newer, "wills/end", 1, 1);
    await app.take("wills/end");
    older.cut();
    for (const each of [newer, app]) await each.finish();
  }),
];

const FLOW: readonly Case[] = [
  withLimits("5.0: receive maximum counts QoS 2 until PUBCOMP", { receiveMaximum: 1 }, async (a, b) => {
    await b.ask(subscribe(1, ["flow/#", 2]));
    await tell(a, "flow/1", 2, 1);
    await tell(a, "flow/2", 1, 2);
    await b.next();
    await b.ask({ cmd: "pubrec", messageId: 1 });
    b.say({ cmd: "pubcomp", messageId: 1 });
    await b.take("flow/2");
  }),
  plainly(
    "5.0: more at once than the broker takes (its Receive Maximum is 20)",
    V5,
    one(async (device) => {
      for (let id = 1; id <= 21; id++) await device.ask(publish("much", 2, id));
    }),
  ),
  withLimits(
    "5.0: a message that is longer than its client takes",
    { maximumPacketSize: 100 },
    async (a, b) => {
      await b.ask(subscribe(1, ["size/#", 1]));
      await tell(a, "size/long", 1, 1, { payload: "long".repeat(50) });
      await tell(a, "size/end", 1, 2);
      await b.take("size/end");
    },
  ),
  withLimits("5.0: aliases to a client that takes two", { topicAliasMaximum: 2 }, async (a, b) => {
    await b.ask(subscribe(1, ["alias/#", 1]));
    for (let id = 1; id <= 9; id++) await tell(a, `alias/${id % 3}`, 1, id);
    await b.take(9);
  }),
  plainly(
    "5.0: an alias that is given to another topic, at each QoS",
    V5,
    two(async (a, b) => {
      await b.ask(subscribe(1, ["alias/#", 2]));
      const properties = { topicAlias: 1 };
      let id = 0;
      for (const topic of ["alias/a", "alias/b"])
        for (const qos of [0, 1, 2] as const)
          await tell(a, qos === 0 ? topic : "", qos, ++id, { properties });
      await b.take(6);
    }),
  ),
  plainly(
    "5.0: alias 0 [MQTT-3.3.2-8]",
    V5,
    one(async (device) => void (await device.ask("3007 0001 61 03 230000"))),
  ),
  plainly("5.0: an alias of an earlier connection [MQTT-3.3.2-7]", V5, async (open, _version, gone) => {
    const device = await enter(open, 5, "device", STAYS);
    await tell(device, "alias/old", 1, 1, { properties: { topicAlias: 1 } });
    await lose(device, gone);
    const again = await enter(open, 5, "device", STAYS);
    await again.ask(publish("", 1, 2, { properties: { topicAlias: 1 } }));
    await again.finish();
    await gone("device");
    await forget(open, 5, "device");
  }),
];

export const CHECKS: readonly Case[] = [
  ...MESSAGES,
  ...SUBSCRIPTIONS,
  ...RETAINED,
  ...SESSIONS,
  ...WILLS,
  ...FLOW,
];
