import { createCipheriv } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { HandshakeType } from "#core/dtls/constants.ts";
import { parseFragments, wholeMessage } from "#core/dtls/handshake/message.ts";
import { directionKeys, keyBlockLength, prf, pskPremaster } from "#core/dtls/prf.ts";
import { protectionOf } from "#core/dtls/protection.ts";
import { parseRecord } from "#core/dtls/record.ts";
import { suiteById } from "#core/dtls/suites.ts";
import { CcmAead } from "#core/net/aes-ccm.ts";
import { nodeCrypto } from "#core/net/dtls-crypto.ts";
import { mulberry32 } from "../../support/random.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const show = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("the PRF (RFC 5246 §5)", () => {
  it("agrees with the known answers of the TLS working group for SHA-256 and SHA-384", () => {
    const p256 = prf(
      nodeCrypto,
      "sha256",
      hex("9bbe436ba940f017b17652849a71db35"),
      "test label",
      [hex("a0ba9f936cda311827a6f796ffd5198c")],
      100,
    );
    expect(show(p256)).toBe(
      "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66",
    );
    const p384 = prf(
      nodeCrypto,
      "sha384",
      hex("b80b733d6ceefcdc71566ea48e5567df"),
      "test label",
      [hex("cd665cf6a8447dd6ff8b27555edb7465")],
      148,
    );
    expect(show(p384)).toBe(
      "7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b1233c9146a0e534cb400fed2700884f9dc236f80edd8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d9184259b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee691c8f3a26854308d5eaa3be85e0990703d73e56f",
    );
  });
});

describe("CCM with kept contexts", () => {
  const seal = (aead: CcmAead, tag: number, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array) => {
    const target = new Uint8Array(plaintext.length + tag);
    aead.seal(nonce, aad, plaintext, target, 0);
    return target;
  };

  it("agrees with SP 800-38C, example 3: nonce of 12 octets, tag of 8", () => {
    const key = hex("404142434445464748494a4b4c4d4e4f");
    const plaintext = hex("202122232425262728292a2b2c2d2e2f3031323334353637");
    const sealed = seal(
      new CcmAead(key, 8),
      8,
      hex("101112131415161718191a1b"),
      hex("000102030405060708090a0b0c0d0e0f10111213"),
      plaintext,
    );
    expect(show(sealed)).toBe("e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951");
  });

  it("agrees with the packet vectors of RFC 3610 §8 that have a tag of 8 octets", () => {
    const key = hex("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf");
    // Number, octets of header, octets of the whole, what comes out behind the header.
    for (const [number, header, whole, out] of [
      [1, 8, 31, "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0"],
      [2, 8, 32, "72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3ba091d56e10400916"],
      [3, 8, 33, "51b1e5f44a197d1da46b0f8e2d282ae871e838bb64da8596574adaa76fbd9fb0c5"],
      [4, 12, 31, "a28c6865939a9a79faaa5c4c2a9d4a91cdac8c96c861b9c9e61ef1"],
      [5, 12, 32, "dcf1fb7b5d9e23fb9d4e131253658ad86ebdca3e51e83f077d9c2d93"],
      [6, 12, 33, "6fc1b011f006568b5171a42d953d469b2570a4bd87405a0443ac91cb94"],
    ] as const) {
      const nonce = Uint8Array.from([
        0,
        0,
        0,
        number + 2,
        number + 1,
        number,
        number - 1,
        ...hex("a0a1a2a3a4a5"),
      ]);
      const packet = Uint8Array.from({ length: whole }, (_, octet) => octet);
      const [aad, plaintext] = [packet.subarray(0, header), packet.subarray(header)];
      const aead = new CcmAead(key, 8);
      expect(show(seal(aead, 8, nonce, aad, plaintext)), `packet vector ${number}`).toBe(out);
      expect(aead.open(nonce, aad, hex(out))).toEqual(plaintext);
      const forged = hex(out);
      forged[number]! ^= 1;
      expect(aead.open(nonce, aad, forged)).toBeUndefined();
    }
  });

  it("agrees with OpenSSL's for every length, key size and tag, with one context for all", () => {
    const random = mulberry32(3);
    const bytes = (length: number) => Uint8Array.from({ length }, () => Math.floor(random() * 256));
    for (const [keyLength, tag] of [
      [16, 8],
      [16, 16],
      [32, 8],
      [32, 16],
    ] as const) {
      const key = bytes(keyLength);
      const aead = new CcmAead(key, tag);
      for (let length = 0; length < 70; length++) {
        const [nonce, aad, plaintext] = [bytes(12), bytes(length % 31), bytes(length)];
        const cipher = createCipheriv(keyLength === 16 ? "aes-128-ccm" : "aes-256-ccm", key, nonce, {
          authTagLength: tag,
        });
        cipher.setAAD(aad, { plaintextLength: length });
        const expected = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
        const sealed = seal(aead, tag, nonce, aad, plaintext);
        expect(show(sealed)).toBe(expected.toString("hex"));
        expect(show(aead.open(nonce, aad, sealed) ?? bytes(1))).toBe(show(plaintext));
        sealed[length % sealed.length]! ^= 1;
        expect(aead.open(nonce, aad, sealed)).toBeUndefined();
      }
    }
  });
});

