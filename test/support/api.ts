/** The HTTP API of a whole gateway in this process, and who asks it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { administer } from "#core/administration.ts";
import { Access } from "#core/api/access/access.ts";
import { AccountsFile } from "#core/api/access/accounts.ts";
import { AuditLog } from "#core/api/access/audit-log.ts";
import { Credentials } from "#core/api/access/credentials.ts";
import type { Role } from "#core/api/access/principal.ts";
import { SignIns } from "#core/api/access/sign-ins.ts";
import type { ApiPorts } from "#core/api/ports.ts";
import type { ExampleRequest, Route } from "#core/api/route.ts";
import { type ApiOptions, openApi } from "#core/api/server.ts";
import { type LaidOver, loadText } from "#core/config/load.ts";
import { OverlayFile } from "#core/config/overlay-file.ts";
import { Configuration, type Loaded } from "#core/configuration.ts";
import { overlayPath } from "#core/data-files.ts";
import { MODULES } from "#core/modules.ts";
import { systemClock } from "#core/net/clock.ts";
import { exposeGauges } from "#core/observation.ts";
import { openLog } from "#core/observe/log.ts";
import { startGateway, type TestGateway, type TestSettings } from "./gateway.ts";

export const API_DEFAULTS: ApiOptions = {
  bind: "127.0.0.1",
  port: 0,
  hosts: [],
  basePath: "/",
  trustedProxies: [],
  connections: 200,
  streams: 100,
  bodyMax: 65_536,
  metricsLogin: false,
  manuals: true,
  tls: undefined,
  dashboard: false,
};

/** Nobody has an account in it. */
export function newAccess(folder: string, date: () => number = Date.now): Access {
  return new Access({
    credentials: new Credentials(new AccountsFile(join(folder, "accounts.json"))),
    signIns: new SignIns({ length: 3_600_000, idle: 60_000 }),
    audit: new AuditLog(undefined, () => {}),
    clock: systemClock,
    date,
    localKey: undefined,
  });
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by tests
  readonly body: any;
}

export interface AskOptions {
  /** `id.secret`. */
  readonly key?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function askAt(
  base: string,
  method: string,
  path: string,
  options: AskOptions = {},
): Promise<Reply> {
  const { key, body, headers = {} } = options;
  const answer = await fetch(base + path, {
    method,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined
      ? {}
      : { body: typeof body === "string" || body instanceof Buffer ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  const isJson = /json/.test(answer.headers.get("content-type") ?? "");
  return { status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(text) : text };
}

/** The address of an example: below `/api/v1`, parameters filled in. */
export function addressOf({ path }: Pick<Route, "path">, example: ExampleRequest): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(example.path?.[name] ?? "x"),
  );
  const query = new URLSearchParams(
    Object.entries(example.query ?? {}).map(([name, value]): [string, string] => [name, String(value)]),
  ).toString();
  return `/api/v1${filled}${query === "" ? "" : `?${query}`}`;
}

/** As it would be read from a file with this text, and files that it names are not opened. */
export function configurationOf({ composition, text }: TestGateway): Configuration {
  const file = new OverlayFile(overlayPath(composition.config));
  const read = (laid: LaidOver = file.read()): Loaded => ({
    ...loadText(MODULES, text, "isthmus.yaml", laid),
    modules: MODULES,
    laid,
  });
  const parts = { load: async (laid?: LaidOver) => read(laid), file, check: async () => {} };
  const configuration = new Configuration(read(), parts);
  configuration.attach(composition);
  return configuration;
}

export interface TestApi {
  readonly base: string;
  readonly gateway: TestGateway;
  readonly ports: ApiPorts;
  /** A key of each role. */
  readonly keys: Readonly<Record<Role, string>>;
  /** With the key of an administrator, unless another is given. */
  ask(method: string, path: string, options?: AskOptions): Promise<Reply>;
  stop(): Promise<void>;
}

export const ROLE_NAMES = ["publisher", "viewer", "operator", "administrator"] as const;

/** A gateway with its API on a free port; everybody has an account unless `accounts: false`. */
export async function startApi(
  settings: Partial<TestSettings> = {},
  options: Partial<ApiOptions> & { readonly accounts?: boolean } = {},
): Promise<TestApi> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-api-"));
  const { accounts = true, ...own } = options;
  const gateway = await startGateway({ gateways: { mqtt: {} }, dataFolder: folder, ...settings });
  const log = openLog({
    level: "silent",
    format: "json",
    output: new Writable({ write: (_c, _e, done) => done() }),
  });
  exposeGauges(gateway.composition, "1.2.3");
  const administration = administer(gateway.composition, log, "1.2.3", () => true, configurationOf(gateway));
  const { config } = gateway.composition;
  const api = await openApi({ ...API_DEFAULTS, bodyMax: config.api.bodyMax, ...own }, administration.ports);
  const base = `http://127.0.0.1:${api.port}`;
  administration.announce(base);
  const keys = {} as Record<Role, string>;
  const { credentials } = administration.ports.access;
  for (const role of accounts ? ROLE_NAMES : []) {
    const { key, secret } = await credentials.addKey({ name: role, role }, Date.now());
    keys[role] = `${key.id}.${secret}`;
  }
  return {
    base,
    gateway,
    ports: administration.ports,
    keys,
    ask: (method, path, options = {}) => askAt(base, method, path, { key: keys.administrator, ...options }),
    async stop() {
      await api.close();
      administration.stop();
      await gateway.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
