/** What a fleet is: its devices, and what the application that listens to them makes of it. */
import type { Luck } from "../luck.ts";
import type { ScenarioName } from "../options.ts";
import type { DeviceProtocol, Thing } from "../thing.ts";

export interface Command {
  readonly topic: string;
  readonly payload: string;
  readonly retain?: boolean;
}

/** What the fleet is made of, in parts of ten. */
export type Mixture = Readonly<Record<DeviceProtocol, number>>;

export interface Scenario {
  readonly name: ScenarioName;
  readonly mixture: Mixture;
  /** The `index`th device of its protocol. */
  thing(protocol: DeviceProtocol, index: number, luck: Luck, now: number): Thing;
  /** What the application does about a message. */
  heard(topic: string, payload: string): readonly Command[];
  /** What it does by itself, every few seconds. */
  think(now: number): readonly Command[];
  /** What the backend files about a reading; undefined: all is well. */
  job(topic: string, payload: string): string | undefined;
}

export const numbered = (word: string, index: number): string =>
  `${word}-${String(index + 1).padStart(4, "0")}`;

/** Observes resources of each LwM2M device as soon as it is heard of, and anew when it has registered anew. */
export class Observing {
  readonly #paths: readonly string[];
  readonly #observed = new Set<string>();

  constructor(...paths: readonly string[]) {
    this.#paths = paths;
  }

  commands(topic: string, payload: string): readonly Command[] {
    const [root, endpoint = "", , kind] = topic.split("/");
    if (root !== "lwm2m") return [];
    const registered = kind === "resp" && payload.includes('"msgType":"register"');
    if (!registered && (kind !== "send" || this.#observed.has(endpoint))) return [];
    this.#observed.add(endpoint);
    return this.#paths.map((path, index) => ({
      topic: `lwm2m/${endpoint}/dn/observe`,
      payload: JSON.stringify({ reqID: index + 1, msgType: "observe", data: { path } }),
    }));
  }
}

/** The value of a name in a plain or a SenML reading; undefined when it is not there. */
export function valueIn(payload: string, name: string): number | boolean | undefined {
  let reading: unknown;
  try {
    reading = JSON.parse(payload);
  } catch {
    return undefined;
  }
  if (Array.isArray(reading)) {
    const record = reading.find((each) => each?.n === name);
    return record?.v ?? record?.vb;
  }
  return (reading as Readonly<Record<string, number | boolean>> | null)?.[name];
}
