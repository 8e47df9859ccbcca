/** Services that decide, and tokens that a service signs: for clients of three protocols, over real sockets. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { exportJWK, SignJWT } from "jose";
import { afterEach, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { keepsOutHostileLogins } from "../../support/hostile-logins.ts";
import { IN, logins, OUT } from "../../support/logins.ts";

/** Server unavailable (MQTT 5 §3.2.2.2), and what CoAP and STOMP have for it. */
const AWAY = ["136", "5.03", "out"];

let server: Server | undefined;
let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.stop();
  server?.closeAllConnections();
  server?.close();
});

/** Where a service is that answers with what `reply` makes of the body that it is sent. */
async function serve(reply: (body: string) => { status: number; body?: string }): Promise<string> {
  server = createServer(async (request, response) => {
    const { status, body } = reply(await text(request));
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function start(member: object): Promise<TestGateway> {
  gateway = await startGateway({
    authentication: { anonymous: false, chain: [member] },
    gateways: { mqtt: {}, coap: {}, stomp: {} },
  });
  return gateway;
}

describe("an HTTP service lets clients of MQTT, CoAP and STOMP in, and keeps others out", () => {
  it("in EMQX 5's way (A-036)", async () => {
    const url = await serve((body) => {
      const { username, password } = JSON.parse(body);
      const result = username === "ann" && password === "a&b=c ü" ? "allow" : "deny";
      return { status: 200, body: JSON.stringify({ result }) };
    });
    const { everywhere } = logins(await start({ kind: "http", url }), "ann");
    expect(await everywhere("a&b=c ü")).toEqual(IN);
    expect(await everywhere("a&b=c")).toEqual(OUT);
    expect(await logins(gateway!, "bob").everywhere("a&b=c ü")).toEqual(OUT);
    await keepsOutHostileLogins(gateway!, "a&b=c ü");
  });

  it("in EMQ X 4's way (A-035)", async () => {
    const url = await serve((body) => {
      const sent = new URLSearchParams(body);
      return { status: sent.get("username") === "ann" && sent.get("password") === "a&b=c ü" ? 200 : 401 };
    });
    const parameters = { username: "%u", password: "%P" };
    const { everywhere } = logins(
      await start({ kind: "http", dialect: "emqx4", format: "form", parameters, url }),
      "ann",
    );
    expect(await everywhere("a&b=c ü")).toEqual(IN);
    expect(await everywhere("wrong")).toEqual(OUT);
    await keepsOutHostileLogins(gateway!, "a&b=c ü");
  });

  it("and each hears in its own words that the service is away, never that its password is wrong", async () => {
    const url = await serve(() => ({ status: 503 }));
    const { everywhere } = logins(await start({ kind: "http", url }), "ann");
    expect(await everywhere("public")).toEqual(AWAY);
  });
});

describe("a token lets clients of MQTT, CoAP and STOMP in, and keeps others out", () => {
  const signed = (claims: object, alg: string, key: KeyObject | Uint8Array, kid?: string) =>
    new SignJWT({ ...claims })
      .setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) })
      .setExpirationTime("1h")
      .sign(key);
  const verifyClaims = { sub: "%u" };

  it("signed with a secret (A-042)", async () => {
    const secret = "emqxsecret";
    const token = (sub: string, key = secret) => signed({ sub }, "HS256", Buffer.from(key));
    const { everywhere } = logins(await start({ kind: "jwt", secret, verifyClaims }), "ann");
    expect(await everywhere(await token("ann"))).toEqual(IN);
    expect(await everywhere(await token("bob"))).toEqual(OUT);
    expect(await everywhere(await token("ann", "another"))).toEqual(OUT);
    const [header, claims] = [{ alg: "none", typ: "JWT" }, { sub: "ann" }].map((part) =>
      Buffer.from(JSON.stringify(part)).toString("base64url"),
    );
    const unsigned = [`${header}.${claims}.`, "a.b.c", "..", `${"x".repeat(60_000)}.y.z`];
    await keepsOutHostileLogins(
      gateway!,
      await token("ann"),
      unsigned.map((text) => Buffer.from(text)),
    );
  });

  it("unless a public key was taken for a secret, or the set of keys is 10 MB long: nobody then (RFC 8725 §2.1)", async () => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const keys = [{ ...(await exportJWK(publicKey)), kid: "1" }];
    let body = JSON.stringify({ keys });
    const jwks = await serve(() => ({ status: 200, body }));
    const { everywhere } = logins(await start({ kind: "jwt", jwks, verifyClaims }), "ann");
    for (const shape of [publicKey.export({ type: "spki", format: "pem" }), JSON.stringify(keys[0])])
      expect(await everywhere(await signed({ sub: "ann" }, "HS256", Buffer.from(shape), "1"))).toEqual(OUT);
    await gateway!.stop();
    body = `{"keys":[${'{"kty":"RSA"},'.repeat(700_000)}{}]}`;
    const late = logins(await start({ kind: "jwt", jwks, verifyClaims }), "ann");
    expect(await late.everywhere(await signed({ sub: "ann" }, "HS256", Buffer.from("x"), "1"))).toEqual(AWAY);
  });

  it("signed with a key that is fetched from a URL, and with the next one when it has been changed (A-043)", async () => {
    const pairs = ["1", "2"].map((kid) => ({ kid, ...generateKeyPairSync("ec", { namedCurve: "P-256" }) }));
    let published = 0;
    const set = await Promise.all(
      pairs.map(async ({ publicKey, kid }) => ({ ...(await exportJWK(publicKey)), kid })),
    );
    const jwks = `${await serve(() => ({ status: 200, body: JSON.stringify({ keys: [set[published]] }) }))}/jwks.json`;
    const { everywhere } = logins(await start({ kind: "jwt", jwks, jwksRefresh: "1s", verifyClaims }), "ann");
    const [first, second] = await Promise.all(
      pairs.map(({ privateKey, kid }) => signed({ sub: "ann" }, "ES256", privateKey, kid)),
    );
    expect(await everywhere(first!)).toEqual(IN);
    expect(await everywhere(second!)).toEqual(OUT);
    published = 1;
    await expect.poll(() => everywhere(second!), { timeout: 20_000 }).toEqual(IN);
    expect(await everywhere(first!)).toEqual(OUT);
  });
});
