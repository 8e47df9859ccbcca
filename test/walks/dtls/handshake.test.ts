import { describe, expect, it } from "vitest";
import { Alert, ContentType, HandshakeType } from "#core/dtls/constants.ts";
import { fragmentOf, parseFragments } from "#core/dtls/handshake/message.ts";
import { parseRecord, plainRecord } from "#core/dtls/record.ts";
import { concat, utf8 } from "#core/lib/bytes.ts";
import { milliseconds, minutes, seconds } from "#core/lib/time.ts";
import { type DeviceOptions, DtlsDevice } from "../../support/dtls-device.ts";
import { DtlsWorld, KEY, pskCredentials } from "../../support/dtls-world.ts";

const texts = (world: DtlsWorld): string[] =>
  world.received.map(({ bytes }) => Buffer.from(bytes).toString());

describe("the cookie exchange (RFC 6347 §4.2.1)", () => {
  it("answers a first ClientHello with less than it cost, and remembers nothing", () => {
    const world = new DtlsWorld();
    const device = new DtlsDevice(world);
    world.detach(device.address, device.port);
    const hello = { type: HandshakeType.clientHello, sequence: 0, body: device.hello() };
    const record = plainRecord(ContentType.handshake, 5, fragmentOf(hello, 0, hello.body.length));
    for (let port = 1; port <= 100; port++) world.send(record, "192.0.2.1", port);
    expect(world.sent).toHaveLength(100);
    for (const { bytes } of world.sent) expect(bytes.length).toBeLessThanOrEqual(record.length);
    expect(world.listener.handshakes).toBe(0);
    expect(parseRecord(world.sent[0]!.bytes, 0, 0)?.sequence).toBe(5);
  });

  it("takes a cookie from the address that it was given to, and from no other", () => {
    const world = new DtlsWorld();
    const device = new DtlsDevice(world);
    device.connect();
    expect(device.state).toBe("open");
    const hello = { type: HandshakeType.clientHello, sequence: 1, body: device.hello() };
    const record = plainRecord(ContentType.handshake, 1, fragmentOf(hello, 0, hello.body.length));
    const before = world.sent.length;
    world.send(record, "198.51.100.9", 40_000);
    expect(world.sent.length).toBe(before + 1);
    const [fragment] = parseFragments(parseRecord(world.sent.at(-1)!.bytes, 0, 0)!.fragment)!;
    expect(fragment?.type).toBe(HandshakeType.helloVerifyRequest);
  });

  it("takes a cookie of some minutes ago, and not one of a quarter of an hour ago", () => {
    const world = new DtlsWorld();
    const device = new DtlsDevice(world);
    device.connect();
    const hello = { type: HandshakeType.clientHello, sequence: 1, body: device.hello() };
    const record = plainRecord(ContentType.handshake, 1, fragmentOf(hello, 0, hello.body.length));
    world.detach(device.address, device.port);
    world.pass(minutes(4));
    world.send(record, device.address, device.port);
    expect(world.listener.handshakes).toBe(1);
    world.pass(minutes(15));
    expect(world.listener.handshakes).toBe(0);
    world.send(record, device.address, device.port);
    expect(world.listener.handshakes).toBe(0);
  });
});

describe("a handshake with a pre-shared key", () => {
  for (const suite of [
    "PSK_WITH_AES_128_CCM_8",
    "PSK_WITH_AES_128_CCM",
    "PSK_WITH_AES_128_GCM_SHA256",
    "PSK_WITH_AES_256_GCM_SHA384",
    "PSK_WITH_AES_128_CBC_SHA256",
  ]) {
    for (const extendedMasterSecret of [true, false]) {
      it(`leads to content both ways over ${suite}, extended master secret: ${extendedMasterSecret}`, () => {
        const world = new DtlsWorld();
        const device = new DtlsDevice(world, { suite, extendedMasterSecret });
        device.connect();
        device.send("up");
        const [received] = world.received;
        expect(received).toMatchObject({ identity: "dev1", from: "192.0.2.1 40000" });
        expect(texts(world)).toEqual(["up"]);
        world.listener.write(received!.association, utf8("down"));
        expect(device.received.map((bytes) => Buffer.from(bytes).toString())).toEqual(["down"]);
      });
    }
  }

  it("goes on when every message is cut into small pieces (RFC 6347 §4.2.3)", () => {
    const world = new DtlsWorld();
    const device = new DtlsDevice(world, { fragment: 7 });
    // The first piece of a ClientHello does not reach the cookie: such a one is not answered.
    device.connect();
    expect(world.sent).toEqual([]);
    const larger = new DtlsDevice(world, { fragment: 70, port: 40_001 });
    larger.connect();
    expect(larger.state).toBe("open");
  });
});

