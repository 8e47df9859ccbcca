import { describe, expect, it } from "vitest";
import type { Message } from "#core/bus/message.ts";
import { milliseconds, seconds } from "#core/lib/time.ts";
import { SlowStore } from "../../support/slow-store.ts";
import { brief, StompClient, stompListener } from "../../support/stomp-client.ts";
import { header, type ServerFrame } from "../../support/stomp-frames.ts";
import { World, type WorldOptions } from "../../support/world.ts";

const open = (config: Record<string, unknown> = {}, policy = {}, options: WorldOptions = {}) => {
  const world = new World(options);
  const heard = world.listen("out/#");
  const listener = stompListener(world, config, policy);
  return { world, heard, listener, client: StompClient.connected(listener) };
};
const texts = (messages: readonly Message[]) =>
  messages.map(({ payload }) => Buffer.from(payload).toString());
const ackOf = (frame: ServerFrame | undefined) => header(frame, "ack") ?? "";
const transaction = "tx1";

describe("S12 transactions (STOMP 1.2 BEGIN)", () => {
  it("nothing of a transaction happens before COMMIT, and all of it then, in order", () => {
    const { heard, client } = open();
    client.say("BEGIN", { transaction });
    for (const body of ["1", "2", "3"]) client.say("SEND", { destination: "out/a", transaction }, body);
    client.say("SEND", { destination: "out/a" }, "outside");
    expect(texts(heard)).toEqual(["outside"]);
    client.say("COMMIT", { transaction, receipt: "r" });
    expect(texts(heard)).toEqual(["outside", "1", "2", "3"]);
    expect(brief(client.next(), "receipt-id")).toBe("RECEIPT receipt-id=r");
  });

  it("receipts of SEND frames in it come when it is committed, before that of COMMIT", () => {
    const { client } = open();
    client.say("BEGIN", { transaction, receipt: "begin" });
    client.say("SEND", { destination: "out/a", transaction, receipt: "1" }, "1");
    client.say("SEND", { destination: "out/b", transaction, receipt: "2" }, "2");
    expect(client.heard().map((one) => header(one, "receipt-id"))).toEqual(["begin"]);
    client.say("COMMIT", { transaction, receipt: "commit" });
    expect(client.heard().map((one) => header(one, "receipt-id"))).toEqual(["1", "2", "commit"]);
  });

  it("receipts of what ABORT undoes never come", () => {
    const { client } = open();
    client.say("BEGIN", { transaction });
    client.say("SEND", { destination: "out/a", transaction, receipt: "1" }, "1");
    client.say("ABORT", { transaction, receipt: "abort" });
    expect(client.heard().map((one) => header(one, "receipt-id"))).toEqual(["abort"]);
  });

  it("ABORT forgets it", () => {
    const { heard, client } = open();
    client.say("BEGIN", { transaction });
    client.say("SEND", { destination: "out/a", transaction }, "1");
    client.say("ABORT", { transaction, receipt: "r" });
    expect([texts(heard), brief(client.next(), "receipt-id")]).toEqual([[], "RECEIPT receipt-id=r"]);
    client.say("COMMIT", { transaction });
    expect(brief(client.next(), "message")).toBe("ERROR message=unknown transaction");
  });

  it.each([
    ["BEGIN without a name", "BEGIN", {}, "missing header transaction"],
    ["COMMIT without a name", "COMMIT", {}, "missing header transaction"],
    ["ABORT without a name", "ABORT", {}, "missing header transaction"],
    ["BEGIN twice", "BEGIN", { transaction }, "transaction exists"],
    ["COMMIT of an unknown one", "COMMIT", { transaction: "x" }, "unknown transaction"],
    ["ABORT of an unknown one", "ABORT", { transaction: "x" }, "unknown transaction"],
    ["SEND into an unknown one", "SEND", { destination: "out/a", transaction: "x" }, "unknown transaction"],
  ])("%s is an ERROR, aborts what is open, and closes", (_, command, headers, message) => {
    const { heard, client } = open();
    client.say("BEGIN", { transaction });
    client.say("SEND", { destination: "out/a", transaction }, "1");
    client.say(command, { ...headers, receipt: "r" } as Record<string, string>);
    expect(brief(client.next(), "message", "receipt-id")).toBe(`ERROR message=${message} receipt-id=r`);
    expect([client.closed, texts(heard)]).toEqual([true, []]);
  });

  it("several are open at one time, apart from each other", () => {
    const { heard, client } = open();
    for (const name of ["x", "y"]) client.say("BEGIN", { transaction: name });
    for (const name of ["x", "y", "x"]) client.say("SEND", { destination: "out/a", transaction: name }, name);
    client.say("COMMIT", { transaction: "y" });
    expect(texts(heard)).toEqual(["y"]);
    client.say("COMMIT", { transaction: "x" });
    expect(texts(heard)).toEqual(["y", "x", "x"]);
  });

  it.each(["drop", "disconnect"])("%s aborts what is open", (end) => {
    const { heard, client } = open();
    client.say("BEGIN", { transaction });
    client.say("SEND", { destination: "out/a", transaction }, "1");
    if (end === "drop") client.stream.drop();
    else client.say("DISCONNECT", { receipt: "bye" });
    expect(texts(heard)).toEqual([]);
  });

  it("times out with an ERROR that names it, and nothing happens", () => {
    const { world, heard, client } = open({ limits: { transactionTimeout: "60s" } });
    client.say("BEGIN", { transaction: "first" });
    world.advance(seconds(30));
    client.say("BEGIN", { transaction: "second" });
    client.say("SEND", { destination: "out/a", transaction: "first" }, "1");
    world.advance(milliseconds(29_999));
    expect(client.heard()).toEqual([]);
    world.advance(milliseconds(1));
    const error = client.next();
    expect(brief(error, "message")).toBe("ERROR message=transaction timed out");
    expect(error?.body.toString()).toContain("first");
    expect([client.closed, texts(heard)]).toEqual([true, []]);
  });

  it("a transaction that ended in time has no time-out", () => {
    const { world, client } = open();
    client.say("BEGIN", { transaction });
    client.say("COMMIT", { transaction });
    world.advance(seconds(3600));
    expect(client.closed).toBe(false);
  });

  it.each([
    [{ transactions: 1 }, "too many transactions"],
    [{ transactionFrames: 2 }, "transaction too long"],
    [{ transactionBytes: 400 }, "transaction too large"],
  ])("%j is a limit: %s", (limits, message) => {
    const { heard, client } = open({ limits });
    client.say("BEGIN", { transaction });
    for (let n = 0; n < 3; n++) client.say("SEND", { destination: "out/a", transaction }, "x".repeat(20));
    client.say("BEGIN", { transaction: "another" });
    expect(brief(client.next(), "message")).toBe(`ERROR message=${message}`);
    expect(texts(heard)).toEqual([]);
  });

  it("a SEND keeps its body although the read buffer is used again", () => {
    const { heard, client } = open();
    client.say("BEGIN", { transaction });
    const bytes = Buffer.from(
      `SEND\ndestination:out/a\ntransaction:${transaction}\n\nprecious\0${"\n".repeat(4096)}`,
    );
    client.stream.send(bytes);
    bytes.fill("!");
    client.say("COMMIT", { transaction });
    expect(texts(heard)).toEqual(["precious"]);
  });
});

