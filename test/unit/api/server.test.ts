import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { type Api, type ApiPorts, openApi, type ReadyCheck } from "#core/api/server.ts";

let api: Api | undefined;
afterEach(async () => {
  await api?.close();
  api = undefined;
});

async function open(ports: Partial<ApiPorts> = {}): Promise<string> {
  const defaults: ApiPorts = {
    version: "1.2.3",
    node: "here",
    uptime: () => 42,
    metrics: { contentType: "text/plain; version=0.0.4; charset=utf-8", text: async () => "isthmus_x 1\n" },
    readiness: () => [],
  };
  api = await openApi({ bind: "127.0.0.1", port: 0 }, { ...defaults, ...ports });
  return `http://127.0.0.1:${api.port}`;
}

test("/metrics is the Prometheus text, put together once for all who ask at once", async () => {
  let scrapes = 0;
  let finish: (text: string) => void = () => {};
  const text = () => {
    scrapes++;
    return new Promise<string>((resolve) => {
      finish = resolve;
    });
  };
  const base = await open({ metrics: { contentType: "text/plain; version=0.0.4", text } });
  const answers = [fetch(`${base}/metrics`), fetch(`${base}/metrics`)];
  while (scrapes === 0) await new Promise((resolve) => setImmediate(resolve));
  await fetch(`${base}/health`);
  finish("isthmus_x 1\n");
  for (const answer of await Promise.all(answers)) {
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4");
    expect(await answer.text()).toBe("isthmus_x 1\n");
  }
  expect(scrapes).toBe(1);
});

test("/health answers as long as the process does", async () => {
  const answer = await fetch(`${await open()}/health`);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({ status: "ok", node: "here", version: "1.2.3", uptime: 42 });
});

test("/ready is 503 with what is missing until every check is fine", async () => {
  let checks: ReadyCheck[] = [
    { name: "listeners", ok: false, detail: "mqtt tcp is not open" },
    { name: "store", ok: true },
  ];
  const base = await open({ readiness: () => checks });
  const before = await fetch(`${base}/ready`);
  expect(before.status).toBe(503);
  expect(before.headers.get("content-type")).toBe("application/problem+json");
  expect(await before.json()).toMatchObject({
    status: 503,
    detail: "listeners: mqtt tcp is not open",
    checks,
  });
  checks = checks.map((check) => ({ name: check.name, ok: true }));
  const after = await fetch(`${base}/ready`);
  expect(after.status).toBe(200);
  expect(await after.json()).toMatchObject({ status: "ready" });
});

test("an unknown path is a problem detail (RFC 9457)", async () => {
  const answer = await fetch(`${await open()}/nothing?x=1`, { method: "POST" });
  expect(answer.status).toBe(404);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(await answer.json()).toMatchObject({ type: "about:blank", title: "Not Found", status: 404 });
});

test("a failure inside is answered without its reason", async () => {
  const base = await open({
    uptime: () => {
      throw new Error("password=secret");
    },
  });
  const answer = await fetch(`${base}/health`);
  expect(answer.status).toBe(500);
  expect(await answer.text()).not.toContain("secret");
});

test("a body over the limit and malformed HTTP are refused, and the port goes on serving", async () => {
  const base = await open();
  const large = await fetch(`${base}/metrics`, { method: "POST", body: "x".repeat(100_000) });
  expect([404, 413]).toContain(large.status);
  const raw = connect(api?.port ?? 0, "127.0.0.1");
  raw.write("nonsense\r\n\r\n");
  const answer = await new Promise<Buffer>((resolve) => raw.once("data", resolve));
  expect(answer.toString()).toMatch(/^HTTP\/1.1 400/);
  raw.destroy();
  expect((await fetch(`${base}/health`)).status).toBe(200);
});

test("a port in use rejects with the system's error, and close ends open connections", async () => {
  await open();
  const error = await openApi({ bind: "127.0.0.1", port: api?.port ?? 0 }, {} as ApiPorts).catch(
    (thrown) => thrown,
  );
  expect(error).toMatchObject({ code: "EADDRINUSE", syscall: "listen" });
});
