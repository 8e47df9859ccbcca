/** What a simulation is told and what it tells: the words that the command line and the HTTP API share. */

export const SCENARIOS = ["cold-chain", "street-lamps", "water-meters"] as const;
export type ScenarioName = (typeof SCENARIOS)[number];

/** Protocols that a fleet speaks, as the gateways are named. */
export const PROTOCOLS = ["mqtt-sn", "coap", "lwm2m", "mqtt", "stomp"] as const;
export type ProtocolName = (typeof PROTOCOLS)[number];

/** Where each protocol is spoken; absent: not at all. */
export type Ports = Readonly<Partial<Record<ProtocolName, number>>>;

/** The ports of a gateway without a configuration. */
export const DEFAULT_PORTS: Required<Ports> = {
  "mqtt-sn": 1884,
  coap: 5683,
  lwm2m: 5683,
  mqtt: 1883,
  stomp: 61_613,
};

export const DEVICES_MAX = 20_000;
/** Ids of simulated clients begin so, and their topics with `sim/`. */
export const ID_PREFIX = "sim-";

export interface SimulationOptions {
  readonly scenario: ScenarioName;
  /** Devices; the applications that listen to them come on top. */
  readonly devices: number;
  readonly host: string;
  readonly ports: Ports;
  /** Part of the datagrams that is lost, each way: 0 to 1. */
  readonly loss: number;
  /** How long a device keeps its address, on average, in milliseconds; undefined: always. */
  readonly natLife: number | undefined;
  /** Between two readings of a device, on average, in milliseconds. */
  readonly interval: number;
  /** Of the applications, where the gateway wants it. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly seed: number;
}

export interface FleetCount {
  /** That there are. */
  readonly devices: number;
  /** That the gateway has let in, and which have not lost it since. */
  readonly connected: number;
}

/** How a simulation is doing. */
export interface SimulationStatus {
  readonly scenario: ScenarioName;
  readonly devices: number;
  readonly seconds: number;
  readonly fleet: Readonly<Record<ProtocolName, FleetCount>>;
  /** Readings that devices have said. */
  readonly readings: number;
  /** Messages that the applications have heard. */
  readonly heard: number;
  /** Commands that applications have given, and those that have reached a device. */
  readonly commands: number;
  readonly obeyed: number;
  /** Times that a device was refused, or gave up waiting for an answer. */
  readonly refused: number;
  readonly unanswered: number;
  /** Datagrams that the simulated network has lost, and repeats of devices. */
  readonly lost: number;
  readonly repeated: number;
  /** Times that a NAT gave a device another address. */
  readonly moved: number;
}
