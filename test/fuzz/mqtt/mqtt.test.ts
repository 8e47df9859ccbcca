import { readdirSync, readFileSync } from "node:fs";
import mqttPacket from "mqtt-packet";
import { describe, expect, it } from "vitest";
import { concat } from "#core/lib/bytes.ts";
import { decodeServerPacket, encodeClientPacket } from "../../support/mqtt-client-codec.ts";
import {
  decodeClientPacket,
  encodeServerPacket,
  type Plain,
  parseForeign,
} from "../../support/mqtt-codec.ts";
import { mqttSite } from "../../support/mqtt-device.ts";
import { fc } from "../../support/property.ts";

const SETTINGS = { numRuns: 400 };
const version = fc.constantFrom(3, 4, 5) as fc.Arbitrary<3 | 4 | 5>;
const latest = fc.constantFrom(4, 5) as fc.Arbitrary<4 | 5>;

const folder = new URL("../../vectors/mqtt/", import.meta.url);
const packetsOfClients = readdirSync(folder)
  .flatMap((file) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Plain[])
  .filter(({ from }) => from === "client")
  .map(({ hex, version: level }) => ({ bytes: Buffer.from(String(hex), "hex"), level }));
const packetOf = (level: number) =>
  fc.constantFrom(...packetsOfClients.filter((packet) => packet.level === (level === 5 ? 5 : 4)));

const connect = (level: 3 | 4 | 5) =>
  mqttPacket.generate({
    cmd: "connect",
    protocolId: level === 3 ? "MQIsdp" : "MQTT",
    protocolVersion: level,
    clean: true,
    clientId: "fuzz",
    keepalive: 0,
  } as never);

/** Feeds octets to a fresh gateway, cut as given, and tells everything that came of it. */
function outcome(octets: Uint8Array, cuts: readonly number[]) {
  // Nobody hears himself: what a client's own packets cause comes when its chunk is read, and so depends on cuts.
  const elsewhere = { rewriteSubscribe: (_who: unknown, filter: string) => `elsewhere/${filter}` };
  const site = mqttSite({ receiveMaximum: 5 }, { limits: { packetSize: 4096 } }, elsewhere);
  const heard = site.world.listen("#");
  const device = site.device(5);
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    const to = Math.min(cut % (octets.length + 1), octets.length);
    if (to <= from) continue;
    device.stream.send(octets.slice(from, to));
    from = to;
  }
  device.stream.send(octets.slice(from));
  return {
    said: Buffer.from(device.stream.takeBytes()).toString("hex"),
    closed: device.closed,
    heard: heard.map(({ topic, payload, qos }) => [topic, Buffer.from(payload).toString("hex"), qos]),
    notes: site.world.notes.map(({ note }) => [note.event, note.detail?.["clause"]]),
  };
}

/** Packets one behind the other, of which some octets may have changed, gone or been added. */
const stream = version.chain((level) =>
  fc
    .tuple(
      fc.array(packetOf(level), { maxLength: 12 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom("change", "drop", "add")), { maxLength: 3 }),
    )
    .map(([packets, mutations]) => {
      const octets = [...concat(connect(level), ...packets.map(({ bytes }) => bytes))];
      for (const [where, octet, how] of mutations) {
        const at = where % octets.length;
        if (how === "change") octets[at] = octet;
        else octets.splice(at, how === "drop" ? 1 : 0, ...(how === "add" ? [octet] : []));
      }
      return Uint8Array.from(octets);
    }),
);

describe("octets of any kind", () => {
  it("end in an answer, a closed connection or silence, never in a failure of the gateway", () => {
    fc.assert(
      fc.property(version, fc.uint8Array({ maxLength: 400 }), (level, octets) => {
        // The world of these tests throws where the gateway would have to report a bug of its own.
        outcome(octets, []);
        outcome(concat(connect(level), octets), []);
      }),
      SETTINGS,
    );
  });

  it("mean the same however the stream is cut", () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(2000), { maxLength: 10 }), (octets, cuts) => {
        expect(outcome(octets, cuts)).toEqual(outcome(octets, []));
      }),
      SETTINGS,
    );
  });

  it("mean the same one at a time", () => {
    fc.assert(
      fc.property(stream, (octets) => {
        expect(outcome(octets, [...octets.keys()])).toEqual(outcome(octets, []));
      }),
      { numRuns: 60 },
    );
  });

  it("never make the decoder of either end throw, and an error names a clause and a place in the packet", () => {
    fc.assert(
      fc.property(
        version,
        fc.integer({ min: 16, max: 255 }),
        fc.uint8Array({ maxLength: 120 }),
        (level, first, body) => {
          for (const decode of [decodeClientPacket, decodeServerPacket]) {
            const decoded = decode(concat(Uint8Array.of(first, body.length), body), level);
            if (!("error" in decoded)) continue;
            const { clause, at, code } = decoded.error;
            expect(clause).toMatch(/MQTT/);
            expect(at).toBeGreaterThanOrEqual(0);
            expect(at).toBeLessThanOrEqual(body.length + 2);
            expect(code).toBeGreaterThanOrEqual(0x80);
          }
        },
      ),
      { numRuns: 5000 },
    );
  });
});

