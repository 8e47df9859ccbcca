/** An item as it is kept: MessagePack, which holds octets and whole numbers as they are. */
import { Packr } from "msgpackr";
import { isMap, RuleFailure, type Value } from "../rules/value.ts";
import type { Item } from "./connector.ts";

/** Raised when what is written changes. */
const VERSION = 1;
const packr = new Packr({ useRecords: false, mapsAsObjects: true, largeBigIntToString: true });

/** Throws `RuleFailure` where a value cannot be kept. */
export function encodeItem({ id, rule, place, client, at, parameters }: Item): Uint8Array {
  try {
    // A copy: the encoder's own buffer is large, and used again.
    return Uint8Array.from(packr.pack([VERSION, id, rule, place, client, at, parameters]));
  } catch (error) {
    throw new RuleFailure(`this cannot be kept: ${(error as Error).message}`);
  }
}

/** Undefined where it is none of ours. */
export function decodeItem(octets: Uint8Array): Item | undefined {
  try {
    const read: unknown = packr.unpack(octets);
    if (!Array.isArray(read) || read[0] !== VERSION) return undefined;
    const [, id, rule, place, client, at, parameters] = read as [
      number,
      string,
      string,
      number,
      string,
      number,
      Value,
    ];
    return isMap(parameters) ? { id, rule, place, client, at, parameters } : undefined;
  } catch {
    return undefined;
  }
}
