/** A directory as a source of identities: OpenLDAP's slapd, with the entries of EMQX 4's and 5's manuals. */
import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Chain, identityIn, openChain } from "../../support/chain.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { keepsOutHostileLogins } from "../../support/hostile-logins.ts";
import { IN, logins, OUT } from "../../support/logins.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startSlapd } from "../../support/servers.ts";
import { Certificates } from "../../unit/net/certificates.ts";

const sha = (algorithm: string, text: string, salt = ""): string =>
  Buffer.concat([createHash(algorithm).update(text).update(salt).digest(), Buffer.from(salt)]).toString(
    "base64",
  );

const PASSWORDS: Readonly<Record<string, string>> = {
  ann: "public",
  sha: `{SHA}${sha("sha1", "public")}`,
  ssha: `{SSHA}${sha("sha1", "public", "salt")}`,
  md5: `{MD5}${sha("md5", "public")}`,
  ssha512: `{SSHA512}${sha("sha512", "public", "salt")}`,
  root: "public",
};
const entry = (uid: string, unit: string, password: string, more = "") => `
dn: uid=${uid},ou=${unit},dc=emqx,dc=io
objectClass: mqttUser
uid: ${uid}
userPassword: ${password}
${more}`;

const LDIF = `
dn: dc=emqx,dc=io
objectClass: dcObject
objectClass: organization
o: test
dc: emqx

dn: ou=testdevice,dc=emqx,dc=io
objectClass: organizationalUnit
ou: testdevice

dn: ou=device,dc=emqx,dc=io
objectClass: organizationalUnit
ou: device
${Object.entries(PASSWORDS)
  .filter(([uid]) => uid !== "ann" && uid !== "root")
  .map(([uid, password]) => entry(uid, "testdevice", password))
  .join("\n")}
${entry("root", "testdevice", "public", "isSuperuser: TRUE\n")}
${entry(
  "ann",
  "testdevice",
  "public",
  "mqttPublishTopic: t/%u/#\nmqttSubscriptionTopic: cmd\nmqttPubSubTopic: both/#\nmqttPsk: 0102030405\n",
)}
${entry("crypt", "testdevice", "{CRYPT}$1$x$yyyy")}
${entry("four", "device", "public")}
`;

const refusal = { ok: false, refusal: "unauthenticated" };

