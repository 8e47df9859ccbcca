/** CoAP messages for people, of datagrams, streams and WebSockets. */
import {
  type Dissected,
  type Dissection,
  type Dissector,
  type Sender,
  unreadable,
} from "#core/contract/dissection.ts";
import { isStream } from "#core/contract/peer.ts";
import { lossyText } from "#core/lib/bytes.ts";
import { codeClass, EMPTY, formatCode, isRequest, Method, Response, Signal } from "./codes.ts";
import { CoapMessage, decodeDatagram, type FormatError, Type } from "./message.ts";
import { describeOption, Option } from "./options.ts";
import { decodeStreamMessage, decodeWebSocketMessage, streamMessageLength } from "./stream-framing.ts";

const TYPES = Object.keys(Type);
const namesOf = (table: Readonly<Record<string, number>>): ReadonlyMap<number, string> =>
  new Map(Object.entries(table).map(([name, code]) => [code, name]));
const METHODS = namesOf(Method);
const RESPONSES = namesOf(Response);
const SIGNALS = namesOf(Signal);

const TEXTS: ReadonlySet<number> = new Set([
  Option.UriHost,
  Option.LocationPath,
  Option.UriPath,
  Option.UriQuery,
  Option.LocationQuery,
  Option.ProxyUri,
  Option.ProxyScheme,
]);
const OPAQUE: ReadonlySet<number> = new Set([
  Option.IfMatch,
  Option.ETag,
  Option.OSCORE,
  Option.Echo,
  Option.RequestTag,
]);

/** Queries that carry what lets somebody in, by their long and short names. */
const SECRET_QUERY = /^(?:p|pw|pass|passw(?:or)?d|t|token|secret|key)=/i;
/** LwM2M's Security object: its instances hold keys (OMA LwM2M 1.1 appendix E.1). */
const SECURITY_OBJECT = "0";
/** Paths of which the answer is a token. */
const TOKEN_PATH = "connection";
/** Requests that a trace remembers until they are answered. */
const REQUESTS_MAX = 256;

type Span = readonly [from: number, to: number];

export class CoapDissector implements Dissector {
  readonly #message = new CoapMessage();
  readonly #framing: "datagram" | "stream" | "websocket";
  /** What was asked, by sender and token: the path, which its answer does not repeat. */
  readonly #requests = new Map<string, string>();

  constructor({ peer: { transport } }: Pick<Dissected, "peer">) {
    const websocket = transport === "ws" || transport === "wss";
    this.#framing = websocket ? "websocket" : isStream(transport) ? "stream" : "datagram";
  }

  lengthOf(bytes: Uint8Array, at: number): number | undefined {
    return this.#framing === "stream" ? streamMessageLength(bytes, at, bytes.length) : bytes.length - at;
  }

  dissect(frame: Uint8Array, from: Sender): Dissection {
    const error = this.#decode(frame);
    if (error !== undefined) return unreadable(frame, error.problem, error.clause);
    const { code } = this.#message;
    if (code === EMPTY) return this.#empty(from);
    if (codeClass(code) === codeClass(Signal.CSM)) return this.#signal();
    return isRequest(code) ? this.#request(from) : this.#response(from);
  }

  #decode(frame: Uint8Array): FormatError | undefined {
    switch (this.#framing) {
      case "datagram":
        return decodeDatagram(frame, this.#message);
      case "stream":
        return decodeStreamMessage(frame, 0, frame.length, this.#message);
      case "websocket":
        return decodeWebSocketMessage(frame, this.#message);
    }
  }

  /** RFC 7252 §4.1: an acknowledgement alone, a reset, or a ping. */
  #empty(from: Sender): Dissection {
    const { type, messageId } = this.#message;
    const answers = type === Type.ACK || type === Type.RST;
    const name = this.#framing !== "datagram" ? "empty" : answers ? TYPES[type]! : `${TYPES[type]} ping`;
    return {
      name,
      summary: this.#framing === "datagram" ? hex(messageId) : "",
      fields: { messageId },
      exchanges: [messageOf(answers ? other(from) : from, messageId)],
      begins: !answers,
      expects: !answers && this.#framing === "datagram",
      secrets: [],
    };
  }

  #signal(): Dissection {
    const { code } = this.#message;
    const name = SIGNALS.get(code) ?? formatCode(code);
    const options: Record<string, unknown> = {};
    const message = this.#message;
    for (let index = 0; index < message.optionCount; index++) {
      options[`option ${message.numberAt(index)}`] = message.uintAt(index);
    }
    const answers = code === Signal.Pong;
    const exchanges = code === Signal.Ping || answers ? ["ping"] : [];
    return {
      name,
      summary: "",
      fields: options,
      exchanges,
      begins: !answers,
      expects: code === Signal.Ping,
      secrets: [],
    };
  }

