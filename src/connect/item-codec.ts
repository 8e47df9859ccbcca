/** An item as it is kept: MessagePack, which holds octets and whole numbers as they are. */
import { Packr } from "msgpackr";
import { isMap, RuleFailure, type Value } from "../rules/value.ts";
import type { Item } from "./connector.ts";

/** Raised when what was written before cannot be read any more. */
const VERSION = 1;
const packr = new Packr({ useRecords: false, mapsAsObjects: true, largeBigIntToString: true });

type Written = [
  version: number,
  id: string,
  rule: string,
  place: number,
  client: string,
  at: number,
  parameters: Value,
  through?: readonly string[] | null,
  via?: string | null,
];

/** Throws `RuleFailure` where a value cannot be kept. */
export function encodeItem(item: Item): Uint8Array {
  const { id, rule, place, client, at, parameters, through = null, via = null } = item;
  try {
    // A copy: the encoder's own buffer is large, and used again.
    return Uint8Array.from(packr.pack([VERSION, id, rule, place, client, at, parameters, through, via]));
  } catch (error) {
    throw new RuleFailure(`this cannot be kept: ${(error as Error).message}`);
  }
}

/** Undefined where it is none of ours. */
export function decodeItem(octets: Uint8Array): Item | undefined {
  try {
    const read: unknown = packr.unpack(octets);
    if (!Array.isArray(read) || read[0] !== VERSION) return undefined;
    // What earlier versions wrote ends with the parameters.
    const [, id, rule, place, client, at, parameters, through, via] = read as Written;
    if (!isMap(parameters)) return undefined;
    return { id, rule, place, client, at, parameters, through: through ?? undefined, via: via ?? undefined };
  } catch {
    return undefined;
  }
}
