/**
 * Vectors of Project Wycheproof (github.com/C2SP/wycheproof, Apache-2.0), `testvectors_v1/aes_ccm_test.json`,
 * `aes_gcm_test.json` and `x25519_test.json`, by their tcId: our own CCM, GCM as we call it, and what a peer may offer for a key exchange. Of CCM those with the nonce
 * of TLS (12 octets), tags of 16 octets under keys of 128 bits and tags of 8 under keys of 256.
 */
import { createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import { SIGNATURE_SCHEMES } from "#core/dtls/constants.ts";
import type { Aead } from "#core/dtls/crypto.ts";
import { CcmAead } from "#core/net/aes-ccm.ts";
import { nodeCrypto } from "#core/net/dtls-crypto.ts";
import { fc } from "../../support/property.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

/** tcId, key, nonce, additional data, plaintext, ciphertext, tag. */
const CCM = `
1 bedcfb5a011ebc84600fcb296c15af0d 438a547a94ea88dce46c6c85 - - - 25d1a38495a7dea45bda049705627d10
2 384ea416ac3c2f51a76e7d8226346d4e b30c084727ad1c592ac21d12 - 35 d7 6be3fd13b7065afc19e3b8a3b96b39fb
3 cae31cd9f55526eb038241fc44cac1e5 b5e006ded553110e6dc56529 - d10989f2c52e94ad e64d0b64ebb381ec 25409c795d491d804e583917227b73c7
4 ffdf4228361ea1f8165852136b3480f7 0e1666f2dc652f7708fb8f0d - 25b12e28ac0ef6ead0226a3b2288c800 aaf596fa5b00aaac27700146aec932a9 848b6735d32c96e4a0532bcdfaf33582
5 c15ed227dd2e237ecd087eaaaad19ea4 965ff6643116ac1443a2dec7 - fee62fde973fe025ad6b322dcdf3c63fc7 0333df2a86d7f094dd8bce75da6c38c5c1 417da29df85a1d134feee8aa35569081
6 a8ee11b26d7ceb7f17eaa1e4b83a2cf6 fbbc04fd6e025b7193eb57f6 - c08f085e6a9e0ef3636280c11ecfadf0c1e72919ffc17eaf fcaaa38feda3aca975ac76553c3e7ef36b887a8c4d8241f9 c2c6dcaeaeb9f38a3a42d2f4e8a17de4
7 1655bf662f7ee685615701fd3779d628 42b51388f6f9047a2a994575 - 857b2f6cd608c9cea0246c740caa4ca19c5f1c7d71cb9273f0d8c8bb65b70a b3fb66d3f2cb7590ad5ef5604813c125020ee3d791cb0ec67eb5eb86709b6b 155577b98a811e45324616043997bc03
8 3fd50741ec47ddbfc2fc090975d154f0 eef1a6e651321852f0b25a31 - d6f6a9a24db6a7a6176d4362639c4fd77f70f3e089dd940086e12a9becbaf97f82 532694bb2851ea7f3bdd37c4e806be5b953ea79d08100e74af3fa67eca8890db28 9e1acee688848bca454c6d04753d3c7d
9 e12260fcd355a51a0d01bb1f6fa538c2 5dfc37366f5688275147d3f9 - d902deeab175c008329a33bfaccd5c0eb3a6a152a1510e7db04fa0aff7ce4288530db6a80fa7fea582aa7d46d7d56e708d2bb0c5edd3d26648d336c3620ea55e 0de44fe54b84359365054a6997478f87b6b761d127a651f7b8003d25e762f7f81cf84b3a471a9377bb388c74c08be894eff10e46365bf76820b7168623966be6 bb8e261879d6f639aa42d2d50ed750b8
11 59ab7ec1c02bb206af5a9131f1134311 5508f5cea197386986d92dbe a43d39f78a2e9a8a - - 09ec70faae333537a7314929ddfb525b
12 9415f925bcb41dc25e86c826dbc8bf68 bdffaa763b916ff0ee3f3ce4 705d676cd8a94451 feb36167eafc02c8e2bd6e13817686ba 08db327a88be7b48f430fd7bfccdf502 b7c249f810adacf99abded1f3b9130f2
13 d97c9b043bdccfd59491a995e78f1696 ef423240358830df915506a3 3ddba7b3ab69c8b2 f047594a5cffda64303a80b2fa6a957169 e0caf2a9d50f70ecaa43b4a287c3b34a99 cff4c61882b413b686ff35b63a3a73de
14 16be38c05c7bc5c68ee6203871799240 acca8ae916119e49d87c33a7 28 - - 217d40efd972701fcc33df5362e1ea9c
16 439fd5c3b76587d5a601ba6ef8fad214 ed1d316d0834d174c1b5b438 eae252f42d2c71 - - e8530426cbabf63633ff373159247e38
19 de6ed169d396cfb7378e892c7faf1d5d efc1870282e77ca8063f1beb eedf6e776ad37dc610825a6168e21356c2 - - 0d650a974ebea22fed077d229e0c9e65
22 649f3dfddbf1af6087674568e2e6d7c3 6ca6f87b7a8584df4f4687b9 35312ca23e4eb36cb0a66c6f386b8ec29f6d11e82fbfcaadfd6cbc9b59d51a6c0270868274d91f60978d1f0f37280930d3fdcb3e90ea461eccc83fa0d975548816 - - 3daa0003de384d78443ffd3a5ea48179
23 a5b5b6bae45b741fe4663890098f326a 4bad10c6d84fd43fd13ad36f 30 127b150080ec0bc7704e26f4ab11abb6 75e6ffcb6114833b67cd93bdf2c22b55 c90e18eaf810b7bcefe7a526b1783b20
25 a3fd2fdcce8a63bfe4eb2db7e42adbe1 690e7ad1e05d0d4ab4552cf7 ab91ec8cc73373 be0231b5c7861f0af7b6381479d25b77 a884f769fcc727839d59711fa3cb5ee0 f2017e3bd10bb1b43fdcc0feeffc9c68
27 5f0a1b5f8f8673d566ec7f54e7dca4f2 c30968c967e53505621628db c07092d799dac2b4c05fbddd04743c34 f6538476daf04524cf134309dd84e187 2315110f7ec64e7a23e5a762822f71ab dc7b12fa2dbfbdc6d85faa77a2eb767e
28 671a70e883fb0611dffd0b1dd9b8cca2 a51c37f467893c1608e56274 3ea12d80f40f34f812479d2ecc13d2d6df 3baf3edf04dc0c97aae081cdeb08021d 5d5630fc728ffb08ce693f7299e6728b 00023f11a023c0786c105fe4c003af6e
29 20bbf74c1e63982c472c4743569e4c84 459fc7c004bf46323a02d846 4f2285ce3dafa528c694a5272d3b7b929097db398772653bd9bbbdb3b2c8e1 6db50992e8fbbee15d4979d3e322dacd 8703e44697138c58532d97ee99231d94 f14c2f39a4871a4a16c42f6fe878deef
457 b967091c98bb64922430833d1b553326b8e91b6ef7141971cc8e8cc5f6ef6170 a5dd076d8a9dc3d7ec43d04f - c8a331b554e6c7b0783c53fee6f1618e 99b5c22225e5325f9aa9599a34deec59 e9c93619d33d268d
458 7160434720504dce28845625a3423166d9b5025d975c6ee47299bb5bd677dbeb 0296c95b44c17463434c7e19 19082bf57b6c4130eac58c0526a044ee c66a48615b62d2d85ea82ee4d528a03a 8934ea7afb44fdca4027ed9bbb247358 b333f0e1383cf3e8
459 1dd5a092949b67635db0c48a03740da806dbe97aad5b8412300d685cecfe8407 3f9ea39362c8d8e492ea8b41 - 84408d8bccb4288e622bf7c631401d9908 4f19d27e0a40e4835ebc3b89ce8b51941b 44d9e50dca915c2e
460 47f664e6790f3e25bc410d847f38662f045f0aa3641429edf8099f4b4df32f06 f092a357b5ef0c975ee169c4 338b4cc60ec151fa283c1cb10e722d9d b01dfe724166a2bc98cbb96cf540028a0e d7746f186aabfa36685481ec8a7f0022e8 41158292a1d87cfd
461 a47abe6e867fbc16c46a6fd7f10b77929baa129369c898d25265b0170056f9d0 650b12687ca85a50e6509884 - 200914571dd03827f07c2bd9382e7d19d62f1ea4a7c7269d86733e43e45a4d bc2314a589dbdd95b358cdad30b15e867dcd8dbde428b47e390ac43762f634 881fa5fecb514ccf
462 110480ea9c9f4c5e6b5be01a2aafc861d1370c243aff9faafd0a92a9d18e5845 0e5cf683e13204cf91a2d4b6 c490a5fa19b97c3e3adf20bc4df51140 c92ec3d6a2c2fa19c45be7107a48a9ea0fe46a92978b5dabb3f94b457b5fbd bb5110dd12bd3d12144c8de55b3b2677fc7084d56afcc6a76a5228fff8dbd3 e39b0d1174f7609b
`;

const rows = (text: string): string[][] =>
  text
    .trim()
    .split("\n")
    .map((line) => line.split(" ").map((part) => (part === "-" ? "" : part)));

function agrees(parts: readonly string[], aeadOf: (key: Uint8Array, tagLength: 8 | 16) => Aead): void {
  const [key, nonce, aad, plaintext, ciphertext, tag] = parts.map(hex) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const aead = aeadOf(key, tag.length as 8 | 16);
  const sealed = new Uint8Array(plaintext.length + tag.length);
  aead.seal(nonce, aad, plaintext, sealed, 0);
  expect(Buffer.from(sealed)).toEqual(Buffer.concat([ciphertext, tag]));
  expect(Buffer.from(aead.open(nonce, aad, sealed) ?? [])).toEqual(Buffer.from(plaintext));
  for (let bit = 0; bit < 8 * sealed.length; bit++) {
    const forged = Uint8Array.from(sealed);
    forged[bit >> 3]! ^= 1 << (bit & 7);
    expect(aead.open(nonce, aad, forged)).toBeUndefined();
  }
  expect(aead.open(nonce, Uint8Array.of(...aad, 0), sealed)).toBeUndefined();
}

describe("AES-CCM, Wycheproof", () => {
  it.each(rows(CCM))("%s: seals and opens, and opens nothing of which a bit differs", (_, ...parts) =>
    agrees(parts, (key, tagLength) => new CcmAead(key, tagLength)),
  );
});

/** The same of `aes_gcm_test.json`; the last, with a key of 256 bits, is test case 16 of the GCM specification. */
const GCM = `
1 5b9604fe14eadba931b0ccf34843dab9 028318abc1824029138141a2 - 001d0c231287c1182784554ca3a21908 26073cc1d851beff176384dc9896d5ff 0a3ea7a5487cb5f7d70fb6c58d038554
2 5b9604fe14eadba931b0ccf34843dab9 921d2507fa8007b7bd067d34 00112233445566778899aabbccddeeff 001d0c231287c1182784554ca3a21908 49d8b9783e911913d87094d1f63cc765 1e348ba07cca2cf04c618cb4d43a5b92
3 aa023d0478dcb2b2312498293d9a9129 0432bc49ac34412081288127 aac39231129872a2 2035af313d1346ab00154fea78322105 eea945f3d0f98cc0fbab472a0cf24e87 4bb9b4812519dadf9e1232016d068133
4 bedcfb5a011ebc84600fcb296c15af0d 438a547a94ea88dce46c6c85 - - - 960247ba5cde02e41a313c4c0136edc3
5 384ea416ac3c2f51a76e7d8226346d4e b30c084727ad1c592ac21d12 - 35 54 7c1e4ae88bb27e5638343cb9fd3f6337
7 dd6197cd63c963919cf0c273ef6b28bf ecb0c42f7000ef0e6f95f24d - 4dcc1485365866e25ac3f2ca6aba97 8a9992388e735f80ee18f4a63c10ad 1486a91cccf92c9a5b00f7b0e034891c
9 c15ed227dd2e237ecd087eaaaad19ea4 965ff6643116ac1443a2dec7 - fee62fde973fe025ad6b322dcdf3c63fc7 0de51fe4f7f2d1f0f917569f5c6d1b009c 6cd8521422c0177e83ef1b7a845d97db
11 28ff3def08179311e2734c6d1c4e2871 32bcb9b569e3b852d37c766a c3 dfc61a20df8505b53e3cd59f25770d5018add3d6 f58d453212c2c8a436e9283672f579f119122978 5901131d0760c8715901d881fdfd3bc0
14 6a68671dfe323d419894381f85eb63fd 9f0d85b605711f34cd2a35ba 76eb5f147250fa3c12bff0a6e3934a0b16860cf11646773b 0fc67899c3f1bbe196d90f1eca3797389230aa37 bd64802cfebaeb487d3a8f76ce943a37b3472dd5 fce9a5b530c7d7af718be1ec0ae9ed4d
GCM-16 feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308 cafebabefacedbaddecaf888 feedfacedeadbeeffeedfacedeadbeefabaddad2 d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39 522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662 76fc6ece0f4e1768cddf8853bb2d551b
`;

describe("AES-GCM, Wycheproof", () => {
  it.each(rows(GCM))("%s: seals and opens, and opens nothing of which a bit differs", (_, ...parts) =>
    agrees(parts, (key) => nodeCrypto.aead(key.length === 16 ? "aes-128-gcm" : "aes-256-gcm", key)),
  );
});

describe("what a peer offers for a key exchange", () => {
  it("x25519: gets no secret with a point of low order (RFC 7748 §6.1; Wycheproof ZeroSharedSecret)", () => {
    for (const point of [
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]) {
      const key = hex(point);
      expect(nodeCrypto.keyShare("x25519").agree(key), point).toBeUndefined();
      // The highest bit is not part of the number (RFC 7748 §5).
      key[31]! |= 0x80;
      expect(nodeCrypto.keyShare("x25519").agree(key), point).toBeUndefined();
    }
  });

  it("x25519: gets one with keys on the twist, as RFC 7748 §6.1 has it (Wycheproof Twist, tcId 24 to 28)", () => {
    for (const point of [
      "000000fcffff070000e0ffff3f000000ffffff010000f8ffff0f0000c0ffff7f",
      "ffffffffffffff00000000000000ffffffffffffff00000000000000ffffff7f",
      "00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffff7f",
      "edfffffffffffffffffffffffffffeffffffffffffffffffffffffffffffff7f",
      "edfffffffffffffeffffffffffffffffffffffffffffffffffffffffffffff7f",
    ])
      expect(nodeCrypto.keyShare("x25519").agree(hex(point))).toHaveLength(32);
  });

  it.each(["P-256", "P-384"] as const)("%s: gets no secret with what is no point of the curve", (group) => {
    const ours = nodeCrypto.keyShare(group);
    const theirs = nodeCrypto.keyShare(group).publicKey;
    expect(ours.agree(theirs)).toHaveLength((theirs.length - 1) / 2);
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 8 * theirs.length - 1 }), (bit) => {
        const wrong = Uint8Array.from(theirs);
        wrong[bit >> 3]! ^= 1 << (bit & 7);
        expect(ours.agree(wrong)).toBeUndefined();
      }),
    );
    const compressed = Uint8Array.of(
      2 + (theirs.at(-1)! & 1),
      ...theirs.subarray(1, (theirs.length + 1) / 2),
    );
    const zero = new Uint8Array(theirs.length);
    zero[0] = 4;
    for (const wrong of [compressed, zero, Uint8Array.of(0), new Uint8Array(0), theirs.subarray(0, -1)])
      expect(ours.agree(wrong)).toBeUndefined();
  });

  it("ECDSA: no signature of trivial numbers holds, nor one of something else (Wycheproof's edge cases)", () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const spki = publicKey.export({ type: "spki", format: "der" });
    const scheme = SIGNATURE_SCHEMES.find(({ name }) => name === "ecdsa-sha256")!;
    const message = Buffer.from("handshake");
    const good = sign("sha256", message, privateKey);
    expect(createPublicKey(privateKey).equals(publicKey)).toBe(true);
    expect(nodeCrypto.verify(spki, scheme, message, good)).toBe(true);
    expect(nodeCrypto.verify(spki, scheme, Buffer.from("other"), good)).toBe(false);
    const n = "00ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    const integer = (digits: string): string =>
      `02${(digits.length / 2).toString(16).padStart(2, "0")}${digits}`;
    for (const r of ["00", "01", "ff", n])
      for (const s of ["00", "01", "ff", n]) {
        const body = integer(r) + integer(s);
        const trivial = hex(`30${(body.length / 2).toString(16).padStart(2, "0")}${body}`);
        expect(nodeCrypto.verify(spki, scheme, message, trivial), `${r} ${s}`).toBe(false);
      }
    for (let bit = 0; bit < 8 * good.length; bit++) {
      const forged = Uint8Array.from(good);
      forged[bit >> 3]! ^= 1 << (bit & 7);
      expect(nodeCrypto.verify(spki, scheme, message, forged)).toBe(false);
    }
  });
});
