/** What MQTT clients say, well and badly: `transparent.test.ts` says it to a broker, and through a gateway to it. */
import { CHECKS } from "./checks.ts";
import { CODES } from "./codes.ts";
import {
  ALL,
  type Case,
  first,
  greeting,
  NEWER,
  one,
  plainly,
  publish,
  subscribe,
  two,
  unsubscribe,
  V4,
  V5,
  within,
} from "./steps.ts";

const CONNECTIONS: readonly Case[] = [
  plainly("a clean session", ALL, greeting({})),
  plainly(
    "a session that stays",
    ALL,
    greeting({ clean: false, properties: { sessionExpiryInterval: 100 } }),
  ),
  plainly("an empty client id that asks for a clean session", NEWER, greeting({ clientId: "" })),
  plainly(
    "3.1.1: an empty client id and a session that stays",
    V4,
    first("100c 0004 4d515454 04 00 003c 0000"),
  ),
  plainly("keep alive 0", NEWER, greeting({ keepalive: 0 })),
  plainly("a user name and no password", NEWER, greeting({ username: "u" })),
  plainly(
    "a will at QoS 2, retained",
    NEWER,
    greeting({ will: { topic: "w", payload: "x", qos: 2, retain: true } }),
  ),
  plainly(
    "5.0: receive maximum, packet size and aliases of the client",
    V5,
    greeting({
      properties: { receiveMaximum: 5, maximumPacketSize: 1000, topicAliasMaximum: 5 },
    }),
  ),
  plainly(
    "5.0: asks for response and no problem information, and has user properties",
    V5,
    greeting({
      properties: {
        requestResponseInformation: true,
        requestProblemInformation: false,
        userProperties: { a: "b" },
      },
    }),
  ),
  plainly(
    "5.0: session expiry without end",
    V5,
    greeting({ properties: { sessionExpiryInterval: 0xffff_ffff } }),
  ),
  plainly("5.0: receive maximum 0", V5, first("1010 0004 4d515454 05 02 003c 03 210000 0000")),
  plainly("5.0: the same property twice", V5, first("1013 0004 4d515454 05 02 003c 06 210001 210001 0000")),
  plainly(
    "5.0: a method of authentication that nobody knows",
    V5,
    greeting({
      properties: { authenticationMethod: "none-such", authenticationData: Buffer.from("x") },
    }),
  ),
  plainly("protocol level 6", NEWER, first("100c 0004 4d515454 06 02 003c 0000")),
  plainly("another protocol", V4, first("100c 0004 4d515455 04 02 003c 0000")),
  plainly("the reserved flag of CONNECT", V4, first("100c 0004 4d515454 04 03 003c 0000")),
  plainly("a will at QoS 3", V4, first("1012 0004 4d515454 04 1e 003c 0000 0001 77 0001 78")),
  plainly("PUBLISH before CONNECT", V4, first("3003 0001 61")),
  plainly(
    "a second CONNECT",
    NEWER,
    one(async (device) => void (await device.connect())),
  ),
  plainly("takeover", NEWER, async (open, version) => {
    const [older, newer] = [open(version), open(version)];
    await older.connect();
    await newer.connect();
    await older.next(version === 5 ? 2 : 1);
    await newer.finish();
  }),
];

