/** Rules in a gateway with real sockets, with a client by other people. */
import mqtt, { type MqttClient } from "mqtt";
import { afterEach, describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import { MODULES } from "#core/modules.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { until } from "../../support/store-process.ts";

let gateway: TestGateway | undefined;
const clients: MqttClient[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
  await gateway?.stop();
  gateway = undefined;
});

interface Heard {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
}

async function connect(clientId: string, username?: string): Promise<MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway!.port("mqtt", "tcp")}`, {
    clientId,
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...(username === undefined ? {} : { username }),
  });
  clients.push(client);
  return client;
}

/** Starts a gateway with rules, and a listener to everything. */
async function run(
  rules: object,
  topic = "#",
  more: object = {},
): Promise<{ heard: Heard[]; publisher: MqttClient }> {
  gateway = await startGateway({ gateways: { mqtt: {} }, rules, ...more });
  const heard: Heard[] = [];
  const listener = await connect("listener");
  listener.on("message", (on, payload, { qos, retain }) =>
    heard.push({ topic: on, payload: payload.toString(), qos, retain }),
  );
  await listener.subscribeAsync(topic, { qos: 2 });
  return { heard, publisher: await connect("c_steve", "Steven") };
}

const steve = JSON.stringify({
  date: "2020-04-24",
  sensors: [
    { name: "a", idx: 0 },
    { name: "b", idx: 1 },
    { name: "c", idx: 2 },
  ],
});

describe("republish", () => {
  it("makes a message of each element of a list", async () => {
    const { heard, publisher } = await run(
      {
        each: {
          sql: 'FOREACH payload.sensors FROM "t/#"',
          actions: [{ kind: "republish", topic: "sensors/${idx}", payload: "${name}", qos: 2 }],
        },
      },
      "sensors/#",
    );
    await publisher.publishAsync("t/1", steve, { qos: 1 });
    await until(() => heard.length === 3, "three messages");
    expect(heard).toEqual([
      { topic: "sensors/0", payload: "a", qos: 2, retain: false },
      { topic: "sensors/1", payload: "b", qos: 2, retain: false },
      { topic: "sensors/2", payload: "c", qos: 2, retain: false },
    ]);
  });

  it("fills in what DO has selected, and `undefined` for what it has not", async () => {
    const { heard, publisher } = await run(
      {
        some: {
          sql: `FOREACH payload.sensors DO clientid, item.name AS name, item.idx AS idx
                INCASE item.idx >= 1 FROM "t/#"`,
          actions: [
            {
              kind: "republish",
              topic: "sensors/${idx}",
              payload: "clientid=${clientid},name=${name},date=${date}",
            },
          ],
        },
      },
      "sensors/#",
    );
    await publisher.publishAsync("t/1", steve, { qos: 1 });
    await until(() => heard.length === 2, "two messages");
    expect(heard.map(({ topic, payload }) => `${topic} ${payload}`)).toEqual([
      "sensors/1 clientid=c_steve,name=b,date=undefined",
      "sensors/2 clientid=c_steve,name=c,date=undefined",
    ]);
  });

  it("keeps octets as they are, and the QoS of the message", async () => {
    const { publisher } = await run(
      { copy: { sql: 'SELECT * FROM "in"', actions: [{ kind: "republish", topic: "out" }] } },
      "none",
    );
    const reader = await connect("reader");
    const got = new Promise<[Buffer, number]>((done) => {
      reader.on("message", (_, payload, { qos }) => done([payload, qos]));
    });
    await reader.subscribeAsync("out", { qos: 2 });
    const octets = Buffer.from([0xff, 0x00, 0xfe, 0x80]);
    await publisher.publishAsync("in", octets, { qos: 1 });
    expect(await got).toEqual([octets, 1]);
  });

  it("never runs a rule on what came of it, however rules lead to each other", async () => {
    const copy = (from: string, to: string) => ({
      sql: `SELECT * FROM "${from}"`,
      actions: [{ kind: "republish", topic: to }],
    });
    const { heard, publisher } = await run({
      a: copy("a", "b"),
      b: copy("b", "a"),
      all: copy("#", "copy/${topic}"),
    });
    await publisher.publishAsync("a", "x", { qos: 1 });
    await publisher.publishAsync("end", "x", { qos: 1 });
    await until(() => heard.some(({ topic }) => topic === "copy/end"), "the last");
    expect(heard.map(({ topic }) => topic).sort()).toEqual(
      ["a", "a", "b", "copy/a", "copy/a", "copy/b", "copy/end", "end"].sort(),
    );
    expect(gateway!.composition.rules.rules.get("all")!.counters.loops).toBeGreaterThan(0);
  });

  it("direct reaches subscribers and no rule", async () => {
    const { heard, publisher } = await run({
      one: { sql: 'SELECT * FROM "a"', actions: [{ kind: "republish", topic: "b", direct: true }] },
      two: { sql: 'SELECT * FROM "b"', actions: [{ kind: "republish", topic: "c" }] },
    });
    await publisher.publishAsync("a", "x", { qos: 1 });
    await publisher.publishAsync("b", "y", { qos: 1 });
    await until(() => heard.some(({ topic }) => topic === "c"), "the second rule");
    expect(heard.map(({ topic, payload }) => topic + payload)).toEqual(["ax", "bx", "by", "cy"]);
  });

  it("sends properties of MQTT 5, also those that the message had", async () => {
    const { publisher } = await run(
      {
        props: {
          sql: 'SELECT *, 7 AS seven FROM "in"',
          actions: [
            {
              kind: "republish",
              topic: "out",
              payload: '{"n":${seven}}',
              retain: "${retain}",
              properties: { contentType: "application/json", responseTopic: "answers/${clientid}" },
              userProperties: "${pub_props.User-Property-Pairs}",
            },
          ],
        },
      },
      "none",
    );
    const reader = await connect("reader");
    const got = new Promise((done) => {
      reader.on("message", (_, payload, { properties }) => done([payload.toString(), properties]));
    });
    await reader.subscribeAsync("out");
    await publisher.publishAsync("in", "x", {
      qos: 1,
      properties: { userProperties: { a: ["1", "2"], b: "3" } },
    });
    expect(await got).toMatchObject([
      '{"n":7}',
      {
        contentType: "application/json",
        responseTopic: "answers/c_steve",
        userProperties: { a: ["1", "2"], b: "3" },
      },
    ]);
  });

  it("fails alone: the message goes on its way, and the failure is counted and said", async () => {
    const { heard, publisher } = await run({
      bad: { sql: 'SELECT payload.x AS x FROM "t"', actions: [{ kind: "republish", topic: "y" }] },
      wild: { sql: "SELECT '#' AS x FROM \"t\"", actions: [{ kind: "republish", topic: "${x}" }] },
    });
    await publisher.publishAsync("t", "no JSON", { qos: 1 });
    await until(() => heard.length === 1, "the message");
    const { rules } = gateway!.composition.rules;
    expect(rules.get("bad")!.counters).toMatchObject({ matched: 1, passed: 0, noResult: 0, failed: 1 });
    expect(rules.get("wild")!.counters).toMatchObject({ matched: 1, passed: 1 });
    expect(rules.get("wild")!.actions[0]!.counters).toMatchObject({ matched: 1, success: 0, failed: 1 });
    expect(gateway!.log.join("")).toContain("payload: this is no JSON");
    const text = await gateway!.composition.metrics.text();
    expect(text).toContain('isthmus_rule_failed{rule="bad"} 1');
  });
});

describe("events", () => {
  it("of clients, subscriptions and deliveries have the fields of EMQX 5", async () => {
    const to = (event: string) => ({
      sql: `SELECT * FROM "${event}" WHERE clientid = 'watched'`,
      actions: [{ kind: "republish", topic: "events/${event}", payload: "${.}", direct: true }],
    });
    const { heard, publisher } = await run(
      {
        connected: to("$events/client_connected"),
        disconnected: to("$events/client/disconnected"),
        subscribed: to("$events/session_subscribed"),
        unsubscribed: to("$events/session/unsubscribed"),
        delivered: to("$events/message_delivered"),
        acked: to("$events/message_acked"),
        dropped: {
          ...to("$events/message_dropped"),
          sql: 'SELECT * FROM "$events/message_dropped"',
        },
      },
      "events/#",
    );
    const watched = await connect("watched", "w");
    const got = new Promise((done) => watched.on("message", done));
    await watched.subscribeAsync("in/+", { qos: 1 });
    await publisher.publishAsync("in/1", "x", { qos: 1 });
    await got;
    await watched.unsubscribeAsync("in/+");
    await watched.endAsync();
    await publisher.publishAsync("nobody", "y", { qos: 1 });
    await until(() => heard.length >= 7, "seven events");
    const events = Object.fromEntries(
      heard.map(({ topic, payload }) => [topic.slice(7), JSON.parse(payload)]),
    );
    const who = { clientid: "watched", username: "w", peerhost: "127.0.0.1", gateway: "mqtt" };
    expect(events["client.connected"]).toMatchObject({
      ...who,
      event: "client.connected",
      proto_name: "MQTT",
      proto_ver: 5,
      clean_start: true,
      node: "isthmus",
    });
    expect(events["client.disconnected"]).toMatchObject({ ...who, reason: "normal" });
    expect(events["session.subscribed"]).toMatchObject({ ...who, topic: "in/+", qos: 1 });
    expect(events["session.unsubscribed"]).toMatchObject({ ...who, topic: "in/+" });
    expect(events["message.delivered"]).toMatchObject({
      ...who,
      topic: "in/1",
      payload: "x",
      from_clientid: "c_steve",
    });
    expect(events["message.acked"]).toMatchObject({ ...who, topic: "in/1", from_clientid: "c_steve" });
    expect(events["message.dropped"]).toMatchObject({
      reason: "no_subscribers",
      topic: "nobody",
      clientid: "c_steve",
    });
  });

  it("of sessions tell of their begin, their return and their end, by the names of EMQ X 4.0's hooks too (R-030, R-099)", async () => {
    const { heard } = await run(
      {
        sessions: {
          sql: `SELECT event, client_id, expiry_interval FROM "session.created", "session.resumed", "$events/session/terminated" WHERE client_id = 'd'`,
          actions: [{ kind: "republish", topic: "events/${event}", payload: "${.}", direct: true }],
        },
      },
      "events/#",
    );
    const options = {
      ...{ clientId: "d", clean: false, reconnectPeriod: 0 },
      protocolVersion: 5 as const,
      properties: { sessionExpiryInterval: 600 },
    };
    const url = `mqtt://127.0.0.1:${gateway!.port("mqtt", "tcp")}`;
    await (await mqtt.connectAsync(url, options)).endAsync();
    await (await mqtt.connectAsync(url, options)).endAsync();
    await (
      await mqtt.connectAsync(url, { ...options, clean: true, properties: { sessionExpiryInterval: 0 } })
    ).endAsync();
    await until(() => heard.length >= 5, "five events");
    const told = heard.map(({ payload }) => JSON.parse(payload));
    expect(told.map(({ event }) => event)).toEqual([
      "session.created",
      "session.resumed",
      "session.terminated",
      "session.created",
      "session.terminated",
    ]);
    expect(told[1]).toMatchObject({ expiry_interval: 600 });
  });

  it("of logins and rights say what was decided and who has (R-045, R-048, R-049)", async () => {
    const to = (event: string, where: string) => ({
      sql: `SELECT * FROM "$events/${event}" WHERE ${where}`,
      actions: [{ kind: "republish", topic: `events/${event}`, payload: "${.}", direct: true }],
    });
    const { heard, publisher } = await run(
      {
        connack: to("client_connack", "clientid =~ '+'"),
        authn: to("client_check_authn_complete", "clientid =~ '+'"),
        authz: to("client/check_authz_complete", "action = 'publish'"),
      },
      "events/#",
      {
        authorization: {
          rules: [{ permission: "deny", who: "all", action: "publish", topics: ["secret/#"] }],
        },
        bans: { list: [{ clientId: "bad", reason: "was bad" }] },
      },
    );
    await expect(connect("bad")).rejects.toThrow();
    await connect("good", "g");
    await publisher.publishAsync("open/1", "x", { qos: 1 });
    await publisher.publishAsync("open/1", "again", { qos: 1 });
    await expect(publisher.publishAsync("secret/1", "x", { qos: 1 })).rejects.toThrow();
    const of = (event: string) =>
      heard.filter(({ topic }) => topic === `events/${event}`).map(({ payload }) => JSON.parse(payload));
    const rights = () => of("client/check_authz_complete");
    await until(() => rights().length >= 3, "three rights");
    expect(rights()).toMatchObject([
      { topic: "open/1", result: "allow", authz_source: "default", clientid: "c_steve", username: "Steven" },
      { topic: "open/1", result: "allow" },
      {
        ...{ topic: "secret/1", result: "deny", authz_source: "file", action: "publish", qos: 1 },
        authz_rule: expect.stringContaining("authorization.rules 1"),
      },
    ]);
    const acks = of("client_connack").map(({ clientid, reason_code }) => `${clientid} ${reason_code}`);
    expect(acks).toEqual(expect.arrayContaining(["bad banned", "good success", "c_steve success"]));
    const logins = of("client_check_authn_complete");
    expect(logins.find(({ clientid }) => clientid === "bad")).toMatchObject({
      ...{ reason_code: "banned", is_anonymous: false, is_superuser: false, peerhost: "127.0.0.1" },
    });
    expect(logins.find(({ clientid }) => clientid === "good")).toMatchObject({
      ...{ reason_code: "success", is_anonymous: false, event: "client.check_authn_complete" },
    });
  });

  it("a rule on deliveries that publishes is not run on the delivery of that", async () => {
    const { heard, publisher } = await run({
      loop: {
        sql: 'SELECT * FROM "$events/message_delivered"',
        actions: [{ kind: "republish", topic: "again", payload: "x" }],
      },
    });
    await publisher.publishAsync("t", "1", { qos: 1 });
    await until(() => heard.some(({ topic }) => topic === "again"), "what the rule publishes");
    await publisher.publishAsync("end", "1", { qos: 1 });
    await until(() => heard.filter(({ topic }) => topic === "again").length === 2, "and of the next");
    expect(heard).toHaveLength(4);
  });

  it("a message of a device behind another gateway has its gateway's name", async () => {
    gateway = await startGateway({
      gateways: { mqtt: {}, stomp: {} },
      rules: {
        all: {
          sql: "SELECT gateway, protocol, clientid FROM \"t\" WHERE gateway = 'stomp'",
          actions: [{ kind: "republish", topic: "out", payload: "${gateway}/${protocol}" }],
        },
      },
    });
    const listener = await connect("l");
    const got = new Promise((done) => listener.on("message", (_, payload) => done(payload.toString())));
    await listener.subscribeAsync("out");
    const { connect: dial } = await import("node:net");
    const socket = dial(gateway.port("stomp", "tcp"), "127.0.0.1");
    socket.write("CONNECT\naccept-version:1.2\nhost:x\n\n\0SEND\ndestination:t\n\nx\0");
    expect(await got).toBe("stomp/STOMP 1.2");
    socket.destroy();
  });
});

