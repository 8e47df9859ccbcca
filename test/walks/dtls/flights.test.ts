/** Flights over a network that does something to one datagram, and the timers and compares behind them. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Alert, ContentType, HandshakeType } from "#core/dtls/constants.ts";
import { COOKIE_LENGTH } from "#core/dtls/cookie.ts";
import { fragmentOf } from "#core/dtls/handshake/message.ts";
import { plainRecord, RECORD_HEADER_LENGTH } from "#core/dtls/record.ts";
import { concat, utf8 } from "#core/lib/bytes.ts";
import { milliseconds, minutes, seconds } from "#core/lib/time.ts";
import { nodeCrypto } from "#core/net/dtls-crypto.ts";
import { DtlsCertificates } from "../../support/dtls-certificates.ts";
import { type DeviceOptions, DtlsDevice } from "../../support/dtls-device.ts";
import { DtlsWorld, type DtlsWorldOptions, type Fate } from "../../support/dtls-world.ts";

let made: DtlsCertificates;
beforeAll(() => {
  made = new DtlsCertificates();
  made.issue("server", "/CN=gw.example");
  made.issue("client", "/CN=meter-7");
});
afterAll(() => made.remove());

const mutual = () =>
  made.credentials({
    cert: made.path("server.pem"),
    key: made.path("server.key"),
    ca: made.path("ca.pem"),
    clientCertificate: "require",
  });
const ECDSA = "ECDHE_ECDSA_WITH_AES_128_CCM_8";

interface Kind {
  readonly world: () => DtlsWorldOptions;
  readonly device: () => DeviceOptions;
}
const KINDS: Readonly<Record<string, Kind>> = {
  "a pre-shared key": { world: () => ({}), device: () => ({}) },
  "certificates of both sides": {
    world: () => ({ credentials: mutual() }),
    device: () => ({ suite: ECDSA, proof: made.proof("client") }),
  },
};

/** A handshake and one record behind it; `fate` counts from the first datagram of the handshake. */
function run({ world: of, device: by }: Kind, fate: (number: number) => Fate, resumed: boolean) {
  let begin = Number.POSITIVE_INFINITY;
  const world = new DtlsWorld({
    ...of(),
    fate: (number) => (number < begin ? "once" : fate(number - begin)),
  });
  let resume = {};
  if (resumed) {
    const before = new DtlsDevice(world, by());
    before.connect();
    world.pass(seconds(1));
    resume = { resume: before.session!, port: 40_001 };
  }
  begin = world.carried;
  const device = new DtlsDevice(world, { ...by(), ...resume });
  device.connect();
  world.pass(minutes(2));
  const open = device.state;
  const received = world.received.length;
  if (open === "open") device.send("content");
  world.pass(minutes(1));
  return { world, device, open, came: world.received.length - received, carried: world.carried - begin };
}

describe("a handshake in which one datagram does not arrive as it was sent (RFC 6347 §4.2.4)", () => {
  for (const [name, kind] of Object.entries(KINDS)) {
    for (const resumed of [false, true]) {
      it(`completes whichever is lost, comes twice or late: ${name}, resumed: ${resumed}`, () => {
        const { carried: all, device } = run(kind, () => "once", resumed);
        expect(device.resumed).toBe(resumed);
        expect(all).toBeGreaterThan(4);
        // The last is the content, which nobody repeats.
        for (let number = 0; number < all - 1; number++) {
          for (const fate of ["lost", "twice", "late"] as const) {
            const { open, came, world } = run(kind, (at) => (at === number ? fate : "once"), resumed);
            const what = `datagram ${number} ${fate}`;
            expect(open, what).toBe("open");
            expect(came, what).toBe(1);
            expect(world.listener.handshakes, what).toBe(0);
          }
        }
      });
    }
  }
});

/** A device that proves its address and then says and hears nothing more; the gateway's first flight is sent. */
function silentAfterCookie(options: DtlsWorldOptions, of: DeviceOptions = {}): DtlsWorld {
  // ClientHello, HelloVerifyRequest, ClientHello; nothing arrives from then on.
  const world = new DtlsWorld({ ...options, fate: (number) => (number < 3 ? "once" : "lost") });
  const device = new DtlsDevice(world, of);
  device.connect();
  while (world.listener.handshakes === 0) world.pass(milliseconds(1));
  device.state = "closed";
  return world;
}