const SUBSCRIPTIONS: readonly Case[] = [
  plainly(
    "each QoS",
    ALL,
    one(async (device) => {
      await device.ask(subscribe(1, ["q/0", 0], ["q/1", 1], ["q/2", 2]));
    }),
  ),
  plainly(
    "a filter twice",
    NEWER,
    one(async (device) => {
      await device.ask(subscribe(7, ["a", 0]));
      await device.ask(subscribe(8, ["a", 2]));
    }),
  ),
  plainly(
    "a shared filter",
    V5,
    one(async (device) => void (await device.ask(subscribe(1, ["$share/g/s", 1])))),
  ),
  plainly(
    "ends what is there",
    NEWER,
    one(async (device) => {
      await device.ask(subscribe(1, ["a", 1]));
      await device.ask(unsubscribe(2, "a"));
    }),
  ),
  plainly(
    "ends what is not there",
    NEWER,
    one(async (device) => void (await device.ask(unsubscribe(2, "none")))),
  ),
  plainly(
    "ends several",
    V5,
    one(async (device) => {
      await device.ask(subscribe(1, ["a", 1]));
      await device.ask(unsubscribe(2, "a", "none"));
    }),
  ),
  plainly(
    "no filter",
    V4,
    one(async (device) => void (await device.ask("8202 0001"))),
  ),
  plainly(
    "packet id 0",
    V4,
    one(async (device) => void (await device.ask("8206 0000 0001 61 00"))),
  ),
  plainly(
    "QoS 3",
    V4,
    one(async (device) => void (await device.ask("8206 0001 0001 61 03"))),
  ),
  plainly(
    "wrong flags",
    V4,
    one(async (device) => void (await device.ask("8006 0001 0001 61 00"))),
  ),
  plainly(
    "# not at the end",
    V4,
    one(async (device) => void (await device.ask(`820a 0001 0005 612f232f62 00`))),
  ),
  plainly(
    "5.0: subscription identifiers come back",
    V5,
    one(async (device) => {
      await device.ask({ ...subscribe(1, ["i/+", 1]), properties: { subscriptionIdentifier: 7 } });
      device.say(publish("i/1", 1, 3));
      const heard = await device.next(2);
      const back = heard.find(({ cmd }) => cmd === "publish");
      device.say({ cmd: "puback", messageId: back?.["messageId"] as number });
    }),
  ),
  plainly(
    "5.0: no local",
    V5,
    two(async (a, b) => {
      await a.ask(subscribe(1, ["n", 0, { nl: true }]));
      await b.ask(subscribe(1, ["n", 0, { nl: true }]));
      a.say(publish("n", 0));
      await b.next();
    }),
  ),
];