/** The exchange of a capture: its datagrams in order, one a line under a line that describes it. */
const datagrams = (file: string): Uint8Array[] =>
  readFileSync(new URL(`captured/${file}`, import.meta.url), "utf8")
    .split("\n")
    .filter((line) => /^[0-9a-f]{40,}$/.test(line))
    .map(hex);

/** Opens what mbedTLS has sent to mbedTLS with the key 0102030405, as either side. */
function openCaptured(file: string, draftCid: boolean) {
  const records = datagrams(file).flatMap((datagram) => {
    const found = [];
    for (let at = 0; at < datagram.length; ) {
      // The client's connection id has 4 octets, the server's 8.
      const toServer = show(datagram.subarray(at + 11, at + 19)) === Buffer.from("SRVCID01").toString("hex");
      const record = parseRecord(datagram, at, toServer ? 8 : 4);
      if (record === undefined) throw new Error("not a record");
      found.push(record);
      at = record.end;
    }
    return found;
  });
  const messages = records
    .filter(({ type, epoch }) => type === 22 && epoch === 0)
    .flatMap(({ fragment }) => parseFragments(fragment) ?? [])
    .map(({ type, sequence, bytes }) => ({ type, sequence, body: bytes }));
  const hashed = messages.filter(({ type }, index) => index > 0 && type !== HandshakeType.helloVerifyRequest);
  const [clientHello, serverHello] = hashed;
  const suite = suiteById(0xc0a8)!;
  const premaster = pskPremaster(hex("0102030405"));
  const hash = nodeCrypto.hash("sha256", hashed.map(wholeMessage));
  const master = prf(nodeCrypto, "sha256", premaster, "extended master secret", [hash], 48);
  const seed = [serverHello!.body.subarray(2, 34), clientHello!.body.subarray(2, 34)];
  const block = prf(nodeCrypto, "sha256", master, "key expansion", seed, keyBlockLength(suite.cipher));
  const material = { cipher: suite.cipher, block };
  const terms = { encryptThenMac: false, draftCid };
  const [client, server] = (["client", "server"] as const).map((who) =>
    protectionOf(nodeCrypto, material, who, terms),
  );
  const sealed = records.filter(({ type }) => type === 25);
  const opened = sealed.map((record) => (record.cid.length === 8 ? client : server)!.open(record));
  return { master, material, opened };
}

describe("records with connection ids (RFC 9146 §5)", () => {
  it("derives the keys of the captured exchange and opens all of its records", () => {
    const { master, material, opened } = openCaptured("cid-rfc9146-mbedtls3.6.6-psk-ccm8.txt", false);
    expect(show(master)).toBe(
      "8b43ed3e63c080bb4754be777d300496f6f1beab4ff6498ef0835c26de10e73ba508523d5b60ae2f3b8e47f448eff4e0",
    );
    expect(show(directionKeys(material, "client").key)).toBe("3a9a61fffd7112f4f3e3b899530b57e6");
    expect(show(directionKeys(material, "server").iv)).toBe("a14ff1a4");
    expect(opened.map((content) => content?.type)).toEqual([22, 22, 23, 23, 21]);
    expect(Buffer.from(opened[2]!.bytes).toString()).toBe("hello\n");
  });

  it("opens none of them with the layout of the drafts, and those of a draft only so", () => {
    const rfc = openCaptured("cid-rfc9146-mbedtls3.6.6-psk-ccm8.txt", true).opened;
    expect(rfc).toEqual([undefined, undefined, undefined, undefined, undefined]);
    const draft = "cid-draft05-mbedtls2.28.3-psk-ccm8.txt";
    expect(openCaptured(draft, true).opened.map((content) => content?.type)).toEqual([22, 22, 23, 23, 21]);
    expect(openCaptured(draft, false).opened.every((content) => content === undefined)).toBe(true);
  });
});