describe("a flight that nobody answers", () => {
  it("is repeated by the clock that is configured, for narrow-band networks from 9 s on (RFC 7925 §11)", () => {
    const world = silentAfterCookie({
      settings: {
        retransmission: { first: seconds(9), longest: seconds(60), repetitions: 4 },
        handshakeTimeout: minutes(10),
      },
    });
    const times: number[] = [];
    let before = world.sent.length;
    for (let second = 1; second <= 300; second++) {
      world.pass(seconds(1));
      if (world.sent.length > before) times.push(second);
      before = world.sent.length;
    }
    expect(times).toEqual([9, 27, 63, 123]);
    expect(world.listener.handshakes).toBe(0);
  });

  it("is cut into datagrams that pass everywhere when it was repeated twice in vain (RFC 6347 §4.1.1.1)", () => {
    const world = silentAfterCookie({ credentials: mutual() }, { suite: ECDSA, proof: made.proof("client") });
    const largest: number[] = [];
    // The first is the HelloVerifyRequest.
    let from = 1;
    for (const wait of [0, 1, 2]) {
      world.pass(seconds(wait));
      largest.push(Math.max(...world.sent.slice(from).map(({ bytes }) => bytes.length)));
      from = world.sent.length;
    }
    expect(largest[0]).toBeGreaterThan(508);
    expect(largest[0]).toBeLessThanOrEqual(1200);
    expect(largest[1]).toBe(largest[0]);
    expect(largest[2]).toBeLessThanOrEqual(508);
  });
});

it("a device without extended master secret is refused where that is required (RFC 7627 §5.3)", () => {
  const world = new DtlsWorld({ settings: { extendedMasterSecret: "require" } });
  const old = new DtlsDevice(world, { extendedMasterSecret: false });
  old.connect();
  expect(old.alerts).toEqual([[2, Alert.handshakeFailure]]);
  expect(world.listener.associations.size).toBe(0);
  const better = new DtlsDevice(world, { port: 40_001 });
  better.connect();
  expect(better.state).toBe("open");
});

describe("what is secret", () => {
  /** Whatever is compared by it is the same. */
  const blind = { ...nodeCrypto, equal: () => true };

  it("is compared by nothing but the one function whose time tells nothing: cookies, Finished, MACs of CBC", () => {
    const world = new DtlsWorld({ crypto: blind });
    const forged = new DtlsDevice(world);
    const hello = { type: HandshakeType.clientHello, sequence: 1, body: cookied(forged.hello()) };
    forged.sendBytes(plainRecord(ContentType.handshake, 1, fragmentOf(hello, 0, hello.body.length)));
    expect(world.listener.handshakes).toBe(1);

    const suite = "PSK_WITH_AES_128_CBC_SHA256";
    const device = new DtlsDevice(world, {
      port: 40_001,
      suite,
      flight: (items) =>
        items.map((item) =>
          item !== "change-cipher-spec" && item.message.type === HandshakeType.finished
            ? { ...item, message: { ...item.message, body: new Uint8Array(12) } }
            : item,
        ),
    });
    device.connect();
    expect(world.listener.associations.size).toBe(1);

    const record = device.record(utf8("changed"));
    // The first octet of the IV: it changes that of the content, and so its MAC.
    record[RECORD_HEADER_LENGTH]! ^= 1;
    device.sendBytes(record);
    expect(world.received.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(["bhanged"]);
  });

  /** The ClientHello with a cookie that nobody gave out. */
  function cookied(body: Uint8Array): Uint8Array {
    const at = 2 + 32 + 1 + (body[34] ?? 0);
    return concat(
      body.subarray(0, at),
      Uint8Array.of(COOKIE_LENGTH),
      new Uint8Array(COOKIE_LENGTH),
      body.subarray(at + 1),
    );
  }
});
