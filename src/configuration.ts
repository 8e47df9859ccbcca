/** The configuration of a process that runs: read, read again, and changed by operators. */
import type {
  ConfigOutcome,
  ConfigPort,
  ConfigSection,
  ConfigWish,
  OverlayRow,
  ReloadOutcome,
} from "./api/ports.ts";
import { type Effect, type EffectiveChange, effectsOf, shownAt } from "./config/effects.ts";
import { listenerOpens } from "./config/listeners.ts";
import type { LaidOver, LoadedConfig } from "./config/load.ts";
import {
  keyOf,
  mergePatch,
  OVERLAY_ORIGIN,
  Overlay,
  placeProblem,
  secretProblems,
  withReferences,
} from "./config/overlay.ts";
import type { OverlayFile } from "./config/overlay-file.ts";
import { buildSchema, type Config } from "./config/schema.ts";
import { type ShownSetting, shownConfig } from "./config/shown-config.ts";
import type { GatewayControl } from "./operate/gateways.ts";
import type { AnyGatewayModule } from "./plans.ts";
import type { Tree } from "./settings/defaults.ts";
import type { JsonSchema } from "./settings/json-schema.ts";
import { ConfigError, type ConfigProblem, problem } from "./settings/problem.ts";

/** A configuration, and the gateways that there are with it. */
export interface Loaded extends LoadedConfig {
  readonly modules: readonly AnyGatewayModule[];
  readonly laid: LaidOver;
}

export interface ConfigurationParts {
  /** Reads everything anew; `overlay`: with this instead of what lies in its file. Throws `ConfigError`. */
  load(overlay?: LaidOver): Promise<Loaded>;
  readonly file: OverlayFile;
  /** Opens every file that it names. Throws `ConfigError`. */
  check(loaded: Loaded): Promise<void>;
  /** An operator has changed it over the API, or had it read again there. */
  changed?(): void;
}

/** What runs by it. */
export interface Configured {
  reload(load: () => Config): ReloadOutcome;
  pending(): readonly string[];
  /** Those once more, after what could be done without has been done: the log says so. */
  tellPending(): readonly string[];
  readonly operator: { readonly gateways: GatewayControl };
  readonly rules: { tryConnectors(config: Config): ConfigProblem[] };
  readonly pipelines: { try(config: Config): readonly ConfigProblem[] };
}

export class Configuration implements ConfigPort {
  loaded: Loaded;
  readonly #parts: ConfigurationParts;
  #running: Configured | undefined;
  /** One after the other, so that the last one wins. */
  #last: Promise<unknown> = Promise.resolve();
  readonly #life = crypto.randomUUID().slice(0, 8);
  #changes = 0;

  constructor(loaded: Loaded, parts: ConfigurationParts) {
    this.loaded = loaded;
    this.#parts = parts;
  }

  /** From now on there is something to change. */
  attach(running: Configured): void {
    this.#running = running;
  }

  get version(): string {
    return `"${this.#life}-${this.#changes}"`;
  }

