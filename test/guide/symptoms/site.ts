/** The built gateway as a process, with what a user can look at while a device gets no answer: log, metrics, trace. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Ended, StoreProcess, timeout, until } from "../../support/store-process.ts";

const MAIN = fileURLToPath(new URL("../../../dist/src/bin.js", import.meta.url));
const PATIENCE = 60_000;

export interface Line {
  readonly level: string;
  readonly event?: string;
  readonly [field: string]: unknown;
}

/** `isthmus trace`, and what it has printed. */
export interface Trace {
  readonly printed: () => string;
  stop(): Promise<unknown>;
}

const LOOPBACK = { bind: "127.0.0.1", port: 0 };
/** Listeners of the defaults that open without certificate; each gets a free port of its own. */
const LISTENERS: Readonly<Record<string, readonly string[]>> = {
  mqtt: ["tcp", "ws", "tls", "wss"],
  "mqtt-sn": ["udp", "dtls"],
  coap: ["udp", "tcp", "dtls"],
  lwm2m: [],
  stomp: ["tcp", "ws", "tls"],
  tcp: ["tcp"],
};

export type GatewaySettings = { readonly listeners?: Readonly<Record<string, object>> } & object;

export interface SiteSettings {
  readonly gateways?: Readonly<Record<string, GatewaySettings>>;
  readonly [key: string]: unknown;
}

/** Who comes in needs a password, and nobody may touch `secret/#`. */
export const GUARDED = {
  authentication: { anonymous: false, chain: [{ kind: "users-file", file: "users.yaml" }] },
  authorization: { rules: [{ permission: "deny", who: "all", topics: ["secret/#"] }] },
};
const USERS = `users:
  - { username: ana, password: "plain:right" }
  - { username: bob, password: "plain:right" }
`;

function listenersOf(gateway: string, given: GatewaySettings = {}): Record<string, object> {
  const names = [...new Set([...(LISTENERS[gateway] ?? []), ...Object.keys(given.listeners ?? {})])];
  return Object.fromEntries(names.map((name) => [name, { ...LOOPBACK, ...given.listeners?.[name] }]));
}

export class Site {
  readonly folder = mkdtempSync(join(tmpdir(), "isthmus-symptoms-"));
  readonly lines: Line[] = [];
  readonly #child: ChildProcess;
  readonly #process: StoreProcess;
  #banner = "";

  private constructor(settings: SiteSettings) {
    mkdirSync(join(this.folder, "data"));
    const gateways = Object.fromEntries(
      Object.keys(LISTENERS).map((name) => {
        const given = settings.gateways?.[name];
        return [name, { ...given, listeners: listenersOf(name, given) }];
      }),
    );
    const config = {
      store: { engine: "memory" },
      dataFolder: join(this.folder, "data"),
      log: { level: "debug", format: "json" },
      api: { port: 0 },
      ...settings,
      gateways,
    };
    writeFileSync(join(this.folder, "users.yaml"), USERS);
    writeFileSync(join(this.folder, "isthmus.json"), JSON.stringify(config));
    this.#child = spawn(process.execPath, [MAIN, "start", "--config", join(this.folder, "isthmus.json")], {
      cwd: this.folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let rest = "";
    this.#child.stdout?.on("data", (chunk) => {
      const parts = `${rest}${chunk}`.split("\n");
      rest = parts.pop() ?? "";
      this.lines.push(...parts.map((line) => JSON.parse(line) as Line));
    });
    this.#child.stderr?.on("data", (chunk) => {
      this.#banner += chunk;
    });
    this.#process = new StoreProcess(this.#child);
  }

  static async start(settings: SiteSettings = {}): Promise<Site> {
    const site = new Site(settings);
    const ended = site.#process.ended.then(({ errors }) => Promise.reject(new Error(`ended: ${errors}`)));
    await Promise.race([site.#process.open, ended, timeout(PATIENCE, "the gateway does not start")]);
    return site;
  }

  /** What it says of itself when it is up. */
  get banner(): string {
    return this.#banner;
  }

  get pid(): number {
    return this.#process.pid;
  }

  port(gateway: string, transport: string): number {
    const [, port] = new RegExp(`^ +${gateway} +${transport} +127\\.0\\.0\\.1:(\\d+)`, "m").exec(
      this.#banner,
    ) ?? ["", ""];
    if (port === "") throw new Error(`no ${gateway} ${transport} in\n${this.#banner}`);
    return Number(port);
  }

  get api(): string {
    return /http:\/\/127\.0\.0\.1:\d+/.exec(this.#banner)?.[0] ?? "";
  }

  /** Every series of /metrics with its value. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const text = await (await fetch(`${this.api}/metrics`)).text();
    const rows = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      rows.map((row): [string, number] => {
        const space = row.lastIndexOf(" ");
        return [row.slice(0, space), Number(row.slice(space + 1))];
      }),
    );
  }

  /** Follows what happens at a gateway from now on. */
  async trace(gateway: string): Promise<Trace> {
    const data = join(this.folder, "data");
    const child = spawn(
      process.execPath,
      [MAIN, "trace", "--gateway", gateway, "--url", this.api, "--data", data],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    let printed = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => {
        printed += chunk;
      });
    const ended = new Promise((resolve) => child.once("close", resolve));
    await until(() => printed.includes("Ctrl+C"), "isthmus trace says that it follows", PATIENCE);
    return {
      printed: () => printed,
      stop: () => {
        child.kill("SIGINT");
        return ended;
      },
    };
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<Ended> {
    const ended = await this.#process.kill();
    rmSync(this.folder, { recursive: true, force: true });
    return ended;
  }
}
