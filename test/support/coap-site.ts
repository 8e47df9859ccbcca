/** A site whose answers a test writes, on a listener of its own in a virtual world. */
import type { Client } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { type Instant, NEVER } from "#core/lib/time.ts";
import { type CoapConfig, schema } from "#gateways/coap/config.ts";
import { coap } from "#gateways/coap/index.ts";
import { type CoapEndpoint, createCoapEndpoint, type Held } from "#gateways/coap/stack/endpoint.ts";
import { StackSettings } from "#gateways/coap/stack/settings.ts";
import type { CoapPeer, CoapRequest, PeerSite, Site } from "#gateways/coap/stack/site.ts";
import { parseDefaults } from "./coap-settings.ts";
import { type DatagramNetwork, type StreamListener, World, type WorldOptions } from "./world.ts";

export type Handler = (request: CoapRequest, now: Instant) => void;

export class ScriptedSite implements Site {
  readonly name = "scripted";
  readonly observable = true;
  readonly prefixes = ["t", "u"];
  readonly peers: CoapPeer[] = [];
  /** How often the handler ran. */
  executed = 0;
  handler: Handler = (request) => request.respond({ code: 0x45 as never });
  deliveries: Delivery[] = [];

  links() {
    return [
      { target: "/t", attributes: { rt: "test.one test.two", ct: 0, obs: true as const } },
      { target: "/u", attributes: { if: "sensor", title: "the second" } },
    ];
  }

  open(peer: CoapPeer): PeerSite {
    this.peers.push(peer);
    return {
      request: (request, now) => {
        this.executed++;
        this.handler(request, now);
      },
      deliver: (_client: Client, delivery) => void this.deliveries.push(delivery),
      answered: () => {},
      connected: () => {},
      deadline: () => NEVER,
      wake: () => {},
      stop: () => {},
      closed: () => {},
      busy: () => false,
      status: () => "scripted",
      describe: () => ({}),
    };
  }

  get peer(): CoapPeer {
    const peer = this.peers.at(-1);
    if (peer === undefined) throw new Error("nobody has asked yet");
    return peer;
  }
}

export type Overrides = Record<string, unknown>;

export interface StackWorld {
  readonly world: World;
  readonly site: ScriptedSite;
  readonly network: DatagramNetwork;
  streams(): StreamListener;
}

export function stackWorld(overrides: Overrides = {}, options: WorldOptions = {}): StackWorld {
  const world = new World(options);
  const site = new ScriptedSite();
  const settings = parseDefaults<StackSettings>(StackSettings, { amplification: "off", ...overrides });
  // A gateway of its own making, so that the world gives it what it gives to any gateway.
  const gateway = world.open(
    {
      name: "coap",
      schema: StackSettings,
      open: (_config: unknown, host) => ({ endpoint: () => createCoapEndpoint([site], settings, host) }),
    },
    undefined,
  );
  const endpoint = () => gateway.endpoint({ name: "udp", transport: "udp" });
  return {
    world,
    site,
    network: world.datagrams("coap", endpoint()),
    streams: () => world.streams("coap", endpoint()),
  };
}

export interface PubSubWorld {
  readonly world: World;
  /** What all peers of the UDP listener hold. */
  held(): Held;
  readonly network: DatagramNetwork;
  streams(): StreamListener;
}

/** The whole CoAP gateway in a virtual world; answers to unproven addresses are not held back unless asked for. */
export const pubsubWorld = (overrides: Overrides = {}, options: WorldOptions = {}): PubSubWorld =>
  pubsubOf(new World(options), overrides);

/** The same in a world that is there. */
export function pubsubOf(world: World, overrides: Overrides = {}): PubSubWorld {
  const { stack = {}, ...rest } = overrides;
  const config = parseDefaults<CoapConfig>(schema, {
    ...rest,
    stack: { amplification: "off", ...(stack as object) },
  });
  const gateway = world.open(coap, config);
  const endpoint = gateway.endpoint({ name: "udp", transport: "udp" }) as CoapEndpoint;
  return {
    world,
    held: () => endpoint.held,
    network: world.datagrams("coap", endpoint),
    streams: () => world.streams("coap", gateway.endpoint({ name: "tcp", transport: "tcp" })),
  };
}