const MESSAGES: readonly Case[] = [
  plainly(
    "QoS 0 to whoever listens",
    ALL,
    two(async (a, b) => {
      await b.ask(subscribe(1, ["m/#", 2]));
      a.say(publish("m/0", 0));
      await b.next();
    }),
  ),
  plainly(
    "QoS 1 there and back",
    ALL,
    two(async (a, b) => {
      await b.ask(subscribe(1, ["m/#", 2]));
      await a.ask(publish("m/1", 1, 11));
      await b.next();
      b.say({ cmd: "puback", messageId: 1 });
    }),
  ),
  plainly(
    "QoS 2 there and back",
    ALL,
    two(async (a, b) => {
      await b.ask(subscribe(1, ["m/#", 2]));
      await a.ask(publish("m/2", 2, 12));
      await a.ask({ cmd: "pubrel", messageId: 12 });
      await b.next();
      await b.ask({ cmd: "pubrec", messageId: 1 });
      b.say({ cmd: "pubcomp", messageId: 1 });
    }),
  ),
  plainly(
    "QoS 2 repeated before its release comes once",
    NEWER,
    two(async (a, b) => {
      await b.ask(subscribe(1, ["m/#", 0]));
      await a.ask(publish("m/2", 2, 12));
      await a.ask(publish("m/2", 2, 12, { dup: true }));
      await a.ask({ cmd: "pubrel", messageId: 12 });
      await b.next();
    }),
  ),
  plainly(
    "nobody listens",
    NEWER,
    one(async (device) => {
      await device.ask(publish("nobody", 1, 5));
      await device.ask(publish("nobody", 2, 6));
      await device.ask({ cmd: "pubrel", messageId: 6 });
    }),
  ),
  plainly(
    "PUBREL of nothing",
    NEWER,
    one(async (device) => void (await device.ask({ cmd: "pubrel", messageId: 77 }))),
  ),
  plainly(
    "a topic with a wildcard",
    V4,
    one(async (device) => void (await device.ask("3205 0001 23 0001"))),
  ),
  plainly(
    "5.0: a topic with a wildcard",
    V5,
    one(async (device) => void (await device.ask("3206 0001 23 0001 00"))),
  ),
  plainly(
    "QoS 3",
    V4,
    one(async (device) => void (await device.ask("3605 0001 61 0001"))),
  ),
  plainly(
    "an empty topic",
    V4,
    one(async (device) => void (await device.ask("3002 0000"))),
  ),
  plainly(
    "5.0: an alias",
    V5,
    two(async (a, b) => {
      await b.ask(subscribe(1, ["m/#", 0]));
      a.say(publish("m/alias", 0, 0, { properties: { topicAlias: 3 } }));
      a.say("3006 0000 03 230003");
      await b.next(2);
    }),
  ),
  plainly(
    "5.0: an alias that was not set",
    V5,
    one(async (device) => void (await device.ask("3006 0000 03 230003"))),
  ),
  plainly(
    "5.0: an alias above what the server takes",
    V5,
    one(async (device) => void (await device.ask("3007 0001 61 03 23000b"))),
  ),
  plainly(
    "5.0: properties of a message",
    V5,
    two(async (a, b) => {
      await b.ask(subscribe(1, ["m/#", 1]));
      a.say(
        publish("m/p", 0, 0, {
          properties: {
            payloadFormatIndicator: true,
            contentType: "text/plain",
            responseTopic: "answers/here",
            correlationData: Buffer.from("c"),
            userProperties: { a: ["1", "2"], b: "3" },
            messageExpiryInterval: 100,
          },
        }),
      );
      await b.next();
    }),
  ),
  plainly("5.0: no more than receive maximum before it is acknowledged", V5, async (open) => {
    const [a, b] = [open(5), open(5)];
    await a.connect({ clientId: "a" });
    await b.connect({ clientId: "b", properties: { receiveMaximum: 1 } });
    await b.ask(subscribe(1, ["m/#", 1]));
    await a.ask(publish("m/1", 1, 1));
    await a.ask(publish("m/2", 1, 2));
    await b.next();
    await b.ask({ cmd: "puback", messageId: 1 });
    b.say({ cmd: "puback", messageId: 2 });
    await a.finish();
    await b.finish();
  }),
  plainly(
    "5.0: AUTH without a method",
    V5,
    one(async (device) => void (await device.ask("f0 00"))),
  ),
];

const RETAINED: readonly Case[] = [
  plainly(
    "comes to who subscribes later, and not when it was cleared",
    ALL,
    two(async (a, b) => {
      await a.ask(publish("r/a", 1, 1, { retain: true }));
      await b.ask(subscribe(1, ["r/#", 1]));
      await b.next();
      b.say({ cmd: "puback", messageId: 1 });
      await a.ask(publish("r/a", 1, 2, { retain: true, payload: "" }));
      await b.next();
      b.say({ cmd: "puback", messageId: 2 });
      await a.ask(subscribe(3, ["r/#", 1]));
    }),
  ),
  plainly(
    "5.0: as published, and retain handling",
    V5,
    two(async (a, b) => {
      await a.ask(publish("r/b", 1, 1, { retain: true }));
      await b.ask(subscribe(1, ["r/b", 0, { rh: 2 }]));
      await b.ask(subscribe(2, ["r/b", 0, { rh: 1, rap: true }]));
      a.say(publish("r/b", 0, 0, { retain: true }));
      await b.next();
      a.say(publish("r/b", 0, 0, { retain: true, payload: "" }));
      await b.next();
    }),
  ),
];