/** A ClientHello with a valid cookie from a client that never answers again. */
function silentHandshake(world: DtlsWorld, port: number): void {
  const device = new DtlsDevice(world, { port, wait: minutes(60) });
  device.connect();
  world.detach(device.address, port);
  const hello = { type: HandshakeType.clientHello, sequence: 1, body: device.hello() };
  world.send(
    plainRecord(ContentType.handshake, 1, fragmentOf(hello, 0, hello.body.length)),
    device.address,
    port,
  );
}

describe("a key that has to be asked for", () => {
  const lateKey = (answer: Promise<Uint8Array | undefined>) => ({
    ...pskCredentials({}),
    presharedKey: () => answer,
  });

  it("is waited for, while the handshake stays in place", async () => {
    let give: (key: Uint8Array) => void = () => {};
    const answer = new Promise<Uint8Array>((resolve) => {
      give = resolve;
    });
    const world = new DtlsWorld({ credentials: lateKey(answer) });
    const device = new DtlsDevice(world);
    device.connect();
    world.pass(seconds(4));
    expect(device.state).toBe("shaking");
    give(KEY);
    await answer;
    await Promise.resolve();
    world.pass(seconds(8));
    expect(device.state).toBe("open");
    device.send("late");
    expect(texts(world)).toEqual(["late"]);
  });

  it("ends the handshake by internal_error when whoever knows it fails", async () => {
    const world = new DtlsWorld({ credentials: lateKey(Promise.reject(new Error("no database"))) });
    const device = new DtlsDevice(world);
    device.connect();
    await new Promise((resolve) => setImmediate(resolve));
    expect(device.alerts).toEqual([[2, Alert.internalError]]);
    expect(world.listener.handshakes).toBe(0);
  });
});

describe("a client that falls silent", () => {
  it("is asked again after 1, 3, 7, 15 and 31 seconds and then forgotten, with a line in the log", () => {
    const world = new DtlsWorld({ settings: { handshakeTimeout: seconds(120) } });
    silentHandshake(world, 40_003);
    const start = world.now;
    const times = [0];
    let before = world.sent.length;
    for (let second = 0; second < 130; second++) {
      world.pass(seconds(1));
      if (world.sent.length > before) times.push((world.now - start) / 1000);
      before = world.sent.length;
    }
    expect(times).toEqual([0, 1, 3, 7, 15, 31]);
    expect(world.listener.handshakes).toBe(0);
    expect(world.notes.find(({ event }) => event === "dtls-handshake-failed")?.detail["reason"]).toBe(
      "the client stopped answering",
    );
  });
});

describe("a wrong key", () => {
  for (const [what, options, reason] of [
    ["another key", { key: Uint8Array.of(9) }, "the client has another pre-shared key for this identity"],
    ["an unknown identity", { identity: "who" }, "no pre-shared key is known for this identity"],
  ] as const) {
    it(`ends by decrypt_error with ${what}, once said in the log (RFC 4279 §2)`, () => {
      const world = new DtlsWorld();
      for (let time = 0; time < 3; time++) {
        const device = new DtlsDevice(world, options);
        device.connect();
        world.pass(seconds(2));
        expect(device.alerts).toEqual([[2, Alert.decryptError]]);
        expect(world.listener.associations.size).toBe(0);
      }
      const lines = world.notes.filter(({ event }) => event === "dtls-handshake-failed");
      expect(lines.map(({ level }) => level)).toEqual(["info", "debug", "debug"]);
      expect(lines[0]?.detail).toMatchObject({ alert: "decrypt_error", reason });
    });
  }
});