  get #schema(): JsonSchema {
    return buildSchema(this.loaded.modules);
  }

  readonly #restartOf = (gateway: string): readonly string[] | undefined =>
    this.loaded.modules.find((module) => module.name === gateway)?.restart;

  settings(): readonly ShownSetting[] {
    const { config, originOf } = this.loaded;
    const pending = new Set(this.#running?.pending() ?? []);
    return [...shownConfig(this.#schema, config, { originOf, restartOf: this.#restartOf, pending })];
  }

  section(path: readonly string[]): ConfigSection | undefined {
    const { config, originOf, laid, standsBeneath } = this.loaded;
    const definition = shownAt(this.#schema, config, path);
    if (definition === undefined) return undefined;
    const made = laid.overlay.touches(path) && !standsBeneath(path);
    return {
      definition,
      origin: made ? OVERLAY_ORIGIN : (standsBeneath(path) ?? originOf(path) ?? "default"),
    };
  }

  async overlay(): Promise<readonly OverlayRow[]> {
    const { laid, config } = this.loaded;
    const { values } = laid.overlay;
    const beneath = values.length === 0 ? undefined : await this.#beneath();
    const pending = this.#running?.pending() ?? [];
    return values.map((each) => {
      const below = beneath === undefined ? undefined : shownAt(this.#schema, beneath, each.path);
      return {
        key: keyOf(each),
        value: shownAt(this.#schema, config, each.path),
        ...(below === undefined ? {} : { beneath: below }),
        pending: pending.some((key) => isKeyWithin(key, keyOf(each))),
      };
    });
  }

  /** Without anything that operators have changed; undefined where that does not stand by itself. */
  async #beneath(): Promise<Config | undefined> {
    try {
      return (await this.#parts.load({ file: this.#parts.file.path, overlay: Overlay.NONE })).config;
    } catch (error) {
      if (error instanceof ConfigError) return undefined;
      throw error;
    }
  }

  async reload(): Promise<ReloadOutcome> {
    const outcome = await this.readAgain();
    if (!("problem" in outcome)) this.#parts.changed?.();
    return outcome;
  }

  /** What cannot be done leaves everything as it was, but for the file, which is its writer's. */
  readAgain(): Promise<ReloadOutcome> {
    return this.#inTurn(async () => {
      const before = this.loaded;
      const next = await this.#parts.load().then(
        (loaded) => () => loaded,
        (error: unknown) => (): Loaded => {
          throw error;
        },
      );
      const found = this.#reload(() => next().config);
      if ("problem" in found) return found;
      this.#take(next());
      const changes = effectsOf(this.#schema, before.config, this.loaded.config, this.#restartOf);
      const failure = await this.#carryOut(before, changes);
      if (failure === undefined) return { changed: found.changed, restart: this.#running!.tellPending() };
      return this.#reload(() => {
        throw new ConfigError([{ key: "", path: [], message: failure }]);
      });
    });
  }

  #reload(load: () => Config): ReloadOutcome {
    const running = this.#running;
    if (running === undefined) throw new TypeError("nothing runs yet by this configuration");
    return running.reload(load);
  }

  #take(loaded: Loaded): void {
    this.loaded = loaded;
    this.#changes++;
  }

  #inTurn<Found>(run: () => Promise<Found>): Promise<Found> {
    const found = this.#last.then(run);
    this.#last = found.catch(() => {});
    return found;
  }

  change(wish: ConfigWish): Promise<ConfigOutcome> {
    return this.#inTurn(() => this.#change(wish));
  }

  async #change(wish: ConfigWish): Promise<ConfigOutcome> {
    const { match, dryRun = false } = wish;
    if (match !== undefined && match !== "*" && match !== this.version) return { stale: this.version };
    const before = this.loaded;
    // Somebody may have written in the file by hand.
    const { overlay } = this.#parts.file.read();
    const wished = overlayOf(wish, overlay, this.#schema, before.config);
    if (wished === undefined) return { unknown: true };
    try {
      const next = await this.#tried(overlay, wished);
      const changes = effectsOf(this.#schema, before.config, next.config, this.#restartOf);
      const warnings = next.warnings.filter((each) => !before.warnings.includes(each));
      if (!dryRun) await this.#apply(overlay, wished, next, changes);
      return { changes, warnings, version: this.version };
    } catch (error) {
      if (error instanceof ConfigError) return { problems: error.problems };
      if (error instanceof CannotNow) return { failure: error.message };
      throw error;
    }
  }

  /** As a start would take it. Throws `ConfigError`. */
  async #tried(overlay: Overlay, wished: Overlay): Promise<Loaded> {
    const added = wished.values.filter((each) => !overlay.values.includes(each));
    failOn(
      added.flatMap(({ path }) => {
        const says = placeProblem(path);
        return says === undefined ? [] : [problem(() => undefined, { path, says })];
      }),
    );
    const next = await this.#parts.load({ file: this.#parts.file.path, overlay: wished });
    const schema = buildSchema(next.modules);
    failOn(added.flatMap((each) => secretProblems(schema, next.config as unknown as Tree, each)));
    failOn(
      added.flatMap(({ path }) => {
        const origin = next.originOf(path);
        if (origin === OVERLAY_ORIGIN) return [];
        const says = `is set by ${origin}, which wins over what is changed here`;
        return [problem(() => undefined, { path, says, allowed: "a change there" })];
      }),
    );
    await this.#parts.check(next);
    failOn(this.#running?.rules.tryConnectors(next.config) ?? []);
    failOn(this.#running?.pipelines.try(next.config) ?? []);
    return next;
  }

  /** What cannot be applied leaves everything as it was. */
  async #apply(
    overlay: Overlay,
    wished: Overlay,
    next: Loaded,
    changes: readonly EffectiveChange[],
  ): Promise<void> {
    const before = this.loaded;
    const { file } = this.#parts;
    write(file, wished);
    const outcome = this.#reload(() => next.config);
    if ("problem" in outcome) {
      write(file, overlay);
      throw new CannotNow(outcome.problem);
    }
    this.#take(next);
    const failure = await this.#carryOut(before, changes);
    if (failure !== undefined) {
      write(file, overlay);
      throw new CannotNow(`${failure}; nothing is changed`);
    }
    this.#running!.tellPending();
    this.#parts.changed?.();
  }

  /**
   * Opens anew what has to be for these changes: listeners, and whole gateways. Says what cannot be done, and then all is as
   * it was before.
   */
  async #carryOut(before: Loaded, changes: readonly EffectiveChange[]): Promise<string | undefined> {
    const named = namedBy(changes, "gateway");
    const gateways = named.flatMap((each) => this.#gateway(each, before.config));
    const listeners = namedBy(changes, "listener")
      .filter((each) => !named.includes(each.split(".")[0]!))
      .map((each) => this.#listener(each, before.config));
    const openAnew = async () => (await this.#restart(gateways)) ?? (await this.#reopen(listeners));
    const failure = await openAnew();
    if (failure === undefined) return undefined;
    this.#reload(() => before.config);
    this.#take(before);
    await openAnew();
    return failure;
  }

  /** None where it comes with the next start of the process. */
  #gateway(gateway: string, former: Config): ChangedGateway[] {
    const status = this.#running!.operator.gateways.get(gateway);
    if (status === undefined) return [];
    const { running, listeners } = status;
    const closed = listeners.filter(({ name, open }) => running && !open && opens(former, gateway, name));
    const runs = running || former.gateways[gateway]?.enable !== true;
    return [{ gateway, runs, closed: closed.map(({ name }) => name) }];
  }

  /** What somebody has closed stays closed. */
  #listener(which: string, former: Config): ChangedListener {
    const [gateway = "", name = ""] = which.split(".");
    const open = this.#running!.operator.gateways.isOpen(gateway, name);
    return { gateway, name, opens: open || !opens(former, gateway, name) };
  }

  async #restart(changed: readonly ChangedGateway[]): Promise<string | undefined> {
    const { gateways } = this.#running!.operator;
    let failure: string | undefined;
    for (const { gateway, runs, closed } of changed) {
      const { running, enabled } = gateways.get(gateway)!;
      const wanted = enabled && runs;
      if (!running && !wanted) continue;
      const done = await (!running
        ? gateways.start(gateway)
        : wanted
          ? gateways.restart(gateway, closed)
          : gateways.stop(gateway));
      if (!done.ok) failure ??= `gateway ${gateway} cannot be started so: ${done.reason}`;
    }
    return failure;
  }

  async #reopen(listeners: readonly ChangedListener[]): Promise<string | undefined> {
    const { gateways } = this.#running!.operator;
    let failure: string | undefined;
    for (const { gateway, name, opens: wanted } of listeners) {
      if (gateways.get(gateway)?.running !== true) continue;
      if (gateways.isOpen(gateway, name)) await gateways.closeListener(gateway, name);
      if (!wanted || !opens(this.loaded.config, gateway, name)) continue;
      const done = await gateways.openListener(gateway, name);
      if (!done.ok) failure ??= `listener ${gateway}.${name} cannot be opened so: ${done.reason}`;
    }
    return failure;
  }
}

