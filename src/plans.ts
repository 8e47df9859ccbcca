/** What the configuration says about gateways and listeners, at this moment and when each was opened. */
import {
  datagramOptions,
  effectiveTls,
  isDatagram,
  isSecure,
  listenerOpens,
  type OpenListener,
  streamOptions,
} from "./config/listeners.ts";
import type { Config, GatewayConfig } from "./config/schema.ts";
import type { GatewayModule } from "./contract/gateway.ts";
import type { Gateways } from "./drive/gateways.ts";
import type { ListenerPlan } from "./drive/lifecycle.ts";
import type { DtlsOptions } from "./net/dtls-options.ts";
import { ListenError } from "./net/transport.ts";
import type { GatewayPlans, PlannedListener } from "./operate/gateways.ts";
import type { Worker } from "./workers/worker.ts";

/** A gateway of any configuration type; its options were validated against its schema. */
// biome-ignore lint/suspicious/noExplicitAny: modules of different configuration types stand in one list
export type AnyGatewayModule = GatewayModule<any> & {
  /** It comes from outside: what was imported. */
  readonly plugIn?: string;
};

export class Plans implements GatewayPlans {
  /** As it was read last. */
  current: Config;
  readonly #modules: readonly AnyGatewayModule[];
  readonly #gateways: Gateways;
  readonly #worker: Worker | undefined;
  /** Of the gateways that run: what they were opened with, their listeners likewise. */
  #opened: Readonly<Record<string, GatewayConfig>>;

  constructor(config: Config, modules: readonly AnyGatewayModule[], gateways: Gateways, worker?: Worker) {
    this.#worker = worker;
    this.current = config;
    this.#modules = modules;
    this.#gateways = gateways;
    this.#opened = config.gateways;
  }

  get names(): readonly string[] {
    return this.#modules.map(({ name }) => name);
  }

  enabled(gateway: string): boolean {
    return this.current.gateways[gateway]?.enable === true;
  }

  open(gateway: string): void {
    const module = this.#module(gateway);
    const config = this.current.gateways[gateway];
    if (module === undefined || config === undefined) throw new TypeError(`there is no gateway ${gateway}`);
    this.#gateways.open(module, config);
    const { listeners = {} } = this.#opened[gateway] ?? {};
    this.#opened = { ...this.#opened, [gateway]: { ...config, listeners } };
  }

  /** Opens all that the configuration wants to run. */
  openAll(): void {
    for (const name of this.names) if (this.enabled(name)) this.open(name);
  }

  listeners(gateway: string): readonly PlannedListener[] {
    const config = this.current;
    const { enable = false, listeners = {} } = config.gateways[gateway] ?? {};
    return Object.entries(listeners).map(([name, listener]) => {
      const { transport, bind, port } = listener;
      const opens = enable && listenerOpens(config, listener);
      return { ...{ name, transport, bind, port, opens }, plan: () => this.plan(gateway, name) };
    });
  }

  /** What a listener's configuration asks the transports for. */
  plan(gateway: string, name: string): ListenerPlan {
    const config = this.current;
    const listener = config.gateways[gateway]?.listeners[name];
    if (listener === undefined) throw new TypeError(`there is no listener ${gateway}.${name}`);
    const tls = isSecure(listener.transport) ? effectiveTls(config, listener) : undefined;
    if (tls !== undefined && !listenerOpens(config, { ...listener, enable: true })) {
      const fix = "set cert and key, pskFile, or keysFromAuthentication";
      throw new ListenError(
        "no-certificate",
        `gateways.${gateway}.listeners.${name} has no certificate: ${fix}`,
      );
    }
    const opened = this.#opened[gateway];
    if (opened !== undefined) {
      const listeners = { ...opened.listeners, [name]: listener };
      this.#opened = { ...this.#opened, [gateway]: { ...opened, listeners } };
    }
    const plan = planOf({ gateway, name, config: listener, tls }, config, this.#module(gateway));
    return this.#worker === undefined ? plan : ofWorker(plan, this.#worker);
  }

  /** The configuration by which things run that take a restart of their gateway or listener to change. */
  inForce(started: Config): Config {
    return { ...started, gateways: this.#opened };
  }

  /** Lets each gateway that runs have its new options; those that take a restart stay as they are. */
  reload(failed: (gateway: string, error: unknown) => void): void {
    for (const [name, { gateway, module }] of this.#gateways) {
      const next = this.current.gateways[name];
      const opened = this.#opened[name];
      if (next === undefined || opened === undefined) continue;
      const config = withFixed(next, opened, module.restart ?? Object.keys(next)) as GatewayConfig;
      try {
        gateway.reload?.(config as never);
        this.#opened = { ...this.#opened, [name]: { ...config, listeners: opened.listeners } };
      } catch (error) {
        failed(name, error);
      }
    }
  }

  restartOf(gateway: string): readonly string[] | undefined {
    return this.#module(gateway)?.restart;
  }

  #module(name: string): AnyGatewayModule | undefined {
    return this.#modules.find((module) => module.name === name);
  }
}

function planOf(listener: OpenListener, config: Config, module: AnyGatewayModule | undefined): ListenerPlan {
  const { gateway, name, tls } = listener;
  if (!isDatagram(listener.config.transport)) {
    const profile = module?.websocket?.(config.gateways[gateway]);
    return { gateway, name, stream: streamOptions(listener, profile) };
  }
  const secure =
    tls === undefined
      ? undefined
      : { name: `${gateway}:${name}`, tls, dtls: config.dtls, protocols: module?.protocolNames ?? [] };
  return { gateway, name, datagram: { ...datagramOptions(listener), secure } };
}

/** A worker's share of a UDP port is the socket that its supervisor has opened for it. */
function ofWorker(plan: ListenerPlan, { number, sockets }: Worker): ListenerPlan {
  const { gateway, name, datagram } = plan;
  if (datagram === undefined) return plan;
  const { bind, port, secure } = datagram;
  const shared = sockets.find(
    (each) => each.name === `${gateway}:${name}` && each.bind === bind && each.port === port,
  );
  if (shared === undefined) {
    const fix = "a UDP port that workers share is opened when the gateway starts: start it again";
    throw new ListenError("listen-failed", `cannot listen on ${bind} ${port}: ${fix}`);
  }
  return {
    ...plan,
    datagram: {
      ...datagram,
      descriptor: shared.descriptor,
      secure: secure && { ...secure, dtls: markedBy(number, secure.dtls) },
    },
  };
}

/** The system reads in connection ids whose they are. */
const markedBy = (number: number, dtls: DtlsOptions): DtlsOptions => ({
  ...dtls,
  connectionId: { ...dtls.connectionId, first: number - 1 },
});

type Section = Readonly<Record<string, unknown>>;
const isSection = (value: unknown): value is Section =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `next`, with what stands at these dotted places as `former` has it. */
function withFixed(next: Section, former: Section, places: readonly string[]): Section {
  let result = next;
  for (const place of places) {
    const dot = place.indexOf(".");
    const key = dot < 0 ? place : place.slice(0, dot);
    const before = former[key];
    const value = result[key];
    const inner = dot < 0 || !isSection(value) || !isSection(before);
    result = { ...result, [key]: inner ? before : withFixed(value, before, [place.slice(dot + 1)]) };
  }
  return result;
}
