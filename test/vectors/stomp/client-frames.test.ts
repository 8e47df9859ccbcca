import { describe, expect, it } from "vitest";
import { Decoder } from "#gateways/stomp/codec/decoder.ts";
import { type Frame, receiptOfFailed } from "#gateways/stomp/codec/frame.ts";
import { Header, type HeaderName, type Version } from "#gateways/stomp/frames.ts";
import vectors from "./client-frames.json" with { type: "json" };

interface Read {
  readonly command: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}
interface Vector {
  readonly name: string;
  readonly clause: string;
  readonly version?: string;
  readonly stream?: string;
  readonly hex?: string;
  readonly frames?: { command: string; headers: Record<string, string>; body?: string }[];
  readonly error?: string;
  readonly receipt?: string;
}

const LIMITS = { headers: 8, headerLength: 48, bodyLength: 64, connectLength: 160 };
const OF_SEND = new Set(["destination", "receipt", "content-length", "content-type"]);

function read(frame: Frame): Read {
  const headers: Record<string, string> = Object.fromEntries(frame.userHeaders() ?? []);
  for (const [name, number] of Object.entries(Header)) {
    const value = frame.text(number);
    if (value !== undefined) headers[name] = value;
  }
  return { command: frame.command, headers, body: Buffer.from(frame.body()).toString("utf8") };
}

interface Outcome {
  readonly frames: Read[];
  readonly error: string | undefined;
  readonly receipt: string | undefined;
}

function run(chunks: readonly Uint8Array[], version: string | undefined): Outcome {
  const decoder = new Decoder(LIMITS);
  decoder.version = version as Version | undefined;
  const frames: Read[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (;;) {
      const next = decoder.next();
      if (next === undefined) break;
      if ("error" in next) {
        const receipt = receiptOfFailed(decoder.frame);
        return {
          frames,
          error: next.error.problem,
          receipt: receipt && Buffer.from(receipt).toString("utf8"),
        };
      }
      frames.push(read(next));
    }
    // A read buffer may be used again once the decoder has had it.
    chunk.fill(0xee);
  }
  return { frames, error: undefined, receipt: undefined };
}

const bytesOf = (vector: Vector): Buffer =>
  vector.hex === undefined ? Buffer.from(vector.stream ?? "") : Buffer.from(vector.hex, "hex");

describe.each(vectors as Vector[])("$name ($clause)", (vector) => {
  const expected: Outcome = {
    frames: (vector.frames ?? []).map((one) => ({ body: "", ...one })),
    error: vector.error,
    receipt: vector.receipt,
  };

  it("in one piece", () => {
    expect(run([bytesOf(vector)], vector.version)).toEqual(expected);
  });

  it("octet by octet", () => {
    const bytes = bytesOf(vector);
    const octets = Array.from(bytes, (_, at) => Buffer.from(bytes.subarray(at, at + 1)));
    expect(run(octets, vector.version)).toEqual(expected);
  });

  it("cut in two at every octet", () => {
    const length = bytesOf(vector).length;
    for (let cut = 1; cut < length; cut++) {
      const bytes = bytesOf(vector);
      const outcome = run(
        [Buffer.from(bytes.subarray(0, cut)), Buffer.from(bytes.subarray(cut))],
        vector.version,
      );
      expect(outcome, `cut at ${cut}`).toEqual(expected);
    }
  });

  it("truncated at every octet, it is never more than its beginning", () => {
    const length = bytesOf(vector).length;
    for (let cut = 0; cut < length; cut++) {
      const outcome = run([Buffer.from(bytesOf(vector).subarray(0, cut))], vector.version);
      expect(expected.frames.slice(0, outcome.frames.length)).toEqual(outcome.frames);
      expect([undefined, expected.error]).toContain(outcome.error);
    }
  });

  it("twice over, the second as good as the first", () => {
    if (vector.error !== undefined) return expect(expected.error).toBeDefined();
    const twice = run([Buffer.concat([bytesOf(vector), bytesOf(vector)])], vector.version);
    expect(twice.frames).toEqual([...expected.frames, ...expected.frames]);
  });
});

it("names the headers that this test reads by number", () => {
  for (const name of OF_SEND) expect(Header[name as HeaderName]).toBeGreaterThan(0);
});
