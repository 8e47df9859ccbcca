/** How the dashboard's files are served: the page under its addresses, the rest for ever under names with a digest. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type FastifyInstance, fastify } from "fastify";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serveDashboard } from "#core/api/dashboard.ts";
import { startApi, type TestApi } from "../../support/api.ts";

const PAGE = '<html data-base="{{base}}"><script src="{{base}}/assets/main-X.js"></script></html>';

describe("the dashboard's files", () => {
  let folder: string;
  let server: FastifyInstance;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "isthmus-dashboard-"));
    mkdirSync(join(folder, "assets"));
    writeFileSync(join(folder, "index.html"), PAGE);
    writeFileSync(join(folder, "assets", "main-X.js"), "plain");
    writeFileSync(join(folder, "assets", "main-X.js.gz"), gzipSync("plain"));
    writeFileSync(join(folder, "secret.txt"), "secret");
    server = fastify();
    serveDashboard(server, "/iot", folder);
  });
  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  it.each(["/", "/clients", "/clients/a%2Fb?tab=waiting", "/lwm2m/x/3/0", "/login", "/setup"])(
    "%s is the page, with the path of the proxy in front of its addresses",
    async (url) => {
      const { statusCode, body, headers } = await server.inject(url);
      expect(statusCode).toBe(200);
      expect(headers["content-type"]).toBe("text/html; charset=utf-8");
      expect(body).toBe(PAGE.replaceAll("{{base}}", "/iot"));
    },
  );

  it("files may be kept for ever, and come packed for who takes that", async () => {
    const plain = await server.inject("/assets/main-X.js");
    expect([plain.body, plain.headers["content-encoding"]]).toEqual(["plain", undefined]);
    expect(plain.headers["cache-control"]).toBe("public, max-age=31536000, immutable");
    expect(plain.headers["content-type"]).toBe("text/javascript; charset=utf-8");
    const packed = await server.inject({
      url: "/assets/main-X.js",
      headers: { "accept-encoding": "gzip, br" },
    });
    expect(packed.headers["content-encoding"]).toBe("gzip");
    expect(packed.rawPayload.equals(gzipSync("plain"))).toBe(true);
    const refused = await server.inject({
      url: "/assets/main-X.js",
      headers: { "accept-encoding": "gzip;q=0" },
    });
    expect(refused.headers["content-encoding"]).toBeUndefined();
  });

  it.each(["/assets/..%2Fsecret.txt", "/assets/..%2Findex.html", "/assets/none.js", "/nothing"])(
    "%s is nothing",
    async (url) => {
      expect((await server.inject(url)).statusCode).toBe(404);
    },
  );

  it("without a build there is a page that says how to make one", async () => {
    const bare = fastify();
    serveDashboard(bare, "/", join(folder, "none"));
    const { statusCode, body } = await bare.inject("/clients");
    expect([statusCode, body]).toEqual([503, expect.stringContaining("npm run build")]);
    expect((await bare.inject("/assets/main-X.js")).statusCode).toBe(404);
    await bare.close();
  });
});

describe("a node with the dashboard", () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({}, { dashboard: true });
  });
  afterAll(() => api.stop());

  it("sends a content security policy with Trusted Types, and lets nobody frame it", async () => {
    const { headers } = await fetch(`${api.base}/`);
    const policy = headers.get("content-security-policy") ?? "";
    for (const part of [
      "default-src 'none'",
      "script-src 'self'",
      "require-trusted-types-for 'script'",
      "frame-ancestors 'none'",
    ]) {
      expect(policy).toContain(part);
    }
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
  });

  it("keeps the addresses of the API: what there is not is a problem and no page", async () => {
    const answer = await api.ask("GET", "/api/v1/nothing");
    expect([answer.status, answer.body.code]).toEqual([404, "no-route"]);
    expect((await api.ask("GET", "/health")).body.status).toBe("ok");
  });
});

describe("numbers over time", () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi();
  });
  afterAll(() => api.stop());

  it("are there for plots a second after the start, and come each second to who follows them", async () => {
    const abort = new AbortController();
    const stream = await fetch(`${api.base}/api/v1/series/events`, {
      headers: { authorization: `Bearer ${api.keys.viewer}` },
      signal: abort.signal,
    });
    const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes('"in.mqtt"')) text += (await reader.read()).value ?? "";
    abort.abort();
    const { body } = await api.ask("GET", "/api/v1/series?names=in.mqtt,clients.awake");
    expect(body.series.map(({ name }: { name: string }) => name)).toEqual(["in.mqtt", "clients.awake"]);
    expect(body.series[0].mean.length).toBeGreaterThan(0);
  });
});

describe("the configuration", () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi();
  });
  afterAll(() => api.stop());

  it("is told by key with its meaning, and hides secrets", async () => {
    const { body } = await api.ask("GET", "/api/v1/config?key=api.");
    const port = body.items.find(({ key }: { key: string }) => key === "api.port");
    expect(port).toMatchObject({ meaning: expect.stringContaining("TCP port"), live: false });
    const passphrase = body.items.find(({ key }: { key: string }) => key === "api.tls.keyPassphrase");
    expect(passphrase?.value).toBeUndefined();
  });
});
