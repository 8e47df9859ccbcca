import { readdirSync, readFileSync } from "node:fs";
import mqttPacket from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { concat } from "#core/lib/bytes.ts";
import { type Instant, seconds } from "#core/lib/time.ts";
import { frame } from "#core/mqtt/codec/fixed-header.ts";
import { UnfinishedPacket } from "#core/mqtt/codec/unfinished-packet.ts";
import type { ProtocolVersion } from "#core/mqtt/packets.ts";
import { decodeServerPacket, encodeClientPacket } from "../../support/mqtt-client-codec.ts";
import {
  decodeClientPacket,
  encodeServerPacket,
  type Plain,
  parseForeign,
} from "../../support/mqtt-codec.ts";

interface Vector {
  readonly name: string;
  readonly clause: string;
  readonly version: ProtocolVersion;
  readonly from: "client" | "server";
  readonly hex: string;
  readonly packet: Plain;
}

const folder = new URL("../../vectors/mqtt/", import.meta.url);

/** `{"hex": "..."}` stands for bytes. */
function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0]?.[0] === "hex") return Buffer.from(String(entries[0][1]), "hex");
  return Object.fromEntries(entries.map(([name, each]) => [name, revive(each)]));
}

const vectors = readdirSync(folder)
  .flatMap((file) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Vector[])
  .map((vector) => ({
    ...vector,
    packet: revive(vector.packet) as Plain,
    bytes: Buffer.from(vector.hex, "hex"),
  }));

const titled = vectors.map(
  (vector) => [`${vector.version}: ${vector.name} ${vector.clause}`, vector] as const,
);
const ofClients = titled.filter(([, { from }]) => from === "client");
const ofServers = titled.filter(([, { from }]) => from === "server");

/** An acknowledgement's properties are not kept. */
const expected = ({ packet }: { packet: Plain }): Plain => {
  const { properties, ...rest } = packet;
  return /^pub(ack|rec|rel|comp)$/.test(String(packet["cmd"])) || properties === undefined ? rest : packet;
};

describe("packets of clients", () => {
  it.each(ofClients)("are decoded to what they say: %s", (_title, vector) => {
    expect(decodeClientPacket(vector.bytes, vector.version)).toEqual({ packet: expected(vector) });
  });

  it.each(ofClients)("mean the same to mqtt-packet, which writes these octets: %s", (_title, vector) => {
    const { packet, version, hex } = vector;
    const written = mqttPacket.generate(packet as never, { protocolVersion: version } as never);
    expect(written.toString("hex")).toBe(hex);
  });

  it.each(ofClients)("are encoded as mqtt-packet understands them: %s", (_title, vector) => {
    const { packet, version, hex } = vector;
    const bytes = encodeClientPacket(packet, version);
    expect(parseForeign(bytes, version)).toEqual(parseForeign(Buffer.from(hex, "hex"), version));
    expect(decodeClientPacket(bytes, version)).toEqual({ packet: expected(vector) });
    // A foreign codec may be wordier, never shorter.
    expect(bytes.length).toBeLessThanOrEqual(hex.length / 2);
  });

  it.each(ofClients.filter(([, { version }]) => version !== 5))("are these octets: %s", (_title, vector) => {
    expect(Buffer.from(encodeClientPacket(vector.packet, vector.version)).toString("hex")).toBe(vector.hex);
  });

  it.each(ofClients)("can be cut at every octet of the stream: %s", (_title, { bytes, version }) => {
    const whole = decodeClientPacket(bytes, version);
    for (let cut = 1; cut < bytes.length; cut++) {
      const unfinished = new UnfinishedPacket(1 << 20, 0 as Instant, seconds(1));
      const first = unfinished.append(bytes.subarray(0, cut), 0);
      expect(first).toEqual({ taken: cut, state: "incomplete" });
      // The next packet's octets follow, and are left alone.
      const second = unfinished.append(concat(bytes.subarray(cut), bytes), 0);
      expect(second).toEqual({ taken: bytes.length - cut, state: "whole" });
      expect(frame.end).toBe(bytes.length);
      expect(decodeClientPacket(unfinished.bytes, version)).toEqual(whole);
    }
  });

  it.each(ofClients)("that end early are read no further than they go: %s", (_title, vector) => {
    const { bytes, version } = vector;
    const bodyAt = bytes.length < 130 ? 2 : 3;
    for (let length = 0; length < bytes.length - bodyAt; length++) {
      const short = concat(bytes.subarray(0, 1), remaining(length), bytes.subarray(bodyAt, bodyAt + length));
      // Behind the packet stands what must not be looked at.
      const padded = concat(short, new Uint8Array(300).fill(0x41));
      const exact = decodeClientPacket(short, version);
      const view = decodeClientPacket(padded.subarray(0, short.length), version);
      expect(view).toEqual(exact);
      // Other packets may end early and mean something, as SUBSCRIBE does behind its first filter.
      if (vector.packet["cmd"] === "connect" && version !== 3) expect(exact).toHaveProperty("error.clause");
    }
  });
});

describe("packets of the server", () => {
  it.each(ofServers)(
    "are encoded as mqtt-packet understands them: %s",
    (_title, { packet, version, hex }) => {
      const bytes = encodeServerPacket(packet, version);
      expect(parseForeign(bytes, version)).toEqual(parseForeign(Buffer.from(hex, "hex"), version));
      expect(parseForeign(bytes, version)).toMatchObject(packet);
      // A foreign codec may be wordier, never shorter.
      expect(bytes.length).toBeLessThanOrEqual(hex.length / 2);
    },
  );

  it.each(ofServers.filter(([, { packet, version }]) => version === 4 || packet["cmd"] === "suback"))(
    "are these octets: %s",
    (_title, { packet, version, hex }) => {
      expect(Buffer.from(encodeServerPacket(packet, version)).toString("hex")).toBe(hex);
    },
  );

  it.each(ofServers)("are decoded to what they say: %s", (_title, vector) => {
    expect(decodeServerPacket(vector.bytes, vector.version)).toEqual({ packet: expected(vector) });
  });

  it.each(ofServers)("mean the same to mqtt-packet, which writes these octets: %s", (_title, vector) => {
    const { packet, version, hex } = vector;
    const written = mqttPacket.generate(packet as never, { protocolVersion: version } as never);
    expect(written.toString("hex")).toBe(hex);
  });

  it.each(ofServers)("that end early are read no further than they go: %s", (_title, vector) => {
    const { bytes, version } = vector;
    for (let length = 0; length < bytes.length - 2; length++) {
      const short = concat(bytes.subarray(0, 1), remaining(length), bytes.subarray(2, 2 + length));
      const padded = concat(short, new Uint8Array(300).fill(0x41));
      const exact = decodeServerPacket(short, version);
      expect(decodeServerPacket(padded.subarray(0, short.length), version)).toEqual(exact);
      if (vector.packet["cmd"] === "connack" && !tellsOlder(short, version)) {
        expect(exact).toHaveProperty("error.clause");
      }
    }
  });
});

/** CONNACK of two octets that refuses, as a server sends it that does not know MQTT 5. */
const tellsOlder = (bytes: Uint8Array, version: ProtocolVersion): boolean =>
  version === 5 && bytes.length === 4 && bytes[3] !== 0;

const remaining = (length: number): Uint8Array =>
  length < 128 ? Uint8Array.of(length) : Uint8Array.of((length & 0x7f) | 0x80, length >> 7);
