/** A world with an LwM2M gateway in it, and applications that speak its JSON. */
import type { Message, QoS } from "#core/bus/message.ts";
import { minutes } from "#core/lib/time.ts";
import { lwm2m } from "#gateways/lwm2m/index.ts";
import { definitionFiles, lwm2mConfig } from "./lwm2m-config.ts";
import { Lwm2mDevice } from "./lwm2m-device.ts";
import { type DatagramNetwork, World, type WorldOptions } from "./world.ts";

/** Definitions that the walks need; reading all for each world would only cost time. */
const OBJECTS = [0, 1, 2, 3, 5, 6, 16, 21, 25, 3303, 3342, 3442];

export type Report = { msgType: string; data: Record<string, unknown>; [field: string]: unknown };

/** What is done for a sleeper's commands while they wait is done where they are held; `released.test.ts` has the rest. */
const HELD = { sleepers: { whileAsleep: "hold", holdFor: minutes(5) } } as const;

export class Lwm2mWorld extends World {
  readonly network: DatagramNetwork;
  readonly gateway: ReturnType<typeof lwm2m.open>;
  #heard = new Map<string, Message[]>();

  readonly #files: Record<string, Uint8Array>;

  /** `restore`: puts back what a store has kept, before the gateway opens. */
  constructor(settings: object = {}, options: WorldOptions = {}, restore: (world: World) => void = () => {}) {
    const files = { ...definitionFiles(...OBJECTS), ...options.files };
    super({ upstream: HELD, ...options, files });
    this.#files = files;
    restore(this);
    this.gateway = this.open(lwm2m, lwm2mConfig(settings));
    this.network = this.datagrams("lwm2m", this.gateway.endpoint({ name: "default", transport: "udp" }));
  }

  /** For the next reload. */
  addFile(path: string, bytes: Uint8Array): void {
    this.#files[path] = bytes;
  }

  device(ep: string, port = 10_000, address?: string): Lwm2mDevice {
    return new Lwm2mDevice(this.network, ep, port, address);
  }

  /** Starts collecting what is published below `lwm2m/<ep>/up/`. */
  watch(ep: string): void {
    this.#heard.set(ep, this.listen(`lwm2m/${ep}/up/#`));
  }

  /** Reports of a device since the last call, optionally of one topic (`resp`, `notify`, ...). */
  reports(ep: string, topic?: string): Report[] {
    const heard = this.#heard.get(ep) ?? [];
    const wanted = heard.filter((message) => topic === undefined || message.topic.endsWith(`/up/${topic}`));
    for (const message of wanted) heard.splice(heard.indexOf(message), 1);
    return wanted.map((message) => JSON.parse(Buffer.from(message.payload).toString()) as Report);
  }

  /** Payloads as text, for what JSON.parse would round. */
  texts(ep: string): string[] {
    return (this.#heard.get(ep) ?? []).splice(0).map((message) => Buffer.from(message.payload).toString());
  }

  command(ep: string, command: object | string, qos: QoS = 1): void {
    const text = typeof command === "string" ? command : JSON.stringify(command);
    this.publish(`lwm2m/${ep}/dn/command`, text, { qos });
  }
}
