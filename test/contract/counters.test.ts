/**
 * Every counter that a gateway shows can move: one that nothing increments tells an operator that all is well. What
 * happens here is only that; what each number means is told by the walks.
 */
import { expect, it } from "vitest";
import type { Duration } from "#core/lib/time.ts";
import { CoapDevice, packet } from "../support/coap-device.ts";
import { pubsubWorld } from "../support/coap-site.ts";
import { Lwm2mWorld } from "../support/lwm2m-world.ts";
import { mqttSite } from "../support/mqtt-device.ts";
import { snWorld } from "../support/mqtt-sn-device.ts";
import { StompClient, stompListener } from "../support/stomp-client.ts";
import { header } from "../support/stomp-frames.ts";
import { TcpDevice, tcpListener } from "../support/tcp-device.ts";
import { World } from "../support/world.ts";

const seconds = (count: number): Duration => (count * 1000) as Duration;
const OBSERVE = [[6, 0]] as const;

function coap(): World {
  const stack = { amplification: "large-only", observe: { unproven: 1, total: 2, queue: 1 } };
  const { world, network } = pubsubWorld({ stack });
  const device = new CoapDevice(network, 1);
  device.raw(0x4f, 1, 0, 1);
  for (let twice = 0; twice < 2; twice++) device.send({ id: 7, path: "ps/x" });
  world.publish("large", "x".repeat(500), { retain: true });
  device.send({ path: "ps/large", token: "l" });
  device.answerPings();
  for (const port of [2, 3])
    new CoapDevice(network, port).send({ path: "ps/a", token: "s", options: OBSERVE });
  for (const token of ["a", "b", "c"]) device.send({ path: "ps/a", token, options: OBSERVE });
  world.publish("a", "x", { qos: 1 });
  for (let each = 0; each < 5; each++) world.publish("a", "x");
  world.advance(seconds(200));
  return world;
}

function lwm2m(): World {
  const profile = { delete: ["/0"], write: [] };
  const world = new Lwm2mWorld(
    { bootstrap: { profiles: "profiles.json" }, stack: { amplification: "large-only" } },
    { files: { "profiles.json": Buffer.from(JSON.stringify({ default: profile })) } },
  );
  world.device("booted", 11).request("0.02", "bs", ["ep=booted"]);
  const device = world.device("meter", 12);
  device.on("GET /3/0/0", ({ observe }) => ({
    code: "2.05",
    format: 0,
    payload: "x",
    ...(observe === 0 ? { observe: 1 } : {}),
  }));
  device.register({ lwm2m: "1.1", lt: "120" }, "</1/0>,</3/0>");
  device.request("0.02", device.location ?? "", []);
  world.command("meter", { reqID: 1, msgType: "observe", data: { path: "/3/0/0" } });
  const [asked] = device.asked.slice(-1);
  if (asked !== undefined) device.notify(asked, 2, { code: "2.05", format: 0, payload: "y" });
  world.command("meter", "no JSON");
  device.request("0.02", "dp", [], '[{"n":"/3/0/0","vs":"x"}]', 110);
  device.wire.send(Uint8Array.of(0x4f, 1, 0, 1));
  const again = packet({ id: 77, path: "rd" });
  for (let twice = 0; twice < 2; twice++) device.wire.send(again);
  world.device("new", 13).register();
  const value = "x".repeat(900);
  world.command("new", { reqID: 3, msgType: "write", data: { path: "/3/0/14", type: "String", value } });
  device.sleep();
  world.command("meter", { reqID: 2, msgType: "read", data: { path: "/3/0/0" } });
  world.advance(seconds(300));
  return world;
}

