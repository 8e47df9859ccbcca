/** What is refused in each protocol is written down, with what decided (the door's part; the log's is `refusals.test.ts`). */
import { describe, expect, it } from "vitest";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import { mqttSite } from "../../support/mqtt-device.ts";
import { snWorld, TRUSTED } from "../../support/mqtt-sn-device.ts";
import { StompClient, stompListener } from "../../support/stomp-client.ts";
import { World } from "../../support/world.ts";

const denying = {
  mayPublish: () => false,
  maySubscribe: () => false,
  decidedBy: ({ action }: { action: string }) => `rule about ${action}`,
};
const forbidden = (what: string, asked: string, by = `rule about ${what}`) =>
  expect.objectContaining({ what, asked, refusal: "forbidden", by });

describe("a refusal is written down", () => {
  it("in MQTT: publish, subscribe and will, with client, user and address", () => {
    const { world, device } = mqttSite({}, {}, denying);
    const a = device(5, { address: "10.0.0.7", port: 1234 });
    a.connect("a", {
      username: "ana",
      will: { topic: "will/a", payload: Buffer.from("x"), qos: 0, retain: false },
    });
    a.publish("secret/x", "1");
    a.subscribe("secret/#");
    const who = { gateway: "mqtt", address: "10.0.0.7", port: 1234, clientId: "a", username: "ana" };
    expect(world.refusals.map(({ what }) => what)).toEqual(["will", "publish", "subscribe"]);
    expect(world.refusals).toEqual([
      {
        ...who,
        listener: "test",
        what: "will",
        asked: "will/a",
        refusal: "forbidden",
        by: "rule about publish",
      },
      {
        ...who,
        listener: "test",
        what: "publish",
        asked: "secret/x",
        refusal: "forbidden",
        by: "rule about publish",
      },
      {
        ...who,
        listener: "test",
        what: "subscribe",
        asked: "secret/#",
        refusal: "forbidden",
        by: "rule about subscribe",
      },
    ]);
  });

  it("in MQTT: a login, by the name that it claimed, and the authenticator that said no", () => {
    const refuse = () =>
      ({
        ok: false,
        refusal: "unauthenticated",
        reason: "no",
        why: "wrong password",
        by: "users-file",
      }) as const;
    const { world, device } = mqttSite({}, {}, { authenticate: refuse });
    device().connect("a", { username: "ana", password: Buffer.from("x") });
    expect(world.refusals).toEqual([
      expect.objectContaining({
        what: "connect",
        clientId: "a",
        username: "ana",
        refusal: "unauthenticated",
        by: "users-file: wrong password",
      }),
    ]);
  });

  it("in MQTT-SN: a publish, and a predefined topic id that nobody has defined", () => {
    const { world, device } = snWorld(TRUSTED, {}, denying);
    const node = device();
    node.connect("node");
    const [, , ...regack] = node.register("secret/x");
    expect(regack).toEqual([]);
    node.publish(1, "x", { qos: 1 });
    node.publish(77, "x", { qos: 1, type: 1 });
    node.subscribe(78, 0, 1);
    expect(world.refusals).toEqual([
      forbidden("publish", "secret/x"),
      expect.objectContaining({
        what: "publish",
        asked: "predefined topic id 77",
        clientId: "node",
        by: "gateways.mqtt-sn.predefinedTopics has no id 77 for this client",
      }),
      expect.objectContaining({ what: "subscribe", asked: "predefined topic id 78" }),
    ]);
  });

  it("in MQTT-SN: a publish without a connection, which is never answered", () => {
    const { world, device } = snWorld({ ...TRUSTED, qosMinusOne: { mode: "open" } });
    device().publish(99, "x", { qos: -1, type: 1 });
    expect(world.refusals).toEqual([
      expect.objectContaining({ what: "publish", asked: "predefined topic id 99", address: "10.0.0.1" }),
    ]);
  });

  it("in CoAP: a PUT and an observation, and a token that no connection has", () => {
    const { world, network } = pubsubWorld({}, { policy: denying });
    const device = new CoapDevice(network);
    device.ask({ code: "PUT", path: "ps/secret/x", token: "1", payload: "x" });
    device.ask({ code: "GET", path: "ps/secret/y", token: "2", options: [[6, 0]] });
    device.ask({
      code: "PUT",
      path: "ps/secret/z",
      token: "3",
      query: ["clientid=c", "token=1"],
      payload: "x",
    });
    expect(world.refusals).toContainEqual(forbidden("publish", "secret/x"));
    expect(world.refusals).toContainEqual(forbidden("subscribe", "secret/y"));
    expect(world.refusals).toContainEqual(
      expect.objectContaining({ what: "connect", asked: "c", refusal: "unauthenticated" }),
    );
  });

  it("in STOMP: SEND and SUBSCRIBE", () => {
    const world = new World();
    const send = StompClient.connected(stompListener(world, {}, denying));
    send.say("SEND", { destination: "secret/x" }, "1");
    const subscribe = StompClient.connected(stompListener(world, {}, denying));
    subscribe.say("SUBSCRIBE", { destination: "secret/y", id: "0" });
    expect(world.refusals).toContainEqual(forbidden("publish", "secret/x"));
    expect(world.refusals).toContainEqual(forbidden("subscribe", "secret/y"));
  });

  it("of an address: before any protocol has a say", () => {
    const { world, listener } = mqttSite(
      {},
      {},
      { admit: () => "banned", addressDecidedBy: () => "ban of 10.0.0.9" },
    );
    listener.connect({ address: "10.0.0.9" });
    expect(world.refusals).toEqual([
      expect.objectContaining({
        what: "talk",
        address: "10.0.0.9",
        refusal: "banned",
        by: "ban of 10.0.0.9",
      }),
    ]);
  });
});
