import { type FleetCount, PROTOCOLS, type ProtocolName, type SimulationStatus } from "./options.ts";

type Counted = Pick<
  SimulationStatus,
  "readings" | "heard" | "commands" | "obeyed" | "refused" | "unanswered" | "lost" | "repeated" | "moved"
>;

export class Counts {
  readonly #numbers: { -readonly [Name in keyof Counted]: number } = {
    ...{ readings: 0, heard: 0, commands: 0, obeyed: 0, refused: 0 },
    ...{ unanswered: 0, lost: 0, repeated: 0, moved: 0 },
  };
  readonly #devices = new Map<ProtocolName, number>();
  readonly #connected = new Map<ProtocolName, Set<object>>(PROTOCOLS.map((name) => [name, new Set()]));

  one(what: keyof Counted): void {
    this.#numbers[what]++;
  }

  device(protocol: ProtocolName): void {
    this.#devices.set(protocol, (this.#devices.get(protocol) ?? 0) + 1);
  }

  connected(protocol: ProtocolName, who: object): void {
    this.#connected.get(protocol)?.add(who);
  }

  disconnected(protocol: ProtocolName, who: object): void {
    this.#connected.get(protocol)?.delete(who);
  }

  get numbers(): Counted {
    return { ...this.#numbers };
  }

  get fleet(): Record<ProtocolName, FleetCount> {
    return Object.fromEntries(
      PROTOCOLS.map((name) => [
        name,
        { devices: this.#devices.get(name) ?? 0, connected: this.#connected.get(name)?.size ?? 0 },
      ]),
    ) as Record<ProtocolName, FleetCount>;
  }
}
