import { describe, expect, it } from "vitest";
import { packetFraming } from "#gateways/tcp/codec.ts";
import { FrameStream } from "#gateways/tcp/frame-stream.ts";
import { rawFraming } from "#gateways/tcp/framing.ts";
import { fc } from "../../support/property.ts";
import { TcpDevice, tcpListener } from "../../support/tcp-device.ts";
import { World } from "../../support/world.ts";

const FRAMINGS = [
  { kind: "line" },
  { kind: "delimiter", delimiter: "00", strip: true },
  { kind: "delimiter", delimiter: "0001", strip: false },
  { kind: "fixed", size: 3 },
  { kind: "length", offset: 0, octets: 1, order: "big", adjustment: 0, strip: true },
  { kind: "length", offset: 1, octets: 2, order: "little", adjustment: -2, strip: false },
] as const;
const framings = [packetFraming, ...FRAMINGS.map(rawFraming)];

/** Octets that make frames likely. */
const octet = fc.oneof(fc.constantFrom(0, 1, 2, 3, 10, 13, 0x10, 0x11, 0x30, 0x40, 0x60), fc.nat(255));
const chunks = fc.array(
  fc.uint8Array({ maxLength: 40 }).map((bytes) => bytes),
  { maxLength: 20 },
);
const likely = fc.array(
  fc.array(octet, { maxLength: 40 }).map((bytes) => Uint8Array.from(bytes)),
  { maxLength: 20 },
);

/** Frames of a stream, in hexadecimal, and the error that ended it. */
function cut(framing: (typeof framings)[number], parts: readonly Uint8Array[]): string[] {
  const stream = new FrameStream(framing, 64);
  const found: string[] = [];
  for (const part of parts) {
    stream.push(new Uint8Array(part));
    for (let frame = stream.next(); frame !== undefined; frame = stream.next()) {
      if (!(frame instanceof Uint8Array)) return [...found, frame.error.problem];
      found.push(Buffer.from(frame).toString("hex"));
    }
    stream.hold();
  }
  return found;
}

describe("any stream of octets", () => {
  it("gives the same frames however it is cut into chunks", () => {
    fc.assert(
      fc.property(fc.constantFrom(...framings), fc.oneof(chunks, likely), (framing, parts) => {
        expect(cut(framing, parts)).toEqual(cut(framing, [Buffer.concat(parts)]));
      }),
      { numRuns: 2000 },
    );
  });

  it("breaks no channel, in either dialect", () => {
    const world = new World();
    const framed = tcpListener(world);
    const raw = tcpListener(world, {
      raw: [{ listener: "test", payload: "json", identity: { clientId: "d" } }],
    });
    fc.assert(
      fc.property(fc.boolean(), likely, (isRaw, parts) => {
        const device = new TcpDevice(isRaw ? raw : framed);
        if (!isRaw) device.connect("d");
        for (const part of parts) device.stream.send(part);
        device.stream.drop();
      }),
      { numRuns: 1000 },
    );
    expect(world.core.counters.channelFailures.value).toBe(0);
    expect(framed.loops()).toEqual([]);
    expect(raw.loops()).toEqual([]);
  });
});

describe("content that a framing takes", () => {
  it("comes out of the stream as it went in", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...FRAMINGS),
        fc.uint8Array({ minLength: 1, maxLength: 50 }),
        (settings, content) => {
          const framing = rawFraming(settings);
          const frame = framing.frame(content);
          // Whole frames go as they are, and the application answers for them.
          if (frame === undefined || ("strip" in settings && !settings.strip)) return;
          const stream = new FrameStream(framing, 64);
          stream.push(frame);
          const read = stream.next();
          expect(read).toBeInstanceOf(Uint8Array);
          const back = framing.content(read as Uint8Array);
          // A line cannot say that its content ended with CR.
          if (settings.kind === "line" && content.at(-1) === 0x0d) return;
          expect(Buffer.from(back ?? []).equals(Buffer.from(content))).toBe(true);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
