import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Instant } from "#core/lib/time.ts";
import { type Chain, identityIn, openChain } from "../../support/chain.ts";

interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly type: string | undefined;
  readonly body: string;
}
type Reply = { readonly status: number; readonly body?: string } | "never";

let server: Server | undefined;
let chain: Chain | undefined;
afterEach(() => {
  chain?.close();
  server?.closeAllConnections();
  server?.close();
});

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}

/** A service that answers what `reply` says; what it was asked is in `asked`. */
async function service(reply: (asked: Asked) => Reply): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  server = createServer(async (request, response) => {
    const { method, url, headers } = request;
    const question = { method, url, type: headers["content-type"], body: await textOf(request) };
    asked.push(question);
    const answer = reply(question);
    if (answer === "never") return;
    response.writeHead(answer.status).end(answer.body);
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

function open(settings: object, policy: object = {}, now?: () => Instant): Chain {
  chain = openChain([{ kind: "http", ...settings }], policy, now);
  return chain;
}
const ann = { clientId: "d1", username: "ann", password: "a&b=c ü" };
const refusal = { ok: false, refusal: "unauthenticated" };

describe("EMQX 5's dialect", () => {
  it("sends JSON and takes result, superuser, end and rules from the answer", async () => {
    const { url, asked } = await service(() => ({
      status: 200,
      body: JSON.stringify({
        result: "allow",
        is_superuser: false,
        expire_at: 4_000_000_000,
        acl: [{ permission: "deny", action: "all", topic: "secret/#" }],
      }),
    }));
    const { login, mayPublish } = open({ url: `${url}/auth` });
    const identity = identityIn(await login(ann));
    expect(asked[0]).toMatchObject({ method: "POST", url: "/auth", type: "application/json" });
    expect(JSON.parse(asked[0]!.body)).toEqual({ clientid: "d1", username: "ann", password: "a&b=c ü" });
    expect(identity).toMatchObject({ proven: "user:ann", expiresAt: 4_000_000_000_000 });
    expect([mayPublish(identity, "secret/1"), mayPublish(identity, "open")]).toEqual([false, true]);
  });

  it("lets in with allow and 204 only: 200 without a result and 403 are not for it to decide (A-037)", async () => {
    let reply: Reply = { status: 204 };
    const { url } = await service(() => reply);
    const { login, counts } = open({ url });
    expect(await login(ann)).toMatchObject({ ok: true });
    reply = { status: 200, body: '{"result":"deny"}' };
    expect(await login(ann)).toMatchObject(refusal);
    for (const body of ["", "ok", "[]", "null", '{"result":"ignore"}']) {
      reply = { status: 200, body };
      expect(await login(ann), body).toMatchObject(refusal);
    }
    reply = { status: 403 };
    expect(await login(ann)).toMatchObject(refusal);
    expect(Object.fromEntries(counts)).toEqual({ "http accepted": 1, "http rejected": 1, "http ignored": 6 });
  });
});

describe("EMQ X 4's dialect", () => {
  const emqx4 = {
    dialect: "emqx4",
    format: "form",
    parameters: { clientid: "%c", username: "%u", password: "%P" },
  };

  it("sends a form, decides by the status, and asks for the superuser without the password (A-035)", async () => {
    const { url, asked } = await service(({ body }) =>
      body.includes("username=ann") ? { status: 200, body: "whatever" } : { status: 401 },
    );
    const { login } = open({ ...emqx4, url: `${url}/mqtt/auth`, superuserUrl: `${url}/mqtt/superuser` });
    expect(identityIn(await login(ann)).superuser).toBe(true);
    expect(asked.map(({ body }) => body)).toEqual([
      "clientid=d1&username=ann&password=a%26b%3Dc%20%C3%BC",
      "clientid=d1&username=ann",
    ]);
    expect(await login({ ...ann, username: "bob" })).toMatchObject(refusal);
  });

  it("passes a client on that the service wants to ignore, and carries every octet of a password", async () => {
    const { url, asked } = await service(() => ({ status: 200, body: "ignore" }));
    const { login, counts } = open({ ...emqx4, url, method: "get" });
    const password = Uint8Array.from({ length: 256 }, (_, octet) => octet);
    expect(await login({ ...ann, password })).toMatchObject(refusal);
    expect(counts.get("http ignored")).toBe(1);
    expect(asked[0]!.method).toBe("GET");
    expect(asked[0]!.url!.match(/%[0-9A-F]{2}/g)?.length).toBe(256);
  });
});

describe("a service that is away", () => {
  it("refuses by default, with its name in the log and no secret, and is left alone after a few failures", async () => {
    let clock = 1_800_000_000_000;
    const now = () => clock as Instant;
    let reply: Reply = { status: 503 };
    const { url, asked } = await service(() => reply);
    const breaker = { failures: 3, pause: "10s" };
    const { login, notes, counts } = open({ url, name: "portal", breaker }, {}, now);
    for (let attempt = 0; attempt < 5; attempt++) {
      expect(await login(ann)).toMatchObject({ ok: false, refusal: "unavailable" });
    }
    expect(asked.length).toBe(3);
    expect(counts.get("portal failed")).toBe(5);
    expect(notes).toEqual(["portal: the service answers 503"]);
    reply = { status: 204 };
    clock += 10_000;
    expect(await login(ann)).toMatchObject({ ok: true });
  });

  it("asks the next with onError: next, and lets in whom it knows with allow-known", async () => {
    let reply: Reply = { status: 204 };
    const { url } = await service(() => reply);
    const { login, close } = open({ url, onError: "allow-known" });
    expect(await login(ann)).toMatchObject({ ok: true });
    reply = { status: 500 };
    expect(await login(ann)).toMatchObject({ ok: true });
    expect(await login({ ...ann, password: "guess" })).toMatchObject({ ok: false, refusal: "unavailable" });
    expect(await login({ ...ann, clientId: "d2" })).toMatchObject({ ok: false, refusal: "unavailable" });
    close();
    const next = open({ url, onError: "next" });
    expect(await next.login(ann)).toMatchObject(refusal);
  });

  it("holds a login no longer than its timeout, and no more logins than may wait", async () => {
    const { url } = await service(() => "never");
    const { login, counts } = open({ url, timeout: "100ms", concurrent: 1, waiting: 1 });
    const first = login(ann);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const verdicts = await Promise.all([first, login(ann), login(ann)]);
    expect(verdicts.map((verdict) => !verdict.ok && verdict.refusal)).toEqual([
      "unavailable",
      "unavailable",
      "congested",
    ]);
    expect(Object.fromEntries(counts)).toEqual({ "http failed": 2, "http busy": 1 });
  });
});

it("a user name with NUL or of 64 KB is nobody's, and the service is not asked", async () => {
  const { url, asked } = await service(() => ({ status: 204 }));
  const { login } = open({ url });
  for (const username of ["a\0b", "x".repeat(65_535)]) {
    expect(await login({ ...ann, username })).toMatchObject(refusal);
  }
  expect(asked).toEqual([]);
});
