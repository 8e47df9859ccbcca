import { describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import type { LoginRequest } from "#core/contract/client.ts";
import type { Peer } from "#core/contract/peer.ts";
import type { Instant } from "#core/lib/time.ts";
import { MODULES } from "#core/modules.ts";
import { ConfigError } from "#core/settings/problem.ts";
import { tcpListener } from "../../support/tcp-device.ts";
import { permissive, World } from "../../support/world.ts";

type Raw = Record<string, unknown>;

/** A placeholder of the configuration. */
const group = (name: string): string => `$\{${name}}`;

const open = (raw: Raw, policy = {}) => {
  const world = new World();
  const heard = world.listen("#");
  const listener = tcpListener(world, { raw: [{ listener: "test", ...raw }] }, policy);
  const messages = () => heard.map(({ topic, payload }) => [topic, Buffer.from(payload).toString("latin1")]);
  return { world, listener, messages };
};
/** Every way to cut the octets into two chunks. */
const cuts = (bytes: Buffer): Buffer[][] =>
  Array.from({ length: bytes.length }, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)]);
const send = (raw: Raw, chunks: readonly Uint8Array[]) => {
  const { world, listener, messages } = open(raw);
  const stream = listener.connect();
  for (const chunk of chunks) stream.send(new Uint8Array(chunk));
  return { world, stream, messages };
};

const NAMED = { pattern: "^imei:(?P<imei>[0-9]+)", clientId: group("imei") };

describe("raw frames", () => {
  it("of lines are cut at LF, without CR, whatever the chunks", () => {
    for (const chunks of cuts(Buffer.from("imei:7\r\n\nt=1\nt=2\r\npart"))) {
      const { messages } = send({ framing: { kind: "line" }, identity: NAMED }, chunks);
      expect(messages()).toEqual([
        ["tcp/7/up", "imei:7"],
        ["tcp/7/up", "t=1"],
        ["tcp/7/up", "t=2"],
      ]);
    }
  });

  it("between delimiters that begin and end them pass over the empty ones (JT/T 808's 7e)", () => {
    const raw = {
      framing: { kind: "delimiter", delimiter: "7e" },
      identity: { over: "hex", pattern: "^0102....(?P<phone>[0-9]{12})", clientId: group("phone") },
      payload: "hex",
    };
    for (const chunks of cuts(Buffer.from("7e01020000013912345678aa7e7e0200bb7e", "hex"))) {
      expect(send(raw, chunks).messages()).toEqual([
        ["tcp/013912345678/up", "01020000013912345678aa"],
        ["tcp/013912345678/up", "0200bb"],
      ]);
    }
  });

  it("with a delimiter of several octets are found where it lies across chunks", () => {
    const raw = { framing: { kind: "delimiter", delimiter: "0d0a0d0a", strip: false }, identity: NAMED };
    for (const chunks of cuts(Buffer.from("imei:7\r\n\r\nb\r\nc\r\n\r\n"))) {
      expect(
        send(raw, chunks)
          .messages()
          .map(([, payload]) => payload),
      ).toEqual(["imei:7\r\n\r\n", "b\r\nc\r\n\r\n"]);
    }
  });

  it("of one size", () => {
    for (const chunks of cuts(Buffer.from("imei:7ABCDEFGH"))) {
      expect(send({ framing: { kind: "fixed", size: 6 }, identity: NAMED }, chunks).messages()).toEqual([
        ["tcp/7/up", "imei:7"],
        ["tcp/7/up", "ABCDEF"],
      ]);
    }
  });

  it.each([
    ["two octets, big end first", { octets: 2 }, "0006 696d65693a37 0001 41"],
    ["two octets, little end first", { octets: 2, order: "little" }, "0600 696d65693a37 0100 41"],
    ["one octet that counts itself", { octets: 1, adjustment: -1 }, "07 696d65693a37 02 41"],
    ["four octets", { octets: 4 }, "00000006 696d65693a37 00000001 41"],
  ])("with a length of %s", (_, length, hex) => {
    for (const chunks of cuts(Buffer.from(hex.replaceAll(" ", ""), "hex"))) {
      const { messages } = send({ framing: { kind: "length", ...length }, identity: NAMED }, chunks);
      expect(messages()).toEqual([
        ["tcp/7/up", "imei:7"],
        ["tcp/7/up", "A"],
      ]);
    }
  });

  it("whose length lies behind a head and does not count a checksum (GB/T 32960) go up whole", () => {
    const raw = {
      framing: { kind: "length", offset: 4, octets: 2, adjustment: 1, strip: false },
      identity: { over: "hex", pattern: "^2323(..)", clientId: `car-${group("1")}` },
      payload: "hex",
    };
    const frame = "2323 01fe 0002 aabb cc".replaceAll(" ", "");
    expect(send(raw, [Buffer.from(frame + frame, "hex")]).messages()).toEqual([
      ["tcp/car-01/up", frame],
      ["tcp/car-01/up", frame],
    ]);
  });

  it("longer than the listener's packetSize end the connection, before they are gathered", () => {
    const { listener } = open(
      { framing: { kind: "line" } },
      { limits: { packetSize: 100, connectTimeout: 10_000 } },
    );
    const stream = listener.connect();
    for (let sent = 0; sent < 101 && !stream.ended; sent += 10) stream.send(Buffer.alloc(10, 0x61));
    expect(stream.ended).toBe(true);
  });
});

