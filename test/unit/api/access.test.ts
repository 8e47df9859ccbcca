import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { newAccess } from "../../support/api.ts";

test("a key ends at its date, also by a machine whose clock was set while the process goes on by its own", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-access-"));
  context.onTestFinished(() => rmSync(folder, { recursive: true }));
  let date = Date.now() + 86_400_000;
  const access = newAccess(folder, () => date);
  const wish = { name: "ci", role: "viewer", expiresAt: date + 1_000 } as const;
  const { key, secret } = await access.credentials.addKey(wish, date);
  const headers = { authorization: `Bearer ${key.id}.${secret}` };
  const caller = { headers, address: "192.0.2.1", forwarded: false };
  expect(access.identify(caller)).toMatchObject({ role: "viewer" });
  date += 1_000;
  expect(() => access.identify(caller)).toThrow("it has expired");
});