function mqtt(): World {
  const { world, device } = mqttSite(
    {},
    { session: { inboundMax: 1 } },
    { mayPublish: (_identity, topic) => topic !== "forbidden" },
  );
  const five = device(5);
  five.connect("five", { properties: { maximumPacketSize: 60 } });
  five.subscribe("t/#", 2);
  for (const qos of [0, 1, 2]) world.publish("t/a", "x", { qos: qos as 0 });
  world.publish("t/a", "x".repeat(100), { qos: 1 });
  for (const each of five.take()) {
    const { messageId, qos } = each;
    if (qos === 1) five.send({ cmd: "puback", messageId });
    if (qos === 2) five.send({ cmd: "pubrec", messageId });
  }
  five.take();
  five.send({ cmd: "pubcomp", messageId: 2 });
  five.publish("t/b", "x", { qos: 1, messageId: 1 });
  five.publish("t/b", "x", { qos: 2, messageId: 2 });
  five.send({ cmd: "pubrel", messageId: 2 });
  five.publish("forbidden", "x", { qos: 1, messageId: 3 });
  five.send({ cmd: "pingreq" });
  for (const cmd of ["puback", "pubrec", "pubrel", "pubcomp"] as const) five.send({ cmd, messageId: 900 });
  five.send({ cmd: "unsubscribe", messageId: 4, unsubscriptions: ["t/#"] });
  five.send({ cmd: "disconnect" });
  const hoarder = device(4);
  hoarder.connect("hoarder");
  for (const messageId of [1, 2]) hoarder.publish("t/c", "x", { qos: 2, messageId });
  const wrong = device(5);
  wrong.connect("wrong");
  wrong.send({ cmd: "pingresp" });
  return world;
}

function mqttSn(): World {
  const { world, device, wait } = snWorld({
    qosMinusOne: { mode: "open" },
    predefinedTopics: [{ id: 1, topic: "p" }],
  });
  const sleeper = device(1).asleep("sleeper", "s");
  world.publish("s", "x", { qos: 1 });
  for (const line of sleeper.ping("sleeper")) {
    const [, topicId, messageId] = /^PUBLISH (\d+) #(\d+)/.exec(line) ?? [];
    if (topicId !== undefined) sleeper.puback(Number(topicId), Number(messageId));
  }
  for (const [id, octets] of [
    [2, "03 99"],
    [2, "02 00"],
    [3, "04 18 00 01"],
  ] as const)
    device(id).raw(octets);
  device(4).publish(1, "x", { qos: -1, type: 1 });
  const awake = device(5);
  awake.connect("awake");
  awake.raw("03 05 00");
  awake.raw("03 99 00");
  awake.subscribe("w/+", 1);
  world.publish("w/a", "x", { qos: 1 });
  for (const line of awake.hear()) {
    const [, topicId, messageId] = /^REGISTER (\d+) #(\d+)/.exec(line) ?? [];
    if (topicId !== undefined) awake.regack(Number(topicId), Number(messageId), 2);
  }
  awake.subscribe("long", 1);
  world.publish("long", "x".repeat(70_000), { qos: 1 });
  world.publish("w/b", "x", { qos: 1 });
  wait(400_000);
  return world;
}

function stomp(): World {
  const world = new World();
  const client = StompClient.connected(stompListener(world));
  client.say("SUBSCRIBE", { id: "1", destination: "a", ack: "client-individual" });
  for (let each = 0; each < 2; each++) world.publish("a", "x", { qos: 1 });
  const verdicts = ["ACK", "NACK"];
  for (const message of client.heard())
    client.say(verdicts.shift() ?? "ACK", { id: String(header(message, "ack")) });
  client.say("NONSENSE");
  return world;
}

function tcp(): World {
  const world = new World();
  const listener = tcpListener(world, {}, { mayPublish: (identity) => identity.clientId !== "mute" });
  const device = new TcpDevice(listener).connect("meter");
  device.data("x");
  world.publish("tcp/meter/dn", "x", { qos: 1 });
  world.publish("tcp/meter/dn", "x".repeat(70_000), { qos: 1 });
  new TcpDevice(listener).connect("mute").data("x");
  const broken = new TcpDevice(listener).connect("broken");
  broken.say("ff ff ff");
  return world;
}

it.each([coap, lwm2m, mqtt, mqttSn, stomp, tcp])("each counter that %o shows can move", (play) => {
  const core = new Set(new World().counters.keys());
  const still = [...play().counters].filter(([name, { value }]) => !core.has(name) && value === 0);
  expect(still.map(([name]) => name)).toEqual([]);
});