describe("a raw device", () => {
  it("that its first frame does not name is cut", () => {
    const { stream, messages } = send({ identity: NAMED }, [Buffer.from("hello\n")]);
    expect(stream.ended).toBe(true);
    expect(messages()).toEqual([]);
  });

  it("whose name would reach into topics of others is cut", () => {
    const raw = { identity: { pattern: "^(.*)$", clientId: group("1") } };
    for (const name of ["+", "#", "a/b"])
      expect(send(raw, [Buffer.from(`${name}\n`)]).stream.ended).toBe(true);
  });

  it("may log in with user name and password that the frame carries, and without publishing it", () => {
    const logins: unknown[] = [];
    const { listener, messages } = open(
      {
        identity: {
          pattern: "^login (\\S+) (\\S+)",
          clientId: `%a-${group("1")}`,
          username: group("1"),
          password: group("2"),
          publish: false,
        },
      },
      {
        authenticate: (request: { clientId: string; username?: string; password?: Uint8Array }) => {
          logins.push([request.clientId, request.username, Buffer.from(request.password ?? "").toString()]);
          return { ok: false, refusal: "unauthenticated", reason: "" };
        },
      },
    );
    const stream = listener.connect({ address: "10.0.0.9" });
    stream.send(Buffer.from("login ann pw\n"));
    expect(logins).toEqual([["10.0.0.9-ann", "ann", "pw"]]);
    expect(stream.takeBytes()).toHaveLength(0);
    expect(stream.ended).toBe(true);
    expect(messages()).toEqual([]);
  });

  it("is found in linear time, whatever the pattern and the text", () => {
    const evil = Buffer.concat([Buffer.alloc(4000, "a"), Buffer.from("!\n")]);
    const { stream } = send({ identity: { pattern: "^(a+)+$", clientId: "x" } }, [evil]);
    expect(stream.ended).toBe(true);
  });
});

describe("messages to a raw device", () => {
  const down = (raw: Raw, payload: string | Uint8Array): string => {
    const { world, stream } = send({ identity: { clientId: "d" }, ...raw }, [
      Buffer.from("0001610a00", "hex"),
    ]);
    world.publish("tcp/d/dn", payload, { qos: 1 });
    return Buffer.from(stream.takeBytes()).toString("hex");
  };

  it.each([
    ["a line gets its end", { framing: { kind: "line" } }, "on", "6f6e0a"],
    ["a line that holds an end is not sent", { framing: { kind: "line" } }, "a\nb", ""],
    [
      "a stripped delimiter is put back",
      { framing: { kind: "delimiter", delimiter: "0a00" } },
      "on",
      "6f6e0a00",
    ],
    ["a length is put before", { framing: { kind: "length" } }, "on", "00026f6e"],
    ["hexadecimal becomes octets", { framing: { kind: "length" }, payload: "hex" }, "ff00", "0002ff00"],
    ["what is no hexadecimal is not sent", { framing: { kind: "length" }, payload: "hex" }, "fff", ""],
    ["JSON with hex", { framing: { kind: "length" }, payload: "json" }, '{"hex":"ff"}', "0001ff"],
    ["JSON with text", { framing: { kind: "length" }, payload: "json" }, '{"text":"ä"}', "0002c3a4"],
    ["JSON with base64", { framing: { kind: "length" }, payload: "json" }, '{"base64":"AP8="}', "000200ff"],
    ["what is no such JSON is not sent", { framing: { kind: "length" }, payload: "json" }, "[1]", ""],
  ])("%s", (_, raw, payload, hex) => {
    expect(down(raw, payload)).toBe(hex);
  });

  it("JSON says who, when and what, upwards", () => {
    const { world, messages } = send({ identity: { clientId: "d" }, payload: "json" }, [Buffer.from("A\n")]);
    expect(JSON.parse(messages()[0]?.[1] ?? "")).toEqual({ clientid: "d", ts: world.core.now, hex: "41" });
  });
});

describe("the configuration of raw listeners", () => {
  const refused = (raw: string): string => {
    try {
      loadText(MODULES, `gateways: { tcp: { enable: true, raw: ${raw} } }`);
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
      throw error;
    }
    return "";
  };

  it.each([
    ["[{listener: a}, {listener: a}]", "gateways.tcp.raw[1].listener"],
    ["[{listener: a, framing: {kind: length, offset: 4}}]", "gateways.tcp.raw[0].framing.offset"],
    ["[{listener: a, identity: {pattern: '('}}]", "gateways.tcp.raw[0].identity.pattern"],
    ["[{listener: a, framing: {kind: delimiter, delimiter: xyz}}]", "gateways.tcp.raw[0].framing.delimiter"],
  ])("%s is refused and says where", (raw, key) => {
    expect(refused(raw)).toContain(key);
  });
});

it.each([undefined, "ECONNRESET"])(
  "publishes the frame that names the device, also when its connection is gone (%s) before the login is answered",
  async (error) => {
    let answer: () => void = () => {};
    const raw = { framing: { kind: "line" }, identity: NAMED };
    const { world, listener, messages } = open(raw, {
      authenticate: async (request: LoginRequest, peer: Peer, now: Instant) => {
        await new Promise<void>((resolve) => {
          answer = resolve;
        });
        return permissive("tcp").authenticate(request, peer, now);
      },
    });
    const device = listener.connect();
    device.send(Buffer.from("imei:7\n"));
    device.drop(error);
    expect(world.core.memory.held).toBeGreaterThan(0);
    answer();
    for (let turn = 0; turn < 5; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      world.settle();
    }
    expect(messages()).toEqual([["tcp/7/up", "imei:7"]]);
    expect([listener.loops().length, world.core.memory.held]).toEqual([0, 0]);
  },
);
