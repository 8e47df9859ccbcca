/** The worked examples of the manuals: EMQ X 4.0's and EMQX 5.8's. */
import { describe, expect, it } from "vitest";
import { toJson } from "#core/rules/value.ts";
import { evaluate, onEvent, select } from "./run.ts";

describe("EMQ X 4.0: rules with events in FROM", () => {
  it("WHERE topic =~ 't/#' is true for t and everything below it", () => {
    const sql = `SELECT * FROM "message.publish" WHERE topic =~ 't/#'`;
    for (const topic of ["t", "t/a", "t/a/b"]) expect(select(sql, { topic })).toHaveLength(1);
    expect(select(sql, { topic: "x/t" })).toEqual([]);
  });

  it("an alias can be used in WHERE, and = is strict about types", () => {
    const sql = `SELECT payload.x AS x FROM "message.publish" WHERE x = 1`;
    expect(select(sql, { payload: { x: 1 } })).toEqual([{ x: 1 }]);
    expect(select(sql, { payload: { x: 2 } })).toEqual([]);
    expect(select(sql, { payload: { x: "1" } })).toEqual([]);
    expect(() => select(sql, { payload: "{x:1}" })).toThrow("payload: this is no JSON");
  });

  it("dots go into nested members of the payload", () => {
    const sql = `SELECT payload.x.y AS a FROM "message.publish" WHERE a = 1`;
    expect(select(sql, { payload: { x: { y: 1 } } })).toEqual([{ a: 1 }]);
    expect(select(sql, { payload: { x: 1 } })).toEqual([]);
  });

  it("client.connected has the peer's name and client_id", () => {
    const sql = `SELECT peername AS ip_port FROM "client.connected" WHERE client_id = 'c1'`;
    const event = { clientid: "c1", peername: "127.0.0.1:53412" };
    expect(onEvent(sql, "client_connected", event)).toEqual([{ ip_port: "127.0.0.1:53412" }]);
  });

  it("client.subscribe has the filter and its QoS", () => {
    const sql = `SELECT * FROM "client.subscribe" WHERE topic = 't/#' AND qos = 1`;
    expect(onEvent(sql, "session_subscribed", { topic: "t/#", qos: 1 })).toHaveLength(1);
    expect(onEvent(sql, "session_subscribed", { topic: "t", qos: 1 })).toEqual([]);
    expect(onEvent(sql, "session_subscribed", { topic: "t/+/a", qos: 1 })).toEqual([]);
  });

  it("the webhook's body has the selected fields, in 32 octets", () => {
    const sql = `SELECT username AS u, payload FROM "message.publish" WHERE u = 'Steven'`;
    const [output] = select(sql, { username: "Steven", payload: "hello" });
    expect(output).toEqual({ u: "Steven", payload: "hello" });
    expect(Buffer.byteLength(toJson(output))).toBe(32);
    expect(select(sql, { username: "Mary", payload: "hello" })).toEqual([]);
  });

  it("all fields have what the inspect action of 4.0 shows", () => {
    const [all] = select(`SELECT * FROM "t/#"`, { payload: "hello", topic: "t/a", username: "u" });
    expect(all).toMatchObject({
      event: "message.publish",
      clientid: "c1",
      username: "u",
      topic: "t/a",
      payload: "hello",
      qos: 1,
      retain: false,
      flags: { dup: false, retain: false },
      peername: "127.0.0.1:53412",
      peerhost: "127.0.0.1",
      gateway: "mqtt",
      protocol: "MQTT 5.0",
      id: "id-1",
    });
  });
});

describe("EMQX 5.8: FOREACH, CASE and functions", () => {
  const sensors = [
    { name: "a", idx: 0 },
    { name: "b", idx: 1 },
    { name: "c", idx: 2 },
  ];
  const said = { clientId: "c_steve", payload: { date: "2020-04-24", sensors } };

  it("FOREACH without DO gives each element", () => {
    expect(select(`FOREACH payload.sensors FROM "t/#"`, said)).toEqual(sensors);
  });

  it("DO says what each output has, INCASE which elements have one", () => {
    const sql = `FOREACH payload.sensors
      DO clientid, item.name AS name, item.idx AS idx
      INCASE item.idx >= 1
      FROM "t/#"`;
    expect(select(sql, said)).toEqual([
      { clientid: "c_steve", name: "b", idx: 1 },
      { clientid: "c_steve", name: "c", idx: 2 },
    ]);
    expect(select(sql.replace("clientid,", "payload.date AS date,"), said)[0]).toEqual({
      date: "2020-04-24",
      name: "b",
      idx: 1,
    });
  });

  it("nth and tokens take the name out of a client id", () => {
    const sql = `FOREACH payload.sensors
      DO nth(2, tokens(clientid,'_')) AS clientid, item.name AS name, item.idx AS idx
      INCASE item.idx >= 1 FROM "t/#"`;
    expect(select(sql, said)[0]).toEqual({ clientid: "steve", name: "b", idx: 1 });
  });

  it("FOREACH names its element with AS, and of several expressions the last is the list", () => {
    const sql = `FOREACH payload.date AS day, payload.sensors AS s
      DO day, s.idx + 1 AS next INCASE s.name != 'b' FROM "t/#" WHERE qos = 1`;
    expect(select(sql, said)).toEqual([
      { day: "2020-04-24", next: 1 },
      { day: "2020-04-24", next: 3 },
    ]);
  });

  it("CASE takes the first branch that is true", () => {
    const sql = `SELECT CASE WHEN payload.x < 0 THEN 0 WHEN payload.x > 7 THEN 7 ELSE payload.x END AS x FROM "t/#"`;
    expect(select(sql, { payload: { x: 8 } })).toEqual([{ x: 7 }]);
    expect(select(sql, { payload: { x: -1 } })).toEqual([{ x: 0 }]);
    expect(select(sql, { payload: { x: 3 } })).toEqual([{ x: 3 }]);
  });

  it("texts have no escapes: unescape makes a line feed", () => {
    const payload = "a\nb\nc\nd";
    expect(evaluate(String.raw`split(payload, unescape('\n'))`, { payload })).toEqual(["a", "b", "c", "d"]);
    expect(evaluate(String.raw`split(payload, '\n')`, { payload })).toEqual([payload]);
  });

  it("user properties are found by quoted names, the last of several of one name", () => {
    const properties = {
      userProperties: [["foo", "bar"] as const, ["a", "1"] as const, ["a", "2"] as const],
    };
    expect(select(`SELECT pub_props.'User-Property'.foo AS foo FROM "t/#"`, { properties })).toEqual([
      { foo: "bar" },
    ]);
    expect(evaluate("pub_props.'User-Property-Pairs'", { properties })).toHaveLength(3);
    expect(evaluate("pub_props.'User-Property'.a", { properties })).toBe("2");
  });

  it("sources may be topic filters or events", () => {
    expect(select(`SELECT username FROM "#" WHERE username = 'Steven'`, { username: "Steven" })).toEqual([
      { username: "Steven" },
    ]);
    const sql = `SELECT clientid FROM "$events/session_subscribed" WHERE topic =~ 't/#' AND qos = 1`;
    expect(onEvent(sql, "session_subscribed", { clientid: "c", topic: "t/a", qos: 1 })).toEqual([
      { clientid: "c" },
    ]);
  });
});
