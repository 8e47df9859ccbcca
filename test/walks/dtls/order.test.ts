import { describe, expect, it } from "vitest";
import { Alert } from "#core/dtls/constants.ts";
import { type HandshakeContext, ServerHandshake } from "#core/dtls/handshake/server.ts";
import { SessionCache, Tickets } from "#core/dtls/sessions.ts";
import { Failure } from "#core/dtls/settings.ts";
import type { Instant } from "#core/lib/time.ts";
import { minutes } from "#core/lib/time.ts";
import { nodeCrypto } from "#core/net/dtls-crypto.ts";
import { DtlsDevice } from "../../support/dtls-device.ts";
import { DtlsWorld, KEY, pskCredentials, SETTINGS } from "../../support/dtls-world.ts";

const NOW = 1_700_000_000_000 as Instant;

const context = (): HandshakeContext => ({
  crypto: nodeCrypto,
  settings: SETTINGS,
  credentials: pskCredentials({ dev1: KEY }),
  sessions: new SessionCache(nodeCrypto, 10),
  tickets: new Tickets(nodeCrypto, new Uint8Array(32)),
  decoySecret: new Uint8Array(32),
  newCid: () => Uint8Array.of(1, 2, 3, 4, 5, 6),
  keyLog: undefined,
});

const hello = (): Uint8Array => new DtlsDevice(new DtlsWorld()).hello();
const exchange = Uint8Array.of(0, 4, ...Buffer.from("dev1"));

/** The messages of a client with a pre-shared key, in their order. */
const ORDER = [
  { type: 1, body: hello },
  { type: 16, body: () => exchange },
  { type: 20, body: () => new Uint8Array(12) },
];

describe("messages in any other order than that of RFC 5246 §7.3", () => {
  for (let due = 0; due < ORDER.length; due++) {
    it(`end the handshake by unexpected_message instead of message ${ORDER[due]!.type}`, () => {
      for (let type = 0; type < 256; type++) {
        if (type === ORDER[due]!.type) continue;
        const handshake = new ServerHandshake(context(), 0);
        for (const [sequence, { type, body }] of ORDER.slice(0, due).entries()) {
          expect(handshake.take({ type, sequence, body: body() }, NOW)).not.toBeInstanceOf(Failure);
        }
        const step = handshake.take({ type, sequence: due, body: new Uint8Array(0) }, NOW);
        expect(step).toMatchObject({ alert: Alert.unexpectedMessage });
      }
    });
  }

  it("end it by decrypt_error at a Finished that does not fit", () => {
    const handshake = new ServerHandshake(context(), 0);
    const steps = ORDER.map(({ type, body }, sequence) =>
      handshake.take({ type, sequence, body: body() }, NOW),
    );
    expect(steps.at(-1)).toMatchObject({ alert: Alert.decryptError });
  });
});

describe("a ChangeCipherSpec that is not right before the Finished (RFC 5246 §7.1)", () => {
  for (const [what, flight] of [
    ["missing", ([exchange, , finished]: readonly unknown[]) => [exchange, finished]],
    [
      "before the ClientKeyExchange",
      ([exchange, change, finished]: readonly unknown[]) => [change, exchange, finished],
    ],
  ] as const) {
    it(`lets no handshake complete: ${what}`, () => {
      const world = new DtlsWorld();
      const device = new DtlsDevice(world, { flight: flight as never, wait: minutes(60) });
      // Sent again, it would stand behind a ClientKeyExchange: this client says everything once.
      device.connect();
      world.pass(minutes(5));
      expect(device.state).toBe("shaking");
      expect(world.listener.associations.size).toBe(0);
      expect(world.listener.handshakes).toBe(0);
    });
  }
});
