/** Secrets of connectors of every kind, in place or by reference: no answer of the API, no metric and no line of the log has them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { ROUTES } from "#core/api/routes.ts";
import { KINDS } from "#core/connect/kinds.ts";
import { addressOf, startApi, type TestApi } from "../../support/api.ts";
import { SOON } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";

/** Keys of each kind that are secret; nobody listens where they lead. */
const SECRETS: Readonly<Record<string, (secret: string) => object>> = {
  http: (secret) => ({ url: "http://127.0.0.1:1", headers: { token: secret }, signature: { secret } }),
  postgres: (password) => ({ port: 1, password }),
  mysql: (password) => ({ port: 1, password }),
  mqtt: (password) => ({ url: "tcp://127.0.0.1:1", username: "u", password }),
  redis: (password) => ({ port: 1, password }),
  kafka: (password) => ({ brokers: ["127.0.0.1:1"], sasl: { mechanism: "plain", username: "u", password } }),
  rabbitmq: (password) => ({ port: 1, password }),
  nats: (secret) => ({ servers: ["127.0.0.1:1"], username: "u", password: secret, token: secret }),
  influxdb: (secret) => ({
    url: "http://127.0.0.1:1",
    version: "2",
    org: "o",
    password: secret,
    token: secret,
  }),
  opentsdb: (secret) => ({ url: "http://127.0.0.1:1", headers: { authorization: secret } }),
  mongodb: (password) => ({ url: "mongodb://127.0.0.1:1", username: "u", password }),
  cassandra: (password) => ({ nodes: ["127.0.0.1:1"], username: "u", password }),
  dynamodb: (secretAccessKey) => ({ url: "http://127.0.0.1:1", accessKeyId: "a", secretAccessKey }),
  pulsar: (token) => ({ url: "ws://127.0.0.1:1", token }),
};
const WORD = "swordfish";
const folder = mkdtempSync(join(tmpdir(), "isthmus-secrets-"));

let api: TestApi;
beforeAll(async () => {
  vi.stubEnv("ISTHMUS_TEST_SECRET", `${WORD}-of-the-environment`);
  writeFileSync(join(folder, "secret"), `${WORD}-of-a-file\n`);
  const references = [`${WORD}-in-place`, `file:${join(folder, "secret")}`, "env:ISTHMUS_TEST_SECRET"];
  const connectors = Object.entries(SECRETS).flatMap(([kind, settings]) =>
    references.map((secret, way) => [
      `${kind}-${way}`,
      { kind, ...settings(secret), ...SOON, timeout: "2s" },
    ]),
  );
  api = await startApi({ dataFolder: folder, connectors: Object.fromEntries(connectors) });
});
afterAll(async () => {
  await api.stop();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

it("names every kind that has a secret", () => {
  const secret = KINDS.filter(({ schema }) => JSON.stringify(schema).includes('"x-secret":true'));
  expect(Object.keys(SECRETS).sort()).toEqual(secret.map(({ kind }) => kind).sort());
});

it("none is shown by anything that can be read, while their sinks are away", async () => {
  const sinks = [...api.gateway.composition.rules.connectors.all];
  await until(() => sinks.every(({ state }) => state === "disconnected"), "all are away");
  const seen: string[] = [];
  const read = async (path: string): Promise<void> => {
    const { status, body } = await api.ask("GET", path);
    expect([path, status]).toEqual([path, 200]);
    seen.push(typeof body === "string" ? body : JSON.stringify(body));
  };
  const lists = ROUTES.filter(
    ({ method, path, answerType }) => method === "GET" && !path.includes("{") && answerType === undefined,
  ).filter(({ example }) => example?.query === undefined);
  for (const route of lists) {
    const { status, body } = await api.ask("GET", addressOf(route, route.example ?? {}));
    expect([route.path, status < 500]).toEqual([route.path, true]);
    seen.push(JSON.stringify(body));
  }
  for (const { name } of sinks) await read(`/api/v1/connectors/${name}`);
  // Made and changed here, so that they are in the audit log and beside the file.
  for (const kind of ["http", "kafka", "nats"]) {
    const path = `/api/v1/connectors/made-${kind}`;
    const settings = { kind, ...SECRETS[kind]!(`file:${join(folder, "secret")}`), ...SOON };
    expect((await api.ask("PUT", path, { body: settings })).status).toBe(200);
    const { body } = await api.ask("GET", path);
    const changed = await api.ask("PUT", path, { body: { ...body.definition, timeout: "3s" } });
    expect(changed.status).toBe(200);
    const tried = await api.ask("POST", `${path}/test`);
    seen.push(...[body, changed.body, tried.body].map((each) => JSON.stringify(each)));
  }
  seen.push(JSON.stringify([...api.ports.access.audit.recent()]));
  seen.push(await api.gateway.composition.metrics.text(), api.gateway.log.join("\n"));
  const all = seen.join("\n");
  expect(all).toContain("postgres-0");
  expect(all).toContain("(hidden)");
  expect(all).toContain("ECONNREFUSED");
  expect(all.match(new RegExp(`.{0,200}${WORD}-.{0,40}`))?.[0]).toBeUndefined();
  const beside = readFileSync(join(folder, "api", "configuration.json"), "utf8");
  expect(beside).not.toContain(`${WORD}-of-`);
});
