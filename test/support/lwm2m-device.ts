/**
 * A scripted LwM2M device on the virtual network. It speaks bytes, keeps everything it was asked, and answers
 * by a script; by default it acknowledges politely. Hostile behaviour is a script too: silence, resets, late or
 * doubled answers, broken bytes.
 */

import {
  ACK,
  CON,
  NON,
  RST,
  readMessage,
  textOption,
  textsOf,
  uintOf,
  uintOption,
  type WireMessage,
  type WireOption,
  writeMessage,
} from "./coap-bytes.ts";
import type { DatagramNetwork, VirtualDevice } from "./world.ts";

const OBSERVE = 6;
const LOCATION_PATH = 8;
const URI_PATH = 11;
const CONTENT_FORMAT = 12;
const URI_QUERY = 15;
const ACCEPT = 17;

/** One request of the gateway, as the device sees it. */
export interface Asked {
  /** `GET /3/0/0`, with `?query` when there is one. */
  readonly line: string;
  readonly observe: number | undefined;
  readonly accept: number | undefined;
  readonly format: number | undefined;
  readonly payload: Uint8Array;
  readonly message: WireMessage;
}

export interface Reply {
  readonly code: string;
  readonly format?: number;
  readonly payload?: Uint8Array | string;
  readonly observe?: number;
  readonly location?: readonly string[];
  readonly options?: readonly WireOption[];
}

/** What the device does with a request: answers, only acknowledges, resets, or stays silent. */
export type Reaction = Reply | "acknowledge" | "reset" | "silence";
export type Script = (asked: Asked) => Reaction | undefined;

const METHODS = ["", "GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH"];

export const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replace(/\s+/g, ""), "hex"));

export class Lwm2mDevice {
  readonly wire: VirtualDevice;
  readonly ep: string;
  /** Requests of the gateway in order, each once however often it was sent. */
  readonly asked: Asked[] = [];
  /** Everything that arrived and was no request: answers to what the device sent. */
  readonly answers: WireMessage[] = [];
  script: Script = () => undefined;
  location: string | undefined = undefined;
  readonly #network: DatagramNetwork;
  readonly #seen = new Map<number, Uint8Array | undefined>();
  #nextId: number;

  constructor(network: DatagramNetwork, ep: string, port = 10_000, address = "10.0.0.1") {
    this.#network = network;
    this.ep = ep;
    this.wire = network.device(port, address);
    this.#nextId = 1 + (port % 30_000);
    this.#attach();
  }

  /** Answers requests whose line begins with `line`; later calls win. */
  on(line: string, reaction: Reaction | Script): this {
    const before = this.script;
    this.script = (asked) => {
      if (asked.line !== line && !asked.line.startsWith(`${line}?`)) return before(asked);
      return typeof reaction === "function" ? reaction(asked) : reaction;
    };
    return this;
  }

  /** Another address, as behind a NAT that forgot it. */
  move(port: number): void {
    this.#network.detach(this.wire.address, this.wire.port);
    this.wire.move(port);
    this.#attach();
  }

  /** Nothing reaches the device and it sends nothing: radio off. */
  sleep(): void {
    this.#network.detach(this.wire.address, this.wire.port);
    this.#network.attach(this.wire.address, this.wire.port, () => {});
  }

  wakeUp(): void {
    this.#attach();
  }

  /** `POST /rd?ep=..&...` with the object list; remembers the location. */
  register(query: Readonly<Record<string, string>> = {}, links = "</1/0>,</3/0>"): WireMessage {
    const all = { ep: this.ep, lt: "300", lwm2m: "1.0", b: "U", ...query };
    const parts = Object.entries(all).filter(([name]) => name !== "");
    const answer = this.request(
      "0.02",
      "rd",
      parts.map(([name, value]) => (value === "" ? name : `${name}=${value}`)),
      links,
      40,
    );
    const location = textsOf(answer, LOCATION_PATH);
    if (answer.code === "2.01") this.location = location.join("/");
    return answer;
  }

  update(query: readonly string[] = [], links = ""): WireMessage {
    return this.request("0.02", this.location ?? "rd/none", query, links, links === "" ? undefined : 40);
  }

  deregister(): WireMessage {
    return this.request("0.04", this.location ?? "rd/none", []);
  }

  /** Sends a CON request and returns the answer to it; throws when there is none at once. */
  request(
    code: string,
    path: string,
    query: readonly string[],
    payload: Uint8Array | string = "",
    format?: number,
    more: readonly WireOption[] = [],
  ): WireMessage {
    const id = this.#takeId();
    const token = id.toString(16).padStart(4, "0");
    const options = [
      ...path
        .split("/")
        .filter(Boolean)
        .map((segment) => textOption(URI_PATH, segment)),
      ...query.map((part) => textOption(URI_QUERY, part)),
      ...(format === undefined ? [] : [uintOption(CONTENT_FORMAT, format)]),
      ...more,
    ];
    this.wire.send(writeMessage({ type: CON, code, id, token, options, payload: Buffer.from(payload) }));
    const answer = this.answers.find((message) => message.token === token && message.code !== "0.00");
    if (answer === undefined) throw new Error(`no answer to ${code} /${path}`);
    return answer;
  }

