import { X509Certificate } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Alert, HandshakeType } from "#core/dtls/constants.ts";
import { days, milliseconds, minutes } from "#core/lib/time.ts";
import { DtlsCertificates } from "../../support/dtls-certificates.ts";
import { DtlsDevice, type FlightOf } from "../../support/dtls-device.ts";
import { DtlsWorld } from "../../support/dtls-world.ts";

let made: DtlsCertificates;
let strangers: DtlsCertificates;
beforeAll(() => {
  made = new DtlsCertificates();
  made.issue("p256", "/CN=gw.example", 30, { names: "DNS:gw.example" });
  made.issue("p384", "/CN=gw.example", 30, { key: "P-384" });
  made.issue("rsa", "/CN=gw.example", 30, { key: "RSA" });
  made.issue("other", "/CN=other.example", 30, { names: "DNS:other.example" });
  made.issue("client", "/CN=meter-7");
  made.issue("client-p384", "/CN=meter-8", 30, { key: "P-384" });
  made.issue("client-rsa", "/CN=meter-9", 30, { key: "RSA" });
  made.issue("server-only", "/CN=meter-7", 30, { usage: "serverAuth" });
  strangers = new DtlsCertificates();
  strangers.issue("client", "/CN=meter-7");
});
afterAll(() => {
  made.remove();
  strangers.remove();
});
afterEach(() => void vi.useRealTimers());

const of = (name: string) => ({ cert: made.path(`${name}.pem`), key: made.path(`${name}.key`) });
const mutual = (server: string, more = {}) =>
  made.credentials({ ...of(server), ca: made.path("ca.pem"), clientCertificate: "require", ...more });

const SUITE = "ECDHE_ECDSA_WITH_AES_128_CCM_8";
const reasons = (world: DtlsWorld) => world.notes.map(({ detail }) => detail["reason"]).filter(Boolean);

describe("a handshake with certificates of both sides (RFC 8422, RFC 5289)", () => {
  for (const [server, client, suite, group] of [
    ["p256", "client", SUITE, "P-256"],
    ["p256", "client", "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "x25519"],
    ["p256", "client-rsa", SUITE, "P-384"],
    ["p384", "client-p384", "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "P-384"],
    ["rsa", "client-rsa", "ECDHE_RSA_WITH_AES_128_GCM_SHA256", "P-256"],
    ["rsa", "client", "ECDHE_RSA_WITH_AES_256_GCM_SHA384", "x25519"],
  ] as const) {
    it(`leads to content and an identity: server ${server}, ${client}, ${suite}, ${group}`, () => {
      const world = new DtlsWorld({ credentials: mutual(server) });
      const device = new DtlsDevice(world, { suite, group, proof: made.proof(client) });
      device.connect();
      expect(device.state).toBe("open");
      device.send("content");
      expect(world.received[0]?.identity).toMatch(/^meter-[789]$/);
      expect(new X509Certificate(device.serverCertificate).subject).toBe("CN=gw.example");
    });
  }

  it("takes raw public keys of both sides (RFC 7250)", () => {
    const keys = made.credentials(
      { ...of("p256"), clientCertificate: "require" },
      {},
      {
        presharedKey: () => undefined,
        rawKeyHolder: () => "raw-meter",
      },
    );
    const world = new DtlsWorld({ credentials: keys });
    const device = new DtlsDevice(world, { suite: SUITE, proof: made.rawProof("client") });
    device.connect();
    device.send("content");
    expect(world.received[0]?.identity).toBe("raw-meter");
  });

  it("takes a pre-shared key with an ephemeral exchange (RFC 5489)", () => {
    const keys = made.credentials({ pskFile: made.write("psk", "dev1:0102030405\n") });
    const suite = "ECDHE_PSK_WITH_AES_128_CBC_SHA256";
    const world = new DtlsWorld({ credentials: keys });
    const device = new DtlsDevice(world, { suite });
    device.connect();
    device.send("content");
    expect(world.received[0]?.identity).toBe("dev1");
  });

  it("completes over a network that loses 30 %, doubles and reorders, cut into small pieces", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = new DtlsWorld({
        credentials: mutual("p256"),
        seed,
        loss: 0.3,
        double: 0.1,
        delay: milliseconds(300),
        settings: { retransmission: { first: milliseconds(1000), longest: minutes(1), repetitions: 20 } },
      });
      const fragment = seed % 2 === 0 ? { fragment: 150 } : {};
      const device = new DtlsDevice(world, { suite: SUITE, proof: made.proof("client"), ...fragment });
      device.connect();
      world.pass(minutes(10));
      expect(device.state, `seed ${seed}`).toBe("open");
    }
  });
});

