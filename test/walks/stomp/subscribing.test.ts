import { describe, expect, it } from "vitest";
import { seconds } from "#core/lib/time.ts";
import { brief, StompClient, stompListener } from "../../support/stomp-client.ts";
import { header } from "../../support/stomp-frames.ts";
import { World, type WorldOptions } from "../../support/world.ts";

const open = (
  config: Record<string, unknown> = {},
  policy = {},
  version = "1.2",
  options: WorldOptions = {},
) => {
  const world = new World(options);
  const listener = stompListener(world, config, policy);
  return { world, listener, client: StompClient.connected(listener, {}, version) };
};

describe("S7 SUBSCRIBE (STOMP 1.2 SUBSCRIBE)", () => {
  it("sends what is published to the destination from then on", () => {
    const { world, client } = open();
    world.publish("plant/1", "before");
    client.say("SUBSCRIBE", { id: "0", destination: "plant/+" });
    world.publish("plant/1", "one");
    world.publish("plant/1/x", "not this");
    world.publish("plant/2", "two", { qos: 1 });
    expect(client.bodies()).toEqual(["one", "two"]);
  });

  it.each([
    [{ id: "0" }, "missing header destination"],
    [{ destination: "a" }, "missing header id"],
    [{ destination: "a", id: "0", ack: "sometimes" }, "unknown ack mode"],
    [{ destination: "a", id: "0", ack: "Client" }, "unknown ack mode"],
    [{ destination: "a/#/b", id: "0" }, "malformed name"],
    [{ destination: "", id: "0" }, "malformed name"],
    [{ destination: "a", id: "0", selector: "x > 5" }, "selectors are not supported"],
    [{ destination: "a", id: "0", qos: "3" }, "bad header qos"],
    [{ destination: "a", id: "0", "prefetch-count": "many" }, "bad header prefetch-count"],
    [{ destination: "a", id: "0", durable: "perhaps" }, "bad header durable"],
    [{ destination: "/queue/a", id: "0", browser: "true" }, "browsers are not supported"],
    [{ destination: "/queue/a", id: "0", "no-local": "true" }, "no-local on a queue"],
  ])("%j is an ERROR with its receipt, and closes", (headers, message) => {
    const { client } = open();
    client.say("SUBSCRIBE", { ...headers, receipt: "r" } as Record<string, string>);
    expect(brief(client.next(), "message", "receipt-id")).toBe(`ERROR message=${message} receipt-id=r`);
    expect(client.closed).toBe(true);
  });

  it("an id is unique in its connection, and free again after UNSUBSCRIBE", () => {
    const { client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "a", receipt: "1" });
    client.say("UNSUBSCRIBE", { id: "0", receipt: "2" });
    client.say("SUBSCRIBE", { id: "0", destination: "b", ack: "client", receipt: "3" });
    expect(client.heard().map((one) => header(one, "receipt-id"))).toEqual(["1", "2", "3"]);
    client.say("SUBSCRIBE", { id: "0", destination: "c" });
    expect(brief(client.next(), "message")).toBe("ERROR message=subscription exists");
  });

  it("two subscriptions to one destination are legal, and each gets its copy", () => {
    const { world, client } = open();
    for (const id of ["x", "y"]) client.say("SUBSCRIBE", { id, destination: "a" });
    client.say("SUBSCRIBE", { id: "z", destination: "a", ack: "client" });
    world.publish("a", "1", { qos: 1 });
    const seen = client.heard();
    expect(seen.map((one) => header(one, "subscription")).sort()).toEqual(["x", "y", "z"]);
    expect(new Set(seen.map((one) => header(one, "message-id"))).size).toBe(3);
    client.say("UNSUBSCRIBE", { id: "x" });
    world.publish("a", "2");
    expect(
      client
        .heard()
        .map((one) => header(one, "subscription"))
        .sort(),
    ).toEqual(["y", "z"]);
  });

  it("overlapping filters each get their copy", () => {
    const { world, client } = open();
    client.say("SUBSCRIBE", { id: "all", destination: "#" });
    client.say("SUBSCRIBE", { id: "one", destination: "a/b" });
    client.say("SUBSCRIBE", { id: "other", destination: "c/b" });
    world.publish("a/b", "x", { qos: 1 });
    expect(
      client
        .heard()
        .map((one) => header(one, "subscription"))
        .sort(),
    ).toEqual(["all", "one"]);
  });

  it("retained messages come first, also for the second subscription of a destination, and once", () => {
    const { world, client } = open();
    world.publish("a/1", "kept", { retain: true, qos: 1 });
    for (const [id, ack] of [
      ["0", "auto"],
      ["1", "auto"],
      ["2", "client"],
    ] as const) {
      client.say("SUBSCRIBE", { id, destination: "a/+", ack });
      expect(client.heard().map((one) => brief(one, "subscription", "retain"))).toEqual([
        `MESSAGE subscription=${id} retain=true`,
      ]);
    }
    world.publish("a/1", "fresh");
    expect(client.heard().map((one) => header(one, "retain"))).toEqual([undefined, undefined, undefined]);
  });

  it("qos raises what an equal destination already has", () => {
    const { world, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "a", qos: "0" });
    world.publish("a", "x", { qos: 2 });
    client.say("SUBSCRIBE", { id: "1", destination: "a", qos: "2" });
    world.publish("a", "x", { qos: 2 });
    expect(client.heard().map((one) => brief(one, "subscription", "qos"))).toEqual([
      "MESSAGE subscription=0 qos=0",
      "MESSAGE subscription=0 qos=1",
      "MESSAGE subscription=1 qos=1",
    ]);
  });

  it("STOMP 1.0 needs no id, and names the destination to unsubscribe", () => {
    const { world, client } = open({}, {}, "1.0");
    client.raw("SUBSCRIBE\ndestination: a \n\nthis body is ignored\0");
    world.publish("a", "1");
    const [message] = client.heard();
    expect(brief(message, "destination", "subscription")).toBe(
      "MESSAGE destination=a subscription=undefined",
    );
    client.raw("UNSUBSCRIBE\ndestination:a\n\n\0");
    world.publish("a", "2");
    expect(client.heard()).toEqual([]);
    client.raw("SUBSCRIBE\ndestination:a\nid:5\n\n\0");
    world.publish("a", "3");
    expect(header(client.next(), "subscription")).toBe("5");
    client.raw("UNSUBSCRIBE\ndestination:a\n\n\0");
    world.publish("a", "4");
    expect(client.heard()).toEqual([]);
    client.raw("SUBSCRIBE\ndestination:a\nack:individual\n\n\0");
    expect(brief(client.next(), "message")).toBe("ERROR message=unknown ack mode");
  });

  it("a forbidden destination is an ERROR and closes, in every ack mode", () => {
    for (const ack of ["auto", "client"]) {
      const { client } = open({}, { maySubscribe: (_: unknown, filter: string) => filter !== "secret" });
      client.say("SUBSCRIBE", { id: "0", destination: "secret", ack, receipt: "r" });
      expect(brief(client.next(), "message", "receipt-id")).toBe("ERROR message=access refused receipt-id=r");
      expect(client.closed).toBe(true);
    }
  });

  it("a connection has so many subscriptions and no more", () => {
    const { client } = open({ limits: { subscriptions: 2 } });
    client.say("SUBSCRIBE", { id: "0", destination: "a" });
    client.say("SUBSCRIBE", { id: "1", destination: "b", ack: "client" });
    expect(client.heard()).toEqual([]);
    client.say("SUBSCRIBE", { id: "2", destination: "c" });
    expect(brief(client.next(), "message")).toBe("ERROR message=too many subscriptions");
  });

  it("a subscription of its own session is not logged in again and not announced", () => {
    let logins = 0;
    const { world, client } = open(
      {},
      {
        mountpoint: () => "site/",
        automaticSubscriptions: () => {
          logins++;
          return [];
        },
      },
    );
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client" });
    world.publish("site/a", "1");
    expect(header(client.next(), "destination")).toBe("a");
    expect([logins, world.connects.length]).toEqual([1, 1]);
    client.stream.drop();
    expect([world.disconnects.length, world.sessions.count]).toEqual([1, 0]);
  });

  it("what the operator subscribes automatically goes to the subscriptions that it matches", () => {
    const { world, client } = open(
      {},
      {
        automaticSubscriptions: () => [{ filter: "news/#", options: { qos: 1 } }],
      },
    );
    client.say("SUBSCRIBE", { id: "0", destination: "news/today", ack: "client" });
    client.say("SUBSCRIBE", { id: "1", destination: "other" });
    world.publish("news/today", "x", { qos: 1 });
    world.publish("news/old", "y", { qos: 1 });
    expect(client.heard().map((one) => header(one, "subscription"))).toEqual(["0"]);
  });
});

