/** The port as operators set it up: HTTPS, below a path, behind a proxy. */
import { copyFileSync } from "node:fs";
import { Agent, request as askSecurely } from "node:https";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openApi } from "#core/api/server.ts";
import { ApiCertificate } from "#core/api-certificate.ts";
import { milliseconds } from "#core/lib/time.ts";
import { openLog } from "#core/observe/log.ts";
import { API_DEFAULTS, askAt, startApi, type TestApi } from "../../support/api.ts";
import { lacks } from "../../support/programs.ts";
import { Certificates } from "../../unit/net/certificates.ts";

describe.skipIf(lacks("openssl"))("HTTPS (RFC 9110 §4.2.2)", () => {
  const certificates = new Certificates();
  let api: TestApi;
  beforeAll(async () => {
    for (const name of ["one", "two"]) certificates.issue(name, `/CN=${name}`);
    for (const ending of ["pem", "key"]) copy(`one.${ending}`, `own.${ending}`);
    api = await startApi();
  });
  afterAll(async () => {
    await api.stop();
    certificates.remove();
  });

  const copy = (from: string, to: string): void =>
    copyFileSync(certificates.path(from), certificates.path(to));

  /** Whose certificate is shown, and the status of an answer. */
  const seen = (port: number): Promise<readonly [name: string, status: number | undefined, hsts: unknown]> =>
    new Promise((resolve, reject) => {
      // A session that is taken up again shows no certificate.
      const agent = new Agent({ maxCachedSessions: 0 });
      const options = { host: "127.0.0.1", port, path: "/health", rejectUnauthorized: false, agent };
      const asked = askSecurely(options, (answer) => {
        const { CN } = (answer.socket as TLSSocket).getPeerCertificate().subject;
        answer.resume();
        answer.once("end", () =>
          resolve([String(CN), answer.statusCode, answer.headers["strict-transport-security"]]),
        );
      });
      asked.setHeader("connection", "close");
      asked.once("error", reject);
      asked.end();
    });

  it("shows a renewed certificate as soon as its files have changed, and the former one while they do not fit", async () => {
    const said: string[] = [];
    const log = openLog({ level: "silent", format: "json" });
    log.info = (event) => void said.push(event);
    log.warn = (event) => void said.push(event);
    const settings = { cert: certificates.path("own.pem"), key: certificates.path("own.key") };
    const certificate = new ApiCertificate({ ...settings, minVersion: "TLSv1.2" }, log);
    const opened = await openApi({ ...API_DEFAULTS, tls: certificate.pair }, api.ports);
    certificate.follow(opened, milliseconds(20));
    /** Again and again: what has changed before the watch has looked for the first time is not noticed. */
    const until = async (event: string, renew: () => void): Promise<void> => {
      while (!said.includes(event)) {
        renew();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    try {
      expect(await seen(opened.port)).toEqual(["one", 200, expect.any(String)]);
      await until("api-certificate-reload-failed", () => copy("two.key", "own.key"));
      expect((await seen(opened.port))[0]).toBe("one");
      await until("api-certificate-reloaded", () => copy("two.pem", "own.pem"));
      expect((await seen(opened.port))[0]).toBe("two");
    } finally {
      certificate.stop();
      await opened.close();
    }
  }, 120_000);
});

describe("a port below a path, behind a proxy", () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({}, { basePath: "/iot", trustedProxies: ["127.0.0.1"], metricsLogin: true });
  });
  afterAll(() => api.stop());

  it("answers below api.basePath, and without it, for who passes the path on or takes it away", async () => {
    expect((await api.ask("GET", "/iot/api/v1/node")).status).toBe(200);
    expect((await api.ask("GET", "/api/v1/node")).status).toBe(200);
    expect((await askAt(api.base, "GET", "/iot/health")).status).toBe(200);
    expect((await askAt(api.base, "GET", "/iothealth")).status).toBe(404);
  });

  it("believes X-Forwarded-For of its proxies: who comes from elsewhere is not taken for this machine", async () => {
    const changed = await api.ask("POST", "/api/v1/publish", {
      body: { topic: "a", payload: "b" },
      headers: { "x-forwarded-for": "192.0.2.9" },
    });
    expect(changed.status).toBe(200);
    await api.ask("DELETE", "/api/v1/bans?clientId=nobody", { headers: { "x-forwarded-for": "192.0.2.9" } });
    const { items } = (await api.ask("GET", "/api/v1/changes")).body;
    expect(items[0].address).toBe("192.0.2.9");
  });

  it("asks for credentials at /metrics with api.metricsLogin, and takes a viewer's key but not a publisher's", async () => {
    expect((await askAt(api.base, "GET", "/metrics")).status).toBe(401);
    expect((await askAt(api.base, "GET", "/metrics", { key: api.keys.publisher })).status).toBe(403);
    const scraped = await askAt(api.base, "GET", "/metrics", { key: api.keys.viewer });
    expect([scraped.status, scraped.body]).toEqual([200, expect.stringContaining("isthmus_")]);
  });
});

it("without trusted proxies X-Forwarded-For is what anybody may write: the connection's own address counts", async () => {
  const api = await startApi();
  try {
    await api.ask("DELETE", "/api/v1/bans?clientId=nobody", { headers: { "x-forwarded-for": "192.0.2.9" } });
    const { items } = (await api.ask("GET", "/api/v1/changes")).body;
    expect(items[0].address).toBe("127.0.0.1");
  } finally {
    await api.stop();
  }
});