describe("the certificate that a device is shown", () => {
  const two = () => made.credentials({ ...of("p256") }, { certificates: [of("other"), of("rsa")] });
  const shownTo = (options: object) => {
    const world = new DtlsWorld({ credentials: two() });
    const device = new DtlsDevice(world, { suite: SUITE, ...options });
    device.connect();
    expect(device.state).toBe("open");
    return new X509Certificate(device.serverCertificate).subject;
  };

  it("is that of the server name which it asks for (RFC 6066 §3)", () => {
    expect(shownTo({ serverName: "other.example" })).toBe("CN=other.example");
    expect(shownTo({ serverName: "gw.example" })).toBe("CN=gw.example");
  });

  it("is the first where the name is unknown, an address, or absent", () => {
    for (const name of [{ serverName: "nobody.example" }, { serverName: "127.0.0.1" }, {}]) {
      expect(shownTo(name)).toBe("CN=gw.example");
    }
  });

  it("is one that its suites can use: EC and RSA stand side by side", () => {
    const world = new DtlsWorld({ credentials: two() });
    const device = new DtlsDevice(world, { suite: "ECDHE_RSA_WITH_AES_128_GCM_SHA256" });
    device.connect();
    expect(device.state).toBe("open");
    expect(new X509Certificate(device.serverCertificate).publicKey.asymmetricKeyType).toBe("rsa");
  });
});

describe("a client's certificate that is not good", () => {
  const refused = (options: object, alert: number, reason: RegExp) => {
    const world = new DtlsWorld({ credentials: mutual("p256") });
    const device = new DtlsDevice(world, { suite: SUITE, ...options });
    device.connect();
    expect(device.alerts).toEqual([[2, alert]]);
    expect(world.listener.associations.size).toBe(0);
    expect(world.listener.handshakes).toBe(0);
    expect(reasons(world)).toEqual([expect.stringMatching(reason)]);
  };

  it("is answered by certificate_expired when its time is over", () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + days(40) });
    refused({ proof: made.proof("client") }, Alert.certificateExpired, /has ended on/);
  });

  it("is answered by bad_certificate when its time has not come", () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - days(2) });
    refused({ proof: made.proof("client") }, Alert.badCertificate, /valid only from/);
  });

  it("is answered by unknown_ca when nobody whom we know has signed it", () => {
    refused({ proof: strangers.proof("client") }, Alert.unknownCa, /no configured authority/);
  });

  it("is answered by unsupported_certificate when it is for servers only", () => {
    refused({ proof: made.proof("server-only") }, Alert.unsupportedCertificate, /not for clients/);
  });

  it("is answered by decrypt_error when the client has another key than its certificate", () => {
    const { chain } = made.proof("client");
    const { key } = made.rawProof("other");
    refused({ proof: { key, chain } }, Alert.decryptError, /does not have the key/);
  });

  it("is answered by handshake_failure when there is none", () => {
    refused({}, Alert.handshakeFailure, /no certificate, which is required/);
  });

  it("is answered by certificate_unknown when it is a raw key that nobody has named", () => {
    const nobody = { presharedKey: () => undefined, rawKeyHolder: () => undefined };
    const keys = made.credentials({ ...of("p256"), clientCertificate: "require" }, {}, nobody);
    const world = new DtlsWorld({ credentials: keys });
    const device = new DtlsDevice(world, { suite: SUITE, proof: made.rawProof("client") });
    device.connect();
    expect(device.alerts).toEqual([[2, Alert.certificateUnknown]]);
    expect(reasons(world)[0]).toContain("ni:///sha-256;");
  });
});

