/** Each member of a hook, for a device of each gateway, with sessions in this process and at a broker. */
import { describe, expect, it } from "vitest";
import type { Hook } from "#core/hooks/plugin.ts";
import { hours, seconds } from "#core/lib/time.ts";
import { mqtt } from "#gateways/mqtt/index.ts";
import { mqttSn } from "#gateways/mqtt-sn/index.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { pubsubOf } from "../../support/coap-site.ts";
import { Lwm2mWorld } from "../../support/lwm2m-world.ts";
import { MqttDevice, mqttDefaults } from "../../support/mqtt-device.ts";
import { SnDevice, snConfig } from "../../support/mqtt-sn-device.ts";
import { StompClient, stompListener } from "../../support/stomp-client.ts";
import { header } from "../../support/stomp-frames.ts";
import { onlyServer, VirtualBroker } from "../../support/upstream-world.ts";
import { World, type WorldOptions } from "../../support/world.ts";

const ENGINES: Readonly<Record<string, WorldOptions>> = {
  // In a run whose worlds all stand before a broker there is no other.
  ...(process.env["ISTHMUS_TEST_ENGINE"] === "upstream" ? {} : { "in this process": {} }),
  "at a broker": { before: { choice: (surroundings) => onlyServer(new VirtualBroker(surroundings).server) } },
};

/** What a device does, one after the other; between them all that follows has happened. */
interface Life {
  readonly world: World;
  /** Comes, and asks for what is below `down`. */
  comes(): void;
  publishes(): void;
  /** Hears what is said to it, and acknowledges it. */
  hears(): string[];
  unsubscribes(): void;
  goes(): void;
  /** Where it is told something, and what that is. */
  readonly told: readonly [topic: string, text: string];
  /** Where what it publishes arrives. */
  readonly up: string;
}

type Living = (options: WorldOptions) => Life;

const mqttLife: Living = (options) => {
  const world = new World(options);
  const endpoint = world.open(mqtt, mqttDefaults()).endpoint({ name: "tcp", transport: "tcp" });
  const device = new MqttDevice(world.streams("mqtt", endpoint).connect(), 5);
  const connect = { cmd: "connect", protocolId: "MQTT", protocolVersion: 5, clean: true, keepalive: 0 };
  return {
    world,
    comes() {
      device.send({ ...connect, clientId: "d" });
      device.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "down", qos: 1 }] });
    },
    publishes: () => void device.send({ cmd: "publish", topic: "up", payload: "x", qos: 1, messageId: 2 }),
    hears() {
      const heard = device.take().filter(({ cmd }) => cmd === "publish");
      for (const { messageId } of heard) device.send({ cmd: "puback", messageId });
      return heard.map(({ payload }) => String(payload));
    },
    unsubscribes: () => void device.send({ cmd: "unsubscribe", messageId: 3, unsubscriptions: ["down"] }),
    goes: () => void device.send({ cmd: "disconnect" }),
    told: ["down", "hello"],
    up: "up",
  };
};

const snLife: Living = (options) => {
  const world = new World(options);
  const endpoint = world.open(mqttSn, snConfig()).endpoint({ name: "udp", transport: "udp" });
  const device = new SnDevice(world.datagrams("mqtt-sn", endpoint), 10_000, "10.0.0.1");
  const ids = (line: string) => [...line.matchAll(/\d+/g)].slice(0, 2).map(Number) as [number, number];
  return {
    world,
    comes() {
      device.connect("d");
      world.settle();
      device.subscribe("down", 1, 0, 1);
    },
    publishes() {
      device.register("up", 2);
      world.settle();
      device.hear();
      // The first topic id is that of the subscription.
      device.publish(2, "x", { qos: 1, id: 3 });
    },
    hears() {
      const heard: string[] = [];
      for (let lines = device.hear(); lines.length > 0; ) {
        const next: string[] = [];
        for (const line of lines) {
          if (line.startsWith("REGISTER")) next.push(...device.regack(...ids(line)));
          if (!line.startsWith("PUBLISH")) continue;
          heard.push(/"(.*)"/.exec(line)?.[1] ?? "");
          next.push(...device.puback(...ids(line)));
        }
        lines = next;
      }
      return heard;
    },
    unsubscribes: () => void device.unsubscribe("down", 0, 4),
    goes: () => void device.disconnect(),
    told: ["down", "hello"],
    up: "up",
  };
};

