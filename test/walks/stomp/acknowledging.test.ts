import { describe, expect, it } from "vitest";
import { brief, StompClient, stompListener } from "../../support/stomp-client.ts";
import { header, type ServerFrame } from "../../support/stomp-frames.ts";
import { World } from "../../support/world.ts";

const open = (config: Record<string, unknown> = {}, version = "1.2") => {
  const world = new World();
  const listener = stompListener(world, config);
  return { world, listener, client: StompClient.connected(listener, {}, version) };
};
const bodies = (frames: ServerFrame[]) => frames.map(({ body }) => body.toString());
const ackOf = (frame: ServerFrame | undefined) => header(frame, "ack") ?? "";
const publish = (world: World, topic: string, from: number, to: number, qos: 0 | 1 = 1) => {
  for (let n = from; n <= to; n++) world.publish(topic, `${n}`, { qos });
};
/** What another connection that takes over the work gets. */
const redelivered = (frames: ServerFrame[]) =>
  frames.map((one) => `${one.body}${header(one, "redelivered") === "true" ? "*" : ""}`);

describe("S10 ACK and NACK by version", () => {
  it("1.2 names the message by its ack header", () => {
    const { world, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client" });
    publish(world, "a", 1, 1);
    client.say("ACK", { id: ackOf(client.next()), receipt: "r" });
    expect(brief(client.next(), "receipt-id")).toBe("RECEIPT receipt-id=r");
  });

  it("1.1 names it by message-id and subscription", () => {
    const { world, client } = open({}, "1.1");
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client" });
    publish(world, "a", 1, 2);
    const [first, second] = client.heard().map((one) => header(one, "message-id") ?? "");
    client.say("ACK", { "message-id": first ?? "", subscription: "0", receipt: "1" });
    client.say("NACK", { "message-id": second ?? "", subscription: "0", receipt: "2" });
    expect(
      client
        .heard()
        .map((one) => brief(one, "receipt-id", "redelivered"))
        .sort(),
    ).toEqual([
      "MESSAGE receipt-id=undefined redelivered=true",
      "RECEIPT receipt-id=1 redelivered=undefined",
      "RECEIPT receipt-id=2 redelivered=undefined",
    ]);
  });

  it("1.0 names it by message-id alone; client-individual and NACK, which later versions have, mean there what they mean here", () => {
    const { world, client } = open({}, "1.0");
    client.raw("SUBSCRIBE\ndestination:a\nack:client\n\n\0");
    publish(world, "a", 1, 2);
    const [first, second] = client.heard().map((one) => header(one, "message-id") ?? "");
    client.raw(`ACK\nmessage-id: ${first}\nreceipt:1\n\n\0`);
    expect(brief(client.next(), "receipt-id")).toBe("RECEIPT receipt-id=1");
    client.raw(`NACK\nmessage-id:${second}\n\n\0`);
    expect(brief(client.next(), "message-id", "redelivered")).toMatch(/^MESSAGE .* redelivered=true$/);
    client.raw("SUBSCRIBE\ndestination:b\nack:client-individual\n\n\0");
    publish(world, "b", 3, 4);
    const [third, fourth] = client.heard().map((one) => header(one, "message-id") ?? "");
    client.raw(`ACK\nmessage-id:${fourth}\nreceipt:2\n\n\0`);
    expect(brief(client.next(), "receipt-id")).toBe("RECEIPT receipt-id=2");
    // The acknowledgement was not cumulative: the one before is given back still.
    client.raw(`NACK\nmessage-id:${third}\n\n\0`);
    expect(brief(client.next(), "redelivered")).toBe("MESSAGE redelivered=true");
  });

  it.each([
    ["1.2", {}, "missing header id"],
    ["1.1", { subscription: "0" }, "missing header message-id"],
    ["1.1", { "message-id": "$" }, "missing header subscription"],
    ["1.1", { "message-id": "$", subscription: "9" }, "unknown message"],
    ["1.0", {}, "missing header message-id"],
    ["1.2", { id: "1" }, "unknown message"],
    ["1.2", { id: "" }, "unknown message"],
    ["1.2", { id: "$1" }, "unknown message"],
    ["1.2", { id: "-$" }, "unknown message"],
  ])("STOMP %s ACK with %j: %s", (version, headers, message) => {
    const { world, client } = open({}, version);
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client" });
    publish(world, "a", 1, 1);
    const id = header(client.next(), "message-id") ?? "";
    const filled = Object.entries(headers).map(([name, value]) => [name, value.replace("$", id)]);
    client.say("ACK", { ...Object.fromEntries(filled), receipt: "r" });
    expect(brief(client.next(), "message", "receipt-id")).toBe(`ERROR message=${message} receipt-id=r`);
    expect(client.closed).toBe(true);
  });

  it("a message is acknowledged once; an ACK of what was handed out and is settled says nothing", () => {
    const { world, listener, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client-individual" });
    publish(world, "a", 1, 1);
    const id = ackOf(client.next());
    client.say("ACK", { id });
    client.say("ACK", { id, receipt: "again" });
    client.say("NACK", { id, receipt: "and again" });
    expect(client.heard().map(({ command }) => command)).toEqual(["RECEIPT", "RECEIPT"]);
    const other = StompClient.connected(listener);
    other.say("SUBSCRIBE", { id: "0", destination: "a" });
    publish(world, "a", 2, 2);
    other.say("ACK", { id: header(other.next(), "message-id") ?? "", receipt: "auto" });
    expect(brief(other.next(), "receipt-id")).toBe("RECEIPT receipt-id=auto");
    other.say("ACK", { id: id.replace(/-1$/, "-2") });
    expect(brief(other.next(), "message")).toBe("ERROR message=unknown message");
  });

  it("an ACK that crosses the UNSUBSCRIBE of its subscription costs nobody the connection", () => {
    for (const ack of ["client", "client-individual"]) {
      const { world, client } = open();
      client.say("SUBSCRIBE", { id: "0", destination: "a", ack });
      publish(world, "a", 1, 3);
      const ids = client.heard().map(ackOf);
      client.say("UNSUBSCRIBE", { id: "0" });
      for (const id of [...ids].reverse()) client.say("ACK", { id });
      for (const id of ids) client.say("ACK", { id, receipt: id });
      expect(client.heard().map(({ command }) => command)).toEqual(["RECEIPT", "RECEIPT", "RECEIPT"]);
      // What was never handed out stays unknown.
      client.say("ACK", { id: (ids[0] ?? "").replace(/-\d+-1$/, "-7-1") });
      expect(brief(client.next(), "message")).toBe("ERROR message=unknown message");
    }
  });

  it("nobody acknowledges another connection's messages", () => {
    const { world, listener, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client" });
    publish(world, "a", 1, 1);
    const thief = StompClient.connected(listener);
    thief.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client" });
    thief.say("ACK", { id: ackOf(client.next()) });
    expect(brief(thief.next(), "message")).toBe("ERROR message=unknown message");
  });
});

describe("S11 acknowledgement modes (STOMP 1.2 SUBSCRIBE ack Header)", () => {
  /** Five messages, one frame about the third; then the connection goes and the work is looked at again. */
  const afterwards = (ack: string, command: string, headers: Record<string, string> = {}) => {
    const { world, listener, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "/queue/work", ack });
    publish(world, "work", 1, 5);
    const seen = client.heard();
    client.say(command, { id: ackOf(seen[2]), ...headers });
    const again = redelivered(client.heard());
    const next = StompClient.connected(listener);
    next.say("SUBSCRIBE", { id: "0", destination: "/queue/work", ack });
    client.stream.drop();
    return { again, next: bodies(next.heard()) };
  };

  it("client: ACK covers the message and all before it", () => {
    expect(afterwards("client", "ACK")).toEqual({ again: [], next: ["4", "5"] });
  });

  it("client-individual: ACK covers the message alone", () => {
    expect(afterwards("client-individual", "ACK")).toEqual({ again: [], next: ["1", "2", "4", "5"] });
  });

  it("client: NACK gives the message and all before it back, in their order", () => {
    expect(afterwards("client", "NACK")).toEqual({
      again: ["1*", "2*", "3*"],
      next: ["1", "2", "3", "4", "5"],
    });
  });

  it("client-individual: NACK gives the message alone back", () => {
    expect(afterwards("client-individual", "NACK").again).toEqual(["3*"]);
  });

  it("a cumulative ACK is cumulative for its own subscription only", () => {
    const { world, client } = open();
    client.say("SUBSCRIBE", { id: "x", destination: "a", ack: "client" });
    client.say("SUBSCRIBE", { id: "y", destination: "b", ack: "client" });
    publish(world, "a", 1, 2);
    publish(world, "b", 1, 2);
    const [, , b1, b2] = client.heard();
    client.say("ACK", { id: ackOf(b2) });
    client.say("ACK", { id: ackOf(b1), receipt: "r" });
    expect(brief(client.next(), "receipt-id")).toBe("RECEIPT receipt-id=r");
  });

  it("auto: sent is received, nothing comes again", () => {
    expect(afterwards("auto", "SEND", { destination: "x" })).toEqual({ again: [], next: [] });
  });

  it("what was handed out and left behind is redelivered to whoever gets it next, what was not is not", () => {
    for (const ack of ["client", "client-individual"]) {
      const { world, listener, client } = open();
      const witness = StompClient.connected(listener);
      witness.say("SUBSCRIBE", { id: "w", destination: "work", ack: "auto" });
      const subscribe = { id: "0", destination: "/queue/work", ack };
      client.say("SUBSCRIBE", { ...subscribe, "prefetch-count": "2" });
      publish(world, "work", 1, 3);
      expect(bodies(client.heard())).toEqual(["1", "2"]);
      const next = StompClient.connected(listener);
      next.say("SUBSCRIBE", subscribe);
      client.stream.drop();
      expect(redelivered(next.heard())).toEqual(["1*", "2*", "3"]);
      // Others have the same messages for the first time.
      expect(redelivered(witness.heard())).toEqual(["1", "2", "3"]);
    }
  });

  it("NACK takes requeue in any spelling", () => {
    for (const requeue of ["true", "True", "TRUE", "1"]) {
      expect(afterwards("client-individual", "NACK", { requeue }).again).toEqual(["3*"]);
    }
    for (const requeue of ["false", "False", "FALSE", "0"]) {
      expect(afterwards("client-individual", "NACK", { requeue }).again).toEqual([]);
    }
  });

  it("what is unacknowledged goes to the others of the queue when the connection goes", () => {
    for (const end of ["drop", "disconnect", "error"] as const) {
      const { world, listener, client } = open();
      const other = StompClient.connected(listener);
      for (const each of [client, other]) {
        each.say("SUBSCRIBE", { id: "0", destination: "/queue/work", ack: "client-individual" });
      }
      publish(world, "work", 1, 6);
      expect([bodies(client.heard()).length, bodies(other.heard()).length]).toEqual([3, 3]);
      if (end === "drop") client.stream.drop();
      if (end === "disconnect") client.say("DISCONNECT");
      if (end === "error") client.raw("NONSENSE\n\n\0");
      expect(bodies(other.heard())).toHaveLength(3);
    }
  });

  it("messages of QoS 0 are acknowledged, and returned, like all others", () => {
    const { world, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client" });
    publish(world, "a", 1, 3, 0);
    const seen = client.heard();
    client.say("ACK", { id: ackOf(seen[0]), receipt: "1" });
    client.say("NACK", { id: ackOf(seen[2]) });
    const again = client.heard();
    expect(redelivered(again.slice(1))).toEqual(["2*", "3*"]);
    client.say("ACK", { id: ackOf(again[2]), receipt: "2" });
    expect(brief(client.next(), "receipt-id")).toBe("RECEIPT receipt-id=2");
  });
});

describe("prefetch", () => {
  it.each([
    ["prefetch-count", 1],
    ["prefetch-count", 0],
    ["activemq.prefetchSize", 1],
    ["prefetch-count", 1],
  ] as const)("%s holds the rest back until there is room (QoS %i)", (name, qos) => {
    const { world, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client-individual", [name]: "3" });
    publish(world, "a", 1, 10, qos);
    const seen = client.heard();
    expect(bodies(seen)).toEqual(["1", "2", "3"]);
    client.say("ACK", { id: ackOf(seen[1]) });
    const more = client.heard();
    expect(bodies(more)).toEqual(["4"]);
    client.say("ACK", { id: ackOf(seen[0]) });
    client.say("ACK", { id: ackOf(seen[2]) });
    expect(bodies(client.heard())).toEqual(["5", "6"]);
  });

  it("counts messages of QoS 0 as well: what is beyond the window stays in the session", () => {
    const { world, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client-individual", "prefetch-count": "2" });
    const waiting = () =>
      [...world.sessions.all()].map(({ queued, unsettled }) => [queued, unsettled]).sort();
    publish(world, "a", 1, 2, 0);
    publish(world, "a", 3, 5, 1);
    const [first, second] = client.heard();
    expect(waiting()).toEqual([
      [0, 0],
      [3, 0],
    ]);
    client.say("ACK", { id: ackOf(second) });
    expect(bodies(client.heard())).toEqual(["3"]);
    client.say("ACK", { id: ackOf(first) });
    expect(bodies(client.heard())).toEqual(["4"]);
  });

  it("is each subscription's own", () => {
    const { world, client } = open({ acknowledgements: { prefetch: 2 } });
    client.say("SUBSCRIBE", { id: "slow", destination: "a", ack: "client" });
    client.say("SUBSCRIBE", { id: "quick", destination: "b", ack: "client", "prefetch-count": "0" });
    publish(world, "a", 1, 50);
    publish(world, "b", 1, 50);
    const seen = client.heard().map((one) => header(one, "subscription"));
    expect([seen.filter((id) => id === "slow").length, seen.filter((id) => id === "quick").length]).toEqual([
      2, 50,
    ]);
  });

  it("of 1 hands the work to whoever has time for it", () => {
    const { world, listener, client } = open();
    const other = StompClient.connected(listener);
    for (const each of [client, other]) {
      each.say("SUBSCRIBE", { id: "0", destination: "/queue/work", ack: "client", "prefetch-count": "1" });
    }
    publish(world, "work", 1, 1);
    expect(bodies(client.heard())).toEqual(["1"]);
    const done: string[] = [];
    for (let n = 2; n <= 6; n++) {
      publish(world, "work", n, n);
      const message = other.next();
      done.push(message?.body.toString() ?? "nothing");
      other.say("ACK", { id: ackOf(message) });
    }
    expect(done).toEqual(["2", "3", "4", "5", "6"]);
  });

  it("a cumulative ACK frees the whole window", () => {
    const { world, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client", "prefetch-count": "4" });
    publish(world, "a", 1, 8);
    client.say("ACK", { id: ackOf(client.heard()[3]) });
    expect(bodies(client.heard())).toEqual(["5", "6", "7", "8"]);
  });
});

describe("NACK by setting and by its requeue header", () => {
  const refuse = (config: object, headers: Record<string, string> = {}, topic = "a") => {
    const { world, client } = open({ acknowledgements: config });
    const dead = world.listen("dead/#");
    client.say("SUBSCRIBE", { id: "0", destination: topic, ack: "client-individual" });
    world.publish(topic, "bad", { qos: 1, properties: { contentType: "x/y", userProperties: [["k", "v"]] } });
    client.say("NACK", { id: ackOf(client.next()), ...headers });
    return { world, client, dead, again: bodies(client.heard()) };
  };

  it("requeue delivers again", () => {
    expect(refuse({}).again).toEqual(["bad"]);
    expect(refuse({ nack: "drop" }, { requeue: "true" }).again).toEqual(["bad"]);
  });

  it("drop forgets", () => {
    const { again, dead, world } = refuse({ nack: "drop", deadLetterTopic: "dead/%t" });
    expect([again, dead.length, world.sessionCounters.dead.value]).toEqual([[], 0, 0]);
  });

  it("dead-letter publishes to the dead letter topic, as it was", () => {
    for (const [config, headers] of [
      [{ nack: "dead-letter", deadLetterTopic: "dead/%t" }, {}],
      [{ nack: "requeue", deadLetterTopic: "dead/%t" }, { requeue: "false" }],
    ] as const) {
      const { again, dead } = refuse(config, headers);
      expect(again).toEqual([]);
      expect(dead).toHaveLength(1);
      expect(dead[0]).toMatchObject({ topic: "dead/a", qos: 1, retain: false });
      expect(dead[0]?.properties).toEqual({
        contentType: "x/y",
        userProperties: [
          ["k", "v"],
          ["dead-letter-topic", "a"],
        ],
      });
    }
  });

  it("without a dead letter topic the message is counted as dead", () => {
    const { again, world } = refuse({ nack: "dead-letter" });
    expect([again, world.sessionCounters.dead.value]).toEqual([[], 1]);
  });

  it("a dead letter that is refused in its turn does not travel on", () => {
    const { world, client, dead } = refuse({ nack: "dead-letter", deadLetterTopic: "dead/%t" }, {}, "a");
    client.say("SUBSCRIBE", { id: "1", destination: "dead/#", ack: "client" });
    world.publish("a", "worse", { qos: 1 });
    client.say("NACK", { id: ackOf(client.next()) });
    client.say("NACK", { id: ackOf(client.next()), receipt: "r" });
    expect(client.heard().map(({ command }) => command)).toEqual(["RECEIPT"]);
    expect(dead).toHaveLength(2);
    expect(world.sessionCounters.dead.value).toBe(1);
  });

  it("a message that comes back too often is a dead letter", () => {
    const { world, client } = open({ acknowledgements: { deliveriesMax: 3, deadLetterTopic: "dead/%t" } });
    const dead = world.listen("dead/#");
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client" });
    for (const qos of [0, 1] as const) {
      publish(world, "a", 1, 1, qos);
      let deliveries = 0;
      for (let message = client.next(); message !== undefined; message = client.next()) {
        deliveries++;
        client.say("NACK", { id: ackOf(message) });
      }
      expect(deliveries).toBe(3);
    }
    expect(dead).toHaveLength(2);
  });

  it("a bad requeue header is an ERROR", () => {
    const { world, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client" });
    publish(world, "a", 1, 1);
    client.say("NACK", { id: ackOf(client.next()), requeue: "later" });
    expect(brief(client.next(), "message")).toBe("ERROR message=bad header requeue");
  });
});