describe("messages of a client with a certificate in another order than RFC 5246 §7.3 has it", () => {
  const run = (flight: (items: FlightOf) => FlightOf) => {
    const world = new DtlsWorld({ credentials: mutual("p256") });
    const device = new DtlsDevice(world, {
      suite: SUITE,
      proof: made.proof("client"),
      flight,
      wait: minutes(60),
    });
    device.connect();
    world.pass(minutes(5));
    expect(world.listener.associations.size).toBe(0);
    expect(world.listener.handshakes).toBe(0);
    return device;
  };
  /** As if the client had meant this order from the beginning. */
  const numbered = (items: FlightOf): FlightOf => {
    const first = items.find((item) => item !== "change-cipher-spec")!.message.sequence;
    let next = Math.min(
      first,
      ...items.map((item) => (item === "change-cipher-spec" ? first : item.message.sequence)),
    );
    return items.map((item) =>
      item === "change-cipher-spec" ? item : { ...item, message: { ...item.message, sequence: next++ } },
    );
  };

  it("ends by unexpected_message where another message stands in the place of any", () => {
    for (const place of [0, 1, 2]) {
      for (const type of Object.values(HandshakeType)) {
        // A Finished in the clear is nothing; a ClientHello begins anew.
        if (type === HandshakeType.finished || type === HandshakeType.clientHello) continue;
        let same = false;
        const device = run((items) =>
          items.map((item, index) => {
            if (index !== place || item === "change-cipher-spec") return item;
            same = item.message.type === type;
            // A body that is none, where the type is the one that is due.
            const body = same ? new Uint8Array(0) : item.message.body;
            return { ...item, message: { ...item.message, type, body } };
          }),
        );
        const wanted = same ? Alert.decodeError : Alert.unexpectedMessage;
        expect(device.alerts, `message ${type} in place ${place}`).toEqual([[2, wanted]]);
      }
    }
  });

  it("lets nobody in where one is left out, comes twice, or two are exchanged", () => {
    for (let place = 0; place < 5; place++) {
      run((items) => numbered(items.filter((_, index) => index !== place)));
      if (place < 3) run((items) => numbered([...items.slice(0, place + 1), ...items.slice(place)]));
      // The network may change the order of the last two itself.
      if (place >= 3) continue;
      run((items) => {
        const [a, b] = [items[place]!, items[place + 1]!];
        return numbered([...items.slice(0, place), b, a, ...items.slice(place + 2)]);
      });
    }
  });
});

describe("keys and certificates that change while associations are open", () => {
  it("leave the associations as they are, count for new handshakes, and end sessions that could be resumed", () => {
    const keys = (key: string) => made.credentials({ pskFile: made.write("psk", `dev1:${key}\n`) });
    const world = new DtlsWorld({ credentials: keys("0102030405") });
    const open = new DtlsDevice(world, { port: 1 });
    open.connect();
    world.listener.reload({ ...world.settings }, keys("ffffffff"));
    open.send("goes on");
    expect(world.received).toHaveLength(1);

    const old = new DtlsDevice(world, { port: 2 });
    old.connect();
    world.pass(minutes(2));
    expect(old.state).toBe("failed");
    const resuming = new DtlsDevice(world, { port: 3, resume: open.session! });
    resuming.connect();
    expect(resuming.resumed).toBe(false);
    const fresh = new DtlsDevice(world, { port: 4, key: Uint8Array.of(255, 255, 255, 255) });
    fresh.connect();
    expect(fresh.state).toBe("open");
    expect(world.listener.associations.size).toBe(2);
  });
});
