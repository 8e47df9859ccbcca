import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { ApiPorts, ReadyCheck } from "#core/api/ports.ts";
import { type Api, type ApiOptions, openApi } from "#core/api/server.ts";
import { API_DEFAULTS, newAccess } from "../../support/api.ts";

const folder = mkdtempSync(join(tmpdir(), "isthmus-api-"));
let api: Api | undefined;
afterEach(async () => {
  await api?.close();
  api = undefined;
  rmSync(join(folder, "accounts.json"), { force: true });
});

async function open(ports: Partial<ApiPorts> = {}, options: Partial<ApiOptions> = {}): Promise<string> {
  const defaults: ApiPorts = {
    now: () => 43_500,
    node: {
      name: "here",
      version: "1.2.3",
      startedAt: 1_000,
      descriptors: 1_024,
      numbers: () => ({}),
      workers: () => [],
    },
    metrics: {
      contentType: "text/plain; version=0.0.4; charset=utf-8",
      text: async () => "isthmus_x 1\n",
      families: async () => [],
    },
    health: {
      readiness: () => [],
      questions: () => [],
      answer: (name) => ({ name, ok: true }),
      listensOn: () => false,
      speaks: () => false,
    },
    access: newAccess(folder),
    memory: { held: 0, refuses: false },
    cookie: { path: "/", secure: false },
  } as Partial<ApiPorts> as ApiPorts;
  api = await openApi({ ...API_DEFAULTS, ...options }, { ...defaults, ...ports });
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
  const base = await open({
    metrics: { contentType: "text/plain; version=0.0.4", text, families: async () => [] },
  });
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
  const base = await open({
    health: { readiness: () => checks } as Partial<ApiPorts["health"]> as ApiPorts["health"],
  });
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
  expect(await answer.json()).toMatchObject({
    type: "/api/v1/problems/no-route",
    title: "No route",
    status: 404,
  });
});

test("a failure inside is answered without its reason", async () => {
  const base = await open({
    node: {
      get name(): string {
        throw new Error("password=secret");
      },
    } as ApiPorts["node"],
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

test("a body counts as held memory until it is answered, and none is taken where memory is used up", async () => {
  const memory = { held: 0, refuses: false };
  const most: number[] = [];
  const watched = {
    get held() {
      return memory.held;
    },
    set held(held: number) {
      memory.held = held;
      most.push(held);
    },
    get refuses() {
      return memory.refuses;
    },
  };
  const base = await open({ memory: watched });
  const login = { method: "POST", headers: { "content-type": "application/json" } };
  const ask = () =>
    fetch(`${base}/api/v1/login`, { ...login, body: JSON.stringify({ name: "x".repeat(500) }) });
  const before = (await ask()).status;
  expect(most[0]).toBeGreaterThan(500);
  while (memory.held > 0) await new Promise((resolve) => setImmediate(resolve));
  memory.refuses = true;
  expect((await ask()).status).toBe(503);
  memory.refuses = false;
  expect((await ask()).status).toBe(before);
});

test("a port in use rejects with the system's error, and close ends open connections", async () => {
  await open();
  const error = await openApi({ ...API_DEFAULTS, port: api?.port ?? 0 }, {
    node: {},
    access: {},
  } as ApiPorts).catch((thrown) => thrown);
  expect(error).toMatchObject({ code: "EADDRINUSE", syscall: "listen" });
});

test("a hundred half requests keep nobody from /health, and end in seconds", async () => {
  const base = await open();
  let ended = 0;
  const halves = Array.from({ length: 150 }, () => {
    const half = connect(api!.port, "127.0.0.1", () => half.write("GET /health HTTP/1.1\r\nHost: x\r\n"));
    half.on("error", () => {});
    half.on("close", () => ended++);
    half.resume();
    return half;
  });
  await Promise.all(halves.map((half) => new Promise((resolve) => half.on("connect", resolve))));
  for (let n = 0; n < 30; n++) {
    const answer = await fetch(`${base}/health`, { headers: { connection: "close" } });
    expect(answer.status).toBe(200);
  }
  while (ended < halves.length) await new Promise((resolve) => setTimeout(resolve, 50));
}, 30_000);

test("with api.hosts a request under another name is refused (RFC 9110 §7.4)", async () => {
  await open({}, { hosts: ["localhost", "::1"] });
  const statusOf = async (host: string): Promise<string> => {
    const raw = connect(api!.port, "127.0.0.1");
    raw.write(`GET /health HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    const chunks: Buffer[] = [];
    for await (const chunk of raw) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString().slice(9, 12);
  };
  expect(await statusOf("localhost")).toBe("200");
  expect(await statusOf(`LOCALHOST:${api!.port}`)).toBe("200");
  expect(await statusOf("[::1]:80")).toBe("200");
  expect(await statusOf("evil.example")).toBe("421");
  expect(await statusOf("")).toBe("421");
});
