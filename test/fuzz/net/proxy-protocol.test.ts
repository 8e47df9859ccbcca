import { expect, test } from "vitest";
import { parseProxyHeader } from "#core/net/proxy-protocol.ts";
import { fc } from "../../support/property.ts";

const SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const address4 = fc.ipV4();
const port = fc.integer({ min: 0, max: 65_535 });

test("any bytes give a header, an error with its clause, or a wish for more", () => {
  const starts = fc.constantFrom(
    Buffer.alloc(0),
    Buffer.from("PROXY "),
    Buffer.from("PROXY TCP4 "),
    SIGNATURE,
  );
  const versions = fc.constantFrom(
    Buffer.alloc(0),
    Buffer.of(0x21, 0x11),
    Buffer.of(0x21, 0x21),
    Buffer.of(0x20, 0),
  );
  fc.assert(
    fc.property(starts, versions, fc.uint8Array({ maxLength: 400 }), (start, version, rest) => {
      const bytes = Buffer.concat([start, version, rest]);
      const parsed = parseProxyHeader(bytes);
      if (parsed === "incomplete") return;
      if (parsed.ok) expect(parsed.value.length).toBeLessThanOrEqual(bytes.length);
      else expect(parsed.error.clause).toContain("PROXY protocol");
    }),
    { numRuns: 5_000 },
  );
});

test("every well-formed version 1 line gives its source", () => {
  fc.assert(
    fc.property(address4, address4, port, port, (source, destination, from, to) => {
      const line = `PROXY TCP4 ${source} ${destination} ${from} ${to}\r\n`;
      expect(parseProxyHeader(Buffer.from(line))).toEqual({
        ok: true,
        value: { source: { address: source, port: from }, commonName: undefined, length: line.length },
      });
    }),
  );
});

test("every well-formed version 2 header gives its source, whatever fields follow", () => {
  const field = fc.tuple(fc.integer({ min: 0x04, max: 0x1f }), fc.uint8Array({ maxLength: 60 }));
  fc.assert(
    fc.property(address4, port, fc.array(field, { maxLength: 8 }), (source, from, fields) => {
      const extensions = fields.map(([type, value]) =>
        Buffer.concat([Buffer.of(type, 0, value.length), value]),
      );
      const octets = source.split(".").map(Number);
      const addresses = Buffer.from([...octets, 198, 51, 100, 1, from >> 8, from & 255, 7, 91]);
      const payload = Buffer.concat([addresses, ...extensions]);
      const fixed = Buffer.of(0x21, 0x11, payload.length >> 8, payload.length & 255);
      expect(parseProxyHeader(Buffer.concat([SIGNATURE, fixed, payload]))).toMatchObject({
        ok: true,
        value: { source: { address: source, port: from } },
      });
    }),
  );
});
