import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ContentFormat, decodeContent, encodeContent } from "#gateways/lwm2m/content/formats.ts";
import {
  type Entry,
  formatObjectLink,
  isObjectLink,
  type Types,
  type Value,
} from "#gateways/lwm2m/content/value.ts";
import { parseDefinition } from "#gateways/lwm2m/objects/definition-xml.ts";
import { Definitions } from "#gateways/lwm2m/objects/model.ts";
import { type Path, parsePath } from "#gateways/lwm2m/objects/path.ts";
import { definitionFiles } from "../../support/lwm2m-config.ts";

interface Vector {
  readonly name: string;
  readonly clause: string;
  readonly base: string;
  readonly format?: number;
  readonly bytes?: string;
  readonly text?: string;
  /** Path, value and time; `hex:` for bytes, a trailing `n` for integers beyond 2^53, null for a removal. */
  readonly entries: readonly (readonly [path: string, value: unknown, time?: number])[];
  /** The bytes are also what our encoder makes of the entries. */
  readonly canonical?: boolean;
}

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8")) as readonly Vector[];

/** Objects 65 and 66 of the specification's example are not in any registry. */
const EXAMPLE = `<LWM2M>${[65, 66]
  .map(
    (
      id,
    ) => `<Object><Name>Example</Name><ObjectID>${id}</ObjectID><ObjectURN></ObjectURN><MultipleInstances>Multiple</MultipleInstances>
    <Mandatory>Optional</Mandatory><Resources>
    <Item ID="0"><Name>a</Name><Operations>R</Operations><Type>${id === 65 ? "Objlnk" : "String"}</Type></Item>
    <Item ID="1"><Name>b</Name><Operations>R</Operations><Type>String</Type></Item>
    <Item ID="2"><Name>c</Name><Operations>R</Operations><Type>${id === 65 ? "Integer" : "Objlnk"}</Type></Item></Resources></Object>`,
  )
  .join("")}</LWM2M>`;

function types(): Types {
  const definitions = new Definitions();
  for (const bytes of [...Object.values(definitionFiles()), Buffer.from(EXAMPLE)]) {
    const models = parseDefinition(bytes);
    if (!models.ok) throw new Error(models.error.problem);
    for (const model of models.value) definitions.add(model);
  }
  return definitions.typesFor(new Map([[3, "1.0"]]));
}

const TYPES = types();
const bytesOf = (vector: Vector): Uint8Array =>
  vector.text === undefined
    ? new Uint8Array(Buffer.from((vector.bytes ?? "").replace(/\s/g, ""), "hex"))
    : new Uint8Array(Buffer.from(vector.text));

function pathOf(text: string): Path {
  const path = parsePath(text);
  if (!path.ok) throw new Error(text);
  return path.value;
}

/** Values in the form in which vectors write them. */
function written(value: Value | undefined): unknown {
  if (value === undefined) return null;
  if (value instanceof Uint8Array) return `hex:${Buffer.from(value).toString("hex")}`;
  if (typeof value === "bigint") return `${value}n`;
  return isObjectLink(value) ? formatObjectLink(value) : value;
}

const shown = (entries: readonly Entry[]) =>
  entries.map((entry) => [
    entry.path.toString(),
    written(entry.value),
    ...(entry.time === undefined ? [] : [entry.time]),
  ]);

const vectors = [
  ...read("tlv.json").map((vector) => ({ format: ContentFormat.Tlv, canonical: true, ...vector })),
  ...read("formats.json").map((vector) => ({ format: 0, canonical: false, ...vector })),
];