describe("S8 UNSUBSCRIBE (STOMP 1.2 UNSUBSCRIBE)", () => {
  it.each(["auto", "client", "client-individual"])("ends a subscription with ack %s", (ack) => {
    const { world, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack });
    client.say("UNSUBSCRIBE", { id: "0", receipt: "r" });
    world.publish("a", "1", { qos: 1 });
    expect(client.heard().map(({ command }) => command)).toEqual(["RECEIPT"]);
    expect([world.bus.filters, world.sessions.count]).toEqual([0, 1]);
  });

  it.each([
    ["1.2", { id: "9" }],
    ["1.1", { id: "9" }],
    ["1.0", { id: "9" }],
    ["1.0", { destination: "b" }],
  ])("in STOMP %s of an unknown %j is an ERROR", (version, headers) => {
    const { client } = open({}, {}, version);
    client.say("SUBSCRIBE", { id: "0", destination: "a" });
    client.say("UNSUBSCRIBE", headers as Record<string, string>);
    expect(brief(client.next(), "message")).toBe("ERROR message=unknown subscription");
    expect(client.closed).toBe(true);
  });

  it("messages that are out can still be acknowledged, and then the subscription is over", () => {
    const { world, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client-individual" });
    world.publish("a", "1", { qos: 1 });
    world.publish("a", "2", { qos: 1 });
    const acks = client.heard().map((one) => header(one, "ack") ?? "");
    client.say("UNSUBSCRIBE", { id: "0" });
    world.publish("a", "3", { qos: 1 });
    expect(world.sessions.count).toBe(2);
    client.say("ACK", { id: acks[0] ?? "", receipt: "1" });
    client.say("NACK", { id: acks[1] ?? "", receipt: "2" });
    expect(client.heard().map((one) => brief(one, "receipt-id"))).toEqual([
      "RECEIPT receipt-id=1",
      "RECEIPT receipt-id=2",
    ]);
    expect(world.sessions.count).toBe(1);
  });
});

