/** A session belongs to who made it: on the wire of each protocol in which a client names its session and its user. */
import { describe, expect, it } from "vitest";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import { mqttSite } from "../../support/mqtt-device.ts";
import { proving } from "../../support/proven.ts";
import { brief, StompClient, stompListener } from "../../support/stomp-client.ts";
import { World } from "../../support/world.ts";

describe("MQTT: alice comes with the client id of bob's session", () => {
  it.each([
    [4, 5],
    [5, 0x87],
  ] as const)("in version %s and is refused, and bob has all that was sent to him", (version, code) => {
    const { world, device } = mqttSite({}, {}, proving("mqtt"));
    const durable = { clean: false, properties: { sessionExpiryInterval: 3600 } };
    const as = (username: string | undefined, connected = device(version)) => ({
      device: connected,
      answer: connected.connect("S", { ...durable, username, password: Buffer.from("p") })[0],
    });
    const bob = as("bob");
    bob.device.subscribe("dev/bob/#", 1);
    // While he is there, and while he is away.
    const early = as("alice");
    expect(early.answer).toMatchObject({ cmd: "connack", sessionPresent: false });
    expect(early.answer?.["returnCode"] ?? early.answer?.["reasonCode"]).toBe(code);
    expect(bob.device.closed).toBe(false);
    bob.device.stream.drop();
    world.publish("dev/bob/1", "for bob", { qos: 1 });
    const late = as("alice");
    expect(late.device.closed).toBe(true);
    expect(late.device.take()).toEqual([]);
    const again = as("bob");
    expect(again.answer).toMatchObject({ cmd: "connack", sessionPresent: true });
    expect(again.device.closed).toBe(false);
  });

  it("by setting begins a session of her own", () => {
    const { world, device } = mqttSite({}, { otherUser: "anew" }, proving("mqtt"));
    const bob = device();
    bob.connect("S", { clean: false, username: "bob" });
    bob.subscribe("dev/bob/#", 1);
    bob.stream.drop();
    world.publish("dev/bob/1", "for bob", { qos: 1 });
    const alice = device();
    expect(alice.connect("S", { clean: false, username: "alice" })).toMatchObject([
      { cmd: "connack", sessionPresent: false, returnCode: 0 },
    ]);
    world.publish("dev/bob/2", "for bob", { qos: 1 });
    expect(alice.take()).toEqual([]);
  });
});

it("STOMP: a durable subscription is nobody's but its user's, under any client-id and name", () => {
  const world = new World();
  const listener = stompListener(world, {}, proving("stomp"));
  const as = (login: string) => StompClient.connected(listener, { "client-id": "plant", login });
  const subscribe = { id: "1", destination: "dev/bob/#", "durable-subscription-name": "work" };
  const bob = as("bob");
  bob.say("SUBSCRIBE", subscribe);
  bob.stream.drop();
  world.publish("dev/bob/1", "for bob", { qos: 1 });
  const alice = as("alice");
  alice.say("SUBSCRIBE", { ...subscribe, destination: "other", receipt: "r" });
  expect(alice.heard().map((frame) => brief(frame))).toEqual(["ERROR"]);
  const again = as("bob");
  again.say("SUBSCRIBE", subscribe);
  expect(again.bodies()).toEqual(["for bob"]);
});

describe("CoAP: alice comes with the client id of bob's session", () => {
  const open = () => {
    const { world, network } = pubsubWorld({ connection: { required: false } }, { policy: proving("coap") });
    const ask = (port: number, code: string, path: string, user: string, more: object = {}) =>
      new CoapDevice(network, port).ask({ code, path, query: ["c=S", `u=${user}`, "p=x"], ...more });
    return { world, ask };
  };

  it("to observe, publish and read: each is 4.03, and bob's observation goes on", () => {
    const { ask, world } = open();
    world.publish("dev/bob", "1", { qos: 1, retain: true });
    const observe = { options: [[6, 0]], token: "t" };
    expect(ask(1, "GET", "ps/dev/bob", "bob", observe).code).toBe("2.05");
    expect(ask(2, "GET", "ps/dev/bob", "alice", observe).code).toBe("4.03");
    expect(ask(2, "PUT", "ps/dev/x", "alice", { payload: "m" }).code).toBe("4.03");
    expect(world.sessions.get("coap", "S")).toMatchObject({
      proven: "user:bob",
      occupant: expect.anything(),
    });
  });

  it("for a connection with a token: not accepted", () => {
    const { ask, world } = open();
    expect(ask(1, "POST", "mqtt/connection", "bob").code).toBe("2.01");
    expect(ask(2, "POST", "mqtt/connection", "alice").code).toBe("4.00");
    expect(world.disconnects).toEqual([]);
  });
});
