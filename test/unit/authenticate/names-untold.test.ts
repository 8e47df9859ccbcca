/** Which names there are is told neither by words nor by the work that a login costs. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { PasswordCheck } from "#core/authenticate/password-check.ts";
import { hashPassword, type PasswordHash } from "#core/authenticate/password-hash.ts";
import { UsersFile } from "#core/authenticate/users-file.ts";
import { minutes } from "#core/lib/time.ts";
import { ConfiguredPolicy } from "#core/policy/configured-policy.ts";
import { HandClock, peerAt, requestOf, settingsWith } from "../../support/policy.ts";
import { fc } from "../../support/property.ts";

const limits = { concurrent: 1, waiting: 3, cacheEntries: 0, cacheTtl: minutes(1) };
let folder: string;
let paths: string[];
let hash: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-names-"));
  paths = ["one", "two"].map((name) => join(folder, name));
  hash = await hashPassword("right");
  writeFileSync(paths[0]!, `{ users: [{ username: ann, password: "${hash}" }] }`);
  writeFileSync(
    paths[1]!,
    `{ users: [{ username: bob, password: "${hash}", clientId: b }], clients: [{ clientId: dev, password: "${hash}" }] }`,
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Counts instead of hashing, and answers later, as a slow hash does. */
class Counting extends PasswordCheck {
  checks = 0;
  override verify(_hash: PasswordHash, password: Uint8Array): Promise<boolean> {
    this.checks++;
    return Promise.resolve(Buffer.from(password).toString() === "right");
  }
}

it("every refused login with a password gets the same answer for the same work", async () => {
  const attempt = fc.record({
    username: fc.constantFrom(undefined, "ann", "bob", "nobody", "dev"),
    clientId: fc.constantFrom("dev", "b", "c"),
    password: fc.constantFrom("right", "wrong", ""),
    anonymous: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(attempt, async ({ username, clientId, password, anonymous }) => {
      const passwords = new Counting(limits);
      const chain = paths.map((path) => new UsersFile(path, passwords));
      const policy = new ConfiguredPolicy(
        settingsWith({ authentication: { anonymous, chain } }),
        new HandClock(),
      );
      const request = requestOf({ clientId, username, password: Buffer.from(password) });
      const verdict = await policy
        .listener("mqtt", "tcp")
        .authenticate(request, peerAt("192.0.2.1"), 0 as never);
      if (verdict.ok) return;
      const { refusal, reason } = verdict;
      expect([refusal, reason, passwords.checks]).toEqual(["unauthenticated", "not authenticated", 1]);
    }),
  );
});

it("a flood from one address makes no other address wait for more than its turn, and what is gone is not checked", async () => {
  const check = new PasswordCheck(limits);
  const file = new UsersFile(paths[0]!, check);
  const order: string[] = [];
  const gone = { closed: false };
  const login = (address: string, name: string, applicant = { closed: false }) => {
    const request = requestOf({ username: "ann", clientId: name, password: Buffer.from(`no ${name}`) });
    const answer = file.authenticate(request, peerAt(address), 0 as never, applicant);
    return Promise.resolve(answer).then(({ answer }) => order.push(`${name} ${answer}`));
  };
  const all = [
    login("192.0.2.1", "flood-1"),
    login("192.0.2.1", "flood-2", gone),
    login("192.0.2.1", "flood-3"),
  ];
  all.push(login("192.0.2.1", "flood-4"), login("203.0.113.1", "innocent"), login("192.0.2.1", "flood-5"));
  gone.closed = true;
  await Promise.all(all);
  expect(order.indexOf("innocent rejected")).toBeLessThan(order.indexOf("flood-4 rejected"));
  expect(order).toContain("innocent rejected");
  expect(order.filter((each) => each.endsWith("busy")).sort()).toEqual(["flood-2 busy", "flood-5 busy"]);
});

it("a flood from addresses that may be forged has one turn together, and a file or service is kept from nobody", async () => {
  const file = new UsersFile(paths[0]!, new PasswordCheck({ ...limits, waiting: 6 }));
  const order: string[] = [];
  const login = (address: string, forgeable: boolean) => {
    const request = requestOf({ username: "ann", password: Buffer.from(`no ${address}`) });
    const answer = file.authenticate(request, peerAt(address, { forgeable }), 0 as never);
    return Promise.resolve(answer).then(({ answer }) => order.push(`${address} ${answer}`));
  };
  const forged = Array.from({ length: 20 }, (_, each) => login(`192.0.2.${each}`, true));
  await Promise.all([...forged, login("203.0.113.1", false)]);
  expect(order).toContain("203.0.113.1 rejected");
  const later = order.slice(order.indexOf("203.0.113.1 rejected"));
  expect(later.filter((each) => each.endsWith("rejected")).length).toBeGreaterThan(3);
});