  /** Sends without waiting for an answer. */
  send(code: string, path: string, query: readonly string[], payload = "", format?: number): void {
    const id = this.#takeId();
    const options = [
      ...path.split("/").map((segment) => textOption(URI_PATH, segment)),
      ...query.map((part) => textOption(URI_QUERY, part)),
      ...(format === undefined ? [] : [uintOption(CONTENT_FORMAT, format)]),
    ];
    this.wire.send(
      writeMessage({
        type: CON,
        code,
        id,
        token: id.toString(16).padStart(4, "0"),
        options,
        payload: Buffer.from(payload),
      }),
    );
  }

  /** A notification for an observation begun by `asked`. */
  notify(asked: Asked, observe: number, reply: Reply, confirmable = false): void {
    const { token } = asked.message;
    const type = confirmable ? CON : NON;
    this.wire.send(writeMessage({ ...this.#fields({ ...reply, observe }), type, id: this.#takeId(), token }));
  }

  /** A response of its own (separate, late or unasked). */
  respond(asked: Asked, reply: Reply, type: number = CON): void {
    this.wire.send(
      writeMessage({ ...this.#fields(reply), type, id: this.#takeId(), token: asked.message.token }),
    );
  }

  lastAsked(): Asked {
    const last = this.asked[this.asked.length - 1];
    if (last === undefined) throw new Error(`${this.ep} was not asked anything`);
    return last;
  }

  lines(): string[] {
    return this.asked.map((asked) => asked.line);
  }

  #attach(): void {
    this.#network.attach(this.wire.address, this.wire.port, (bytes) => this.#receive(bytes));
  }

  #receive(bytes: Uint8Array): void {
    const message = readMessage(bytes);
    const isRequest = message.code.startsWith("0.") && message.code !== "0.00";
    if (!isRequest) {
      this.answers.push(message);
      if (message.type === CON) this.wire.send(writeMessage({ type: ACK, code: "0.00", id: message.id }));
      return;
    }
    if (this.#seen.has(message.id)) {
      const again = this.#seen.get(message.id);
      if (again !== undefined) this.wire.send(again);
      return;
    }
    const asked = askedOf(message);
    this.asked.push(asked);
    const answer = this.#react(asked, this.script(asked) ?? politely(asked));
    this.#seen.set(message.id, answer);
    if (answer !== undefined) this.wire.send(answer);
  }

  #react(asked: Asked, reaction: Reaction): Uint8Array | undefined {
    const { id, token, type } = asked.message;
    if (reaction === "silence") return undefined;
    if (reaction === "reset") return writeMessage({ type: RST, code: "0.00", id });
    if (reaction === "acknowledge") return writeMessage({ type: ACK, code: "0.00", id });
    const answerType = type === CON ? ACK : NON;
    return writeMessage({
      ...this.#fields(reaction),
      type: answerType,
      id: type === CON ? id : this.#takeId(),
      token,
    });
  }

  #fields(reply: Reply): Pick<WireMessage, "code" | "options" | "payload"> {
    const options = [
      ...(reply.observe === undefined ? [] : [uintOption(OBSERVE, reply.observe)]),
      ...(reply.location ?? []).map((segment) => textOption(LOCATION_PATH, segment)),
      ...(reply.format === undefined ? [] : [uintOption(CONTENT_FORMAT, reply.format)]),
      ...(reply.options ?? []),
    ];
    return { code: reply.code, options, payload: Buffer.from(reply.payload ?? "") };
  }

  #takeId(): number {
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) & 0xffff;
    return id;
  }
}

function askedOf(message: WireMessage): Asked {
  const query = textsOf(message, URI_QUERY);
  const path = textsOf(message, URI_PATH).join("/");
  return {
    line: `${METHODS[Number(message.code.slice(2))]} /${path}${query.length === 0 ? "" : `?${query.join("&")}`}`,
    observe: uintOf(message, OBSERVE),
    accept: uintOf(message, ACCEPT),
    format: uintOf(message, CONTENT_FORMAT),
    payload: message.payload,
    message,
  };
}

/** Success without content. */
function politely(asked: Asked): Reply {
  switch (asked.line.split(" ")[0]) {
    case "GET":
    case "FETCH":
      return { code: "4.04" };
    case "DELETE":
      return { code: "2.02" };
    default:
      return { code: "2.04" };
  }
}
