/** STOMP's frames for people. SockJS's framing around them is taken off first. */
import { type Dissection, type Dissector, type Sender, unreadable } from "#core/contract/dissection.ts";
import { lossyText } from "#core/lib/bytes.ts";
import { unescapeText } from "./codec/escapes.ts";
import { type Command, opensSession } from "./frames.ts";

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;

/** Client and server frames that somebody has to answer, or that answer one, by the header that says which. */
const ANSWERS: Readonly<Record<string, readonly string[]>> = {
  ACK: ["id", "message-id"],
  NACK: ["id", "message-id"],
  RECEIPT: ["receipt-id"],
  CONNECTED: [],
};

interface Lines {
  readonly command: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Of the value of `passcode`. */
  readonly secrets: Dissection["secrets"];
  readonly body: Uint8Array;
}

/** A frame over SockJS: a JSON array of strings, after an `a` where we send it. */
const SOCKJS = /^(?:a?\[|[oh]$|c\[)/;

export class StompDissector implements Dissector {
  readonly #sockJs: boolean;

  constructor(sockJs: boolean) {
    this.#sockJs = sockJs;
  }

  /** STOMP 1.2 Augmented BNF: ends of line before a frame are heart-beats. */
  lengthOf(bytes: Uint8Array, at: number): number | undefined {
    if (this.#sockJs) return bytes.length - at;
    let end = at;
    while (isGap(bytes[end])) end++;
    if (end > at) return end - at;
    const head = headEnd(bytes, at);
    if (head === undefined) return undefined;
    const announced = /\ncontent-length:[ \t]*(\d{1,9})[ \t\r]*\n/.exec(latin1(bytes, at, head))?.[1];
    if (announced !== undefined) return head + Number(announced) + 1 - at;
    const nul = bytes.indexOf(NUL, head);
    return nul < 0 ? undefined : nul + 1 - at;
  }

  dissect(frame: Uint8Array, from: Sender): Dissection {
    if (this.#sockJs) return overSockJs(frame, from);
    if (isGap(frame[0])) return { ...BEAT, summary: `${frame.length} B` };
    const lines = read(frame);
    return lines === undefined ? unreadable(frame, "no STOMP frame", "STOMP 1.2 Augmented BNF") : told(lines);
  }
}

const BEAT: Dissection = {
  name: "heart-beat",
  summary: "",
  fields: {},
  exchanges: [],
  begins: true,
  expects: false,
  secrets: [],
};

const isGap = (octet: number | undefined): boolean => octet === LF || octet === CR || octet === NUL;
const latin1 = (bytes: Uint8Array, from: number, to: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("latin1");

/** Behind the blank line, or at the NUL where a frame without one ends. */
function headEnd(bytes: Uint8Array, at: number): number | undefined {
  for (let index = at; index < bytes.length; index++) {
    if (bytes[index] === NUL) return index;
    if (bytes[index] !== LF) continue;
    if (bytes[index + 1] === LF) return index + 2;
    if (bytes[index + 1] === CR && bytes[index + 2] === LF) return index + 3;
  }
  return undefined;
}

function read(frame: Uint8Array): Lines | undefined {
  const head = headEnd(frame, 0);
  if (head === undefined) return undefined;
  const secrets: [number, number][] = [];
  const headers: (readonly [string, string])[] = [];
  let command = "";
  for (let at = 0; at < head; ) {
    const feed = frame.indexOf(LF, at);
    const next = feed < 0 || feed >= head ? head : feed + 1;
    const end = frame[next - 2] === CR ? next - 2 : frame[next - 1] === LF ? next - 1 : next;
    const line = lossyText(frame.subarray(at, Math.max(at, end)));
    if (at === 0) command = line;
    else if (line !== "") headers.push(header(frame, at, end, line, secrets, command));
    at = next;
  }
  if (!/^[A-Z]+$/.test(command)) return undefined;
  const last = frame[frame.length - 1] === NUL ? frame.length - 1 : frame.length;
  return { command, headers, secrets, body: frame.subarray(Math.min(head, last), last) };
}

function header(
  frame: Uint8Array,
  at: number,
  end: number,
  line: string,
  secrets: [number, number][],
  command: string,
): readonly [string, string] {
  const colon = line.indexOf(":");
  const name = colon < 0 ? line : line.slice(0, colon);
  if (name === "passcode") {
    secrets.push([frame.indexOf(0x3a, at) + 1, end]);
    return [name, "••"];
  }
  const value = colon < 0 ? "" : line.slice(colon + 1);
  return [
    name,
    opensSession(command as Command) || command === "CONNECTED" ? value : unescapeText(value, "1.2"),
  ];
}

/** Headers that say what a frame is about, in the order in which they are shown. */
const TELLING = [
  "destination",
  "id",
  "subscription",
  "message-id",
  "ack",
  "receipt",
  "receipt-id",
  "message",
];

function told({ command, headers, secrets, body }: Lines): Dissection {
  const of = (name: string): string | undefined => headers.find(([each]) => each === name)?.[1];
  const shown = TELLING.flatMap((name) => (of(name) === undefined ? [] : [`${name} ${of(name)}`]));
  const login = of("login");
  if (login !== undefined) shown.push(`login ${login}`);
  const size = body.length === 0 ? [] : [`${body.length} B`];
  const fields: Record<string, unknown> = Object.fromEntries([...headers].reverse());
  if (body.length > 0) fields["body"] = body;
  const receipt = of("receipt");
  return {
    name: command,
    summary: [...shown, ...size].join(", "),
    fields,
    exchanges: exchangesOf(command, of),
    begins: !(command in ANSWERS),
    expects: receipt !== undefined || opensSession(command as Command) || of("ack") !== undefined,
    secrets,
  };
}

function exchangesOf(command: string, of: (name: string) => string | undefined): string[] {
  if (opensSession(command as Command) || command === "CONNECTED") return ["connect"];
  const message = command === "MESSAGE" ? (of("ack") ?? of("message-id")) : undefined;
  if (message !== undefined) return [`message ${message}`];
  if (command === "RECEIPT") return [`receipt ${of("receipt-id")}`];
  const receipt = of("receipt");
  const receipts = receipt === undefined ? [] : [`receipt ${receipt}`];
  const acknowledged = ANSWERS[command]?.map(of).find((id) => id !== undefined);
  return acknowledged === undefined ? receipts : [`message ${acknowledged}`, ...receipts];
}

/** The frame inside; a login over SockJS is hidden as a whole, because JSON may write its passcode in many ways. */
function overSockJs(frame: Uint8Array, from: Sender): Dissection {
  const text = lossyText(frame);
  if (!SOCKJS.test(text)) return unreadable(frame, "no SockJS frame");
  const inner = innerOf(text);
  if (inner === undefined) return { ...BEAT, name: "SockJS", summary: text.slice(0, 1) };
  const dissected = new StompDissector(false).dissect(Buffer.from(inner, "utf8"), from);
  return { ...dissected, secrets: dissected.secrets.length > 0 ? [[0, frame.length]] : [] };
}

function innerOf(text: string): string | undefined {
  if (!text.includes("[") || text.startsWith("c")) return undefined;
  try {
    const strings: unknown = JSON.parse(text.replace(/^a/, ""));
    return Array.isArray(strings) && typeof strings[0] === "string" ? strings[0] : undefined;
  } catch {
    return undefined;
  }
}
