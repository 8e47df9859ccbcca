/** Texts with placeholders for what is known of a login, as queries, addresses and claims hold them. */
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import { unusable } from "./kind.ts";

const SHORT: Readonly<Record<string, string>> = {
  u: "username",
  c: "clientid",
  a: "peerhost",
  P: "password",
  C: "certcommonname",
  d: "certsubject",
  e: "endpointname",
  i: "identity",
  k: "publickey",
  t: "topic",
  A: "access",
};
const PLACEHOLDER = /%([ucaPCdeiktA])|\$\{([^}]*)\}/g;
/** `${clientid}`, `${client_id}` and `${clientId}` are one name. */
const normalised = (name: string): string => name.replaceAll(/[_-]/g, "").toLowerCase();

/** Longer names, and names with NUL or half a character, are nobody's: they are not even asked about. */
const NAME_LENGTH_MAX = 1024;

export type Value = string | Uint8Array;

/** What can be asked about: a login, the holder of a raw public key, or what a client may do. */
export interface Subject extends Credentials {
  readonly publicKey?: string;
  readonly question?: {
    readonly action: "publish" | "subscribe";
    readonly topic: string;
    readonly qos: number;
    readonly retain: boolean;
  };
}
type Read = (request: Subject, peer: Peer) => Value | undefined;
const READ: Readonly<Record<string, Read>> = {
  username: ({ username }) => username,
  clientid: ({ clientId }) => clientId,
  password: ({ password }) => password ?? "",
  peerhost: (_request, { address }) => address,
  peername: (_request, { address, port }) => `${address}:${port}`,
  endpointname: ({ endpointName }) => endpointName,
  certcommonname: (_request, { identity }) => identity,
  certsubject: (_request, { identity }) => identity,
  identity: (_request, { identity }) => identity,
  publickey: ({ publicKey }) => publicKey,
  topic: ({ question }) => question?.topic,
  action: ({ question }) => question?.action,
  access: ({ question }) => question && (question.action === "subscribe" ? "1" : "2"),
  qos: ({ question }) => question && String(question.qos),
  retain: ({ question }) => question && String(question.retain),
  protoname: ({ protocol }) => protocol,
  transport: (_request, { transport }) => transport,
  $: () => "$",
};

const unfit = (value: Value): boolean =>
  typeof value === "string" &&
  (value.length > NAME_LENGTH_MAX || value.includes("\0") || !value.isWellFormed());

/** A text with placeholders, read once. `authenticator` is blamed for placeholders that stand for nothing. */
export class LoginTemplate {
  readonly #parts: readonly (string | { readonly name: string; readonly read: Read })[];

  constructor(text: string, authenticator: string) {
    const parts: (string | { readonly name: string; readonly read: Read })[] = [];
    let at = 0;
    for (const { index, 0: whole, 1: short, 2: long } of text.matchAll(PLACEHOLDER)) {
      const name = short === undefined ? normalised(long ?? "") : SHORT[short]!;
      const read = READ[name];
      if (read === undefined)
        throw unusable(authenticator, `${whole} stands for nothing that is known of a login`);
      if (index > at) parts.push(text.slice(at, index));
      parts.push({ name, read });
      at = index + whole.length;
    }
    if (at < text.length) parts.push(text.slice(at));
    this.#parts = parts;
  }

  /** Whether the text is this placeholder and nothing else. */
  is(name: "username" | "clientid"): boolean {
    const [only] = this.#parts;
    return this.#parts.length === 1 && typeof only === "object" && only.name === name;
  }

  /** Undefined when this client has no value for a placeholder, or one that nobody could have. */
  fill(
    request: Subject,
    peer: Peer,
    encode: (value: Value) => string | undefined = asText,
  ): string | undefined {
    let filled = "";
    for (const part of this.#parts) {
      if (typeof part === "string") {
        filled += part;
        continue;
      }
      const value = part.read(request, peer);
      if (value === undefined || unfit(value)) return undefined;
      const encoded = encode(value);
      if (encoded === undefined) return undefined;
      filled += encoded;
    }
    return filled;
  }
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Undefined for octets that are no UTF-8. */
export function asText(value: Value): string | undefined {
  if (typeof value === "string") return value;
  try {
    return strict.decode(value);
  } catch {
    return undefined;
  }
}

/** For URLs and forms; octets that are no text stay what they are. */
export function asFormValue(value: Value): string {
  const text = asText(value);
  if (text !== undefined) return encodeURIComponent(text.toWellFormed());
  let encoded = "";
  for (const octet of value as Uint8Array) encoded += `%${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  return encoded;
}
