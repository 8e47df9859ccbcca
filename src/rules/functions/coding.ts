import { createHash, randomUUID } from "node:crypto";
import { deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateRawSync, inflateSync } from "node:zlib";
import { decode, encode } from "cborg";
import { fromBase62, toBase62 } from "../../lib/base62.ts";
import { put } from "../../lib/own-member.ts";
import { fromJson, isArray, isMap, octetsOf, textOf, toJson, type Value } from "../value.ts";
import { any, type FunctionTable, fail, OCTETS_MAX, octets, of, optional, text } from "./define.ts";
import { senml } from "./senml.ts";

const hash = (algorithm: string) =>
  of([octets], (bytes) => createHash(algorithm).update(bytes).digest("hex"));

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

function fromBase64(name: string, coded: string): Value {
  const trimmed = coded.replace(/[\r\n]/g, "");
  if (!BASE64.test(trimmed) || trimmed.replace(/=+$/, "").length % 4 === 1)
    throw fail(name, "the text is no base64");
  return textOf(Buffer.from(trimmed, "base64"));
}

function fromHex(name: string, coded: string): Value {
  const digits = coded.replace(/^0[xX]/, "");
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits))
    throw fail(name, "the text is no hexadecimal octets");
  return textOf(Buffer.from(digits, "hex"));
}

type Inflate = (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Buffer;

/** A small packet may be a gigabyte when it is unpacked. */
const unpacked = (inflate: Inflate) =>
  of([octets], function (bytes) {
    try {
      return textOf(inflate(bytes, { maxOutputLength: OCTETS_MAX }));
    } catch (error) {
      throw fail(this.name, (error as Error).message);
    }
  });

const packed = (deflate: (bytes: Uint8Array) => Buffer) => of([octets], (bytes) => deflate(bytes));

function fromCbor(name: string, bytes: Uint8Array): Value {
  try {
    // Maps as Map: an object would lose keys that are no texts, and take `__proto__` for what it is.
    return plain(name, decode(bytes, { useMaps: true, allowIndefinite: true, rejectDuplicateMapKeys: true }));
  } catch (error) {
    throw fail(name, (error as Error).message);
  }
}

function plain(name: string, value: unknown): Value {
  if (value instanceof Map) {
    const made: Record<string, Value> = {};
    for (const [key, each] of value) put(made, String(key), plain(name, each));
    return made;
  }
  if (Array.isArray(value)) return value.map((each) => plain(name, each));
  // Octets of CBOR stay octets, also where they could be read as text.
  return value as Value;
}

function toCbor(value: Value): Uint8Array {
  return encode(codable(value));
}

const codable = (value: Value): unknown => {
  if (isArray(value)) return value.map(codable);
  if (!isMap(value)) return value;
  return new Map(Object.entries(value).map(([key, each]) => [key, codable(each)]));
};

export const CODING: FunctionTable = {
  md5: hash("md5"),
  sha: hash("sha1"),
  sha256: hash("sha256"),
  base64_encode: of([octets], (bytes) => Buffer.from(bytes).toString("base64")),
  base64_decode: of([text], function (coded) {
    return fromBase64(this.name, coded);
  }),
  /** As webhooks and bridges of EMQ X have it. */
  base62_encode: of([octets], toBase62),
  base62_decode: of([text], function (coded) {
    const decoded = fromBase62(coded);
    if (decoded === undefined) throw fail(this.name, "the text is no base62");
    return textOf(decoded);
  }),
  json_encode: of([any], toJson),
  json_decode: of([text], fromJson),
  cbor_encode: of([any], toCbor),
  cbor_decode: of([octets], function (bytes) {
    return fromCbor(this.name, bytes);
  }),
  senml_decode: of([any], function (pack) {
    return senml(this.name, packOf(this.name, pack), this.now);
  }),
  bin2hexstr: of(
    [octets, optional(text)],
    (bytes, prefix = "") => prefix + Buffer.from(bytes).toString("hex").toUpperCase(),
  ),
  hexstr2bin: of([text, optional(text)], function (coded, prefix = "") {
    return fromHex(this.name, coded.startsWith(prefix) ? coded.slice(prefix.length) : coded);
  }),
  gzip: packed(gzipSync),
  gunzip: unpacked(gunzipSync),
  zip: packed(deflateRawSync),
  unzip: unpacked(inflateRawSync),
  zip_compress: packed(deflateSync),
  zip_uncompress: unpacked(inflateSync),
  uuid_v4: of([], () => randomUUID()),
  uuid_v4_no_hyphen: of([], () => randomUUID().replaceAll("-", "")),
  getenv: of([text], (name) => environment(`EMQXVAR_${name}`)),
};

/** JSON begins with a bracket, as a text; CBOR with an array, as octets. */
function packOf(name: string, pack: Value): Value {
  if (typeof pack === "string") {
    return /^\s*\[/.test(pack) ? fromJson(pack) : fromCbor(name, octetsOf(pack));
  }
  return pack instanceof Uint8Array ? fromCbor(name, pack) : pack;
}

/** Read once: what a rule sees does not change under it. */
const seen = new Map<string, string | undefined>();
function environment(name: string): string | undefined {
  if (!seen.has(name)) seen.set(name, process.env[name]);
  return seen.get(name);
}
