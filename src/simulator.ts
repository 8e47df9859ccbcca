/**
 * The simulated fleet that the API starts: the command line's own, as a process beside this one, so that neither its work
 * nor a fault of it is the gateway's. It ends when this process does: its standard input is closed then.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { constants, setPriority } from "node:os";
import { join } from "node:path";
import type { SimulatorPort, SimulatorState, SimulatorWish } from "./api/ports.ts";
import type { Composition } from "./compose.ts";
import type { Config } from "./config/schema.ts";
import { INSTALLATION } from "./settings/installation.ts";
import { ID_PREFIX, type Ports, PROTOCOLS, type ProtocolName, type SimulationStatus } from "./sim/options.ts";

const PROGRAM = join(INSTALLATION, "dist/src/bin.js");
const LOOPBACK = "127.0.0.1";
/** Of what the fleet says when it fails. */
const COMPLAINT_MAX = 2_000;
/** Sessions that are ended before others have their turn. */
const ENDED_A_TURN = 20;
/** A fleet that has not said goodbye within it is ended. */
const GOODBYE_MS = 20_000;
const PAGE = { limit: 1_000, looks: 1_000 };

interface Running {
  readonly child: ChildProcess;
  readonly wish: SimulatorWish;
  readonly startedAt: number;
  readonly ended: Promise<void>;
}

export class Simulator implements SimulatorPort {
  readonly #running: Composition;
  #fleet: Running | undefined = undefined;
  #status: SimulationStatus | undefined = undefined;
  #failure: string | undefined = undefined;

  constructor(running: Composition) {
    this.#running = running;
  }

  get state(): SimulatorState {
    const why = this.#notOffered();
    const fleet = this.#fleet;
    return {
      running: fleet !== undefined,
      offered: why === undefined,
      ...(why === undefined ? {} : { why }),
      ...(this.#failure === undefined ? {} : { failure: this.#failure }),
      ...(fleet === undefined
        ? {}
        : {
            ...{ wish: fleet.wish, startedAt: fleet.startedAt },
            until: fleet.startedAt + fleet.wish.duration * 1000,
          }),
      ...(this.#status === undefined ? {} : { status: this.#status }),
    };
  }

  start(wish: SimulatorWish): string | undefined {
    if (this.#fleet !== undefined) return "a simulated fleet runs: stop it first";
    const why = this.#notOffered();
    if (why !== undefined) return why;
    const { host, ports } = this.#listeners();
    if (PROTOCOLS.every((name) => ports[name] === undefined)) return "no listener is open that it could use";
    this.#status = undefined;
    this.#failure = undefined;
    const child = spawn(process.execPath, [PROGRAM, ...argumentsOf(wish, host, ports)], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#fleet = { child, wish, startedAt: Date.now(), ended: this.#follow(child) };
    return undefined;
  }

  async stop(): Promise<boolean> {
    const fleet = this.#fleet;
    if (fleet === undefined) return false;
    fleet.child.stdin?.end();
    const patience = setTimeout(() => fleet.child.kill("SIGKILL"), GOODBYE_MS);
    await fleet.ended;
    clearTimeout(patience);
    return true;
  }

  /** With the process: nobody is waited for. */
  end(): void {
    this.#fleet?.child.kill("SIGKILL");
  }

  #follow(child: ChildProcess): Promise<void> {
    let [rest, complaint] = ["", ""];
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      const last = lines.at(-1);
      if (last !== undefined) this.#status = JSON.parse(last) as SimulationStatus;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (complaint.length < COMPLAINT_MAX) complaint += text;
    });
    child.stdin?.on("error", () => {});
    child.once("spawn", () => {
      // The gateway's own clients come first.
      if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
    });
    return new Promise((resolve) => {
      let over = false;
      const end = async (problem: string | undefined): Promise<void> => {
        if (over) return;
        over = true;
        this.#failure = problem;
        await this.#forget();
        this.#fleet = undefined;
        resolve();
      };
      child.once("error", (error) => void end(error.message));
      child.once(
        "close",
        (code) => void end(code === 0 ? undefined : complaint.trim() || `exit code ${code}`),
      );
    });
  }

  /** Sessions that devices leave behind by their gateway's settings, to come back to: these never do. */
  async #forget(): Promise<void> {
    const { clients } = this.#running.operator;
    let ended = 0;
    for (let after: number | undefined = 0; after !== undefined; ) {
      const { items, next }: ReturnType<typeof clients.page> = clients.page({}, { ...PAGE, after });
      for (const { gateway, clientId } of items) {
        if (!clientId.startsWith(ID_PREFIX)) continue;
        clients.endSession(gateway, clientId);
        if (++ended % ENDED_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      after = next;
    }
  }

  /** Undefined: it may be started. */
  #notOffered(): string | undefined {
    const { simulator } = this.#running.config.api;
    if (simulator === "never") return "api.simulator is never";
    if (simulator === "always") return undefined;
    const { clients } = this.#running.operator;
    for (let after: number | undefined = 0; after !== undefined; ) {
      const { items, next }: ReturnType<typeof clients.page> = clients.page({}, { ...PAGE, after });
      const real = items.find(
        ({ clientId, gateway }) => !clientId.startsWith(ID_PREFIX) && gateway !== "http",
      );
      if (real !== undefined) return `${real.clientId} is there: only with api.simulator: always`;
      after = next;
    }
    return undefined;
  }

  /** Plain ones that can be reached at one address: loopback, where that is listened on. */
  #listeners(): { host: string; ports: Ports } {
    const { lifecycle, config } = this.#running;
    const all = lifecycle.listeners.map(({ gateway, listening }) => ({ gateway, ...pick(listening) }));
    const host = all.some(({ address }) => reaches(address, LOOPBACK))
      ? LOOPBACK
      : (all[0]?.address ?? LOOPBACK);
    const ports: Partial<Record<ProtocolName, number>> = {};
    for (const { gateway, transport, address, port } of all) {
      const plain = gateway === "mqtt" || gateway === "stomp" ? "tcp" : "udp";
      if (transport !== plain || !reaches(address, host)) continue;
      if (PROTOCOLS.includes(gateway as ProtocolName)) ports[gateway as ProtocolName] ??= port;
    }
    if (ports.lwm2m === undefined && ports.coap !== undefined && sharesCoap(config)) ports.lwm2m = ports.coap;
    return { host, ports };
  }
}

const pick = ({ transport, address, port }: { transport: string; address: string; port: number }) => ({
  ...{ transport, address, port },
});

const reaches = (address: string, host: string): boolean =>
  address === host || address === "0.0.0.0" || address === "::";

const sharesCoap = ({ gateways: { lwm2m } }: Config): boolean =>
  lwm2m?.enable === true && lwm2m["shareCoapListeners"] === true;

function argumentsOf(wish: SimulatorWish, host: string, ports: Ports): string[] {
  const { scenario, devices, loss, duration, interval } = wish;
  return [
    ...["sim", scenario, "--json", "--attached", "--devices", `${devices}`, "--loss", `${loss}`],
    ...["--duration", `${duration}s`, "--interval", `${interval}s`, "--host", host],
    ...PROTOCOLS.flatMap((name) => ["--port", `${name}=${ports[name] ?? 0}`]),
  ];
}
