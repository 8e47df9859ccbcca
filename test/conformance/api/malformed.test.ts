/** Requests that are no requests, or not whole: each is answered as everything else is (RFC 9457), and harms nobody. */
import { connect, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { problemOf } from "#core/api/unreadable.ts";
import { startApi, type TestApi } from "../../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.stop());

interface RawAnswer {
  readonly status: number;
  readonly head: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by tests
  readonly body: any;
}

/** As it stands, byte for byte; until the node has ended the connection. */
async function send(bytes: string | Buffer): Promise<RawAnswer> {
  const socket: Socket = connect(Number(new URL(api.base).port), "127.0.0.1");
  socket.on("error", () => {});
  socket.write(bytes);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) {
    chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Number.POSITIVE_INFINITY);
    if (text.length - text.indexOf("\r\n\r\n") - 4 >= length) break;
  }
  socket.destroy();
  const [head = "", body = ""] = Buffer.concat(chunks).toString().split("\r\n\r\n");
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]),
    head: head.toLowerCase(),
    body: body === "" ? undefined : JSON.parse(body),
  };
}

const GET = "GET /health HTTP/1.1\r\nHost: here\r\n";

test.each([
  ["words", "nonsense\r\n\r\n"],
  ["the greeting of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["the greeting of TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
  ["an MQTT CONNECT", "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a\r\n\r\n"],
  ["a version that there is not", "GET /health HTTP/9.9\r\nHost: here\r\n\r\n"],
  ["a name of a header with a space in it", `${GET}Bad Header: x\r\n\r\n`],
  ["a control character in a header", `${GET}X: a\x00b\r\n\r\n`],
  ["lines that end with a line feed alone within a header", `${GET}X: a\nY: b\r\n\r\n`],
  ["two lengths", `${GET}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`],
  ["a length that is no number", `${GET}Content-Length: x\r\n\r\n`],
  [
    "a length and pieces (RFC 9112 §6.1)",
    `${GET}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ["pieces packed last", `${GET}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`],
])("%s: malformed-http, with what is wrong, and the connection ends", async (_name, bytes) => {
  const { status, head, body } = await send(Buffer.from(bytes, "latin1"));
  expect([status, body.code, body.status]).toEqual([400, "malformed-http", 400]);
  expect(body.detail).toMatch(/^what came cannot be read as HTTP\/1\.1: ./);
  for (const line of ["content-type: application/problem+json", "connection: close", "isthmus-time: "])
    expect(head).toContain(line);
  expect((await api.ask("GET", "/api/v1/node")).status).toBe(200);
});

test("an address or headers over 16 KB are 431, a part of an address that no id can be as well", async () => {
  for (const bytes of [
    `GET /${"x".repeat(20_000)} HTTP/1.1\r\nHost: here\r\n\r\n`,
    `${GET}X: ${"x".repeat(20_000)}\r\n\r\n`,
    `GET /api/v1/clients/${"x".repeat(13_000)} HTTP/1.1\r\nHost: here\r\n\r\n`,
  ]) {
    const { status, head, body } = await send(bytes);
    expect([status, body.code]).toEqual([431, "header-too-large"]);
    expect(head).toContain("content-type: application/problem+json");
    expect(body.detail).toMatch(/long/);
  }
});

test("a broken escape in an address is told with the headers that all answers have", async () => {
  const { status, head, body } = await send("GET /api/v1/clients/%FF HTTP/1.1\r\nHost: here\r\n\r\n");
  expect([status, body.code]).toEqual([400, "malformed-address"]);
  for (const line of ["cache-control: no-store", "x-content-type-options: nosniff", "isthmus-time: "])
    expect(head).toContain(line);
});

test("a request without Host is refused with a reason (RFC 9112 §3.2), one of HTTP/1.0 is not", async () => {
  const { status, body } = await send("GET /health HTTP/1.1\r\n\r\n");
  expect([status, body.code, body.detail]).toEqual([
    ...[400, "invalid-request"],
    "the request has no Host header",
  ]);
  expect((await send("GET /health HTTP/1.0\r\n\r\n")).status).toBe(200);
});

test("an expectation that nobody knows is 417 (RFC 9110 §10.1.1)", async () => {
  const { status, body } = await send(`${GET}Expect: the-unexpected\r\n\r\n`);
  expect([status, body.code]).toEqual([417, "unknown-expectation"]);
  expect(body.detail).toContain("the-unexpected");
});

test.each(["gzip", "br", "deflate, gzip"])(
  "a body in the coding %s is 415, names what is read instead (RFC 9110 §15.5.16)",
  async (coding) => {
    const body = gzipSync('{"topic":"a"}');
    const reply = await api.ask("POST", "/api/v1/publish", {
      body,
      headers: { "content-encoding": coding, "content-type": "application/json" },
    });
    expect([reply.status, reply.body.code]).toEqual([415, "unsupported-media-type"]);
    expect(reply.headers.get("accept-encoding")).toBe("identity");
    expect(reply.body.errors).toEqual([
      {
        ...{ in: "header", field: "content-encoding", value: coding },
        ...{ detail: "is not read here", fix: "send the body as it is, without Content-Encoding" },
      },
    ]);
    const plain = { "content-encoding": "identity", "content-type": "application/json" };
    const read = await api.ask("POST", "/api/v1/publish", { body: '{"topic":"a"}', headers: plain });
    expect(read.status).toBe(200);
  },
);

test.each([
  ["{", "application/json", 400, "malformed-json"],
  ['{"topic":"a",}', "application/json", 400, "malformed-json"],
  ['{"topic":"\\ud800"}', "application/json", 400, "malformed-json"],
  ['{"topic":"a"}', "application/", 415, "unsupported-media-type"],
  ['{"topic":"a"}', "text/html", 415, "unsupported-media-type"],
  ['{"topic":"a"}', "nonsense", 415, "unsupported-media-type"],
])("the body %s as %s is %i %s", async (text, type, status, code) => {
  const headers = { "content-type": type };
  const reply = await api.ask("POST", "/api/v1/publish", { body: text, headers });
  expect([reply.status, reply.body.code]).toEqual([status, code]);
  expect(reply.headers.get("content-type")).toBe("application/problem+json");
  expect(reply.body.detail).not.toBe("");
});

test("half a request that never becomes a whole one is 408", () => {
  const late = Object.assign(new Error("Request timeout"), { code: "ERR_HTTP_REQUEST_TIMEOUT" });
  expect(problemOf(late)).toMatchObject({ status: 408, code: "too-slow" });
});
