import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { challengeOf, decoys, makeVerifier, parseVerifier } from "#core/authenticate/scram.ts";
import { fc } from "../../support/property.ts";

const bytes = (text: string) => Buffer.from(text);
const decoy = decoys(new Uint8Array(32));

/** A client's last message, by the book (RFC 5802 §3). */
function finalOf(hash: string, password: string, bare: string, serverFirst: string, header = "n,,"): string {
  const [, nonce, salt, rounds] = /^r=([^,]*),s=([^,]*),i=(\d+)$/.exec(serverFirst)!;
  const length = hash === "sha512" ? 64 : 32;
  const salted = pbkdf2Sync(password, Buffer.from(salt!, "base64"), Number(rounds), length, hash);
  const key = createHmac(hash, salted).update("Client Key").digest();
  const stored = createHash(hash).update(key).digest();
  const without = `c=${Buffer.from(header).toString("base64")},r=${nonce}`;
  const signature = createHmac(hash, stored).update(`${bare},${serverFirst},${without}`).digest();
  return `${without},p=${Buffer.from(key.map((octet, index) => octet ^ signature[index]!)).toString("base64")}`;
}

describe("SCRAM-SHA-256", () => {
  it("speaks as the example of RFC 7677 §3", async () => {
    const salt = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
    const verifier = parseVerifier(await makeVerifier("pencil", "sha256", salt, 4096));
    const names: string[] = [];
    const challenge = challengeOf(
      bytes("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"),
      "sha256",
      (name) => {
        names.push(name);
        return verifier;
      },
      decoy,
      "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    );
    expect(names).toEqual(["user"]);
    const nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    expect(String(challenge?.message)).toBe(`r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`);
    const proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    expect(String(challenge?.conclude(bytes(`c=biws,r=${nonce},p=${proof}`)))).toBe(
      "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    );
  });
});

for (const hash of ["sha256", "sha512"] as const) {
  describe(`SCRAM with ${hash}`, () => {
    const enter = async (first: string, password = "pässword", verifierPassword = "pässword") => {
      const verifier = parseVerifier(await makeVerifier(verifierPassword, hash))!;
      const challenge = challengeOf(bytes(first), hash, () => verifier, decoy);
      if (challenge === undefined) return undefined;
      const bare = first.replace(/^[ny],[^,]*,/, "");
      const header = first.slice(0, first.length - bare.length);
      return challenge.conclude(bytes(finalOf(hash, password, bare, String(challenge.message), header)));
    };

    it("lets in by the right password, and by no other", async () => {
      expect(await enter("n,,n=ann,r=abc")).toBeDefined();
      expect(await enter("y,,n=ann,r=abc")).toBeDefined();
      expect(await enter("n,a=ann,n=ann,r=abc")).toBeDefined();
      expect(await enter("n,,n=ann,r=abc", "password")).toBeUndefined();
    });

    it("reads names with commas and equals signs, and refuses what is no first message", async () => {
      const name = (first: string) => challengeOf(bytes(first), hash, () => undefined, decoy)?.username;
      expect(name("n,,n=a=2Cb=3Dc,r=x")).toBe("a,b=c");
      for (const first of [
        ...["", "n,,", "n,,n=,r=x", "n,,n=a=2D,r=x", "n,,n=ann", "n,,r=x,n=ann", "p=tls-unique,,n=ann,r=x"],
        ...[
          "n,a=bob,n=ann,r=x",
          "n,,m=ext,n=ann,r=x",
          "x,,n=ann,r=x",
          "n,,n=ann,r=",
          `n,,n=ann,r=${"x".repeat(5000)}`,
        ],
      ]) {
        expect(name(first), first.slice(0, 40)).toBeUndefined();
      }
    });

    it("challenges a name that nobody has as any other, always with the same salt, and refuses at the end (§9)", async () => {
      const salts = [1, 2].map(() => {
        const challenge = challengeOf(bytes("n,,n=nobody,r=x"), hash, () => undefined, decoy)!;
        const final = finalOf(hash, "any", "n=nobody,r=x", String(challenge.message));
        expect(challenge.conclude(bytes(final))).toBeUndefined();
        return /s=([^,]*)/.exec(String(challenge.message))![1];
      });
      expect(salts[0]).toBe(salts[1]);
      expect(Buffer.from(salts[0]!, "base64")).toHaveLength(16);
    });

    it("never throws, and lets nobody in by arbitrary messages", async () => {
      const verifier = parseVerifier(await makeVerifier("pencil", hash))!;
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 100 }), (first, final) => {
          const messages = [first, Buffer.concat([bytes("n,,n=u,r=x"), Buffer.from(first)])];
          for (const message of messages) {
            const challenge = challengeOf(message, hash, () => verifier, decoy);
            expect(challenge?.conclude(final)).toBeUndefined();
          }
        }),
      );
    });
  });
}

it("reads PostgreSQL's verifiers, and refuses weak and broken ones", async () => {
  const good = await makeVerifier("x", "sha256");
  expect(parseVerifier(good)).toBeDefined();
  for (const bad of [
    good.replace("$4096:", "$1000:"),
    good.replace("SHA-256", "SHA-1"),
    good.slice(0, -10),
    "x",
  ]) {
    expect(parseVerifier(bad), bad).toBeUndefined();
  }
});
