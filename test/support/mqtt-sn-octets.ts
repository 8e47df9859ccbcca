/** A foreign MQTT-SN client played by hand: octets in, octets out, and none of our own codec between them. */
import { snWorld } from "./mqtt-sn-device.ts";
import type { DatagramNetwork } from "./world.ts";

/** `09 04 'abc'`: hexadecimal octets and text. */
export function octets(spec: string): Uint8Array {
  const parts = spec
    .split("'")
    .map((part, index) =>
      index % 2 === 0 ? Buffer.from(part.replaceAll(" ", ""), "hex") : Buffer.from(part),
    );
  return Uint8Array.from(Buffer.concat(parts));
}

const show = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString("hex")
    .toUpperCase()
    .replace(/..(?=.)/g, "$& ");

/** The same octets as the client's answers are shown. */
export const hex = (...specs: string[]): string[] => specs.map((spec) => show(octets(spec)));

export class ForeignClient {
  port: number;
  readonly address: string;
  readonly #network: DatagramNetwork;

  constructor(network: DatagramNetwork, port = 20_000, address = "10.0.0.7") {
    this.#network = network;
    this.port = port;
    this.address = address;
  }

  /** Sends one datagram; answers those that came back. */
  say(spec: string): string[] {
    this.#network.deliver(octets(spec), this.address, this.port);
    return this.hear();
  }

  hear(): string[] {
    const key = `${this.address}:${this.port}`;
    const heard = this.#network.sent.get(key) ?? [];
    this.#network.sent.delete(key);
    return heard.map(show);
  }
}

/** A gateway, one foreign client before it, and everything that arrives on the bus. */
export function meet(config: Record<string, unknown> = {}) {
  const made = snWorld(config);
  const heard = made.world.listen("#");
  return { ...made, client: new ForeignClient(made.network), heard };
}

type Heard = readonly { topic: string; payload: Uint8Array }[];

/** The last message on the bus: topic and payload. */
export function last(heard: Heard): string {
  const message = heard.at(-1);
  return message === undefined ? "" : `${message.topic} ${Buffer.from(message.payload).toString()}`;
}
