import { scryptSync } from "node:crypto";
import { hashSync } from "bcryptjs";
import { describe, expect, it } from "vitest";
import { PasswordCheck } from "#core/authenticate/password-check.ts";
import { hashPassword, isSlow, parsePasswordHash, verifyPassword } from "#core/authenticate/password-hash.ts";
import { type Instant, minutes, seconds } from "#core/lib/time.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const isRight = async (hash: string, password: string) =>
  verifyPassword(parsePasswordHash(hash)!, bytes(password));
const now = 1_700_000_000_000 as Instant;

/** A cheap scrypt hash, so that tests do not wait. */
function quickScrypt(password: string): string {
  const key = scryptSync(password, "salt", 32, { N: 16, r: 8, p: 1 });
  return `$scrypt$ln=4,r=8,p=1$${Buffer.from("salt").toString("base64")}$${key.toString("base64")}`;
}

describe("a password hash", () => {
  it("of every form takes the right password and no other", async () => {
    const forms = [
      await hashPassword("geheim ü", "scrypt"),
      await hashPassword("geheim ü", "sha256"),
      hashSync("geheim ü", 4),
      "plain:geheim ü",
    ];
    for (const form of forms) {
      expect(await isRight(form, "geheim ü"), form).toBe(true);
      expect(await isRight(form, "geheim"), form).toBe(false);
      expect(await isRight(form, ""), form).toBe(false);
    }
  });

  it("takes what other programs have made", async () => {
    // RFC 7914 §12, second vector: N=1024, r=8, p=16, salt "NaCl".
    const key = Buffer.from(
      "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
      "hex",
    ).toString("base64");
    expect(await isRight(`$scrypt$ln=10,r=8,p=16$TmFDbA$${key}`, "password")).toBe(true);
    // printf saltpw | sha256sum
    const digest = "21baed949b716c49cbf7d8fe79412f1dc104745650a32081ae0be0b967aeb7f3";
    expect(await isRight(`$sha256$73616c74$${digest}`, "pw")).toBe(true);
    // A bcrypt vector of the OpenBSD tests ($2a$, cost 6).
    expect(await isRight("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a")).toBe(true);
  });

  it("is refused when it is no known form, or so costly that it would stop the gateway", () => {
    const refused = [
      "",
      "geheim",
      "$sha256$zz$00",
      "$scrypt$ln=30,r=8,p=1$c2FsdA$a2V5",
      "$scrypt$ln=14,r=8,p=99$c2FsdA$a2V5",
      "$scrypt$ln=0,r=8,p=1$c2FsdA$a2V5",
      "$2b$31$KIXeYbQ8bQ0b1bQ0b1bQ0OeYbQ8bQ0b1bQ0b1bQ0b1bQ0b1bQ0b1",
      "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$a2V5",
    ];
    for (const form of refused) expect(parsePasswordHash(form), form).toBeUndefined();
  });

  it("of the same password differs each time", async () => {
    expect(await hashPassword("x")).not.toBe(await hashPassword("x"));
    expect(isSlow(parsePasswordHash(await hashPassword("x"))!)).toBe(true);
  });
});

describe("checking passwords", () => {
  const limits = { concurrent: 1, waiting: 1, cacheEntries: 2, cacheTtl: minutes(1) };

  it("is done at once where it is cheap", () => {
    const check = new PasswordCheck(limits);
    expect(check.verify(parsePasswordHash("plain:a")!, bytes("a"), now)).toBe(true);
    expect(check.verify(parsePasswordHash("plain:a")!, bytes("b"), now)).toBe(false);
  });

  it("is bounded: beyond what may wait, the answer is busy", async () => {
    const check = new PasswordCheck(limits);
    const hash = parsePasswordHash(quickScrypt("a"))!;
    const first = check.verify(hash, bytes("a"), now);
    const second = check.verify(hash, bytes("b"), now);
    expect(check.verify(hash, bytes("a"), now)).toBe("busy");
    expect(await first).toBe(true);
    expect(await second).toBe(false);
    expect(await check.verify(hash, bytes("b"), now)).toBe(false);
  });

  it("remembers what was right, for a while and for that hash only", async () => {
    const check = new PasswordCheck(limits);
    const hash = parsePasswordHash(quickScrypt("a"))!;
    expect(await check.verify(hash, bytes("a"), now)).toBe(true);
    expect(check.verify(hash, bytes("a"), now)).toBe(true);
    expect(check.verify(hash, bytes("b"), now)).toBeInstanceOf(Promise);
    const changed = parsePasswordHash(quickScrypt("new"))!;
    await expect(check.verify(changed, bytes("a"), now)).resolves.toBe(false);
    const later = (now + seconds(61)) as Instant;
    await expect(check.verify(hash, bytes("a"), later)).resolves.toBe(true);
  });
});
