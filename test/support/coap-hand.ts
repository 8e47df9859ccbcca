/** A CoAP client whose datagrams a test writes byte by byte, as a capture of somebody else's client would show them. */
import { readMessage, uintOf, type WireMessage } from "./coap-bytes.ts";
import type { DatagramNetwork, VirtualDevice } from "./world.ts";

/** Hexadecimal, and text in quotes: `40 01 0001 b2 'ps' 01 'a' 60`. Text has no spaces. */
export function bytes(written: string): Uint8Array {
  const parts = written
    .trim()
    .split(/\s+/)
    .map((part) => (part.startsWith("'") ? Buffer.from(part.slice(1, -1)) : Buffer.from(part, "hex")));
  return Buffer.concat(parts);
}

/** What came, with its payload as text. */
export interface Said extends WireMessage {
  readonly type: number;
  readonly text: string;
  /** First value of an option, as a number. */
  option(number: number): number | undefined;
  raw(number: number): string | undefined;
  readonly wire: string;
}

export function said(datagram: Uint8Array): Said {
  const message = readMessage(datagram);
  return {
    ...message,
    text: Buffer.from(message.payload).toString(),
    wire: Buffer.from(datagram).toString("hex"),
    option: (number) => uintOf(message, number),
    raw: (number) => {
      const found = message.options.find((each) => each.number === number);
      return found === undefined ? undefined : Buffer.from(found.value).toString("hex");
    },
  };
}

const hex = (value: number): string => value.toString(16).padStart(4, "0");

export class HandClient {
  readonly #device: VirtualDevice;

  constructor(network: DatagramNetwork, port = 20_000, address = "10.0.0.2") {
    this.#device = network.device(port, address);
  }

  hears(): Said[] {
    return this.#device.take().map(said);
  }

  /** Sends and gives everything that came back. */
  sends(written: string | Uint8Array): Said[] {
    this.#device.send(typeof written === "string" ? bytes(written) : written);
    return this.hears();
  }

  /** Sends and gives the one answer. */
  asks(written: string | Uint8Array): Said {
    const answers = this.sends(written);
    if (answers.length !== 1) throw new Error(`${answers.length} answers instead of one`);
    return answers[0] as Said;
  }

  /** Answers a ping, and those that follow it, in its own way; what came beside them. */
  answersPings(ping: Said | undefined, answer = (id: string): string => `60 00 ${id}`): Said[] {
    const others: Said[] = [];
    const open = ping === undefined ? [] : [ping];
    for (let next = open.shift(); next !== undefined; next = open.shift()) {
      for (const each of this.sends(answer(hex(next.id))))
        (each.type === 0 && each.code === "0.00" ? open : others).push(each);
    }
    return others;
  }

  acknowledges(message: Said | undefined): Said[] {
    return this.sends(`60 00 ${hex(message?.id ?? 0)}`);
  }

  resets(message: Said | undefined): Said[] {
    return this.sends(`70 00 ${hex(message?.id ?? 0)}`);
  }
}
