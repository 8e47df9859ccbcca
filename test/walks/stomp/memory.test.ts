/** What STOMP clients make the gateway keep beside their queues, in the account of memory ("What strangers broke", D14). */
import { describe, expect, it } from "vitest";
import { StompClient, stompListener } from "../../support/stomp-client.ts";
import { frame, header, type ServerFrame } from "../../support/stomp-frames.ts";
import { World } from "../../support/world.ts";

const KB = 1024;
const NO_LIMIT = Number.POSITIVE_INFINITY;
const ackOf = (one: ServerFrame | undefined): string => header(one, "ack") ?? "";

describe("messages at QoS 0 that a client has to acknowledge", () => {
  const open = (memory: object = {}) => {
    const world = new World({
      memory: { total: NO_LIMIT, beforeLogin: NO_LIMIT, connection: NO_LIMIT, ...memory },
    });
    const client = StompClient.connected(stompListener(world));
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client-individual", "prefetch-count": "0" });
    const before = world.core.memory.held;
    return { world, client, held: () => world.core.memory.held - before };
  };

  it("count until they are, or are given back for good, or the connection goes", () => {
    const { world, client, held } = open();
    for (let count = 0; count < 3; count++) world.publish("a", "x".repeat(KB), { qos: 0 });
    const [first, second] = client.heard();
    expect(held()).toBeGreaterThanOrEqual(3 * KB);
    client.say("ACK", { id: ackOf(first) });
    expect(held()).toBeLessThan(3 * KB);
    client.say("NACK", { id: ackOf(second), requeue: "false" });
    expect(held()).toBeLessThan(2 * KB);
    expect(held()).toBeGreaterThanOrEqual(KB);
    client.stream.drop();
    expect(world.core.memory.held).toBe(0);
  });

  it("end with their subscription, also those that a full window has kept back", () => {
    const world = new World();
    const client = StompClient.connected(stompListener(world));
    const before = world.core.memory.held;
    client.say("SUBSCRIBE", { id: "0", destination: "a", ack: "client", "prefetch-count": "2" });
    const subscribed = world.core.memory.held;
    for (let count = 0; count < 5; count++) world.publish("a", "x".repeat(KB), { qos: 0 });
    const [, second] = client.heard();
    expect(world.core.memory.held - subscribed).toBeGreaterThanOrEqual(2 * KB);
    client.say("UNSUBSCRIBE", { id: "0" });
    client.say("ACK", { id: ackOf(second) });
    expect(world.core.memory.held).toBe(before);
  });

  it("are sent and not remembered where memory is used up: there is nothing to give back then", () => {
    const { world, client, held } = open({ total: 100 * KB });
    for (let count = 0; count < 200; count++) world.publish("a", "x".repeat(KB), { qos: 0 });
    const messages = client.heard();
    expect(messages).toHaveLength(200);
    expect(held()).toBeLessThan(100 * KB);
    expect(world.core.counters.memoryRefused.value).toBeGreaterThan(100);
    client.say("NACK", { id: ackOf(messages.at(-1)), receipt: "r" });
    expect(client.heard().map(({ command }) => command)).toEqual(["RECEIPT"]);
  });
});

it("a transaction counts over SockJS's WebSocket as it does over TCP", () => {
  const world = new World();
  const listener = stompListener(world, { sockjs: ["/ws"] }, {}, "ws");
  const stream = listener.connect({ transport: "ws", path: "/ws/000/abc/websocket" });
  const say = (...frames: Buffer[]): void =>
    stream.send(Buffer.from(JSON.stringify(frames.map((one) => one.toString("utf8")))));
  say(frame("CONNECT", { "accept-version": "1.2", host: "h" }));
  world.settle();
  say(frame("BEGIN", { transaction: "t" }));
  const before = world.core.memory.held;
  say(frame("SEND", { destination: "d", transaction: "t" }, "x".repeat(10 * KB)));
  expect(world.core.memory.held - before).toBeGreaterThanOrEqual(10 * KB);
  say(frame("ABORT", { transaction: "t" }));
  expect(world.core.memory.held).toBe(before);
});
