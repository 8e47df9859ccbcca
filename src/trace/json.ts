/** Rows as JSON: bytes in hexadecimal, so that one look tells what they are. */
import type { TraceRow } from "./rows.ts";
import { sentenceOf } from "./text.ts";

export interface RowForm {
  /** Without it payloads and octets are left out, for those who may not see them. */
  readonly payload: boolean;
}

/** What may stand in a JSON document. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** A row as an object that JSON can hold, and its sentence. */
export function rowToJson(row: TraceRow, { payload }: RowForm): { readonly [name: string]: Json } {
  const shown: Record<string, unknown> = { ...row };
  if (!payload) {
    delete shown["bytes"];
    delete shown["payload"];
    if ("fields" in row) shown["fields"] = withoutPayload(row.fields);
  }
  const text = payload || row.kind !== "message" ? sentenceOf(row) : sentenceOf({ ...row, payload: EMPTY });
  return { ...(plain(shown) as { [name: string]: Json }), text };
}

const EMPTY = new Uint8Array(0);

/** Names of fields that hold what an application sends. */
const PAYLOADS: ReadonlySet<string> = new Set(["payload", "body"]);

const withoutPayload = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !PAYLOADS.has(name)));

function plain(value: unknown): Json {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    return Object.fromEntries(entries.map(([name, item]) => [name, plain(item)]));
  }
  if (typeof value === "number" && !Number.isFinite(value)) return null;
  return value === undefined ? null : (value as Json);
}
