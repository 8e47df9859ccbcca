import * as cborg from "cborg";
import { describe, expect, it } from "vitest";
import { parseCommand } from "#gateways/lwm2m/commands/command.ts";
import { decodeCbor } from "#gateways/lwm2m/content/cbor-codec.ts";
import { CborWriter } from "#gateways/lwm2m/content/cbor-writer.ts";
import { formatExactJson, parseExactJson } from "#gateways/lwm2m/content/exact-json.ts";
import { ContentFormat, decodeContent, encodeContent } from "#gateways/lwm2m/content/formats.ts";
import type { Entry, ResourceType, Types, Value } from "#gateways/lwm2m/content/value.ts";
import { INT64_MAX, INT64_MIN, NO_TYPES, narrow, UINT64_MAX } from "#gateways/lwm2m/content/value.ts";
import { parseDefinition } from "#gateways/lwm2m/objects/definition-xml.ts";
import { Path, parsePath } from "#gateways/lwm2m/objects/path.ts";
import { parseObjectList } from "#gateways/lwm2m/registration/object-list.ts";
import { fc } from "../../support/property.ts";

const FORMATS = Object.values(ContentFormat).filter((format) => format !== ContentFormat.Link);
/** Formats that carry types or are told them, and several resources. */
const MIRRORED = [
  ContentFormat.Tlv,
  ContentFormat.Json,
  ContentFormat.SenmlJson,
  ContentFormat.SenmlCbor,
  ContentFormat.Lwm2mCbor,
];

const id = fc.integer({ min: 0, max: 65_534 });
const BASE = Path.of(1000, 0) as Path;
const typed: Record<ResourceType, fc.Arbitrary<Value>> = {
  string: fc.string({ unit: "grapheme" }),
  corelnk: fc.constant("</3/0>"),
  integer: fc.bigInt({ min: INT64_MIN, max: INT64_MAX }).map(narrow),
  unsigned: fc.bigInt({ min: 0n, max: UINT64_MAX }).map(narrow),
  time: fc.integer({ min: -1, max: 2 ** 40 }),
  float: fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0)),
  boolean: fc.boolean(),
  opaque: fc.uint8Array({ maxLength: 400 }),
  objlnk: fc.record({
    object: fc.integer({ min: 0, max: 65_535 }),
    instance: fc.integer({ min: 0, max: 65_535 }),
  }),
};
const TYPES = Object.keys(typed) as ResourceType[];
const entry = fc
  .record({ type: fc.constantFrom(...TYPES), resource: id, instance: fc.option(id, { nil: undefined }) })
  .chain(({ type, resource, instance }) =>
    typed[type].map(
      (value): Entry => ({
        path: Path.of(...BASE.ids, resource, ...(instance === undefined ? [] : [instance])) as Path,
        value,
        type,
      }),
    ),
  );
/** Distinct resources, either with or without instances. */
const entries = fc.uniqueArray(entry, { selector: ({ path }) => path.resource, minLength: 1, maxLength: 20 });
const typesOf = (list: readonly Entry[]): Types => ({
  typeOf: (path) => list.find((each) => each.path.resource === path.resource)?.type,
  multipleOf: () => undefined,
});
const plain = (list: readonly Entry[]) =>
  list.map(({ path, value }) => [path.toString(), value instanceof Uint8Array ? [...value] : value]);