const coapLife: Living = (options) => {
  const world = new World(options);
  const device = new CoapDevice(pubsubOf(world).network);
  const observe = (value: 0 | 1) =>
    void device.send({ path: "ps/down", token: "o", query: ["clientid=d"], options: [[6, value]] });
  return {
    world,
    comes: () => observe(0),
    publishes: () =>
      void device.send({ code: "PUT", path: "ps/up", token: "p", query: ["clientid=d"], payload: "x" }),
    hears() {
      const heard = device.take().filter(({ token, payload }) => token === "o" && payload !== "");
      for (const { type, id } of heard) if (type === "CON") device.acknowledge(id);
      return heard.map(({ payload }) => payload);
    },
    unsubscribes: () => observe(1),
    // It says nothing any more.
    goes: () => world.advance(hours(48)),
    told: ["down", "hello"],
    up: "up",
  };
};

const stompLife: Living = (options) => {
  const world = new World(options);
  const client = new StompClient(stompListener(world));
  return {
    world,
    comes() {
      client.say("CONNECT", { "accept-version": "1.2", host: "isthmus" });
      world.settle();
      client.reader.version = "1.2";
      client.say("SUBSCRIBE", { destination: "down", id: "1", ack: "client-individual" });
    },
    publishes: () => client.say("SEND", { destination: "up", receipt: "r" }, "x"),
    hears() {
      const heard = client.heard().filter(({ command }) => command === "MESSAGE");
      for (const frame of heard) client.say("ACK", { id: header(frame, "ack") ?? "" });
      return heard.map(({ body }) => body.toString());
    },
    unsubscribes: () => client.say("UNSUBSCRIBE", { id: "1" }),
    goes: () => client.say("DISCONNECT"),
    told: ["down", "hello"],
    up: "up",
  };
};

const lwm2mLife: Living = (options) => {
  const world = new Lwm2mWorld({}, options);
  const device = world.device("d");
  device.on("POST /3/0/4", { code: "2.04" });
  const command = { reqID: 1, msgType: "execute", data: { path: "/3/0/4" } };
  return {
    world,
    // It asks for its commands, and its registration is published.
    comes: () => void device.register({ lt: "60", lwm2m: "1.1" }, "</3/0>"),
    publishes: () => {},
    hears: () => device.asked.splice(0).map(() => JSON.stringify(command)),
    unsubscribes: () => {},
    goes: () => world.advance(hours(48)),
    told: ["lwm2m/d/dn/command", JSON.stringify(command)],
    up: "lwm2m/d/up/#",
  };
};

const LIVES: Readonly<Record<string, Living>> = {
  mqtt: mqttLife,
  "mqtt-sn": snLife,
  coap: coapLife,
  stomp: stompLife,
  lwm2m: lwm2mLife,
};

const MEMBERS: readonly string[] = [
  ...["authConnect", "authPublish", "authSubscribe", "connected", "delivered", "disconnected"],
  ...["published", "subscribed", "unsubscribed"],
];

/**
 * An LwM2M registration ends, and its session goes on; the last observation of a CoAP client takes its session with it
 * before a broker has answered.
 */
const END_WITH_SESSION: readonly string[] = [
  "lwm2m in this process",
  "lwm2m at a broker",
  "coap at a broker",
];

