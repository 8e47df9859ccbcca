import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { COOKIE_LENGTH, Cookies } from "#core/dtls/cookie.ts";
import { parseClientHelloHead, parseExtensions } from "#core/dtls/handshake/client-hello.ts";
import { parseFragments } from "#core/dtls/handshake/message.ts";
import { parseRecord } from "#core/dtls/record.ts";
import type { Instant } from "#core/lib/time.ts";
import { nodeCrypto } from "#core/net/dtls-crypto.ts";

/** First and second ClientHello of the clients that others wrote, as they were seen on the wire. */
const clients = readFileSync(new URL("captured/client-hellos.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [name = "", ...hellos] = line.trim().split(/\s+/);
    return {
      name,
      hellos: hellos
        .filter((text) => /^[0-9a-f]+$/.test(text))
        .map((text) => new Uint8Array(Buffer.from(text, "hex"))),
    };
  });

/** The first fragment of a ClientHello. */
const bodyOf = (datagram: Uint8Array) => {
  const record = parseRecord(datagram, 0, 6);
  const fragment = record === undefined ? undefined : parseFragments(record.fragment)?.[0];
  return fragment === undefined ? undefined : { fragment, whole: fragment.bytes.length === fragment.length };
};

describe("captured ClientHellos", () => {
  it("are there, of two dozen clients", () => {
    expect(clients.length).toBeGreaterThanOrEqual(24);
  });

  for (const { name, hellos } of clients) {
    it(`of ${name} are understood, and hold the same that a cookie is bound to (RFC 6347 §4.2.1)`, () => {
      const now = 1_700_000_000_000 as Instant;
      const cookies = new Cookies(nodeCrypto, now);
      const bound = hellos.flatMap((datagram) => {
        const body = bodyOf(datagram);
        const hello = body === undefined ? undefined : parseClientHelloHead(body.fragment.bytes);
        if (body === undefined || hello === undefined) return [];
        if (body.whole) expect(parseExtensions(body.fragment.bytes, hello)).toBeDefined();
        return [hello];
      });
      expect(bound.length).toBeGreaterThan(0);
      const made = bound.map((hello) => Buffer.from(cookies.for("192.0.2.1 1", hello, now)).toString("hex"));
      expect(new Set(made).size).toBe(1);
      expect(made[0]).toHaveLength(2 * COOKIE_LENGTH);
    });

    it(`of ${name} are refused without a throw when they are cut at any byte`, () => {
      for (const datagram of hellos) {
        for (let length = 0; length < datagram.length; length++) {
          expect(bodyOf(datagram.subarray(0, length))).toBeUndefined();
        }
        const body = bodyOf(datagram);
        if (body === undefined || !body.whole) continue;
        const { bytes } = body.fragment;
        for (let length = 0; length < bytes.length; length++) {
          const cut = bytes.subarray(0, length);
          const hello = parseClientHelloHead(cut);
          if (hello !== undefined && length > hello.extensionsAt)
            expect(parseExtensions(cut, hello)).toBeUndefined();
        }
      }
    });
  }
});