describe("an unknown identity", () => {
  /** Length of each datagram that the server sends, and when. */
  const flightsOf = (options: DeviceOptions): readonly string[] => {
    const world = new DtlsWorld();
    const begun = world.now;
    const flights: string[] = [];
    new DtlsDevice(world, options).connect();
    for (let step = 0; step < 80; step++) {
      for (const { bytes } of world.sent.slice(flights.length))
        flights.push(`${bytes.length} at ${world.now - begun}`);
      world.pass(seconds(1));
    }
    return flights;
  };

  it.each(["PSK_WITH_AES_128_CCM_8", "ECDHE_PSK_WITH_AES_128_CBC_SHA256"])(
    "gets the flights of a wrong key, each as long and at the same time, with %s (RFC 4279 §2)",
    (suite) => {
      const wrong = flightsOf({ suite, key: Uint8Array.of(9) });
      expect(wrong.length).toBeGreaterThan(2);
      expect(flightsOf({ suite, identity: "dev2" })).toEqual(wrong);
      // A right key gets more than that.
      expect(flightsOf({ suite })).not.toEqual(wrong);
    },
  );
});

describe("a new handshake from a known address (RFC 6347 §4.2.8)", () => {
  it("leaves the old association in use until the new one is proven, and then replaces it", () => {
    const world = new DtlsWorld();
    const old = new DtlsDevice(world);
    old.connect();
    const [first] = world.listener.associations.all();
    // A ClientHello without a cookie changes nothing.
    const stranger = new DtlsDevice(world);
    old.attach();
    const hello = { type: HandshakeType.clientHello, sequence: 0, body: stranger.hello() };
    world.send(
      plainRecord(ContentType.handshake, 0, fragmentOf(hello, 0, hello.body.length)),
      old.address,
      old.port,
    );
    old.send("still here");
    expect(texts(world)).toEqual(["still here"]);
    // A wrong key does not replace it either, and it goes on meanwhile.
    const wrong = new DtlsDevice(world, { key: Uint8Array.of(1) });
    wrong.connect();
    old.send("and here");
    world.pass(seconds(5));
    old.send("and still");
    expect(texts(world)).toEqual(["still here", "and here", "and still"]);
    const fresh = new DtlsDevice(world);
    fresh.connect();
    expect(fresh.state).toBe("open");
    expect(world.closed.map(({ association }) => association)).toEqual([first]);
    fresh.send("new");
    expect(texts(world).at(-1)).toBe("new");
  });
});

describe("resumption by ticket (RFC 5077)", () => {
  it("shortens the handshake and keeps the identity", () => {
    const world = new DtlsWorld();
    const device = new DtlsDevice(world);
    device.connect();
    expect(device.session).toBeDefined();
    const again = new DtlsDevice(world, { port: 40_010, resume: device.session! });
    again.connect();
    expect(again.resumed).toBe(true);
    expect(again.state).toBe("open");
    again.send("resumed");
    expect(world.received.at(-1)?.identity).toBe("dev1");
    expect(world.outcomes).toEqual(["PSK_WITH_AES_128_CCM_8 completed", "PSK_WITH_AES_128_CCM_8 resumed"]);
  });

  it("makes a full handshake with a ticket that was changed, or is too old", () => {
    const world = new DtlsWorld();
    const device = new DtlsDevice(world);
    device.connect();
    const { master, ticket } = device.session!;
    const broken = new Uint8Array(ticket);
    broken[ticket.length - 1]! ^= 1;
    const changed = new DtlsDevice(world, { port: 40_011, resume: { master, ticket: broken } });
    changed.connect();
    expect([changed.state, changed.resumed]).toEqual(["open", false]);
    world.pass(minutes(60 * 25));
    const late = new DtlsDevice(world, { port: 40_012, resume: { master, ticket } });
    late.connect();
    expect([late.state, late.resumed]).toEqual(["open", false]);
  });
});

