/** Where the keys come from that tokens are signed with. Each kind of key verifies its own algorithms and no others. */
import { createPublicKey, type KeyObject } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import type { JSONWebKeySet, JWTVerifyGetKey } from "jose";
import type { Duration } from "../lib/time.ts";
import { TooLarge, type Web } from "./web.ts";

/** Octets of a key set at most: a hundred keys are 50 KB. */
export const JWKS_MAX = 512 * 1024;
/** A token of an unknown key has the set fetched anew, but not more often than this (milliseconds). */
const REFETCH = 5_000;

const BY_TYPE: Readonly<Record<string, readonly string[]>> = {
  rsa: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ec: ["ES256", "ES384", "ES512"],
  ed25519: ["EdDSA", "Ed25519"],
};
export const SYMMETRIC: readonly string[] = ["HS256", "HS384", "HS512"];
/** A set holds public keys: a token that names HS would have one taken for a secret. */
export const ASYMMETRIC: readonly string[] = Object.values(BY_TYPE).flat();

export interface Keys {
  readonly algorithms: readonly string[];
  readonly key: Uint8Array | KeyObject | JwksKeys;
}

/** Throws when the text is no public key of a kind that signs tokens. */
export function publicKeys(pem: Uint8Array): Keys {
  const key = createPublicKey(Buffer.from(pem));
  const algorithms = BY_TYPE[key.asymmetricKeyType ?? ""];
  if (algorithms === undefined) throw new Error(`a key of type ${key.asymmetricKeyType} signs no tokens`);
  return { algorithms, key };
}

/** A JSON Web Key Set (RFC 7517 §5) in a file or behind a URL, read again from time to time. Old keys stay when that fails. */
export class JwksKeys {
  readonly #place: { readonly url: string; readonly web: Web } | { readonly file: string };
  readonly #refresh: Duration;
  readonly #trouble: (problem: string) => void;
  #keys: JWTVerifyGetKey | undefined = undefined;
  #at = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined = undefined;

  constructor(
    place: { readonly url: string; readonly web: Web } | { readonly file: string },
    refresh: Duration,
    trouble: (problem: string) => void,
  ) {
    this.#place = place;
    this.#refresh = refresh;
    this.#trouble = trouble;
  }

  /** Rejects when there have never been any keys. */
  async current(now: number, signal: AbortSignal): Promise<JWTVerifyGetKey> {
    if (this.#keys === undefined || now - this.#at >= this.#refresh) await this.#read(now, signal);
    if (this.#keys === undefined) throw new Error("there is no key set");
    return this.#keys;
  }

  /** For a token whose key is in no set that we know. Undefined: it was looked for a moment ago. */
  async newer(now: number, signal: AbortSignal): Promise<JWTVerifyGetKey | undefined> {
    if (now - this.#at < REFETCH) return undefined;
    await this.#read(now, signal);
    return this.#keys;
  }

  /** All who ask meanwhile wait for the same reading. */
  #read(now: number, signal: AbortSignal): Promise<void> {
    this.#reading ??= this.#load(signal).then(
      (keys) => {
        this.#keys = keys;
        this.#at = now;
        this.#reading = undefined;
      },
      (error: Error) => {
        this.#reading = undefined;
        // Without keys every login tries; with keys the next refresh does.
        if (this.#keys === undefined) throw error;
        this.#at = now;
        this.#trouble(`the key set was not read again: ${error.message}`);
      },
    );
    return this.#reading;
  }

  async #load(signal: AbortSignal): Promise<JWTVerifyGetKey> {
    const { createLocalJWKSet } = await import("jose");
    const set = JSON.parse(await this.#text(signal)) as JSONWebKeySet;
    if (!Array.isArray(set?.keys)) throw new Error("it is no key set");
    return createLocalJWKSet({ keys: set.keys.filter(({ kty }) => kty !== "oct") });
  }

  async #text(signal: AbortSignal): Promise<string> {
    if ("file" in this.#place) {
      const { size } = await stat(this.#place.file);
      if (size > JWKS_MAX) throw new TooLarge(`a key set of more than ${JWKS_MAX} octets`);
      return readFile(this.#place.file, "utf8");
    }
    const { url, web } = this.#place;
    const { status, body } = await web.ask({ url, method: "GET", signal });
    if (status !== 200) throw new Error(`the key set's server answers ${status}`);
    return body;
  }
}