describe.each(vectors)("$name ($clause)", (vector) => {
  const base = pathOf(vector.base);
  const bytes = bytesOf(vector);

  it("decodes", () => {
    const entries = decodeContent(vector.format, bytes, base, TYPES);
    expect(entries).toMatchObject({ ok: true });
    expect(entries.ok && shown(entries.value)).toEqual(vector.entries);
  });

  it("survives what it encodes (mirror)", () => {
    const entries = decodeContent(vector.format, bytes, base, TYPES);
    if (!entries.ok) throw new Error(entries.error.problem);
    const encoded = encodeContent(vector.format, base, entries.value);
    if (!encoded.ok) throw new Error(encoded.error.problem);
    const again = decodeContent(vector.format, encoded.value, base, TYPES);
    expect(again.ok && shown(again.value)).toEqual(shown(entries.value));
  });

  it("truncated at any byte is refused, or shows fewer or shorter values; it never throws", () => {
    for (let length = 0; length < bytes.length; length++) {
      const entries = decodeContent(vector.format, bytes.slice(0, length), base, TYPES);
      if (entries.ok) expect(shown(entries.value)).not.toEqual(vector.entries);
    }
  });
});

describe.each(vectors.filter((vector) => vector.canonical))("$name ($clause)", (vector) => {
  it("encodes to the same bytes", () => {
    const bytes = bytesOf(vector);
    const entries = decodeContent(vector.format, bytes, pathOf(vector.base), TYPES);
    if (!entries.ok) throw new Error(entries.error.problem);
    const encoded = encodeContent(vector.format, pathOf(vector.base), entries.value);
    if (!encoded.ok) throw new Error(encoded.error.problem);
    expect(Buffer.from(encoded.value).toString("hex")).toBe(Buffer.from(bytes).toString("hex"));
  });
});

describe("numbers and times that are easily got wrong", () => {
  const base = parsePath("/3/0/13");
  const path = (base.ok ? base.value : undefined) as Path;
  const typed = (type: "time" | "integer" | "float"): Types => ({
    typeOf: () => type,
    multipleOf: () => false,
  });
  const decodedValue = (format: number, bytes: Uint8Array, types: Types) => {
    const decoded = decodeContent(format, bytes, path, types);
    return decoded.ok ? decoded.value[0]?.value : "refused";
  };
  const text = (readable: string) => Buffer.from([0x60 + readable.length, ...Buffer.from(readable)]);

  it.each([
    ["2013-05-02T10:12:00Z", 1_367_489_520],
    ["2013-05-02t10:12:00.5+02:00", 1_367_482_320],
    ["12", "refused"],
    ["1", "refused"],
    ["2013", "refused"],
    ["May 2, 2013", "refused"],
    ["2013-05-02", "refused"],
    ["2013-13-02T10:12Z", "refused"],
  ] as const)("a time as CBOR text is one of RFC 3339 or none: %s", (written, expected) => {
    const bytes =
      written.length < 24 ? text(written) : Buffer.from([0x78, written.length, ...Buffer.from(written)]);
    expect(decodedValue(ContentFormat.Cbor, bytes, typed("time"))).toBe(expected);
  });

  it.each([
    ['[{"n":"/3/0/13","bv":9007199254740993,"v":1}]', 9_007_199_254_740_994n],
    ['[{"n":"/3/0/13","bv":1,"v":9007199254740993}]', 9_007_199_254_740_994n],
    ['[{"n":"/3/0/13","bv":9007199254740991,"v":9007199254740991}]', 18_014_398_509_481_982n],
    ['[{"n":"/3/0/13","bv":-9007199254740993,"v":9007199254740993}]', 0],
    ['[{"n":"/3/0/13","bv":20,"v":1}]', 21],
  ] as const)("a base value is added exactly, also above 2^53 (RFC 8428 §4.1): %s", (pack, expected) => {
    expect(decodedValue(ContentFormat.SenmlJson, Buffer.from(pack), typed("integer"))).toBe(expected);
  });

  it("a number that is none to anybody is refused", () => {
    const pack = Buffer.from('[{"n":"/3/0/13","v":1e400}]');
    expect(decodedValue(ContentFormat.SenmlJson, pack, typed("float"))).toBe("refused");
  });
});
