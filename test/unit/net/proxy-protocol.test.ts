import { expect, test } from "vitest";
import { crc32c } from "#core/net/crc32c.ts";
import { parseProxyHeader } from "#core/net/proxy-protocol.ts";

const v1 = (line: string): Buffer => Buffer.from(`${line}\r\n`, "latin1");
const SIGNATURE = "0d0a0d0a000d0a515549540a";
const v2 = (hex: string): Buffer => Buffer.from(SIGNATURE + hex.replaceAll(" ", ""), "hex");
const tlv = (type: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.of(type, value.length >> 8, value.length & 255), value]);
/** A version 2 header of a TCP4 client 192.0.2.7:4660 with these fields behind its addresses. */
function v2With(fields: Buffer): Buffer {
  const start = v2("21 11 0000 c0000207 c6336401 1234 075b");
  start.writeUInt16BE(12 + fields.length, 14);
  return Buffer.concat([start, fields]);
}
const ssl = (client: number, verify: number, ...fields: Buffer[]): Buffer => {
  const fixed = Buffer.alloc(5);
  fixed[0] = client;
  fixed.writeUInt32BE(verify, 1);
  return tlv(0x20, Buffer.concat([fixed, ...fields]));
};
const COMMON_NAME = tlv(0x22, Buffer.from("sensor-7"));

const accepted: [string, Buffer, { address: string; port: number } | undefined, string?][] = [
  ["v1 TCP4", v1("PROXY TCP4 192.0.2.7 198.51.100.1 4660 1883"), { address: "192.0.2.7", port: 4660 }],
  ["v1 TCP6", v1("PROXY TCP6 2001:db8::7 2001:db8::1 65535 0"), { address: "2001:db8::7", port: 65535 }],
  ["v1 UNKNOWN", v1("PROXY UNKNOWN"), undefined],
  ["v1 UNKNOWN with words to ignore", v1("PROXY UNKNOWN ffff::1 ffff::2 65535 65535"), undefined],
  ["v2 TCP4", v2("21 11 000c c0000207 c6336401 1234 075b"), { address: "192.0.2.7", port: 4660 }],
  [
    "v2 TCP6",
    v2("21 21 0024 20010db8000000000000000000000007 20010db8000000000000000000000001 1234 075b"),
    { address: "2001:db8::7", port: 4660 },
  ],
  [
    "v2 TCP6 with a mapped IPv4 address",
    v2("21 21 0024 00000000000000000000ffffc0000207 20010db8000000000000000000000001 1234 075b"),
    { address: "192.0.2.7", port: 4660 },
  ],
  ["v2 LOCAL", v2("20 00 0000"), undefined],
  ["v2 LOCAL with addresses to skip", v2("20 11 000c c0000207 c6336401 1234 075b"), undefined],
  ["v2 unspecified family", v2("21 00 0003 040000"), undefined],
  ["v2 UNIX", v2(`21 31 00d8 ${"00".repeat(216)}`), undefined],
  ["v2 unknown field", v2With(tlv(0xee, Buffer.from("x"))), { address: "192.0.2.7", port: 4660 }],
  [
    "v2 verified certificate",
    v2With(ssl(0x07, 0, COMMON_NAME)),
    { address: "192.0.2.7", port: 4660 },
    "sensor-7",
  ],
  ["v2 certificate not verified", v2With(ssl(0x07, 1, COMMON_NAME)), { address: "192.0.2.7", port: 4660 }],
  ["v2 TLS without certificate", v2With(ssl(0x01, 0, COMMON_NAME)), { address: "192.0.2.7", port: 4660 }],
];

test.each(accepted)(
  "%s is accepted, and incomplete when cut at any byte",
  (_name, bytes, source, commonName) => {
    const expected = { ok: true, value: { source, commonName, length: bytes.length } };
    expect(parseProxyHeader(bytes)).toEqual(expected);
    expect(parseProxyHeader(Buffer.concat([bytes, Buffer.from("\x10\x0c")]))).toEqual(expected);
    for (let length = 0; length < bytes.length; length++) {
      expect(parseProxyHeader(bytes.subarray(0, length))).toBe("incomplete");
    }
  },
);

test.each<[string, Buffer]>([
  ["another protocol", Buffer.from("100c00044d515454", "hex")],
  ["HTTP", Buffer.from("POST / HTTP/1.1\r\n")],
  ["a broken signature", Buffer.from("0d0a0d0a000d0a515549540b", "hex")],
  ["v1 lower case", v1("PROXY tcp4 192.0.2.7 198.51.100.1 1 2")],
  ["v1 too few fields", v1("PROXY TCP4 192.0.2.7 198.51.100.1 1")],
  ["v1 too many fields", v1("PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3")],
  ["v1 two spaces", v1("PROXY TCP4  192.0.2.7 198.51.100.1 1 2")],
  ["v1 family and address differ", v1("PROXY TCP4 ::1 198.51.100.1 1 2")],
  ["v1 name for an address", v1("PROXY TCP4 localhost 198.51.100.1 1 2")],
  ["v1 octal address", v1("PROXY TCP4 192.0.02.7 198.51.100.1 1 2")],
  ["v1 port over 65535", v1("PROXY TCP4 192.0.2.7 198.51.100.1 65536 2")],
  ["v1 port with leading zero", v1("PROXY TCP4 192.0.2.7 198.51.100.1 01 2")],
  ["v1 signed port", v1("PROXY TCP4 192.0.2.7 198.51.100.1 +1 2")],
  ["v1 line feed alone", Buffer.from("PROXY UNKNOWN\n")],
  ["v1 over 107 bytes", Buffer.from(`PROXY UNKNOWN ${"x".repeat(100)}`)],
  ["v2 version 1", v2("11 11 000c c0000207 c6336401 1234 075b")],
  ["v2 unknown command", v2("22 11 000c c0000207 c6336401 1234 075b")],
  ["v2 unknown family", v2("21 41 0000")],
  ["v2 datagrams", v2("21 12 000c c0000207 c6336401 1234 075b")],
  ["v2 too short for its addresses", v2("21 11 000b c0000207 c6336401 1234 07")],
  ["v2 longer than any proxy sends", v2("21 11 ffff")],
  ["v2 field past the end", v2With(Buffer.of(0x04, 0x00, 0x05, 0x00))],
  ["v2 field cut in its length", v2With(Buffer.of(0x04, 0x00))],
  ["v2 TLS field too short", v2With(tlv(0x20, Buffer.alloc(4)))],
  ["v2 TLS sub-field past the end", v2With(ssl(7, 0, Buffer.of(0x22, 0, 9)))],
  ["v2 wrong checksum", v2With(tlv(0x03, Buffer.alloc(4)))],
])("%s is refused", (_name, bytes) => {
  expect(parseProxyHeader(bytes)).toMatchObject({
    ok: false,
    error: { clause: expect.stringContaining("PROXY") },
  });
});

test("a right checksum is accepted (PROXY protocol §2.2.4)", () => {
  // The check value of CRC-32C that RFC 3720 §B.4 gives for 32 zero octets.
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  const header = v2With(tlv(0x03, Buffer.alloc(4)));
  header.writeUInt32BE(crc32c(header), header.length - 4);
  expect(parseProxyHeader(header)).toMatchObject({ ok: true, value: { source: { address: "192.0.2.7" } } });
});
