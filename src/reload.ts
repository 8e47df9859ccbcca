/** A configuration that is read again while running: what may change takes effect, the rest is named. */

import type { ReloadOutcome } from "./api/ports.ts";
import { type ConfigChange, diffConfig } from "./config/diff.ts";
import {
  type AuthenticationObserver,
  type PreparedPolicy,
  policySettings,
} from "./config/policy-settings.ts";
import type { Config } from "./config/schema.ts";
import type { Core } from "./door/core.ts";
import type { Log } from "./observe/log.ts";
import type { Plans } from "./plans.ts";
import type { ConfiguredPolicy } from "./policy/configured-policy.ts";
import { ConfigError } from "./settings/problem.ts";

/** The running parts that a reload reaches. */
export interface Reloadable {
  readonly log: Log;
  readonly policy: ConfiguredPolicy;
  readonly plans: Plans;
  readonly core: Pick<Core, "note">;
  readonly rules?: { reload(config: Config): void };
  readonly measures?: { reload(config: Config): void };
  readonly upstream?: { prepare(config: Config): () => void } | undefined;
  readonly pipelines?: { prepare(config: Config): () => void };
  /** Judges what was allowed before by the rules now in force. */
  judge(): void;
  readonly observer?: AuthenticationObserver;
}

const keysOf = (changes: readonly ConfigChange[]): string[] => changes.map(({ key }) => key);

export class Reload {
  readonly #parts: Reloadable;
  /** As the process started: what takes a restart is still like that. */
  readonly #started: Config;
  #current: Config;
  #prepared: PreparedPolicy;
  #unwatch: (() => void)[] = [];

  constructor(parts: Reloadable, config: Config, prepared: PreparedPolicy) {
    this.#parts = parts;
    this.#started = config;
    this.#current = config;
    this.#prepared = prepared;
    this.#watch(prepared.usersFiles);
  }

  /** Keeps what is in force when the new configuration, or a file that it names, cannot be used. */
  run(load: () => Config): ReloadOutcome {
    const { log, policy, plans, core, rules, upstream, pipelines, measures, observer } = this.#parts;
    try {
      const next = load();
      const takeServers = upstream?.prepare(next);
      const takePipelines = pipelines?.prepare(next);
      const prepared = policySettings(next, observer);
      policy.update(prepared.settings);
      this.#prepared.close();
      this.#prepared = prepared;
      log.setLevel(next.log.level);
      this.#watch(prepared.usersFiles);
      plans.current = next;
      plans.reload((gateway, error) => {
        core.note(gateway, { level: "warn", event: "reload-failed", detail: { error: String(error) } });
      });
      rules?.reload(next);
      measures?.reload(next);
      // Behind them: connectors that are new are there now.
      takePipelines?.();
      takeServers?.();
      const changed = this.#report(next);
      this.#current = next;
      this.#parts.judge();
      return { changed, restart: this.pending };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      log.warn("configuration-reload-failed", { problem: error.message });
      return { problem: error.message };
    }
  }

  /** What was changed, and takes a restart. */
  get pending(): readonly string[] {
    return keysOf(this.#untaken(this.#current));
  }

  #untaken(next: Config): readonly ConfigChange[] {
    const { plans } = this.#parts;
    const changes = diffConfig(plans.inForce(this.#started), next, (gateway) => plans.restartOf(gateway));
    return changes.filter(({ live }) => !live);
  }

  get loginLists(): PreparedPolicy["loginLists"] {
    return this.#prepared.loginLists;
  }

  stop(): void {
    this.#unwatchAll();
    this.#prepared.close();
  }

  #unwatchAll(): void {
    for (const unwatch of this.#unwatch) unwatch();
    this.#unwatch = [];
  }

  /** Keys only: a value may be a secret. */
  #report(next: Config): readonly string[] {
    const { log, plans } = this.#parts;
    const changes = diffConfig(this.#current, next, (gateway) => plans.restartOf(gateway));
    const changed = keysOf(changes.filter(({ live }) => live));
    log.info("configuration-reloaded", { changed });
    return changed;
  }

  /** When what could be done without a restart of the process has been done. */
  tellPending(): readonly string[] {
    const restart = this.pending;
    if (restart.length > 0) this.#parts.log.warn("restart-needed", { restart });
    return restart;
  }

  #watch(usersFiles: PreparedPolicy["usersFiles"]): void {
    this.#unwatchAll();
    const { log } = this.#parts;
    this.#unwatch = usersFiles.map((file) =>
      file.watch((error) => {
        if (error === undefined) {
          log.info("users-file-reloaded", { file: file.path, entries: file.size });
          this.#parts.judge();
        } else log.warn("users-file-reload-failed", { problem: error.message });
      }),
    );
  }
}