  #request(from: Sender): Dissection {
    const { code, payload, type } = this.#message;
    const secrets: Span[] = [];
    const { fields, path, query } = this.#options(secrets);
    this.#remember(`${from} ${fields["token"]}`, path);
    if (path.split("/")[0] === SECURITY_OBJECT && payload.length > 0) secrets.push(this.#payloadSpan());
    const observe = fields["Observe"];
    const marks = `${observe === undefined ? "" : ` observe ${observe}`}${this.#block(fields)}`;
    return {
      name: this.#named(METHODS.get(code) ?? formatCode(code)),
      summary: `/${path}${query}${marks}${this.#id()}${sized(payload)}`,
      fields: { ...fields, path: `/${path}`, ...this.#body(payload, secrets) },
      exchanges: this.#exchanges(from, from),
      begins: true,
      expects: type === Type.CON || this.#framing !== "datagram",
      secrets,
    };
  }

  #response(from: Sender): Dissection {
    const { code, payload, type } = this.#message;
    const secrets: Span[] = [];
    const { fields } = this.#options(secrets);
    const asked = this.#requests.get(`${other(from)} ${fields["token"]}`);
    const holdsSecret = asked?.split("/")[0] === SECURITY_OBJECT || asked?.endsWith(TOKEN_PATH) === true;
    if (holdsSecret && payload.length > 0) secrets.push(this.#payloadSpan());
    const name = RESPONSES.get(code);
    const spelt = name === undefined ? "" : ` ${name.replace(/([a-z])([A-Z])/g, "$1 $2")}`;
    const observed = fields["Observe"];
    const notification = observed === undefined ? "" : ` observe ${observed}`;
    const of = asked === undefined ? "" : ` /${asked}`;
    return {
      name: this.#named(formatCode(code)),
      summary:
        `${spelt.trim()}${of}${notification}${this.#block(fields)}${this.#id()}${sized(payload)}`.trim(),
      fields: { ...fields, ...this.#body(payload, secrets) },
      exchanges: this.#exchanges(from, other(from)),
      // A notification follows from what it tells of, and not from the request that began it long ago (RFC 7641 §1.2).
      begins: observed !== undefined && type !== Type.ACK,
      expects: type === Type.CON && this.#framing === "datagram",
      secrets,
    };
  }

  #named(code: string): string {
    return this.#framing === "datagram" ? `${TYPES[this.#message.type]} ${code}` : code;
  }

  #id(): string {
    return this.#framing === "datagram" ? `, ${hex(this.#message.messageId)}` : "";
  }

  #block(fields: Readonly<Record<string, unknown>>): string {
    let text = "";
    for (const name of ["Block1", "Block2"]) {
      const value = fields[name];
      if (typeof value === "number")
        text += ` ${name} ${value >> 4}${(value & 8) === 0 ? "" : "+"}/${16 << (value & 7)}`;
    }
    return text;
  }

  /** By message id, and by the token of who asked. */
  #exchanges(from: Sender, asker: Sender): string[] {
    const { type, messageId, tokenLength, token } = this.#message;
    const ids: string[] = [];
    if (this.#framing === "datagram") ids.push(messageOf(type === Type.ACK ? other(from) : from, messageId));
    if (tokenLength > 0) ids.push(`token ${asker} ${Buffer.from(token).toString("hex")}`);
    return ids;
  }

  #options(secrets: Span[]): { fields: Record<string, unknown>; path: string; query: string } {
    const message = this.#message;
    const fields: Record<string, unknown> = { token: Buffer.from(message.token).toString("hex") };
    if (this.#framing === "datagram") fields["messageId"] = message.messageId;
    const queries: string[] = [];
    const segments: string[] = [];
    for (let index = 0; index < message.optionCount; index++) {
      const number = message.numberAt(index);
      if (number === Option.UriPath) segments.push(lossyText(message.valueAt(index)));
      else if (number === Option.UriQuery) queries.push(this.#query(index, secrets));
      else fields[describeOption(number).replace(/ \(\d+\)$/, "")] = this.#value(index, number);
    }
    if (queries.length > 0) fields["Uri-Query"] = queries;
    return { fields, path: segments.join("/"), query: queries.length === 0 ? "" : `?${queries.join("&")}` };
  }

  #query(index: number, secrets: Span[]): string {
    const text = lossyText(this.#message.valueAt(index));
    const name = SECRET_QUERY.exec(text)?.[0];
    if (name === undefined) return text;
    const start = this.#message.startAt(index);
    secrets.push([start + name.length, start + this.#message.lengthAt(index)]);
    return `${name}••`;
  }

  #value(index: number, number: number): unknown {
    const bytes = this.#message.valueAt(index);
    if (TEXTS.has(number)) return lossyText(bytes);
    if (OPAQUE.has(number) || bytes.length > 4) return Buffer.from(bytes).toString("hex");
    return number === Option.IfNoneMatch ? true : this.#message.uintAt(index);
  }

  #payloadSpan(): Span {
    return [this.#message.payloadStart, this.#message.end];
  }

  #body(payload: Uint8Array, secrets: readonly Span[]): Record<string, unknown> {
    if (payload.length === 0) return {};
    return { payload: secrets.some(([from]) => from === this.#message.payloadStart) ? "••" : payload };
  }

  #remember(exchange: string, path: string): void {
    this.#requests.delete(exchange);
    this.#requests.set(exchange, path);
    if (this.#requests.size <= REQUESTS_MAX) return;
    const oldest = this.#requests.keys().next();
    if (oldest.done !== true) this.#requests.delete(oldest.value);
  }
}

const other = (from: Sender): Sender => (from === "device" ? "gateway" : "device");
const hex = (messageId: number): string => messageId.toString(16).padStart(4, "0");
const messageOf = (from: Sender, messageId: number): string => `message ${from} ${messageId}`;
const sized = (payload: Uint8Array): string => (payload.length === 0 ? "" : `, ${payload.length} B`);
