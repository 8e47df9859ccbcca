/** Every example of a configuration in the documentation is one that loads. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parsePasswordHash, verifyPassword } from "#core/authenticate/password-hash.ts";
import { parseUsers } from "#core/authenticate/users-file.ts";
import { loadText } from "#core/config/load.ts";
import { MODULES } from "#core/modules.ts";

const DOCUMENTS = ["src/config/README.md", "src/policy/README.md"];

interface Example {
  readonly name: string;
  readonly kind: string;
  readonly text: string;
}

const examples = DOCUMENTS.flatMap((document): Example[] => {
  const text = readFileSync(new URL(`../../${document}`, import.meta.url), "utf8");
  return [...text.matchAll(/^```yaml ?(\w*)\n(.*?)^```$/gms)].map(([, kind = "", body = ""], index) => ({
    name: `${document} example ${index + 1}`,
    kind,
    text: body,
  }));
});

describe("a configuration example in the documentation", () => {
  it("is there", () => {
    expect(examples.length).toBeGreaterThanOrEqual(5);
  });

  it("of a users file holds the hashes of the password that it says", async () => {
    const hashes = examples.flatMap(({ text }) =>
      [...text.matchAll(/password: (\$\S+)/g)].map(([, hash]) => hash!),
    );
    expect(hashes).toHaveLength(3);
    for (const hash of hashes) {
      const parsed = parsePasswordHash(hash);
      expect(parsed && (await verifyPassword(parsed, Buffer.from("correct horse"))), hash).toBe(true);
    }
  });

  it.each(examples)("loads: $name", ({ kind, text, name }) => {
    if (kind === "users") expect(parseUsers(text, name).byName.size).toBeGreaterThan(0);
    else expect(loadText(MODULES, text, name).config.gateways).toBeDefined();
  });
});