describe("whatever arrives", () => {
  it.each(FORMATS)("content format %i never throws on any bytes", (format) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom("/", "/3", "/3/0", "/3/0/1", "/3/0/1/2"),
        (bytes, base) => {
          const path = parsePath(base);
          if (path.ok) decodeContent(format, bytes, path.value, NO_TYPES);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("SenML and JSON of any shape never throw", () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(110, 320, 11543), (text, format) => {
        decodeContent(format, Buffer.from(text), BASE, NO_TYPES);
      }),
      { numRuns: 500 },
    );
  });

  it("object lists, commands and definitions never throw", () => {
    const linkish = fc.array(
      fc.constantFrom("<", ">", "/", ";", ",", '"', "=", "1", "3/0", "ver", "ct", "\\", " "),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(linkish, (parts) => void parseObjectList(Buffer.from(parts.join("")))),
      { numRuns: 1000 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void parseObjectList(bytes)));
    const types = [
      "read",
      "write",
      "write-attr",
      "execute",
      "create",
      "observe",
      "write-composite",
      "firmware",
    ];
    const command = fc.record({
      msgType: fc.constantFrom(...types),
      data: fc.jsonValue(),
      encoding: fc.jsonValue(),
      mheaders: fc.jsonValue(),
    });
    fc.assert(
      fc.property(command, (value) => void parseCommand(Buffer.from(JSON.stringify(value)), NO_TYPES)),
      { numRuns: 1000 },
    );
    fc.assert(
      fc.property(fc.string(), (text) => void parseDefinition(Buffer.from(`<LWM2M>${text}</LWM2M>`))),
    );
  });

  it("deep nesting is refused, not followed", () => {
    expect(decodeCbor(new Uint8Array(100_000).fill(0x81)).ok).toBe(false);
    expect(parseExactJson("[".repeat(100_000)).ok).toBe(false);
    expect(parseExactJson(`${"[".repeat(100_000)}1234567890123456`).ok).toBe(false);
  });
});

describe("what is encoded is decoded to the same", () => {
  it.each(MIRRORED)("content format %i", (format) => {
    fc.assert(
      fc.property(entries, (list) => {
        const encoded = encodeContent(format, BASE, list);
        if (!encoded.ok) throw new Error(encoded.error.problem);
        const decoded = decodeContent(format, encoded.value, BASE, typesOf(list));
        if (!decoded.ok) throw new Error(decoded.error.problem);
        expect(plain(decoded.value)).toEqual(plain(list));
      }),
      { numRuns: 200 },
    );
  });

  it.each([ContentFormat.Text, ContentFormat.Cbor])("content format %i, one value", (format) => {
    fc.assert(
      fc.property(entry, (one) => {
        const encoded = encodeContent(format, one.path, [one]);
        if (!encoded.ok) throw new Error(encoded.error.problem);
        const decoded = decodeContent(format, encoded.value, one.path, typesOf([one]));
        if (!decoded.ok) throw new Error(decoded.error.problem);
        expect(plain(decoded.value)).toEqual(plain([one]));
      }),
    );
  });

  it("JSON with integers of any size", () => {
    const exact = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.bigInt({ min: -(2n ** 100n), max: 2n ** 100n }).map(narrow),
        fc.string(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie("value"), { maxLength: 4 }),
        fc.dictionary(
          fc.string({ minLength: 1 }).filter((key) => key !== "__proto__"),
          tie("value"),
          { maxKeys: 4 },
        ),
      ),
    })).value;
    fc.assert(
      fc.property(exact, (value) => {
        const text = formatExactJson(value as never);
        // Forces the exact reader, which short numbers would bypass.
        const again = parseExactJson(`[1234567890123456789,${text}]`);
        expect(again).toEqual({ ok: true, value: [1234567890123456789n, value] });
      }),
      { numRuns: 300 },
    );
  });
});

describe("CBOR against a foreign implementation", () => {
  const scalar = fc.oneof(
    fc.maxSafeInteger(),
    fc
      .bigInt({ min: -(2n ** 64n), max: 2n ** 64n - 1n })
      .filter((value) => value > 2n ** 53n || value < -(2n ** 53n)),
    fc.double({ noNaN: true }).filter((value) => !Number.isInteger(value)),
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: "grapheme" }),
    fc.uint8Array(),
  );

  it("reads what cborg writes", () => {
    fc.assert(
      fc.property(fc.array(scalar), (values) => {
        // cborg hands out a Buffer when the bytes are many, and views of a Buffer are Buffers.
        expect(decodeCbor(Uint8Array.from(cborg.encode(values)))).toEqual({ ok: true, value: values });
      }),
      { numRuns: 300 },
    );
  });

  it("writes what cborg reads", () => {
    fc.assert(
      fc.property(scalar, (value) => {
        const writer = new CborWriter();
        if (value === null) writer.null();
        else if (typeof value === "boolean") writer.boolean(value);
        else if (typeof value === "string") writer.text(value);
        else if (value instanceof Uint8Array) writer.data(value);
        else writer.number(value);
        expect(cborg.decode(writer.bytes())).toEqual(value);
      }),
      { numRuns: 300 },
    );
  });
});