describe("a network that loses 30 %, doubles 10 % and reorders", () => {
  it("lets every handshake complete, full and resumed, with and without connection id", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const world = new DtlsWorld({
        seed,
        loss: 0.3,
        double: 0.1,
        delay: milliseconds(300),
        settings: {
          retransmission: { first: seconds(1), longest: seconds(8), repetitions: 20 },
          handshakeTimeout: minutes(10),
        },
      });
      const cid = seed % 2 === 0 ? { cid: Uint8Array.of(1, 2, 3) } : {};
      const fragment = seed % 3 === 0 ? { fragment: 80 } : {};
      const device = new DtlsDevice(world, { ...cid, ...fragment });
      device.connect();
      world.pass(minutes(4));
      expect(device.state, `seed ${seed}`).toBe("open");
      for (let time = 0; time < 20; time++) device.send(`n${time}`);
      world.pass(seconds(10));
      const came = texts(world);
      expect(new Set(came).size, `seed ${seed}: no record twice`).toBe(came.length);
      const again = new DtlsDevice(world, { ...cid, port: 40_100, resume: device.session! });
      again.connect();
      world.pass(minutes(4));
      expect(again.state, `seed ${seed}`).toBe("open");
      for (let time = 0; time < 20; time++) again.send(`m${time}`);
      world.pass(seconds(10));
      expect(
        texts(world).some((text) => text.startsWith("m")),
        `seed ${seed}`,
      ).toBe(true);
    }
  });
});

describe("records that are not the next of anything", () => {
  it("are dropped and counted: forged, replayed, cut, of nobody, in the clear", () => {
    const world = new DtlsWorld();
    const device = new DtlsDevice(world);
    device.connect();
    const record = device.record(utf8("once"));
    device.sendBytes(record);
    device.sendBytes(record);
    const forged = device.record(utf8("forged"));
    forged[forged.length - 1]! ^= 1;
    device.sendBytes(forged);
    device.sendBytes(device.record(utf8("cut")).subarray(0, 20));
    world.send(device.record(utf8("elsewhere")), "198.51.100.1", 1);
    device.sendBytes(plainRecord(ContentType.applicationData, 99, utf8("clear")));
    const before = world.sent.length;
    expect(texts(world)).toEqual(["once"]);
    expect(world.dropped).toEqual(["replayed", "forged", "malformed", "unknown", "unprotected"]);
    expect(world.sent.length).toBe(before);
  });

  it("takes several records of one datagram", () => {
    const world = new DtlsWorld();
    const device = new DtlsDevice(world);
    device.connect();
    device.sendBytes(concat(device.record(utf8("a")), device.record(utf8("b"))));
    expect(texts(world)).toEqual(["a", "b"]);
  });

  it("takes records in any order within the window, each once (RFC 6347 §4.1.2.6)", () => {
    const world = new DtlsWorld();
    const device = new DtlsDevice(world);
    device.connect();
    const records = Array.from({ length: 80 }, (_, index) => device.record(utf8(String(index))));
    for (const record of [...records].reverse()) device.sendBytes(record);
    for (const record of records) device.sendBytes(record);
    expect(texts(world)).toEqual(Array.from({ length: 64 }, (_, index) => String(79 - index)));
  });
});

describe("the end of an association", () => {
  it("answers close_notify with its own (RFC 5246 §7.2.1)", () => {
    const world = new DtlsWorld();
    const device = new DtlsDevice(world);
    device.connect();
    device.sendBytes(device.record(Uint8Array.of(1, 0), ContentType.alert));
    expect(device.alerts).toEqual([[1, 0]]);
    expect(world.listener.associations.size).toBe(0);
    device.send("too late");
    expect(texts(world)).toEqual([]);
  });

  it("refuses renegotiation by a warning and goes on (RFC 5746 §4.5)", () => {
    const world = new DtlsWorld();
    const device = new DtlsDevice(world);
    device.connect();
    const hello = { type: HandshakeType.clientHello, sequence: 3, body: device.hello() };
    device.sendBytes(device.record(fragmentOf(hello, 0, hello.body.length), ContentType.handshake));
    expect(device.alerts).toEqual([[1, Alert.noRenegotiation]]);
    device.send("on");
    expect(texts(world)).toEqual(["on"]);
  });

  it("comes for the one that was idle for longest when there are too many", () => {
    const limits = {
      associations: 2,
      handshakes: 10,
      handshakesPerAddress: 100,
      idle: minutes(60),
      sessions: 10,
    };
    const world = new DtlsWorld({ settings: { limits } });
    const devices = [1, 2, 3].map((port) => new DtlsDevice(world, { port }));
    devices[0]!.connect();
    devices[1]!.connect();
    world.pass(seconds(2));
    devices[0]!.send("busy");
    devices[2]!.connect();
    expect(world.listener.associations.size).toBe(2);
    expect(devices[1]!.state).toBe("closed");
    world.pass(minutes(61));
    expect(world.listener.associations.size).toBe(0);
  });
});
