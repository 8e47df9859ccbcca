import { asLevel } from "../lib/topic-map.ts";
import type { Identity } from "./policy.ts";

/** What a placeholder may stand for. */
type Field = "clientid" | "username" | "peerhost" | "endpointname" | "gateway" | "listener";

const SHORT: Readonly<Record<string, Field>> = {
  c: "clientid",
  u: "username",
  a: "peerhost",
  e: "endpointname",
};
const LONG: ReadonlySet<string> = new Set<Field>([
  "clientid",
  "username",
  "peerhost",
  "endpointname",
  "gateway",
  "listener",
]);
const PLACEHOLDER = /%([cuae])|\$\{([^}]*)\}/g;

/** `${clientId}`, `${client_id}` and `${clientid}` are one name. */
const normalised = (name: string): string => name.replaceAll(/[_-]/g, "").toLowerCase();

/** The first `${name}` of a template that stands for nothing; for the configuration check. */
export function unknownPlaceholder(template: string): string | undefined {
  for (const [whole, short, long] of template.matchAll(PLACEHOLDER)) {
    if (short === undefined && !LONG.has(normalised(long ?? ""))) return whole;
  }
  return undefined;
}

function fieldOf(field: Field, identity: Identity): string | undefined {
  switch (field) {
    case "clientid":
      return identity.clientId;
    case "username":
      return identity.username;
    case "peerhost":
      return identity.peer.address;
    case "endpointname":
      return identity.endpointName;
    case "gateway":
      return identity.gateway;
    case "listener":
      return identity.listener;
  }
}

/** A topic with placeholders: `%c %u %a %e`, `${clientid} ${username} ${peerhost} ${endpointname} ${gateway} ${listener}`. */
export class TopicTemplate {
  readonly #parts: readonly (string | { readonly field: Field })[];
  readonly #constant: string | undefined;

  constructor(template: string) {
    const parts: (string | { readonly field: Field })[] = [];
    let at = 0;
    for (const match of template.matchAll(PLACEHOLDER)) {
      const [whole, short, long] = match;
      const name = normalised(long ?? "");
      const field = short === undefined ? (LONG.has(name) ? (name as Field) : undefined) : SHORT[short];
      if (field === undefined) continue;
      if (match.index > at) parts.push(template.slice(at, match.index));
      parts.push({ field });
      at = match.index + whole.length;
    }
    if (at < template.length) parts.push(template.slice(at));
    this.#parts = parts;
    this.#constant = parts.every((part) => typeof part === "string") ? template : undefined;
  }

  /** The same for every client. */
  get constant(): boolean {
    return this.#constant !== undefined;
  }

  /** Undefined when this client has no value for a placeholder, for example no user name. */
  fill(identity: Identity): string | undefined {
    if (this.#constant !== undefined) return this.#constant;
    let topic = "";
    for (const part of this.#parts) {
      if (typeof part === "string") {
        topic += part;
        continue;
      }
      const value = fieldOf(part.field, identity);
      if (value === undefined || value === "") return undefined;
      topic += asLevel(value);
    }
    return topic;
  }
}
