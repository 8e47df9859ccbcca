/** A request in the form of the manuals. */
import type { Least, Principal } from "../access/principal.ts";
import type { ApiPorts } from "../ports.ts";
import { CODES, ManualError } from "./codes.ts";

export interface Call {
  readonly ports: ApiPorts;
  readonly who: Principal;
  readonly address: string;
  /** What a message has passed before (`bus/via.ts`). */
  readonly via: string | undefined;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, unknown>>;
  /** For the audit log: what was changed, from what to what. */
  changed(change: { readonly object: string; readonly before?: unknown; readonly after?: unknown }): void;
}

export interface Manual {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly role: Least;
  /** Absent: every method but GET changes something, and is noted in the audit log. */
  readonly audited?: boolean;
  handle(call: Call): unknown;
}

/** A field of the body that must be there. */
export const text = (call: Pick<Call, "body">, field: string): string => {
  const value = call.body[field];
  if (value === undefined) throw new ManualError(CODES.missing, `${field} is missing`);
  if (typeof value !== "string") throw new ManualError(CODES.type, `${field} is no text`);
  return value;
};
