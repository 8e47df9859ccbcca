import { describe, expect, it } from "vitest";
import { days, seconds } from "#core/lib/time.ts";
import { brief, StompClient, stompListener } from "../../support/stomp-client.ts";
import { header } from "../../support/stomp-frames.ts";
import { World } from "../../support/world.ts";

const NAMED = { "client-id": "plant" };
const open = (config: Record<string, unknown> = {}) => {
  const world = new World();
  const listener = stompListener(world, config);
  const connect = () => StompClient.connected(listener, NAMED);
  return { world, listener, connect };
};
const NAMES = [
  [{ "durable-subscription-name": "work" }],
  [{ "activemq.subscriptionName": "work" }],
  [{ durable: "true", "auto-delete": "false" }],
] as [Record<string, string>][];

describe("durable subscriptions live on across connections", () => {
  it.each(NAMES)("named by %j", (name) => {
    for (const ack of ["auto", "client"]) {
      const { world, connect } = open();
      const subscribe = { id: "work", destination: "a/#", ack, ...name };
      const first = connect();
      first.say("SUBSCRIBE", subscribe);
      world.publish("a/1", "1", { qos: 1 });
      expect(first.bodies()).toEqual(["1"]);
      first.stream.drop();
      world.publish("a/1", "2", { qos: 1 });
      world.publish("a/2", "3", { qos: 1 });
      const second = connect();
      expect(second.heard()).toEqual([]);
      second.say("SUBSCRIBE", { ...subscribe, receipt: "r" });
      const frames = second.heard();
      expect(frames.filter(({ command }) => command === "RECEIPT")).toHaveLength(1);
      const messages = frames.filter(({ command }) => command === "MESSAGE");
      // What was not acknowledged comes again, marked as such.
      const expected = ack === "client" ? ["1*", "2", "3"] : ["2", "3"];
      const seen = messages.map((one) => `${one.body}${header(one, "redelivered") ? "*" : ""}`);
      expect(seen).toEqual(expected);
      expect(world.connects).toHaveLength(2);
    }
  });

  it("what was acknowledged does not come again", () => {
    const { world, connect } = open();
    const subscribe = { id: "0", destination: "a", ack: "client", "durable-subscription-name": "n" };
    const first = connect();
    first.say("SUBSCRIBE", subscribe);
    for (const body of ["1", "2", "3"]) world.publish("a", body, { qos: 1 });
    first.say("ACK", { id: header(first.heard()[1], "ack") ?? "" });
    first.say("DISCONNECT");
    const second = connect();
    second.say("SUBSCRIBE", subscribe);
    expect(second.bodies()).toEqual(["3"]);
  });

  it("UNSUBSCRIBE by id stops it, and it goes on where it was; naming it as durable ends it", () => {
    const { world, connect } = open();
    const name = { "durable-subscription-name": "n" };
    const subscribe = { id: "0", destination: "a", ack: "client", ...name };
    const client = connect();
    client.say("SUBSCRIBE", subscribe);
    client.say("UNSUBSCRIBE", { id: "0" });
    world.publish("a", "1", { qos: 1 });
    expect(client.bodies()).toEqual([]);
    client.say("SUBSCRIBE", subscribe);
    expect(client.bodies()).toEqual(["1"]);
    client.say("UNSUBSCRIBE", { id: "0", ...name, receipt: "r" });
    expect(brief(client.next(), "receipt-id")).toBe("RECEIPT receipt-id=r");
    world.publish("a", "2", { qos: 1 });
    expect(world.sessions.count).toBe(1);
    client.say("SUBSCRIBE", subscribe);
    expect(client.bodies()).toEqual([]);
  });

  it("UNSUBSCRIBE ends one that is not open, too", () => {
    const { world, connect } = open();
    const name = { "activemq.subscriptionName": "n" };
    const first = connect();
    first.say("SUBSCRIBE", { id: "0", destination: "a", ...name });
    first.stream.drop();
    expect(world.sessions.count).toBe(1);
    const second = connect();
    second.say("UNSUBSCRIBE", { ...name, receipt: "r" });
    expect(brief(second.next(), "receipt-id")).toBe("RECEIPT receipt-id=r");
    expect([world.sessions.count, world.bus.filters]).toEqual([1, 0]);
  });

  it("another destination replaces the former, and what waited is lost with it", () => {
    const { world, connect } = open();
    const subscribe = { id: "0", ack: "client", "durable-subscription-name": "n" };
    const first = connect();
    first.say("SUBSCRIBE", { ...subscribe, destination: "a" });
    first.stream.drop();
    const second = connect();
    second.say("SUBSCRIBE", { ...subscribe, destination: "b" });
    world.publish("a", "1", { qos: 1 });
    world.publish("b", "2", { qos: 1 });
    expect(second.bodies()).toEqual(["2"]);
  });

  it("lives as long as the setting says", () => {
    const { world, connect } = open({ durableExpiry: "2d" });
    const subscribe = { id: "0", destination: "a", "durable-subscription-name": "n" };
    const first = connect();
    first.say("SUBSCRIBE", subscribe);
    first.stream.drop();
    world.advance(days(1));
    const second = connect();
    second.say("SUBSCRIBE", subscribe);
    world.advance(seconds(1));
    second.stream.drop();
    world.advance(days(2));
    expect(world.sessions.count).toBe(0);
  });

  it("belong to the user where the client does not name itself, as RabbitMQ's do", () => {
    const { world, listener } = open();
    const subscribe = { id: "n", destination: "a", durable: "true" };
    const come = (headers: Record<string, string>) => {
      const client = StompClient.connected(listener, headers);
      client.say("SUBSCRIBE", subscribe);
      return client;
    };
    const bob = { login: "bob", passcode: "x" };
    come(bob).say("DISCONNECT");
    world.publish("a", "1", { qos: 1 });
    // Neither another user's, nor that of a client whose client id is the user's name.
    expect(come({ login: "alice", passcode: "x" }).bodies()).toEqual([]);
    expect(come({ ...bob, "client-id": "bob" }).bodies()).toEqual([]);
    const back = come(bob);
    expect(back.bodies()).toEqual(["1"]);
    back.say("UNSUBSCRIBE", { id: "n", durable: "true" });
    back.say("DISCONNECT");
    world.publish("a", "2", { qos: 1 });
    expect(come(bob).bodies()).toEqual([]);
  });

  it("with another destination is another subscription: nothing of the former one comes", () => {
    const { world, connect } = open();
    const name = { id: "0", ack: "client", "durable-subscription-name": "n" };
    const first = connect();
    first.say("SUBSCRIBE", { ...name, destination: "a" });
    world.publish("a", "handed out", { qos: 1 });
    first.say("DISCONNECT");
    world.publish("a", "waiting", { qos: 1 });
    const second = connect();
    second.say("SUBSCRIBE", { ...name, destination: "b", receipt: "r" });
    world.publish("a", "late", { qos: 1 });
    world.publish("b", "right", { qos: 1 });
    const frames = second.heard();
    expect(frames.map(({ command, body }) => `${command} ${body}`)).toEqual(["RECEIPT ", "MESSAGE right"]);
    second.say("DISCONNECT");
    world.publish("b", "kept", { qos: 1 });
    const third = connect();
    third.say("SUBSCRIBE", { ...name, destination: "b" });
    expect(third.bodies()).toEqual(["right", "kept"]);
  });

  it("keep no-local over a time away", () => {
    const { world, connect } = open();
    const subscribe = { id: "0", destination: "a", "no-local": "true", "durable-subscription-name": "n" };
    const first = connect();
    first.say("SUBSCRIBE", subscribe);
    first.say("SEND", { destination: "a" }, "mine");
    world.publish("a", "theirs", { qos: 1 });
    expect(first.bodies()).toEqual(["theirs"]);
  });

  it("is open once in a connection", () => {
    const { connect } = open();
    const client = connect();
    for (const id of ["0", "1"]) {
      client.say("SUBSCRIBE", { id, destination: "a", "durable-subscription-name": "n" });
    }
    expect(brief(client.next(), "message")).toBe("ERROR message=subscription exists");
  });

  it("retained messages come with its first SUBSCRIBE and not with each", () => {
    const { world, connect } = open();
    world.publish("a", "kept", { retain: true, qos: 1 });
    const subscribe = { id: "0", destination: "a", "durable-subscription-name": "n" };
    const first = connect();
    first.say("SUBSCRIBE", subscribe);
    expect(first.bodies()).toEqual(["kept"]);
    first.stream.drop();
    const second = connect();
    second.say("SUBSCRIBE", subscribe);
    expect(second.bodies()).toEqual([]);
  });
});
