import { describe, expect, it } from "vitest";
import { Decoder } from "#gateways/stomp/codec/decoder.ts";
import { receiptOfFailed } from "#gateways/stomp/codec/frame.ts";
import { Header, type Version } from "#gateways/stomp/frames.ts";
import { fc } from "../../support/property.ts";
import { frame } from "../../support/stomp-frames.ts";

const LIMITS = { headers: 20, headerLength: 200, bodyLength: 1000, connectLength: 2000 };
const versions = fc.constantFrom<(Version | undefined)[]>("1.0", "1.1", "1.2", undefined);

interface Outcome {
  readonly frames: string[];
  readonly problem: string | undefined;
}

/** All that a decoder says of a stream, with every header and body read. */
function read(chunks: readonly Uint8Array[], version: Version | undefined): Outcome {
  const decoder = new Decoder(LIMITS);
  decoder.version = version;
  const frames: string[] = [];
  for (const chunk of chunks) {
    decoder.push(Uint8Array.from(chunk));
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
      if ("error" in next) {
        receiptOfFailed(decoder.frame);
        return { frames, problem: `${next.error.clause}: ${next.error.problem}` };
      }
      const known = Object.values(Header).map((number) => next.text(number));
      const body = Buffer.from(next.body()).toString("hex");
      frames.push(JSON.stringify([next.command, next.userHeaders(), known, body]));
    }
  }
  return { frames, problem: undefined };
}

/** Cuts bytes at the given places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].sort(
    (a, b) => a - b,
  );
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

/** Octets that STOMP takes for something, among others. */
const octets = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...Buffer.from("\0\n\r:\\ncr0159 aSENDid-")) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
);
const lines = fc.constantFrom(
  ...[
    "SEND\n",
    "CONNECT\n",
    "ACK\r\n",
    "SUBSCRIBE\n",
    "NONSENSE\n",
    "destination:a\n",
    "receipt:r\\n\n",
    "id:0\n",
  ],
  ...[
    "content-length:3\n",
    "content-length:x\n",
    "content-length:99999\n",
    "a:b\\q\n",
    "no colon\n",
    ":x\n",
    "\n",
  ],
  ...["\r\n", "abc\0", "\0", "x".repeat(150), `${"h:v\n".repeat(30)}`, "ä:ö\n", "\n\n\0"],
);
const streams = fc.oneof(
  fc.array(octets, { maxLength: 200 }).map((numbers) => Uint8Array.from(numbers)),
  fc.array(lines, { maxLength: 30 }).map((parts) => Buffer.from(parts.join(""))),
);
const places = fc.array(fc.nat(5000), { maxLength: 12 });

describe("the STOMP decoder", () => {
  it("never throws, and reads the same however the stream is cut (F13)", () => {
    fc.assert(
      fc.property(streams, places, versions, (bytes, where, version) => {
        const whole = read([bytes], version);
        expect(read(cut(bytes, where), version)).toEqual(whole);
        expect(read(cut(bytes, Array.from(bytes.keys())), version)).toEqual(whole);
      }),
      { numRuns: 1500 },
    );
  });

  const texts = fc.string({ unit: "binary", maxLength: 20 }).filter((text) => !text.includes("\0"));
  const names = texts.filter((text) => text.length > 0 && !Object.hasOwn(Header, text));

  it("reads what another encoder wrote, escapes and all (F10)", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(names, texts), { maxLength: 10, selector: ([name]) => name }),
        texts,
        fc.uint8Array({ maxLength: 100 }),
        places,
        (headers, destination, body, where) => {
          const lengths = { "content-length": String(body.length) };
          const bytes = frame("SEND", { ...Object.fromEntries(headers), destination, ...lengths }, body);
          // Headers with numbers for names come out of an object in another order.
          const sorted = (pairs: readonly (readonly [string, string])[]) =>
            [...pairs].sort(([a], [b]) => (a < b ? -1 : 1));
          const decoder = new Decoder({ ...LIMITS, headerLength: 1000 });
          decoder.version = "1.2";
          let seen = 0;
          for (const chunk of cut(bytes, where)) {
            decoder.push(Uint8Array.from(chunk));
            for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
              if ("error" in next) throw new Error(next.error.problem);
              seen++;
              expect(next.text(Header.destination)).toBe(destination);
              expect(sorted(next.userHeaders() ?? [])).toEqual(sorted(headers));
              expect(Buffer.compare(next.body(), body)).toBe(0);
            }
          }
          expect(seen).toBe(1);
        },
      ),
      { numRuns: 800 },
    );
  });
});