describe("S9 MESSAGE (STOMP 1.2 MESSAGE)", () => {
  const one = (version: string, ack: string, topic = "a") => {
    const { world, client } = open({}, {}, version);
    client.say("SUBSCRIBE", { id: "s", destination: topic, ack });
    world.publish(topic, "body", { qos: 1 });
    return client.next();
  };

  it.each([
    ["1.2", "client", true],
    ["1.2", "client-individual", true],
    ["1.2", "auto", false],
    ["1.1", "client", false],
    ["1.0", "client", false],
  ])("STOMP %s with ack %s has an ack header: %s", (version, ack, has) => {
    const message = one(version, ack);
    expect(header(message, "ack") !== undefined).toBe(has);
    expect(brief(message, "destination", "subscription", "content-length", "qos")).toBe(
      "MESSAGE destination=a subscription=s content-length=4 qos=1",
    );
    expect(header(message, "message-id")).toMatch(/^[0-9a-f]{12}-1-1$/);
  });

  it("F10 escapes what its version can escape", () => {
    const properties = { userProperties: [["n:1\n", "v\\1:\r\n2"]] as const, contentType: "text/x:y" };
    const seen = (version: string) => {
      const { world, client } = open({}, {}, version);
      client.say("SUBSCRIBE", { id: "s", destination: "#" });
      world.publish("t:\\x", "", { properties });
      return Buffer.from(client.stream.takeBytes()).toString("latin1");
    };
    expect(seen("1.2")).toContain(
      "\ndestination:t\\c\\\\x\ncontent-type:text/x\\cy\nn\\c1\\n:v\\\\1\\c\\r\\n2\n",
    );
    expect(seen("1.1")).toContain(
      "\ndestination:t\\c\\\\x\ncontent-type:text/x\\cy\nn\\c1\\n:v\\\\1\\c\r\\n2\n",
    );
    // No name with a colon or an end of line can be said in 1.0, and no value with an end of line.
    expect(seen("1.0")).toContain("\ndestination:t:\\x\ncontent-type:text/x:y\ncontent-length:0\n");
  });

  it("properties become headers; none can pass for one of MESSAGE's own", () => {
    const { world, client } = open();
    client.say("SUBSCRIBE", { id: "s", destination: "/topic/a" });
    world.publish("a", "x", {
      qos: 2,
      expiry: seconds(5),
      properties: {
        payloadFormat: 1,
        responseTopic: "back/1",
        correlationData: Uint8Array.from([0xff, 0]),
        userProperties: [
          ["destination", "evil"],
          ["ack", "evil"],
          ["", "no name"],
          ["unit", "°C"],
          ["unit", "second"],
        ],
      },
    });
    const message = client.next();
    expect(message?.headers.slice(2)).toEqual([
      ["qos", "1"],
      ["destination", "/topic/a"],
      ["content-type", "text/plain"],
      ["expires", String(world.now + 5000)],
      ["reply-to", "/topic/back/1"],
      ["correlation-id-hex", "ff00"],
      ["unit", "°C"],
      ["unit", "second"],
      ["content-length", "1"],
    ]);
  });

  it("what a STOMP client sends comes back with the same destination and user headers", () => {
    const { client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "/topic/ä/b" });
    client.say(
      "SEND",
      { destination: "/topic/ä/b", "correlation-id": "é", foo: "World", "content-type": "a/b" },
      "x",
    );
    const message = client.next();
    expect(brief(message, "destination", "foo", "correlation-id", "content-type")).toBe(
      "MESSAGE destination=/topic/ä/b foo=World correlation-id=é content-type=a/b",
    );
  });

  it("a broadcast is the same for all of a version, each under its own id", () => {
    const { world, listener } = open();
    const clients = ["1.2", "1.2", "1.2", "1.1", "1.0", "1.0"].map((version, n) => {
      const client = StompClient.connected(listener, {}, version);
      client.say("SUBSCRIBE", { id: `s${n}`, destination: "a" });
      return client;
    });
    world.publish("a", "x", { properties: { userProperties: [["k:", "v"]] } });
    const seen = clients.map((client) => client.next());
    expect(seen.map((one) => header(one, "subscription"))).toEqual(["s0", "s1", "s2", "s3", "s4", "s5"]);
    expect(seen.map((one) => header(one, "k:"))).toEqual(["v", "v", "v", "v", undefined, undefined]);
    expect(seen.map((one) => one?.body.toString())).toEqual(Array(6).fill("x"));
    expect(new Set(seen.map((one) => header(one, "message-id"))).size).toBe(6);
  });

  it.each([8 * 1024 - 1, 8 * 1024, 70_000, 200_000])("a body of %i bytes arrives whole", (length) => {
    for (const transport of ["tcp", "ws"] as const) {
      const world = new World();
      const listener = stompListener(world, {}, {}, transport);
      const client = StompClient.connected(listener, {}, "1.2", { transport });
      client.say("SUBSCRIBE", { id: "0", destination: "a" });
      world.publish("a", Buffer.alloc(length, "ab\0"), { qos: 1 });
      world.publish("a", "end");
      expect(client.heard().map(({ body }) => body.length)).toEqual([length, 3]);
    }
  });

  it("a slow reader is held back, and loses nothing at QoS 1", () => {
    const { world, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "a" });
    client.stream.capacity = 2000;
    const filler = "x".repeat(400);
    for (let n = 0; n < 900; n++) world.publish("a", `${n} ${filler}`, { qos: 1 });
    const bodies: string[] = [];
    for (let round = 0; round < 900 && bodies.length < 900; round++) {
      // What it lets pile up, and one full slab on top.
      expect(client.stream.backlog).toBeLessThan(2000 + 64 * 1024);
      bodies.push(...client.bodies());
    }
    expect(bodies).toEqual(Array.from({ length: 900 }, (_, n) => `${n} ${filler}`));
  });
});
