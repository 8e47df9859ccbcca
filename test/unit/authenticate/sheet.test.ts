/** Lines of the manuals that need no server to be true or false: hash forms, placeholders, queries, limits. */
import { expect, it } from "vitest";
import { bounded } from "#core/authenticate/rules.ts";
import { SqlQuery } from "#core/authenticate/sql-query.ts";
import { storedForm } from "#core/authenticate/stored-password.ts";
import { asFormValue, LoginTemplate } from "#core/authenticate/template.ts";
import type { AccessRule } from "#core/policy/settings.ts";
import { peerAt, requestOf } from "../../support/policy.ts";

const PUBLIC = Buffer.from("public");

/** Of password `public` and salt `salt`, computed by other programs. */
it.each([
  ["plain", "public"],
  ["md5", "4c9184f37cff01bcdc32dc486ec36961"],
  ["sha", "61c9b2b17db77a27841bbeeabff923448b0f6388"],
  ["sha256", "efa1f375d76194fa51a3556a97e641e61685f914d446979da50a551a4333ffd7"],
  ["SHA256", "EFA1F375D76194FA51A3556A97E641E61685F914D446979DA50A551A4333FFD7"],
  ["salt,sha256", "f2ef7f9aedb2c3b5040bc16691a1177758a92ad91e1ee77770215a332bf6099f"],
  ["salt sha256", "f2ef7f9aedb2c3b5040bc16691a1177758a92ad91e1ee77770215a332bf6099f"],
  ["sha256,salt", "f4a8615be301fbaf6213df33cfe5f22953aafc0c31beb8f2daef55b127444d27"],
  ["pbkdf2,sha256,1000,20", "5a21f11c597da1447641c0a5ba58b856a76f1084"],
  ["pbkdf2 sha256 1000 20", "5a21f11c597da1447641c0a5ba58b856a76f1084"],
])(
  "a password in the form %s is the one of the manuals' tables, and no other (A-020, A-022)",
  async (form, stored) => {
    const { check } = storedForm(form, "redis");
    expect(await check(PUBLIC, stored, "salt")).toBe(true);
    expect(await check(Buffer.from("Public"), stored, "salt")).toBe(false);
    expect(await check(PUBLIC, undefined, "salt")).toBe(false);
  },
);

it.each(["md5", "ripemd160", "sha", "sha224", "sha256", "sha384", "sha512"])(
  "pbkdf2 goes with %s (A-020, A-023)",
  async (mac) => {
    const form = storedForm(`pbkdf2,${mac},10,20`, "redis");
    const { hash, salt } = await form.make(PUBLIC);
    expect(hash).toMatch(/^[0-9a-f]{40}$/);
    expect(await form.check(PUBLIC, hash, salt)).toBe(true);
  },
);

it.each([
  ["pbkdf2,md4,1000,20", /this Node has no MD4/],
  ["pbkdf2,sha256,1000", /needs iterations/],
  ["pbkdf2,sha256,1000000000,20", /needs iterations/],
  ["md4", /passwordHash is "md4"; allowed/],
  ["sha256,pepper", /allowed/],
  ["salt,sha256,salt", /allowed/],
])("the form %s is refused at the start, with what is allowed (A-023)", (form, words) => {
  expect(() => storedForm(form, "redis")).toThrow(words);
});

const request = requestOf({
  ...{ clientId: "d 1", username: "ann&", password: Buffer.from("p=") },
  ...{ endpointName: "urn:1", protocol: "MQTT" },
});
const peer = peerAt("192.0.2.7", { identity: "meter" });

it.each([
  ["%u %c %P %a %C %d %e", "ann& d 1 p= 192.0.2.7 meter meter urn:1"],
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: placeholders
  ["${username} ${clientid} ${password} ${peerhost}", "ann& d 1 p= 192.0.2.7"],
  ["${cert_subject} ${cert_common_name} ${client_id}", "meter meter d 1"],
  ["${$}{username} costs 5${$}", "${username} costs 5$"],
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: see above
  ["100 % of %x", "100 % of %x"],
])("the placeholders %s stand for what the manuals say (A-015, A-016)", (text, filled) => {
  expect(new LoginTemplate(text, "http").fill(request, peer)).toBe(filled);
});

it("in an address they are encoded, and one that stands for nothing is refused at the start (A-017)", () => {
  expect(new LoginTemplate("http://x/?u=%u&c=%c", "http").fill(request, peer, asFormValue)).toBe(
    "http://x/?u=ann%26&c=d%201",
  );
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder
  expect(() => new LoginTemplate("${client_attrs.group}", "http")).toThrow(
    /stands for nothing that is known/,
  );
});

it("who lacks a value that a question needs is not asked about (A-018)", () => {
  const nameless = requestOf({ clientId: "d1" });
  expect(new LoginTemplate("mqtt_user:%u", "redis").fill(nameless, peer)).toBeUndefined();
  const query = new SqlQuery("SELECT a FROM b WHERE c = '%u' AND d = '%c'", "numbered", "postgres");
  expect(query.values(nameless, peer)).toEqual([undefined, "d1"]);
});

it("a query is one SELECT, and what is quoted around a placeholder is one parameter (A-017, A-059)", () => {
  const query = new SqlQuery(
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder
    "select p from t where u = '%u' and k = '%c/x' and n = ${username};",
    "numbered",
    "pg",
  );
  expect(query.text).toBe("select p from t where u = $1 and k = $2 and n = $3");
  expect(query.values(request, peer)).toEqual(["ann&", "d 1/x", "ann&"]);
  for (const wrong of [
    "DELETE FROM mqtt_user",
    "select 1; drop table mqtt_user",
    "WITH x AS (DELETE FROM mqtt_user RETURNING 1) SELECT 1 FROM x",
    "",
  ])
    expect(() => new SqlQuery(wrong, "question", "mysql"), wrong).toThrow(/a query must be one SELECT/);
});

it("a client has a thousand rules at most: more are an error of the source, not a part of them (A-059)", () => {
  const rule: AccessRule = { permission: "allow", who: "all", action: "publish", topics: ["t"] };
  expect(bounded(Array(1_000).fill(rule))).toHaveLength(1_000);
  expect(() => bounded(Array(1_001).fill(rule))).toThrow(/more than 1000 rules/);
});
