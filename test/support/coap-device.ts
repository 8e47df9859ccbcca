/** A CoAP device on the virtual network, speaking through a foreign codec (the npm package coap-packet). */
import { generate, type ParsedPacket, parse } from "coap-packet";
import type { DatagramNetwork, VirtualDevice } from "./world.ts";

export interface Sent {
  readonly type?: "CON" | "NON" | "ACK" | "RST";
  /** `GET`, `0.05`, `2.05`. */
  readonly code?: string;
  readonly id?: number;
  readonly token?: string;
  readonly path?: string;
  readonly query?: readonly string[];
  readonly options?: readonly (readonly [number, Uint8Array | string | number])[];
  readonly payload?: string | Uint8Array;
}

const METHODS: Record<string, string> = {
  GET: "0.01",
  POST: "0.02",
  PUT: "0.03",
  DELETE: "0.04",
  FETCH: "0.05",
  PATCH: "0.06",
  iPATCH: "0.07",
};

function value(given: Uint8Array | string | number): Buffer {
  if (typeof given === "string") return Buffer.from(given);
  if (typeof given !== "number") return Buffer.from(given);
  const bytes: number[] = [];
  for (let rest = given; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from(bytes);
}

export function packet(sent: Sent): Buffer {
  const options: { name: number; value: Buffer }[] = [];
  for (const segment of sent.path?.split("/") ?? []) options.push({ name: 11, value: Buffer.from(segment) });
  for (const part of sent.query ?? []) options.push({ name: 15, value: Buffer.from(part) });
  for (const [name, given] of sent.options ?? []) options.push({ name, value: value(given) });
  const type = sent.type ?? "CON";
  return generate({
    code: METHODS[sent.code ?? "GET"] ?? sent.code ?? "0.01",
    messageId: sent.id ?? 1,
    token: Buffer.from(sent.token ?? "", "latin1"),
    confirmable: type === "CON",
    ack: type === "ACK",
    reset: type === "RST",
    options: options as never,
    payload: Buffer.from(sent.payload ?? ""),
  });
}

/** What the gateway sent, in words a test can compare. */
export interface Heard {
  readonly type: "CON" | "NON" | "ACK" | "RST";
  readonly code: string;
  readonly id: number;
  readonly token: string;
  readonly payload: string;
  readonly bytes: Uint8Array;
  /** First value of an option as a number. */
  number(option: number): number | undefined;
  text(option: number): string[];
  raw(option: number): Buffer | undefined;
}

const NUMBERS: Record<string, number> = {
  "If-Match": 1,
  "Uri-Host": 3,
  ETag: 4,
  "If-None-Match": 5,
  Observe: 6,
  "Uri-Port": 7,
  "Location-Path": 8,
  OSCORE: 9,
  "Uri-Path": 11,
  "Content-Format": 12,
  "Max-Age": 14,
  "Uri-Query": 15,
  "Hop-Limit": 16,
  Accept: 17,
  "Location-Query": 20,
  Block2: 23,
  Block1: 27,
  Size2: 28,
  "Proxy-Uri": 35,
  "Proxy-Scheme": 39,
  Size1: 60,
  "No-Response": 258,
};

export function heard(bytes: Uint8Array): Heard {
  const parsed: ParsedPacket = parse(Buffer.from(bytes));
  const type = parsed.ack ? "ACK" : parsed.reset ? "RST" : parsed.confirmable ? "CON" : "NON";
  const values = (option: number): Buffer[] =>
    parsed.options
      .filter(({ name }) => (NUMBERS[String(name)] ?? Number(name)) === option)
      .map((each) => each.value);
  return {
    type,
    code: parsed.code,
    id: parsed.messageId,
    token: parsed.token.toString("latin1"),
    payload: parsed.payload.toString(),
    bytes,
    raw: (option) => values(option)[0],
    text: (option) => values(option).map(String),
    number: (option) => {
      const first = values(option)[0];
      if (first === undefined) return undefined;
      let number = 0;
      for (const byte of first) number = number * 256 + byte;
      return number;
    },
  };
}

export class CoapDevice {
  readonly device: VirtualDevice;
  #id = 100;

  constructor(network: DatagramNetwork, port = 10_000, address = "10.0.0.1") {
    this.device = network.device(port, address);
  }

  /** Sends as told, with a fresh message id unless one is given; returns the id. */
  send(sent: Sent): number {
    const id = sent.id ?? this.#id++;
    this.device.send(packet({ ...sent, id }));
    return id;
  }

  raw(...bytes: number[]): void {
    this.device.send(Uint8Array.from(bytes));
  }

  take(): Heard[] {
    return this.device.take().map(heard);
  }

  /** Sends and returns the one answer. */
  ask(sent: Sent): Heard {
    this.take();
    this.send(sent);
    const answers = this.take();
    if (answers.length !== 1) throw new Error(`${answers.length} answers instead of one`);
    return answers[0] as Heard;
  }

  acknowledge(id: number): void {
    this.device.send(packet({ type: "ACK", code: "0.00", id }));
  }

  /** Answers pings as every endpoint must (RFC 7252 §4.3) until no more come; what came beside them, in order. */
  answerPings(): Heard[] {
    const others: Heard[] = [];
    for (let heard = this.take(); heard.length > 0; heard = this.take()) {
      for (const each of heard) {
        if (each.type === "CON" && each.code === "0.00") this.reset(each.id);
        else others.push(each);
      }
    }
    return others;
  }

  reset(id: number): void {
    this.device.send(packet({ type: "RST", code: "0.00", id }));
  }
}