describe("a reload", () => {
  it("takes rules that were changed, and goes on counting", async () => {
    const { heard, publisher } = await run({
      r: { sql: 'SELECT * FROM "a"', actions: [{ kind: "republish", topic: "x" }] },
    });
    await publisher.publishAsync("a", "1", { qos: 1 });
    const next = {
      ...gateway!.composition.config,
      rules: loadText(
        MODULES,
        JSON.stringify({
          rules: { r: { sql: 'SELECT * FROM "b"', actions: [{ kind: "republish", topic: "y" }] } },
        }),
      ).config.rules,
    };
    gateway!.composition.reload(() => next);
    await publisher.publishAsync("a", "2", { qos: 1 });
    await publisher.publishAsync("b", "3", { qos: 1 });
    await until(() => heard.some(({ topic }) => topic === "y"), "the changed rule");
    expect(heard.map(({ topic, payload }) => topic + payload)).toEqual(["a1", "x1", "a2", "b3", "y3"]);
    expect(gateway!.composition.rules.rules.get("r")!.counters.passed).toBe(2);
  });
});

describe("a configuration", () => {
  it.each([
    [
      { rules: { r: { sql: "SELECT\n  uper(x) FROM 't'" } } },
      "rules.r.sql is wrong: line 2, column 3: there is no function uper: expected perhaps upper",
    ],
    [{ rules: { r: { sql: "SELECT * FROM '$events/none'" } } }, "there is no such event"],
    [
      { rules: { r: { sql: "SELECT * FROM '$bridges/mqtt:b'" } } },
      "what a bridge brings is published: expected the topic filter that it is published to",
    ],
    [
      { rules: { r: { sql: "SELECT * FROM 't'", actions: [{ kind: "republish", topic: "${a" }] } } },
      "rules.r.actions[0] is wrong: column 1: `${` begins here and does not end",
    ],
    [
      { rules: { r: { sql: "SELECT * FROM 't'", actions: [{ kind: "http", connector: "none" }] } } },
      "there is no connector none",
    ],
    [
      {
        connectors: { p: { kind: "postgres" } },
        rules: { r: { sql: "SELECT * FROM 't'", actions: [{ kind: "http", connector: "p" }] } },
      },
      "the connector p is of kind postgres: expected kind: postgres",
    ],
    [
      {
        connectors: { p: { kind: "postgres" } },
        rules: {
          r: {
            sql: "SELECT * FROM 't'",
            actions: [{ kind: "postgres", connector: "p", sql: "insert into t values ('${x}')" }],
          },
        },
      },
      "places for values stand without quotes",
    ],
  ])("%o says what is wrong and where", (config, says) => {
    expect(() => loadText(MODULES, JSON.stringify(config))).toThrow(says);
  });
});