describe.skipIf(lacks("slapd", "openssl"))("a slapd server", () => {
  const certificates = new Certificates();
  let server: Server;
  let chain: Chain | undefined;
  let gateway: TestGateway | undefined;
  beforeAll(async () => {
    certificates.issue("server", "/CN=localhost");
    const tls = { cert: certificates.path("server.pem"), key: certificates.path("server.key") };
    server = await startSlapd(LDIF, tls);
  }, 120_000);
  afterEach(async () => {
    chain?.close();
    await gateway?.stop();
    gateway = undefined;
  });
  afterAll(async () => {
    await server.stop();
    certificates.remove();
  });

  const member = (settings: object) => ({
    kind: "ldap",
    url: `ldap://127.0.0.1:${server.port}`,
    bindDn: "cn=root,dc=emqx,dc=io",
    bindPassword: "public",
    ...settings,
  });
  const open = (settings: object, policy: object = {}): Chain => {
    chain?.close();
    chain = openChain([member(settings)], policy);
    return chain;
  };

  for (const method of ["hash", "bind"] as const) {
    it(`lets in by ${method}, with EMQX 5's base and filter, and tells superusers (A-051)`, async () => {
      const { login } = open({ method });
      const ann = identityIn(await login({ username: "ann", password: "public" }));
      expect(ann).toMatchObject({ proven: "user:ann", superuser: false });
      expect(identityIn(await login({ username: "root", password: "public" })).superuser).toBe(true);
      for (const password of ["wrong", "", "PUBLIC", Uint8Array.from({ length: 256 }, (_, octet) => octet)]) {
        expect(await login({ username: "ann", password })).toMatchObject(refusal);
      }
      expect(await login({ username: "ann" })).toMatchObject(refusal);
      expect(await login({ username: "eve", password: "public" })).toMatchObject(refusal);
      expect(await login({})).toMatchObject(refusal);
    });
  }

  it("compares {SHA}, {SSHA}, {MD5} and {SSHA512}, and says that it cannot judge others", async () => {
    const { login, notes } = open({});
    for (const username of ["sha", "ssha", "md5", "ssha512"]) {
      expect(await login({ username, password: "public" }), username).toMatchObject({ ok: true });
      expect(await login({ username, password: "publi" }), username).toMatchObject(refusal);
    }
    expect(await login({ username: "crypt", password: "public" })).toMatchObject({ refusal: "unavailable" });
    expect(notes[0]).toContain("{CRYPT}");
  });

  it("finds by EMQ X 4's base and filter (A-050)", async () => {
    const { login } = open({ dialect: "emqx4" });
    expect(await login({ username: "four", password: "public" })).toMatchObject({ ok: true });
    expect(await login({ username: "ann", password: "public" })).toMatchObject(refusal);
  });

  it("gives each client the rules of its entry", async () => {
    const policy = { authorization: { noMatch: "deny", rules: [] } };
    const { login, mayPublish, maySubscribe } = open({ readRules: true }, policy);
    const ann = identityIn(await login({ username: "ann", password: "public" }));
    const topics = ["t/ann/1", "t/bob/1", "cmd", "both/x"];
    expect(topics.map((topic) => mayPublish(ann, topic))).toEqual([true, false, false, true]);
    expect(topics.map((topic) => maySubscribe(ann, topic))).toEqual([false, false, true, true]);
  });

  it("takes names for values, whatever they spell in a filter or a distinguished name (RFC 4514, RFC 4515)", async () => {
    for (const dialect of ["emqx4", "emqx5"] as const) {
      const { login, counts } = open({ dialect });
      const names = [
        ...[
          "*",
          "*)(uid=*",
          "four)(|(uid=*",
          "a\\2a",
          "x,ou=device",
          "ann+uid=ann",
          " ann",
          "#ann",
          "ann ",
          '"ann"',
        ],
        ...[
          "ann\0",
          "ü".repeat(500),
          "x".repeat(65_535),
          "\ud800",
          "a\r\nb",
          "%00",
          "uid=ann,ou=testdevice,dc=emqx,dc=io",
        ],
      ];
      for (const username of names) {
        const shown = `${dialect} ${JSON.stringify(username.slice(0, 40))}`;
        const verdict = await login({ username, password: "public" });
        // slapd takes blanks at the ends of a name for nothing.
        if (username.trim() === "ann" && dialect === "emqx5") continue;
        expect(verdict, shown).toMatchObject({ ok: false });
        expect(verdict, shown).not.toMatchObject({ refusal: "congested" });
      }
      expect(counts.get("ldap accepted") ?? 0).toBeLessThanOrEqual(2);
    }
  });

  it("is spoken to over StartTLS, and refused where its certificate is nobody's we know", async () => {
    const secure = { url: `ldap://localhost:${server.port}`, startTls: true };
    const { login } = open({ ...secure, caFile: certificates.path("ca.pem") });
    expect(await login({ username: "ann", password: "public" })).toMatchObject({ ok: true });
    const careful = open({ ...secure, timeout: "2s" });
    expect(await careful.login({ username: "ann", password: "public" })).toMatchObject({
      refusal: "unavailable",
    });
  });

  it("holds pre-shared keys", async () => {
    const { keys } = open({ pskAttribute: "mqttPsk" });
    expect(await keys.presharedKey("ann")).toEqual(Uint8Array.of(1, 2, 3, 4, 5));
    expect(await keys.presharedKey("root")).toBeUndefined();
    expect(await keys.presharedKey("*")).toBeUndefined();
  });

  it("lets clients of MQTT, CoAP and STOMP in, and keeps others out", async () => {
    gateway = await startGateway({
      authentication: { anonymous: false, chain: [member({ method: "bind" })] },
      gateways: { mqtt: {}, coap: {}, stomp: {} },
    });
    const { everywhere } = logins(gateway, "ann");
    expect(await everywhere("public")).toEqual(IN);
    expect(await everywhere("wrong")).toEqual(OUT);
    await keepsOutHostileLogins(gateway, "public");
  });

  it("that goes away refuses logins in bounded time, and lets in again when it is back", async () => {
    const { login, notes } = open({ timeout: "1s", breaker: { failures: 2, pause: "50ms" } });
    const ann = { username: "ann", password: "public" };
    expect(await login(ann)).toMatchObject({ ok: true });
    await server.kill();
    for (let attempt = 0; attempt < 4; attempt++) {
      expect(await login(ann)).toMatchObject({ ok: false, refusal: "unavailable" });
    }
    expect(notes.length).toBeGreaterThan(0);
    expect(notes.join(" ")).not.toContain("public");
    await server.restart();
    await expect.poll(async () => (await login(ann)).ok, { timeout: 20_000, interval: 200 }).toBe(true);
  }, 90_000);
});
