/** Every gateway's channel, brought into each state that matters, over its own transport in a virtual world. */
import mqttPacket from "mqtt-packet";
import { loadText } from "#core/config/load.ts";
import type { ChannelLoop } from "#core/drive/channel-loop.ts";
import { MODULES } from "#core/modules.ts";
import { World } from "../support/world.ts";

export const STATES = ["fresh", "logged in", "delivered to"] as const;
export type State = (typeof STATES)[number];

export interface Device {
  readonly world: World;
  readonly loop: ChannelLoop;
  send(bytes: Uint8Array): void;
  /** Bytes of the gateway since the last call. */
  heard(): number;
  /** The transport is gone. */
  lose(): void;
}

interface Case {
  readonly gateway: string;
  readonly transport: "tcp" | "udp";
  /** In this order: a packet that opens a channel and no more, a login, a subscription of `t`. */
  readonly steps: readonly [Uint8Array, Uint8Array, Uint8Array];
  /** The topic on which it hears. */
  readonly topic: string;
}

const mqtt = (packet: object): Uint8Array => mqttPacket.generate(packet as mqttPacket.Packet);
const hex = (...parts: string[]): Uint8Array => Buffer.from(parts.join("").replaceAll(" ", ""), "hex");
const ascii = (text: string): string => Buffer.from(text).toString("hex");
const NOTHING = new Uint8Array();

const CASES: readonly Case[] = [
  {
    gateway: "mqtt",
    transport: "tcp",
    topic: "t",
    steps: [
      NOTHING,
      mqtt({
        cmd: "connect",
        protocolId: "MQTT",
        protocolVersion: 4,
        clean: false,
        clientId: "d",
        keepalive: 60,
      }),
      mqtt({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "t", qos: 1 }] }),
    ],
  },
  {
    gateway: "stomp",
    transport: "tcp",
    topic: "t",
    steps: [
      NOTHING,
      Buffer.from("CONNECT\naccept-version:1.2\nhost:h\n\n\0"),
      Buffer.from("SUBSCRIBE\nid:1\nack:client\ndestination:/topic/t\n\n\0"),
    ],
  },
  // The framed protocol: its subscription comes with the login.
  {
    gateway: "tcp",
    transport: "tcp",
    topic: "tcp/d/dn",
    steps: [NOTHING, hex("11 0004 3c 0001 64"), NOTHING],
  },
  // CoAP: GET of a path that there is not, GET /ps/t, GET /ps/t with Observe.
  {
    gateway: "coap",
    transport: "udp",
    topic: "t",
    steps: [
      hex("40 01 0001 b1", ascii("x")),
      hex("41 01 0002 01 b2", ascii("ps"), "01", ascii("t")),
      hex("41 01 0003 02 60 52", ascii("ps"), "01", ascii("t")),
    ],
  },
  // The same behind a CSM.
  {
    gateway: "coap",
    transport: "tcp",
    topic: "t",
    steps: [
      NOTHING,
      hex("00 e1", "51 01 01 b2", ascii("ps"), "01", ascii("t")),
      hex("61 01 02 60 52", ascii("ps"), "01", ascii("t")),
    ],
  },
  // MQTT-SN: SEARCHGW is answered without a channel, so a CONNECT with a will, whose topic is asked for, opens one.
  {
    gateway: "mqtt-sn",
    transport: "udp",
    topic: "t",
    steps: [hex("07 04 0c 01 003c 64"), hex("07 04 04 01 003c 64"), hex("06 12 20 0001 74")],
  },
  // LwM2M: a register without a name is refused, and then a real one; commands come without subscribing.
  {
    gateway: "lwm2m",
    transport: "udp",
    topic: "lwm2m/d/dn/x",
    steps: [
      hex("41 02 0001 01 b2", ascii("rd")),
      hex(
        "41 02 0002 02 b2",
        ascii("rd"),
        "11 28 34",
        ascii("ep=d"),
        "05",
        ascii("lt=60"),
        "03",
        ascii("b=U"),
        "09",
        ascii("lwm2m=1.1"),
        "ff",
        ascii("</3/0>"),
      ),
      NOTHING,
    ],
  },
];

const config = loadText(MODULES, "gateways: { coap: { stack: { amplification: off } } }").config;
const COMMAND = JSON.stringify({ reqID: "1", msgType: "read", data: { path: "/3/0/0" } });

function reach(what: Case, state: State): Device {
  const world = new World();
  const module = MODULES.find(({ name }) => name === what.gateway);
  if (module === undefined) throw new Error(`no gateway ${what.gateway}`);
  const gateway = world.open(module, config.gateways[what.gateway]);
  const endpoint = gateway.endpoint({ name: "test", transport: what.transport });
  const device =
    what.transport === "tcp" ? onStream(world, endpoint, what) : onDatagrams(world, endpoint, what);
  const steps = STATES.indexOf(state);
  for (const step of what.steps.slice(1, steps + 1)) if (step.length > 0) device.send(step);
  if (state === "delivered to")
    world.publish(what.topic, what.gateway === "lwm2m" ? COMMAND : "m", { qos: 1 });
  return device;
}

type AnyEndpoint = Parameters<World["streams"]>[1];

function onStream(world: World, endpoint: AnyEndpoint, { gateway, steps }: Case): Device {
  const listener = world.streams(gateway, endpoint);
  const stream = listener.connect();
  const [loop] = listener.loops();
  if (loop === undefined) throw new Error("no channel");
  if (steps[0].length > 0) stream.send(steps[0]);
  return {
    world,
    loop,
    send: (bytes) => stream.send(bytes),
    heard: () => stream.takeBytes().length,
    lose: () => stream.drop(),
  };
}

function onDatagrams(world: World, endpoint: AnyEndpoint, { gateway, steps }: Case): Device {
  const network = world.datagrams(gateway, endpoint);
  const device = network.device();
  device.send(steps[0]);
  const [loop] = network.runtime.door.loops as ReadonlySet<ChannelLoop>;
  if (loop === undefined) throw new Error("no channel");
  return {
    world,
    loop,
    send: (bytes) => device.send(bytes),
    heard: () => device.take().reduce((sum, { length }) => sum + length, 0),
    lose: () => loop.gone("lost", true),
  };
}

/** All channels in all states, by name. */
export const channels: readonly (readonly [name: string, open: () => Device, state: State])[] = CASES.flatMap(
  (each) =>
    STATES.map(
      (state) =>
        [`${each.gateway} over ${each.transport}, ${state}`, () => reach(each, state), state] as const,
    ),
);
