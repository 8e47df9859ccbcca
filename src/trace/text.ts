/** Rows as sentences, for terminals, files, and who cannot see a picture. */
import { text as utf8Text } from "../lib/bytes.ts";
import type { DeliveryRow, FrameRow, Place, TraceRow } from "./rows.ts";

/** Octets of a payload that a line shows. */
const PAYLOAD_SHOWN = 120;

/** One line: cause, time, and what happened. */
export function lineOf(row: TraceRow): string {
  const cause = row.cause === 0 ? "" : String(row.cause);
  return `${cause.padStart(6)}  ${timeOf(row.at)}  ${sentenceOf(row)}`;
}

/** `14:02:31.207`, UTC. */
const timeOf = (at: number): string => new Date(at).toISOString().slice(11, 23);

export function sentenceOf(row: TraceRow): string {
  switch (row.kind) {
    case "frame":
      return frame(row);
    case "stray": {
      const where = `${row.gateway} ${addressOf(row)}`;
      const what = `${row.name}${spaced(row.summary)}`;
      if (row.from === "gateway") return `${where} <- ${what}, answered without a channel`;
      return `${where} -> ${what}${row.why === undefined ? "" : `, dropped: ${row.why}`}`;
    }
    case "message": {
      const by = row.publisher === "" ? row.origin : `${row.origin} ${row.publisher}`;
      const retained = row.retain ? " retained" : "";
      return `bus ${row.topic} QoS ${row.qos}${retained} by ${by}: ${payloadText(row.payload, row.length)}`;
    }
    case "routed":
      return `bus ${row.topic}: ${row.matched ? outcome(row) : "nobody is subscribed"}`;
    case "delivery":
      return `${row.gateway} ${row.client}: ${row.topic} QoS ${row.qos} ${delivery(row)}`;
    case "step":
      return `${channelOf(row)}: ${row.what} ${row.asked}: ${row.answer}`;
    case "state":
      return `${channelOf(row)} is ${row.is}, was ${row.was}`;
    case "timer":
      return `${channelOf(row)}: timer`;
    case "closed":
      return `${channelOf(row)} is gone: ${row.reason}`;
    case "refusal": {
      const who = row.client ?? "";
      const asked = row.asked === undefined ? "" : ` ${row.asked}`;
      return `${row.gateway} ${who} ${addressOf(row)}: ${row.what}${asked} refused, ${row.refusal}: ${row.by}`;
    }
    case "skipped":
      return `${row.count} more happened in one second than a trace looks at`;
  }
}

function frame(row: FrameRow): string {
  const arrow = row.from === "device" ? "->" : "<-";
  const again = row.again === 0 ? "" : `, again ${row.again}`;
  const secret = row.masked ? ", secret hidden" : "";
  return `${channelOf(row)} ${arrow} ${row.name}${spaced(row.summary)}${again}${secret}`;
}

function delivery({ state, why, asleep, waited }: DeliveryRow): string {
  switch (state) {
    case "waits":
      return `waits: ${asleep === true ? "asleep" : (WAITS[why ?? ""] ?? why)}`;
    case "dropped":
      return `dropped: ${DROPS[why ?? ""] ?? why}`;
    case "given":
      return waited === undefined ? "given" : `given, waited ${lengthOf(waited)}`;
    case "done":
      return "done";
    case "again":
      return "given back, comes again";
    case "dead":
      return "given up";
  }
}

const WAITS: Readonly<Record<string, string>> = {
  away: "the client is away",
  "no-credit": "the client takes nothing now",
  transport: "the transport takes no more",
  "credit-used": "as many as the client takes are on their way",
  order: "others wait before it",
};

const DROPS: Readonly<Record<string, string>> = {
  full: "the queue is full",
  expired: "expired",
  away: "QoS 0, and the client is away",
  deleted: "deleted by an operator",
};

function outcome({ given, waits, dropped }: { given: number; waits: number; dropped: number }): string {
  const parts = [
    given > 0 ? `${given} given` : "",
    waits > 0 ? `${waits} waits` : "",
    dropped > 0 ? `${dropped} dropped` : "",
  ].filter(Boolean);
  return `matched${parts.length === 0 ? "" : `: ${parts.join(", ")}`}`;
}

const spaced = (summary: string): string => (summary === "" ? "" : ` ${summary}`);

const addressOf = ({ address, port }: Pick<Place, "address" | "port">): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

function channelOf(place: Place): string {
  const named = place.clients.length === 0 ? "" : ` ${place.clients.join(",")}`;
  return `${place.gateway}${named} ${addressOf(place)}`;
}

/** `11 min 02 s`, `5.0 s`, `58 ms`. */
export function lengthOf(milliseconds: number): string {
  if (milliseconds < 1000)
    return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  const rest = String(Math.floor(seconds % 60)).padStart(2, "0");
  if (minutes < 60) return `${minutes} min ${rest} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** As text where it is text, in hexadecimal else; its beginning where it is long. */
function payloadText(payload: Uint8Array, length: number): string {
  const shown = payload.subarray(0, PAYLOAD_SHOWN);
  const more = length > shown.length ? `… (${length} B)` : "";
  const said = utf8Text(shown);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what may not reach a terminal
  if (said !== undefined && !/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(said)) {
    return `${JSON.stringify(said)}${more}`;
  }
  return `0x${Buffer.from(shown).toString("hex")}${more}`;
}
