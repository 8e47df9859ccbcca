import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseClientHelloHead, parseExtensions } from "#core/dtls/handshake/client-hello.ts";
import {
  parseCertificate,
  parseCertificateVerify,
  parseClientKeyExchange,
  parseRawPublicKey,
} from "#core/dtls/handshake/client-messages.ts";
import { parseFragments } from "#core/dtls/handshake/message.ts";
import { Reassembly } from "#core/dtls/handshake/reassembly.ts";
import { concat } from "#core/lib/bytes.ts";
import { minutes } from "#core/lib/time.ts";
import { DtlsCertificates } from "../../support/dtls-certificates.ts";
import { type DeviceProof, DtlsDevice } from "../../support/dtls-device.ts";
import { DtlsWorld } from "../../support/dtls-world.ts";
import { fc } from "../../support/property.ts";
import { mulberry32 } from "../../support/random.ts";

/** Bytes that look like records often enough to get further than the first octet. */
const recordLike = fc
  .record({
    type: fc.constantFrom(20, 21, 22, 23, 25, 26, 0x2f),
    epoch: fc.constantFrom(0, 1, 2, 65_535),
    sequence: fc.nat(1000),
    content: fc.uint8Array({ maxLength: 200 }),
    lie: fc.constantFrom(0, 0, 0, -1, 1, 5000),
  })
  .map(({ type, epoch, sequence, content, lie }) => {
    const length = Math.max(content.length + lie, 0);
    const head = Uint8Array.of(
      type,
      0xfe,
      0xfd,
      epoch >> 8,
      epoch & 255,
      0,
      0,
      0,
      0,
      sequence >> 8,
      sequence & 255,
    );
    return concat(head, Uint8Array.of(length >> 8, length & 255), content);
  });

describe("arbitrary datagrams", () => {
  it("never throw, open nothing, and get no more back than they cost", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.uint8Array({ maxLength: 300 }),
            recordLike,
            fc.tuple(recordLike, recordLike).map(([a, b]) => concat(a, b)),
          ),
          {
            maxLength: 30,
          },
        ),
        (datagrams) => {
          const world = new DtlsWorld();
          const device = new DtlsDevice(world, { cid: Uint8Array.of(1) });
          device.connect();
          for (const datagram of datagrams) {
            for (const [address, port] of [
              [device.address, device.port],
              ["203.0.113.1", 7],
            ] as const) {
              const before = world.sent.length;
              world.send(datagram, address, port);
              const back = world.sent.slice(before).reduce((sum, { bytes }) => sum + bytes.length, 0);
              expect(back).toBeLessThanOrEqual(datagram.length);
            }
          }
          expect(world.received).toEqual([]);
          device.send("still");
          expect(world.received).toHaveLength(1);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("a handshake of which any one byte is changed, or which is cut at any byte", () => {
  let made: DtlsCertificates;
  beforeAll(() => {
    made = new DtlsCertificates();
    made.issue("server", "/CN=gw.example");
    made.issue("client", "/CN=meter-7");
  });
  afterAll(() => made.remove());

  const withCertificates = (proof: (name: string) => DeviceProof) => ({
    world: () =>
      new DtlsWorld({
        credentials: made.credentials(
          {
            cert: made.path("server.pem"),
            key: made.path("server.key"),
            ca: made.path("ca.pem"),
            clientCertificate: "require",
          },
          {},
          { presharedKey: () => undefined, rawKeyHolder: () => "raw-meter" },
        ),
      }),
    options: { suite: "ECDHE_ECDSA_WITH_AES_128_CCM_8", proof: proof("client") },
    identity: /^(raw-meter|meter-7)$/,
  });
  for (const [what, kind] of [
    ["a pre-shared key", () => ({ world: () => new DtlsWorld(), options: {}, identity: /^dev1$/ })],
    [
      "a pre-shared key and a connection id",
      () => ({ world: () => new DtlsWorld(), options: { cid: Uint8Array.of(3) }, identity: /^dev1$/ }),
    ],
    ["certificates of both sides", () => withCertificates((name) => made.proof(name))],
    ["raw public keys of both sides", () => withCertificates((name) => made.rawProof(name))],
  ] as const) {
    it(`never throws, and ends open or refused: ${what}`, () => {
      const { world: newWorld, options, identity } = kind();
      // How many octets the device sends in a handshake that nobody disturbs.
      const sizes: number[] = [];
      const count = newWorld();
      const send = count.send.bind(count);
      count.send = (bytes, address, port) => {
        sizes.push(bytes.length);
        send(bytes, address, port);
      };
      new DtlsDevice(count, options).connect();
      const random = mulberry32(11);
      for (const [index, size] of sizes.entries()) {
        for (let at = 0; at < size; at++) {
          const cut = random() < 0.3;
          const world = newWorld();
          const through = world.send.bind(world);
          let sent = 0;
          world.send = (bytes, address, port) => {
            if (sent++ !== index) return through(bytes, address, port);
            const changed = cut ? bytes.slice(0, at) : new Uint8Array(bytes);
            if (!cut) changed[at]! ^= 1 + Math.floor(random() * 255);
            through(changed, address, port);
          };
          const device = new DtlsDevice(world, options);
          device.connect();
          world.pass(minutes(3));
          const where = `datagram ${index}, octet ${at}${cut ? ", cut" : ""}`;
          expect(["open", "failed", "shaking"], where).toContain(device.state);
          expect(world.listener.handshakes, where).toBe(0);
          if (device.state !== "open") continue;
          device.send("content");
          expect(world.received.length, where).toBe(1);
          expect(world.received[0]?.identity, where).toMatch(identity);
        }
      }
    });
  }
});

describe("decoders of handshake messages", () => {
  it("never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const hello = parseClientHelloHead(bytes);
        if (hello !== undefined) parseExtensions(bytes, hello);
        for (const exchange of ["psk", "ecdhe-psk", "ecdhe-ecdsa", "ecdhe-rsa"] as const)
          parseClientKeyExchange(bytes, exchange);
        parseCertificate(bytes);
        parseCertificateVerify(bytes);
        parseRawPublicKey(bytes);
        parseFragments(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it("put any cut of a message together, however often and in whatever order its pieces come", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.array(fc.tuple(fc.nat(300), fc.nat(300)), { maxLength: 20 }),
        fc.integer({ min: 1, max: 50 }),
        (body, pieces, step) => {
          const reassembly = new Reassembly({ messageMax: 1000, totalMax: 2000, aheadMax: 4 }, 0);
          const all = pieces.map(([from, length]) => [from % body.length, length] as const);
          for (let at = 0; at < body.length; at += step) all.push([at, step]);
          for (const [offset, length] of all) {
            const bytes = body.subarray(offset, offset + length);
            reassembly.add({ type: 1, length: body.length, sequence: 0, offset, bytes });
          }
          expect(reassembly.take()?.body).toEqual(new Uint8Array(body));
        },
      ),
    );
  });
});