describe("S12 a COMMIT is all or none", () => {
  it("one forbidden SEND stops all", () => {
    const { heard, client } = open({}, { mayPublish: (_: unknown, topic: string) => topic !== "out/secret" });
    client.say("BEGIN", { transaction });
    client.say("SEND", { destination: "out/a", transaction }, "1");
    client.say("SEND", { destination: "out/secret", transaction }, "2");
    client.say("COMMIT", { transaction, receipt: "r" });
    expect(brief(client.next(), "message", "receipt-id")).toBe("ERROR message=access refused receipt-id=r");
    expect(texts(heard)).toEqual([]);
  });

  it("an acknowledgement of what was given back by then stops all: it will be processed again", () => {
    const { world, heard, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "in", ack: "client-individual" });
    world.publish("in", "1", { qos: 1 });
    const id = ackOf(client.next());
    client.say("BEGIN", { transaction });
    client.say("SEND", { destination: "out/a", transaction }, "1");
    client.say("ACK", { id, transaction });
    client.say("NACK", { id });
    client.heard();
    client.say("COMMIT", { transaction });
    expect(brief(client.next(), "message")).toBe("ERROR message=unknown message");
    expect(texts(heard)).toEqual([]);
  });

  it("an acknowledgement that another has covered by then stops nothing (M65)", () => {
    const { world, heard, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "in", ack: "client" });
    for (const body of ["1", "2"]) world.publish("in", body, { qos: 1 });
    const [first, second] = client.heard().map(ackOf);
    for (const name of ["t", "u"]) {
      client.say("BEGIN", { transaction: name });
      client.say("SEND", { destination: `out/${name}`, transaction: name }, name);
      client.say("ACK", { id: first ?? "", transaction: name });
    }
    client.say("ACK", { id: second ?? "" });
    client.say("COMMIT", { transaction: "t" });
    client.say("COMMIT", { transaction: "u", receipt: "r" });
    expect(client.heard().map((one) => brief(one, "receipt-id"))).toEqual(["RECEIPT receipt-id=r"]);
    expect(texts(heard)).toEqual(["t", "u"]);
  });

  it("ACK and NACK take effect at COMMIT, not before and not after ABORT", () => {
    const { world, client } = open();
    client.say("SUBSCRIBE", { id: "0", destination: "in", ack: "client-individual", "prefetch-count": "2" });
    for (const body of ["1", "2", "3", "4"]) world.publish("in", body, { qos: 1 });
    const [first, second] = client.heard();
    const settle = () => {
      client.say("BEGIN", { transaction });
      client.say("ACK", { id: ackOf(first), transaction });
      client.say("NACK", { id: ackOf(second), transaction });
    };
    settle();
    expect(client.heard()).toEqual([]);
    client.say("ABORT", { transaction });
    expect(client.heard()).toEqual([]);
    settle();
    client.say("COMMIT", { transaction });
    expect(client.bodies().sort()).toEqual(["2", "3"]);
  });

  it("an ACK of a message that is not owned is refused at once", () => {
    const { client } = open();
    client.say("BEGIN", { transaction });
    client.say("ACK", { id: "nothing", transaction, receipt: "r" });
    expect(brief(client.next(), "message", "receipt-id")).toBe("ERROR message=unknown message receipt-id=r");
  });

  it("its receipt, and its acknowledgements, wait until the store has every message", () => {
    const store = new SlowStore();
    const { due } = store;
    const { world, client } = open({}, {}, { commits: store.commits });
    store.keepAllOf(world);
    client.say("SUBSCRIBE", { id: "0", destination: "in", ack: "client-individual", "prefetch-count": "1" });
    due.shift()?.();
    for (const body of ["1", "2"]) world.publish("in", body, { qos: 1 });
    client.say("BEGIN", { transaction });
    for (const body of ["a", "b"]) client.say("SEND", { destination: "out/a", transaction }, body);
    client.say("ACK", { id: ackOf(client.next()), transaction });
    client.say("COMMIT", { transaction, receipt: "r" });
    due.shift()?.();
    expect(client.heard()).toEqual([]);
    due.shift()?.();
    world.settle();
    expect(client.heard().map((one) => brief(one, "receipt-id"))).toEqual([
      "RECEIPT receipt-id=r",
      "MESSAGE receipt-id=undefined",
    ]);
  });

  it("when the store fails there is no receipt, and nothing is acknowledged", () => {
    const store = new SlowStore();
    const { due } = store;
    const { world, listener, client } = open({}, {}, { commits: store.commits });
    store.keepAllOf(world);
    client.say("SUBSCRIBE", { id: "0", destination: "/queue/in", ack: "client" });
    due.shift()?.();
    world.publish("in", "work", { qos: 1 });
    client.say("BEGIN", { transaction });
    for (const body of ["a", "b"]) client.say("SEND", { destination: "out/a", transaction }, body);
    client.say("ACK", { id: ackOf(client.next()), transaction });
    client.say("COMMIT", { transaction, receipt: "r" });
    const other = StompClient.connected(listener);
    other.say("SUBSCRIBE", { id: "0", destination: "/queue/in", ack: "client" });
    due.shift()?.();
    due.shift()?.("unavailable");
    world.settle();
    expect(brief(client.next(), "message", "receipt-id")).toBe("ERROR message=not available receipt-id=r");
    expect(other.bodies()).toEqual(["work"]);
  });
});
