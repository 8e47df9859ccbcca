/** The built gateway as a process of its own, on a data folder that outlives it: to be killed at any moment. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freeTcpPort, freeUdpPort } from "./free-ports.ts";

const MAIN = fileURLToPath(new URL("../../dist/src/bin.js", import.meta.url));
/** An event that comes, however slow the machine is. */
const START_TIMEOUT = 240_000;

export interface Ports {
  readonly mqtt: number;
  readonly stomp: number;
  readonly coap: number;
  readonly mqttSn: number;
  readonly api: number;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly errors: string;
}

/** A data folder, a configuration, and ports that stay the same from one process to the next. */
export class StoreSite {
  readonly folder = mkdtempSync(join(tmpdir(), "isthmus-store-"));
  readonly data: string;
  readonly ports: Ports;
  readonly #config: string;
  readonly #settings: { readonly gateways: object };
  /** What the next processes are started with, before the program: limits and such. */
  #wrapper: readonly string[] = [];
  readonly #children = new Set<ChildProcess>();

  private constructor(ports: Ports, store: Readonly<Record<string, unknown>>, data: string | undefined) {
    this.ports = ports;
    this.data = data ?? join(this.folder, "data");
    this.#config = join(this.folder, "isthmus.json");
    const tcp = (port: number) => ({ transport: "tcp", bind: "127.0.0.1", port });
    const udp = (port: number) => ({ transport: "udp", bind: "127.0.0.1", port });
    const off = { enable: false };
    const config = {
      store,
      dataFolder: this.data,
      log: { level: "warn", format: "json" },
      api: { port: ports.api },
      gateways: {
        mqtt: { listeners: { tcp: tcp(ports.mqtt), ws: off, tls: off, wss: off } },
        stomp: { listeners: { tcp: tcp(ports.stomp), ws: off, tls: off } },
        coap: { listeners: { udp: udp(ports.coap), tcp: off } },
        "mqtt-sn": { listeners: { udp: udp(ports.mqttSn) } },
        lwm2m: off,
      },
    };
    this.#settings = config;
    this.configure({});
  }

  /** Further settings, as in the configuration file, and those of single gateways. */
  configure(settings: Readonly<Record<string, unknown>>, gateways: object = {}): void {
    const all = { ...this.#settings.gateways, ...gateways };
    writeFileSync(this.#config, JSON.stringify({ ...this.#settings, ...settings, gateways: all }));
  }

  /** No file of the next processes may grow above this many bytes, until `raiseFileSize`. */
  limitFileSize(bytes: number): void {
    // POSIX counts blocks of 512 bytes; the soft limit alone, so that it can be raised again.
    this.#wrapper = ["sh", "-c", `ulimit -S -f ${bytes >> 9}; exec "$0" "$@"`];
  }

  raiseFileSize(pid: number): void {
    execFileSync("prlimit", [`--pid=${pid}`, "--fsize=unlimited"]);
  }

  /** The rights of files are for the next processes what they are for anybody: they bind root, too. */
  withoutPrivileges(): void {
    if (process.getuid?.() !== 0) return;
    const dropped = "-dac_override,-dac_read_search,-fowner";
    this.#wrapper = ["setpriv", `--bounding-set=${dropped}`, `--inh-caps=${dropped}`, "--"];
  }

  /** The next processes take this for the date when they begin, as if it were set later; undefined: what it is. */
  beginAt(date: number | undefined): void {
    const code = `Object.defineProperty(performance, "timeOrigin", { value: ${date} })`;
    const option = `NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(code)}`;
    this.#wrapper = date === undefined ? [] : ["env", option];
  }

  static async create(store: Readonly<Record<string, unknown>> = {}, data?: string): Promise<StoreSite> {
    if (!existsSync(MAIN)) throw new Error("the gateway is not built: npm run build");
    const [mqtt, stomp, api] = [await freeTcpPort(), await freeTcpPort(), await freeTcpPort()];
    const [coap, mqttSn] = [await freeUdpPort(), await freeUdpPort()];
    return new StoreSite({ mqtt, stomp, api, coap, mqttSn }, store, data);
  }

  /** Starts, and resolves once listeners are open; throws what was written to stderr when it ends before. */
  async start(): Promise<StoreProcess> {
    const process = this.spawn();
    const ended = process.ended.then(({ code, errors }) => {
      throw new Error(`ended with ${code}: ${errors}`);
    });
    await Promise.race([process.open, ended, timeout(START_TIMEOUT, "the gateway does not start")]);
    return process;
  }

  spawn(): StoreProcess {
    const process = this.#run(["start", "--config", this.#config]);
    return new StoreProcess(process);
  }

  /** Runs `isthmus store ...` on the data folder. */
  async store(...args: string[]): Promise<Ended & { readonly output: string }> {
    const child = this.#run(["store", ...args, "--config", this.#config]);
    let output = "";
    child.stdout?.on("data", (chunk) => {
      output += chunk;
    });
    const ended = await new StoreProcess(child).ended;
    return { ...ended, output };
  }

  close(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }

  #run(args: readonly string[]): ChildProcess {
    const [program = process.execPath, ...before] = [...this.#wrapper, process.execPath];
    const child = spawn(program, [...before, MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }
}

export class StoreProcess {
  readonly ended: Promise<Ended>;
  /** Resolves when listeners are open. */
  readonly open: Promise<void>;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    let errors = "";
    let opened = (): void => {};
    this.open = new Promise((resolve) => {
      opened = resolve;
    });
    child.stderr?.on("data", (chunk) => {
      errors += chunk;
      if (errors.includes("Stop with Ctrl+C")) opened();
    });
    // Logs are read, so that the process never waits for its pipe.
    child.stdout?.resume();
    this.ended = new Promise((resolve) => {
      child.once("close", (code, signal) => resolve({ code, signal, errors }));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  kill(signal: NodeJS.Signals = "SIGKILL"): Promise<Ended> {
    this.#child.kill(signal);
    return this.ended;
  }
}

export const timeout = (length: number, problem: string): Promise<never> =>
  new Promise((_, reject) => {
    setTimeout(() => reject(new Error(problem)), length).unref();
  });

export async function until(
  ready: () => boolean | Promise<boolean>,
  problem: string,
  length = 30_000,
): Promise<void> {
  for (const deadline = Date.now() + length; !(await ready()); ) {
    if (Date.now() > deadline) throw new Error(problem);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