const SESSIONS: readonly Case[] = [
  plainly("is there again, with what came meanwhile", NEWER, async (open, version) => {
    const stays = { clean: false, properties: { sessionExpiryInterval: 100 } };
    const device = open(version);
    await device.connect(stays);
    await device.ask(subscribe(1, ["s", 1]));
    device.say({ cmd: "disconnect" });
    await device.next();
    const other = open(version);
    await other.connect({ clientId: "other" });
    await other.ask(publish("s", 1, 9));
    const again = open(version);
    await again.connect(stays);
    await again.next();
    again.say({ cmd: "puback", messageId: 1 });
    await again.finish();
    await other.finish();
    const clean = open(version);
    await clean.connect();
    await clean.finish();
  }),
  plainly("3.1.1: what was not acknowledged comes again", V4, async (open) => {
    const device = open(4);
    await device.connect({ clean: false });
    await device.ask(subscribe(1, ["s", 1]));
    device.say(publish("s", 1, 5));
    await device.next(2);
    device.cut();
    const again = open(4);
    await again.connect({ clean: false });
    await again.next();
    again.say({ cmd: "puback", messageId: 1 });
    await again.finish();
    const clean = open(4);
    await clean.connect();
    await clean.finish();
  }),
  plainly("a will of one that is lost", ALL, async (open, version) => {
    const [app, device] = [open(version), open(version)];
    await app.connect({ clientId: "app" });
    await app.ask(subscribe(1, ["will/#", 1]));
    await device.connect({ will: { topic: "will/a", payload: "gone", qos: 1, retain: false } });
    device.cut();
    await app.next();
    app.say({ cmd: "puback", messageId: 1 });
    await app.finish();
  }),
  plainly("no will of one that says goodbye", NEWER, async (open, version) => {
    const [app, device] = [open(version), open(version)];
    await app.connect({ clientId: "app" });
    await app.ask(subscribe(1, ["will/#", 1]));
    await device.connect({ will: { topic: "will/b", payload: "gone", qos: 1, retain: false } });
    device.say({ cmd: "disconnect" });
    await device.next();
    await app.finish();
  }),
  plainly("5.0: a will of one that says goodbye with it (0x04)", V5, async (open) => {
    const [app, device] = [open(5), open(5)];
    await app.connect({ clientId: "app" });
    await app.ask(subscribe(1, ["will/#", 1]));
    const properties = { userProperties: { a: "b" }, contentType: "text/plain" };
    await device.connect({ will: { topic: "will/c", payload: "gone", qos: 1, retain: false, properties } });
    device.say({ cmd: "disconnect", reasonCode: 4 });
    await device.next();
    await app.next();
    app.say({ cmd: "puback", messageId: 1 });
    await app.finish();
  }),
  plainly(
    "5.0: DISCONNECT gives a session an expiry that was to have none",
    V5,
    one(
      async (device) =>
        void (await device.ask({ cmd: "disconnect", properties: { sessionExpiryInterval: 10 } })),
    ),
  ),
];

const LIMITS: readonly Case[] = [
  within("limited", "what CONNACK says of them", NEWER, greeting({})),
  within("limited", "a longer keep alive than it allows", V5, greeting({ keepalive: 300 })),
  within(
    "limited",
    "a retained message",
    NEWER,
    one(async (device) => void (await device.ask(publish("r", 1, 1, { retain: true })))),
  ),
  within(
    "limited",
    "an alias above its own",
    V5,
    one(async (device) => void (await device.ask("3007 0001 61 03 230004"))),
  ),
  within(
    "limited",
    "a longer packet than it takes",
    V5,
    one(async (device) => void (await device.ask(publish("long", 1, 1, { payload: "x".repeat(3000) })))),
  ),
  within(
    "limited",
    "QoS 2, which it does not have",
    V5,
    one(async (device) => void (await device.ask(publish("q", 2, 1)))),
  ),
  within(
    "limited",
    "a subscription at QoS 2",
    V5,
    one(async (device) => void (await device.ask(subscribe(1, ["q", 2])))),
  ),
  within("limited", "an empty client id, which it does not take", NEWER, greeting({ clientId: "" })),
];

