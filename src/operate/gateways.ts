import type { GatewayOperations } from "../contract/operations.ts";
import type { Transport } from "../contract/peer.ts";
import type { Lifecycle, ListenerPlan, OpenedListener } from "../drive/lifecycle.ts";
import type { Duration } from "../lib/time.ts";
import { DONE, type Done, refused } from "./done.ts";

/** What the configuration says at this moment about gateways and their listeners. */
export interface GatewayPlans {
  /** All that there are, in the order in which they are opened. */
  readonly names: readonly string[];
  /** The configuration wants it to run. */
  enabled(gateway: string): boolean;
  /** Opens it with the options that it has now; throws when these cannot be used. */
  open(gateway: string): void;
  /** Its listeners, in their order; empty for a gateway that there is not. */
  listeners(gateway: string): readonly PlannedListener[];
}

export interface PlannedListener {
  readonly name: string;
  readonly transport: Transport;
  readonly bind: string;
  readonly port: number;
  /** The configuration wants it to be open. */
  readonly opens: boolean;
  /** Throws a `ConfigError` when something is missing, such as a certificate. */
  plan(): ListenerPlan;
}

export interface GatewayStatus {
  readonly name: string;
  readonly running: boolean;
  /** The configuration wants it to run. */
  readonly enabled: boolean;
  readonly listeners: readonly ListenerStatus[];
  /** Clients connected through it. */
  readonly connections: number;
  /** Gateways on whose listeners it is served too. */
  readonly servedBy: readonly string[];
}

export interface ListenerStatus {
  readonly gateway: string;
  readonly name: string;
  readonly transport: Transport;
  readonly open: boolean;
  /** The configuration wants it to be open. */
  readonly enabled: boolean;
  /** As bound where it is open, else as configured. */
  readonly address: string;
  readonly port: number;
  /** Open connections, or known devices on UDP. */
  readonly connections: number;
  /** Datagrams that no channel wanted, and those that the socket did not take. */
  readonly dropped: number;
  readonly unsent: number;
}

/** Starts and stops gateways, opens and closes their listeners: one order at a time, in their order. */
export class GatewayControl {
  readonly #lifecycle: Lifecycle;
  readonly #plans: GatewayPlans;
  readonly #patience: Duration;
  #last: Promise<unknown> = Promise.resolve();

  /** `patience`: how long those that say goodbye may take. */
  constructor(lifecycle: Lifecycle, plans: GatewayPlans, patience: Duration) {
    this.#lifecycle = lifecycle;
    this.#plans = plans;
    this.#patience = patience;
  }

  list(): readonly GatewayStatus[] {
    return this.#plans.names.map((name) => this.#status(name));
  }

  get(name: string): GatewayStatus | undefined {
    return this.#plans.names.includes(name) ? this.#status(name) : undefined;
  }

  /** What may be seen and asked of its devices; undefined when it does not run, or offers nothing. */
  operations(name: string): GatewayOperations | undefined {
    return this.#lifecycle.gateways.get(name)?.gateway.operations;
  }

  listeners(): readonly ListenerStatus[] {
    return this.#plans.names.flatMap((gateway) => this.#listeners(gateway));
  }

  /** Opens a gateway and those of its listeners that the configuration wants open. */
  start(name: string): Promise<Done> {
    return this.#inTurn(() => this.#start(name));
  }

  /**
   * Closes its listeners, lets its clients hear goodbye, and ends it; sessions stay by their expiry. A gateway that
   * serves parts of it on its own listeners opens these anew.
   */
  stop(name: string): Promise<Done> {
    return this.#inTurn(() => this.#stop(name));
  }

