/** Pre-shared keys and holders of raw public keys, as databases have them. */
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";

/** RFC 4279 §5.3. */
const KEY_LENGTH_MAX = 64;

/** In hexadecimal, or as octets where the column holds such. Undefined for none; throws for what is no key. */
export function storedKey(value: unknown): Uint8Array | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  // A text that a database gives as octets is a text all the same.
  const text = value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : String(value);
  const isHex = /^([0-9a-f]{2})+$/i.test(text);
  const key = isHex ? new Uint8Array(Buffer.from(text, "hex")) : value;
  if (!(key instanceof Uint8Array) || key.length > KEY_LENGTH_MAX) {
    throw new Error("a stored key is no hexadecimal text of at most 64 octets");
  }
  return key;
}

/** Whoever shakes hands has said no more than this: it stands for user name and client id in queries. */
export const namedBy = (identity: string): Credentials => ({ clientId: identity, username: identity });

/** For `%k`: base64 of the SubjectPublicKeyInfo. */
export const holding = (publicKey: Uint8Array): Credentials & { readonly publicKey: string } => ({
  clientId: "",
  publicKey: Buffer.from(publicKey).toString("base64"),
});

export const handshaking = (identity?: string): Peer => ({
  transport: "dtls",
  address: "",
  port: 0,
  identity,
});

export const holderOf = (value: unknown): string | undefined =>
  value === undefined || value === null || value === "" ? undefined : String(value);