const RULES: readonly Case[] = [
  within("guarded", "no user name", NEWER, greeting({})),
  within("guarded", "a wrong password", NEWER, greeting({ username: "u", password: "no" })),
  within("guarded", "the right password", NEWER, greeting({ username: "u", password: "secret" })),
  within("guarded", "wrong passwords under the client id of who is there", NEWER, async (open, version) => {
    const device = open(version);
    const will = { topic: "open/will", payload: "gone", qos: 1 };
    await device.connect({ username: "u", password: "secret", will });
    await device.ask(subscribe(1, ["open/#", 1]));
    for (const login of [{}, { username: "u", password: "no" }]) {
      const thief = open(version);
      await thief.connect({ ...login, clean: true });
      await thief.finish();
    }
    await device.ask(publish("open/a", 0, 1));
    await device.finish();
  }),
  ...(
    [
      ["a topic that it may publish", publish("open/a", 1, 1)],
      ["a topic that it may not publish", publish("closed/a", 1, 1)],
      ["a topic that it may not publish, at QoS 2", publish("closed/a", 2, 1)],
      ["a filter that it may not read", subscribe(1, ["closed/#", 1], ["open/#", 1])],
    ] as const
  ).map(([name, packet]) =>
    within(
      "guarded",
      name,
      NEWER,
      one(async (device) => void (await device.ask(packet)), {
        username: "u",
        password: "secret",
      }),
    ),
  ),
];

const begins = { authenticationMethod: "two-step", authenticationData: Buffer.from("hello") };
const goesOn = (data: string, reasonCode = 0x18) => ({
  cmd: "auth",
  reasonCode,
  properties: { authenticationMethod: "two-step", authenticationData: Buffer.from(data) },
});

/** Enhanced authentication (MQTT 5 §4.12). */
const PROOFS: readonly Case[] = [
  within("asking", "proves itself", V5, async (open) => {
    const device = open(5);
    await device.connect({ properties: begins });
    await device.ask(goesOn("right"));
    await device.finish();
  }),
  within("asking", "gives a wrong proof", V5, async (open) => {
    const device = open(5);
    await device.connect({ properties: begins });
    device.say(goesOn("wrong"));
    await device.next(2);
  }),
  within("asking", "proves itself once more", V5, async (open) => {
    const device = open(5);
    await device.connect({ properties: begins });
    await device.ask(goesOn("right"));
    await device.ask(goesOn("hello", 0x19));
    await device.ask(goesOn("right"));
    await device.finish();
  }),
  within("asking", "gives a wrong proof the second time", V5, async (open) => {
    const device = open(5);
    await device.connect({ properties: begins });
    await device.ask(goesOn("right"));
    await device.ask(goesOn("hello", 0x19));
    device.say(goesOn("wrong"));
    await device.next(2);
  }),
  within(
    "asking",
    "is told words with each answer",
    V5,
    one(async (device) => {
      await device.ask(subscribe(1, ["worded", 1]));
      await device.ask(publish("worded", 1, 2));
      await device.ask(unsubscribe(3, "worded"));
      device.say(publish("goodbye", 0));
      await device.next(2);
    }),
  ),
  within(
    "asking",
    "is told no words where it wants none [MQTT-3.1.2-29]",
    V5,
    one(
      async (device) => {
        await device.ask(subscribe(1, ["worded", 1]));
        await device.ask(publish("worded", 1, 2));
        await device.ask(unsubscribe(3, "worded"));
      },
      { properties: { requestProblemInformation: false } },
    ),
  ),
  within(
    "asking",
    "is told all that CONNACK can say",
    V5,
    greeting({
      clientId: "everything",
      properties: { sessionExpiryInterval: 100, requestResponseInformation: true },
    }),
  ),
  within("asking", "is sent elsewhere", V5, async (open) => {
    const device = open(5);
    await device.connect({ clientId: "elsewhere" });
    await device.next();
  }),
  within(
    "asking",
    "names what it wants, and is given it",
    V5,
    greeting({
      properties: { requestResponseInformation: true, userProperties: { wants: "this" } },
    }),
  ),
];

export const CASES: readonly Case[] = [
  ...PROOFS,
  ...CONNECTIONS,
  ...SUBSCRIPTIONS,
  ...MESSAGES,
  ...RETAINED,
  ...SESSIONS,
  ...LIMITS,
  ...RULES,
  ...CHECKS,
  ...CODES,
];