const text = fc.string({ unit: "grapheme", maxLength: 40 }).filter((value) => !value.includes("\0"));
const topic = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 60 })
  .filter((value) => !/[#+\0]/.test(value));
const payload = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const properties = fc.record(
  {
    payloadFormatIndicator: fc.boolean(),
    messageExpiryInterval: fc.nat(0xffff_ffff),
    contentType: text,
    responseTopic: topic,
    correlationData: payload,
    userProperties: fc.dictionary(
      text.filter((name) => name !== "__proto__"),
      text,
      { minKeys: 1, maxKeys: 4 },
    ),
  },
  { requiredKeys: [] },
);
const publish = fc
  .record({
    topic,
    payload,
    qos: fc.constantFrom(0, 1, 2),
    retain: fc.boolean(),
    dup: fc.boolean(),
    messageId: fc.integer({ min: 1, max: 65_535 }),
    properties,
  })
  .map(({ qos, messageId, dup, properties: some, ...rest }) => ({
    cmd: "publish",
    ...rest,
    qos,
    dup: dup && qos > 0,
    ...(qos === 0 ? {} : { messageId }),
    properties: { ...some, ...(some.userProperties ? { userProperties: { ...some.userProperties } } : {}) },
  }));
const without = (packet: Plain, level: number): Plain => {
  const { properties: some, ...rest } = packet;
  return level === 5 && Object.keys(some as Plain).length > 0 ? packet : rest;
};

const connectPacket = fc
  .record({
    clean: fc.boolean(),
    clientId: text,
    keepalive: fc.nat(65_535),
    username: fc.option(text, { nil: undefined }),
    password: fc.option(payload, { nil: undefined }),
    will: fc.option(
      fc.record({ topic, payload, qos: fc.constantFrom(0, 1, 2), retain: fc.boolean(), properties }),
      { nil: undefined },
    ),
  })
  // A password without a user name is MQTT 5's alone, and mqtt-packet cannot write it.
  .map(({ username, password, will, ...rest }) => ({
    cmd: "connect",
    ...rest,
    ...(username === undefined ? {} : { username }),
    ...(username === undefined || password === undefined ? {} : { password }),
    ...(will === undefined ? {} : { will }),
  }));

describe("any CONNECT", () => {
  it("is read as it was written, and as mqtt-packet reads it", () => {
    fc.assert(
      fc.property(latest, connectPacket, (level, packet) => {
        const { will, ...rest } = packet as Plain;
        const plain: Plain = {
          ...rest,
          protocolId: "MQTT",
          protocolVersion: level,
          ...(will === undefined ? {} : { will: without(will as Plain, level) }),
        };
        const bytes = encodeClientPacket(plain, level);
        expect(decodeClientPacket(bytes, level)).toEqual({ packet: plain });
        const theirs = parseForeign(bytes, level) as Plain;
        const { username, ...others } = theirs;
        // mqtt-packet hands out the user name as octets in some versions.
        expect({
          ...others,
          ...(username === undefined ? {} : { username: String(username) }),
        }).toMatchObject(plain);
      }),
      { numRuns: 800 },
    );
  });
});

describe("any PUBLISH", () => {
  it("is read as mqtt-packet wrote it", () => {
    fc.assert(
      fc.property(latest, publish, (level, packet) => {
        const plain = without(packet, level);
        const bytes = mqttPacket.generate(plain as never, { protocolVersion: level } as never);
        expect(decodeClientPacket(bytes, level)).toEqual({ packet: plain });
      }),
      { numRuns: 1500 },
    );
  });

  it("is written as mqtt-packet reads it, also behind another one", () => {
    fc.assert(
      fc.property(latest, fc.array(publish, { minLength: 1, maxLength: 4 }), (level, packets) => {
        for (const packet of packets) {
          const plain = without(packet, level);
          expect(parseForeign(encodeServerPacket(plain, level), level)).toEqual(plain);
        }
      }),
      { numRuns: 800 },
    );
  });
});
