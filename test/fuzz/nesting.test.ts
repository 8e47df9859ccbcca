/** Every parser of the house, given the deepest nesting that fits into a message: refused or read, never out of stack. */
import { describe, expect, it } from "vitest";
import { NO_BYTES } from "#core/lib/bytes.ts";
import { readProperties } from "#gateways/coap/collection/topic-properties.ts";
import { parseLinks } from "#gateways/coap/stack/message/link-format.ts";
import { parseCommand } from "#gateways/lwm2m/commands/command.ts";
import { formatExactJson, parseExactJson } from "#gateways/lwm2m/content/exact-json.ts";
import { ContentFormat, decodeContent } from "#gateways/lwm2m/content/formats.ts";
import { NO_TYPES } from "#gateways/lwm2m/content/value.ts";
import { badCommandReport, encodeReport } from "#gateways/lwm2m/messages/reports.ts";
import { parseDefinition } from "#gateways/lwm2m/objects/definition-xml.ts";
import { Path } from "#gateways/lwm2m/objects/path.ts";
import { parseObjectList } from "#gateways/lwm2m/registration/object-list.ts";
import { decode as decodeMqttSn } from "#gateways/mqtt-sn/codec.ts";
import { fc } from "../support/property.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const repeated = (unit: readonly number[], times: number): Uint8Array =>
  Uint8Array.from({ length: unit.length * times }, (_, at) => unit[at % unit.length] as number);

/** TLV items that hold each other, with 24-bit lengths: at most 16 MB deep. */
function nestedTlv(type: number, depth: number): Uint8Array {
  const whole = new Uint8Array(5 * depth);
  for (let level = 0; level < depth; level++) {
    const length = 5 * (depth - level - 1);
    whole.set([type | 0x18, 0, length >> 16, (length >> 8) & 0xff, length & 0xff], 5 * level);
  }
  return whole;
}

const json = (text: string): void => {
  const read = parseExactJson(text);
  // What is read can be said again.
  if (read.ok) formatExactJson(read.value);
};
const command = (text: string): void => {
  const read = parseCommand(bytes(text), NO_TYPES);
  if (!read.ok) encodeReport(badCommandReport(read.error));
};
const content = (format: number) => (body: Uint8Array) => {
  for (const base of [Path.ROOT, Path.of(3), Path.of(3, 0), Path.of(3, 0, 1)]) {
    decodeContent(format, body, base as Path, NO_TYPES);
  }
};

const SHAPES: readonly [string, (depth: number) => void][] = [
  ["JSON arrays", (depth) => json("[".repeat(depth) + "]".repeat(depth))],
  ["JSON objects", (depth) => json(`${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`)],
  [
    "JSON with a long integer",
    (depth) => json(`${"[".repeat(depth)}12345678901234567890${"]".repeat(depth)}`),
  ],
  ["JSON arrays that do not end", (depth) => json("[".repeat(depth))],
  [
    "an LwM2M command with an unknown member",
    (depth) =>
      command(`{"msgType":"read","data":{"path":"/3/0/0"},"x":${"[".repeat(depth)}${"]".repeat(depth)}}`),
  ],
  [
    "an LwM2M command whose data is nested",
    (depth) => command(`{"msgType":"write","data":${"[".repeat(depth)}${"]".repeat(depth)}}`),
  ],
  ["CBOR arrays", (depth) => content(ContentFormat.SenmlCbor)(repeated([0x81], depth))],
  ["CBOR maps", (depth) => content(ContentFormat.Lwm2mCbor)(repeated([0xa1, 0], depth))],
  ["CBOR maps as keys", (depth) => content(ContentFormat.Lwm2mCbor)(repeated([0xa1], depth))],
  ["CBOR tags", (depth) => content(ContentFormat.Cbor)(repeated([0xc1], depth))],
  ["CBOR arrays without end", (depth) => content(ContentFormat.SenmlCbor)(repeated([0x9f], depth))],
  [
    "CBOR strings in parts",
    (depth) => content(ContentFormat.Cbor)(Uint8Array.from([0x5f, ...repeated([0x41, 0], depth), 0xff])),
  ],
  ["TLV object instances", (depth) => content(ContentFormat.Tlv)(nestedTlv(0x00, depth))],
  ["TLV multiple resources", (depth) => content(ContentFormat.Tlv)(nestedTlv(0x80, depth))],
  ["SenML JSON", (depth) => content(ContentFormat.SenmlJson)(bytes("[".repeat(depth) + "]".repeat(depth)))],
  [
    "LwM2M JSON",
    (depth) => content(ContentFormat.Json)(bytes(`{"e":${"[".repeat(depth)}${"]".repeat(depth)}}`)),
  ],
  ["links", (depth) => void parseLinks(bytes("<".repeat(depth)))],
  ["an object list", (depth) => void parseObjectList(bytes(`</1/0>;ct="${'\\"'.repeat(depth)}`))],
  ["an object list of many parts", (depth) => void parseObjectList(bytes("</3>,".repeat(depth)))],
  ["CoAP topic properties", (depth) => void readProperties(repeated([0xa1, 0x81], depth))],
  [
    "CoAP topic properties as keys",
    (depth) => void readProperties(Uint8Array.from([0xa1, ...repeated([0x81], depth), 0, 0])),
  ],
  [
    "an object definition",
    (depth) => void parseDefinition(bytes(`<LWM2M>${"<a>".repeat(depth)}${"</a>".repeat(depth)}</LWM2M>`)),
  ],
  ["MQTT-SN encapsulations", (depth) => void decodeMqttSn(repeated([4, 0xfe, 0, 0], depth))],
  ["nothing", () => void decodeMqttSn(NO_BYTES)],
];

describe("nesting of any depth", () => {
  it.each(SHAPES)("does not end a parser: %s", (_name, parse) => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 64 }), (depth) => parse(depth)),
      { numRuns: 65 },
    );
    for (const depth of [100, 1_000, 15_000, 100_000]) expect(() => parse(depth)).not.toThrow();
  });
});