  /** With the options that the configuration has now, also those that a reload cannot change. `leave`: closed listeners. */
  restart(name: string, leave: readonly string[] = []): Promise<Done> {
    return this.#inTurn(async () => {
      const stopped = await this.#stop(name);
      return stopped.ok ? this.#start(name, leave) : stopped;
    });
  }

  /** Also one that the configuration has no more. */
  isOpen(gateway: string, name: string): boolean {
    return this.#lifecycle.listener(gateway, name) !== undefined;
  }

  /** Opens one listener of a gateway that runs, also one that the configuration leaves closed. */
  openListener(gateway: string, name: string): Promise<Done> {
    return this.#inTurn(async () => {
      const planned = this.#plans.listeners(gateway).find((each) => each.name === name);
      if (planned === undefined) return refused("unknown", `gateway ${gateway} has no listener ${name}`);
      if (!this.#runs(gateway)) return refused("conflict", `gateway ${gateway} does not run: start it first`);
      if (this.#lifecycle.listener(gateway, name) !== undefined)
        return refused("conflict", `listener ${gateway}.${name} is open`);
      return this.#open(planned);
    });
  }

  /** Closes one listener; its clients hear goodbye. */
  closeListener(gateway: string, name: string): Promise<Done> {
    return this.#inTurn(async () => {
      const opened = this.#lifecycle.listener(gateway, name);
      if (opened !== undefined) {
        await this.#lifecycle.close([opened], this.#patience);
        return DONE;
      }
      const known = this.#plans.listeners(gateway).some((each) => each.name === name);
      return known
        ? refused("conflict", `listener ${gateway}.${name} is closed`)
        : refused("unknown", `gateway ${gateway} has no listener ${name}`);
    });
  }

  #inTurn(order: () => Promise<Done>): Promise<Done> {
    const done = this.#last.then(order).catch((error: unknown) => refused("failed", messageOf(error)));
    this.#last = done;
    return done;
  }

  async #start(name: string, leave: readonly string[] = []): Promise<Done> {
    if (!this.#plans.names.includes(name)) return refused("unknown", `there is no gateway ${name}`);
    if (this.#runs(name)) return refused("conflict", `gateway ${name} runs`);
    this.#plans.open(name);
    const opened = await this.#openAll(name, leave);
    // Its parts are served from the next opening of those listeners on.
    await this.#reopen(this.#lifecycle.gateways.hostsOf(name));
    return opened;
  }

  async #stop(name: string): Promise<Done> {
    if (!this.#plans.names.includes(name)) return refused("unknown", `there is no gateway ${name}`);
    if (!this.#runs(name)) return refused("conflict", `gateway ${name} does not run`);
    const hosts = this.#lifecycle.gateways.hostsOf(name);
    const closed = this.#openedOf([name, ...hosts]);
    await this.#lifecycle.close(closed, this.#patience);
    this.#lifecycle.gateways.close(name);
    await this.#openAgain(closed.filter(({ gateway }) => gateway !== name));
    return DONE;
  }

  async #reopen(hosts: readonly string[]): Promise<void> {
    const closed = this.#openedOf(hosts);
    await this.#lifecycle.close(closed, this.#patience);
    await this.#openAgain(closed);
  }

  async #openAgain(closed: readonly OpenedListener[]): Promise<void> {
    for (const { gateway, name } of closed) {
      const planned = this.#plans.listeners(gateway).find((each) => each.name === name);
      if (planned !== undefined) await this.#lifecycle.open(planned.plan());
    }
  }

  /** As many as can be; says what is wrong with the others. */
  async #openAll(name: string, leave: readonly string[]): Promise<Done> {
    const problems: string[] = [];
    for (const planned of this.#plans.listeners(name)) {
      if (!planned.opens || leave.includes(planned.name)) continue;
      const opened = await this.#open(planned);
      if (!opened.ok) problems.push(opened.reason);
    }
    return problems.length === 0 ? DONE : refused("failed", problems.join("; "));
  }

  async #open(planned: PlannedListener): Promise<Done> {
    try {
      await this.#lifecycle.open(planned.plan());
      return DONE;
    } catch (error) {
      return refused("failed", messageOf(error));
    }
  }

  #runs(name: string): boolean {
    return this.#lifecycle.gateways.get(name) !== undefined;
  }

  #openedOf(gateways: readonly string[]): OpenedListener[] {
    return this.#lifecycle.listeners.filter(({ gateway }) => gateways.includes(gateway));
  }

  #status(name: string): GatewayStatus {
    const listeners = this.#listeners(name);
    return {
      name,
      listeners,
      running: this.#runs(name),
      enabled: this.#plans.enabled(name),
      connections: listeners.reduce((sum, { connections }) => sum + connections, 0),
      servedBy: this.#lifecycle.gateways.hostsOf(name),
    };
  }

  #listeners(gateway: string): ListenerStatus[] {
    return this.#plans.listeners(gateway).map((planned) => {
      const { name, transport, bind, port, opens: enabled } = planned;
      const opened = this.#lifecycle.listener(gateway, name);
      return {
        ...{ gateway, name, transport, enabled },
        open: opened !== undefined,
        address: opened?.listening.address ?? bind,
        port: opened?.listening.port ?? port,
        connections: opened?.door.loops.size ?? 0,
        dropped: opened?.datagrams?.dropped ?? 0,
        unsent: opened?.datagrams?.unsent ?? 0,
      };
    });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
