/** A fleet of devices against a gateway, from its first datagram to its last. */
import { lookup } from "node:dns/promises";
import { Application } from "./consumers/application.ts";
import { Backend } from "./consumers/backend.ts";
import { CoapSensor } from "./devices/coap-sensor.ts";
import type { Device } from "./devices/device.ts";
import { Lwm2mDevice } from "./devices/lwm2m-device.ts";
import { Sleeper } from "./devices/sleeper.ts";
import { Field } from "./field.ts";
import type { ScenarioName, SimulationOptions, SimulationStatus } from "./options.ts";
import { coldChain } from "./scenarios/cold-chain.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import { streetLamps } from "./scenarios/street-lamps.ts";
import { waterMeters } from "./scenarios/water-meters.ts";
import type { DeviceProtocol, Thing } from "./thing.ts";

const BY_NAME: Readonly<Record<ScenarioName, () => Scenario>> = {
  "cold-chain": coldChain,
  "street-lamps": streetLamps,
  "water-meters": waterMeters,
};

const KINDS = { "mqtt-sn": Sleeper, coap: CoapSensor, lwm2m: Lwm2mDevice } as const;

/** All devices are switched on within so long, in milliseconds, but no faster than the rate says. */
const RAMP = 5_000;
const RATE = 200;
/** Devices that say goodbye at one time. */
const LEAVING = 200;
/** Who could not say goodbye within it, in milliseconds, goes without. */
const LEAVE_WITHIN = 10_000;

/** There is no gateway. */
export class NobodyListens extends Error {
  readonly code = "nobody-listens";
}

export class Simulation {
  readonly #field: Field;
  readonly #name: ScenarioName;
  readonly #scenario: Scenario;
  readonly #devices: readonly Device[];
  readonly #application: Application | undefined;
  readonly #backend: Backend | undefined;
  readonly #startedAt = Date.now();
  readonly #running: Promise<void>[] = [];
  #stopping: Promise<void> | undefined = undefined;

  private constructor(field: Field, { scenario, devices }: SimulationOptions) {
    this.#field = field;
    const { options } = field;
    this.#name = scenario;
    this.#scenario = BY_NAME[scenario]();
    this.#devices = things(field, this.#scenario, devices).map(
      (thing) => new KINDS[thing.protocol](field, thing),
    );
    this.#application = options.ports.mqtt === undefined ? undefined : new Application(field, this.#scenario);
    this.#backend = options.ports.stomp === undefined ? undefined : new Backend(field, this.#scenario);
  }

  /** Rejects when there is no gateway, as far as that can be told: datagrams get lost without a sound. */
  static async start(options: SimulationOptions): Promise<Simulation> {
    const { address } = await lookup(options.host);
    const simulation = new Simulation(new Field(options, address), options);
    await simulation.#application?.begin().catch((error: unknown) => {
      throw new NobodyListens(
        `${error instanceof Error ? error.message : error}: start a gateway (isthmus start), or say where it is (--host, --port)`,
      );
    });
    simulation.#begin();
    return simulation;
  }

  #begin(): void {
    const ramp = Math.max(RAMP, (this.#devices.length / RATE) * 1000);
    const running = [
      this.#application?.run(),
      this.#backend?.run(),
      ...this.#devices.map((device, index) => device.run((index / this.#devices.length) * ramp)),
    ];
    for (const each of running) if (each !== undefined) this.#running.push(each);
  }

  /** Rejects when a device fails by a fault of ours; else it is for ever. */
  get failed(): Promise<never> {
    return new Promise((_, reject) => {
      for (const each of this.#running) each.catch(reject);
    });
  }

  get status(): SimulationStatus {
    const { counts } = this.#field;
    return {
      scenario: this.#name,
      devices: this.#devices.length,
      seconds: Math.round((Date.now() - this.#startedAt) / 1000),
      fleet: counts.fleet,
      ...counts.numbers,
    };
  }

  /** Devices say goodbye; their sessions and what they have left on the bus go with them. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const field = this.#field;
    field.ending = true;
    field.timers.end();
    await Promise.allSettled(this.#running);
    field.timers.begin();
    const until = Date.now() + LEAVE_WITHIN;
    for (let at = 0; at < this.#devices.length; at += LEAVING) {
      const leaving = this.#devices.slice(at, at + LEAVING);
      if (Date.now() < until) await Promise.all(leaving.map((device) => device.end()));
      else for (const device of leaving) device.close();
    }
    await this.#backend?.end();
    await this.#application?.end(this.#retained());
    field.timers.end();
  }

  /** CoAP devices leave their last reading on the bus, for who comes later. */
  #retained(): readonly string[] {
    return this.#devices.flatMap(({ thing }) => (thing.protocol === "coap" ? [thing.topic] : []));
  }
}

/** Of protocols that the gateway does not speak there are none; the others take their share. */
function things({ options, luck, timers }: Field, scenario: Scenario, count: number): Thing[] {
  const spoken = (Object.entries(scenario.mixture) as [DeviceProtocol, number][]).filter(
    ([protocol]) => options.ports[protocol] !== undefined,
  );
  const parts = spoken.flatMap(([protocol, share]) => Array.from({ length: share }, () => protocol));
  if (parts.length === 0) return [];
  const made: Record<DeviceProtocol, number> = { "mqtt-sn": 0, coap: 0, lwm2m: 0 };
  // Each protocol soon, and all of them in their shares: a fleet of ten has them all.
  const order = parts.map((_, index) => parts[(index * 7) % parts.length]!);
  const even = parts.length % 7 === 0 ? parts : order;
  return Array.from({ length: count }, (_, index) => {
    const protocol = even[index % even.length]!;
    return scenario.thing(protocol, made[protocol]++, luck, timers.now());
  });
}