const namedBy = (changes: readonly EffectiveChange[], effect: Effect): readonly string[] => [
  ...new Set(changes.flatMap((change) => (change.effect === effect ? [change.of!] : []))),
];

interface ChangedGateway {
  readonly gateway: string;
  /** Where the configuration wants it to: false for one that somebody has stopped. */
  readonly runs: boolean;
  /** Listeners that somebody has closed. */
  readonly closed: readonly string[];
}

interface ChangedListener {
  readonly gateway: string;
  readonly name: string;
  /** Where the configuration wants it to be open. */
  readonly opens: boolean;
}

/** It is right, and cannot be done now. */
class CannotNow extends Error {}

function write(file: OverlayFile, overlay: Overlay): void {
  try {
    file.write(overlay);
  } catch (error) {
    throw new CannotNow(`${file.path} cannot be written: ${(error as Error).message}`);
  }
}

function opens(config: Config, gateway: string, name: string): boolean {
  const { enable = false, listeners = {} } = config.gateways[gateway] ?? {};
  const listener = listeners[name];
  return enable && listener !== undefined && listenerOpens(config, listener);
}

/** Undefined where something is to be taken back that nobody has changed. */
function overlayOf(
  wish: ConfigWish,
  overlay: Overlay,
  schema: JsonSchema,
  config: Config,
): Overlay | undefined {
  if ("patch" in wish) return mergePatch(overlay, schema, config as unknown as Tree, wish.patch);
  if ("set" in wish) return overlay.with(wish.set, withReferences(schema, overlay, wish.set, wish.value));
  return overlay.touches(wish.unset) ? overlay.without(wish.unset) : undefined;
}

const isKeyWithin = (key: string, around: string): boolean =>
  key === around || key.startsWith(`${around}.`) || key.startsWith(`${around}[`);

function failOn(problems: readonly ConfigProblem[]): void {
  if (problems.length > 0) throw new ConfigError(problems);
}
