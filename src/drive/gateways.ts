import type { Dissected, Dissector } from "../contract/dissection.ts";
import type { Gateway, GatewayHost, GatewayModule, Shelf } from "../contract/gateway.ts";
import type { Core } from "../door/core.ts";

/** What gateways get that is not the core's own. */
export interface GatewaySurroundings {
  counters(gateway: string): GatewayHost["counter"];
  readFile(path: string): Uint8Array;
  listFiles(folder: string): readonly string[];
  shelf(gateway: string): Shelf;
}

/** A gateway that runs, and the module that it was opened from. */
export interface RunningGateway {
  readonly gateway: Gateway;
  // biome-ignore lint/suspicious/noExplicitAny: modules of different configuration types stand in one list
  readonly module: GatewayModule<any>;
  /** What it was opened with. */
  readonly config: unknown;
}

/** The gateways that run: opened in an order in which one that offers parts comes before those that serve them. */
export class Gateways implements Iterable<[string, RunningGateway]> {
  readonly #core: Core;
  readonly #surroundings: GatewaySurroundings;
  readonly #running = new Map<string, RunningGateway>();
  /** Who asked for parts of a name, and who offers them. */
  readonly #asked = new Map<string, Set<string>>();
  readonly #offered = new Map<string, { readonly by: string; readonly parts: readonly unknown[] }>();

  constructor(core: Core, surroundings: GatewaySurroundings) {
    this.#core = core;
    this.#surroundings = surroundings;
  }

  /** `config` was validated against the module's schema. */
  open<Config>(module: GatewayModule<Config>, config: Config): Gateway<Config> {
    const { name } = module;
    const gateway = module.open(config, this.#host(name));
    for (const [part, parts] of Object.entries(gateway.offers ?? {}))
      this.#offered.set(part, { by: name, parts });
    this.#running.set(name, { gateway, module, config });
    return gateway;
  }

  /** Its listeners are closed. */
  close(name: string): void {
    const running = this.#running.get(name);
    this.#running.delete(name);
    for (const [part, { by }] of this.#offered) if (by === name) this.#offered.delete(part);
    for (const asking of this.#asked.values()) asking.delete(name);
    running?.gateway.stop?.();
  }

  get(name: string): RunningGateway | undefined {
    return this.#running.get(name);
  }

  /** For a trace; undefined when it does not run any more. */
  dissector(name: string, of: Dissected): Dissector | undefined {
    const running = this.#running.get(name);
    return running?.module.dissector?.(of, running.config);
  }

  [Symbol.iterator](): IterableIterator<[string, RunningGateway]> {
    return this.#running.entries();
  }

  /** Gateways on whose listeners parts of this one are served, or would be. */
  hostsOf(name: string, gateway = this.#running.get(name)?.gateway): readonly string[] {
    const hosts = Object.keys(gateway?.offers ?? {}).flatMap((part) => [...(this.#asked.get(part) ?? [])]);
    return [...new Set(hosts)].filter((host) => this.#running.has(host));
  }

  #host(name: string): GatewayHost {
    const core = this.#core;
    const { readFile, listFiles, counters } = this.#surroundings;
    return {
      counter: counters(name),
      random: core.random,
      note: (note) => core.note(name, note),
      healthy: () => core.healthy(),
      readFile,
      listFiles,
      offered: (part) => {
        const asking = this.#asked.get(part) ?? new Set();
        this.#asked.set(part, asking.add(name));
        return this.#offered.get(part)?.parts ?? [];
      },
      channelOf: (clientId) => core.directory.find(name, clientId)?.client?.loop.channel,
      remembered: () => core.engine.memos(name),
      promised: (clientId, until) => core.directory.promised(name, clientId, until),
      recall: (alias, found) => core.engine.recall?.(name, alias, (one) => found(one, core.now)) === true,
      shelf: this.#surroundings.shelf(name),
      clearRetained: (topic) => core.engine.clearRetained(topic),
      alarms: core.alarms,
      lastWord: (clientId, word, memo, said) => core.engine.lastWord(name, clientId, word, memo, said),
    };
  }
}