describe.each(Object.entries(ENGINES))("with sessions %s", (where, engine) => {
  describe.each(Object.entries(LIVES))("a device of %s", (gateway, living) => {
    it("passes every hook: what it asks is changed, and what it does is told", () => {
      const told: string[] = [];
      const hook: Hook = {
        authConnect({ gateway }) {
          told.push(`authConnect ${gateway}`);
          return { username: "hooked" };
        },
        authPublish(client, { topic }) {
          told.push(`authPublish ${client.username}`);
          return { topic: `hooked/${topic}` };
        },
        authSubscribe(client, { filter }) {
          told.push(`authSubscribe ${client.username}`);
          return { filter: `hooked/${filter}` };
        },
        connected: ({ username }) => void told.push(`connected ${username}`),
        subscribed: (_client, filter) => void told.push(`subscribed ${filter}`),
        published: (_client, { topic }) => void told.push(`published ${topic}`),
        delivered: (_client, { topic }) => void told.push(`delivered ${topic}`),
        unsubscribed: (_client, filter, why) => void told.push(`unsubscribed ${filter} ${why}`),
        disconnected: ({ clientId }) => void told.push(`disconnected ${clientId}`),
      };
      const life = living({ ...engine, hooks: [hook] });
      const { world } = life;
      const arrived = world.listen(`hooked/${life.up}`);
      const passes = () => world.advance(seconds(1));
      life.comes();
      passes();
      life.publishes();
      passes();
      expect(arrived.length).toBe(1);
      life.hears();
      const [topic, text] = life.told;
      world.publish(`hooked/${topic}`, text, { qos: 1 });
      passes();
      const heard = life.hears();
      passes();
      life.unsubscribes();
      passes();
      life.goes();
      passes();
      expect(heard).toEqual([text]);
      const members = [...new Set(told.map((line) => line.split(" ")[0]))].sort();
      expect(members).toEqual(MEMBERS);
      const all = (member: string) => told.filter((line) => line.startsWith(`${member} `));
      const why = END_WITH_SESSION.includes(`${gateway} ${where}`) ? "session-ended" : "asked";
      expect(all("unsubscribed").map((line) => line.split(" ")[2])).toEqual(all("subscribed").map(() => why));
      const first = (member: string) => all(member)[0];
      expect([first("authConnect"), first("authPublish"), first("authSubscribe")]).toEqual([
        ...[`authConnect ${gateway}`, "authPublish hooked", "authSubscribe hooked"],
      ]);
      expect([first("connected"), first("delivered")]).toEqual([
        "connected hooked",
        `delivered hooked/${topic}`,
      ]);
      expect(
        told
          .filter((line) => /^(published|subscribed)/.test(line))
          .every((line) => line.includes(" hooked/")),
      ).toBe(true);
    });
  });

  it("is told of subscriptions that end with their session, when their client has left it before", () => {
    const told: string[] = [];
    const hook: Hook = {
      unsubscribed: ({ clientId }, filter, why) => void told.push(`${clientId} ${filter} ${why}`),
      disconnected: ({ clientId }) => void told.push(`${clientId} left`),
    };
    const world = new World({ ...engine, hooks: [hook] });
    const endpoint = world.open(mqtt, mqttDefaults()).endpoint({ name: "tcp", transport: "tcp" });
    const streams = world.streams("mqtt", endpoint);
    const come = (clean: boolean) => {
      const device = new MqttDevice(streams.connect(), 5);
      const version = { protocolId: "MQTT", protocolVersion: 5, keepalive: 0 };
      const properties = { sessionExpiryInterval: 3_600 };
      device.send({ cmd: "connect", ...version, clean, clientId: "d", properties });
      device.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: clean ? "b" : "a", qos: 1 }] });
      world.advance(seconds(1));
      device.send({ cmd: "disconnect" });
      world.advance(seconds(1));
    };
    come(false);
    expect(told).toEqual(["d left"]);
    // A clean start throws away what there is, and nobody comes back to the other one.
    come(true);
    world.advance(hours(2));
    expect(told).toEqual(["d left", "d a session-ended", "d left", "d b session-ended"]);
  });
});
