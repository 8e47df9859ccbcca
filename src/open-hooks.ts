/** Imports the hooks that the configuration names. */
import type { HooksConfig } from "./config/hooks-schema.ts";
import type { Hook } from "./hooks/plugin.ts";
import type { Log } from "./observe/log.ts";
import { moduleAddress } from "./settings/installation.ts";
import { ConfigError, problem } from "./settings/problem.ts";

export interface OpenedHook {
  readonly hook: Hook;
  readonly settings: HooksConfig["modules"][number];
}

/** The members that a hook may have. */
const MEMBERS: readonly string[] = [
  "authConnect",
  "authPublish",
  "authSubscribe",
  "connected",
  "published",
  "subscribed",
  "unsubscribed",
  "disconnected",
  "delivered",
  "close",
] satisfies (keyof Hook)[];

/** Throws `ConfigError`, which names the key, where a module cannot be imported or makes no hook. */
export async function openHooks({ modules }: HooksConfig, log: Log): Promise<readonly OpenedHook[]> {
  const opened: OpenedHook[] = [];
  for (const [index, settings] of modules.entries()) {
    const hook = await openHook(settings, log).catch((error: unknown) => {
      const says = `is "${settings.module}", of which no hook was made: ${error instanceof Error ? error.message : String(error)}`;
      throw new ConfigError([
        problem(() => undefined, { path: ["hooks", "modules", index, "module"], says }),
      ]);
    });
    opened.push({ hook, settings });
  }
  return opened;
}

async function openHook({ name, module, options }: OpenedHook["settings"], log: Log): Promise<Hook> {
  const imported = (await import(moduleAddress(module))) as { readonly default?: unknown };
  const open = imported.default;
  if (typeof open !== "function") throw new TypeError("it has no function as its default export");
  const say = (level: "debug" | "info" | "warn" | "error") => (detail: object, message: string) =>
    log[level]("hook-says", { hook: name, ...detail }, message);
  const context = {
    name,
    log: { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") },
  };
  return hookIn(await open(options, context));
}

function hookIn(made: unknown): Hook {
  if (typeof made !== "object" || made === null) throw new TypeError("its function gave no object");
  for (const [member, value] of Object.entries(made)) {
    if (!MEMBERS.includes(member)) continue;
    if (typeof value !== "function") throw new TypeError(`its ${member} is not a function`);
  }
  if (!MEMBERS.some((member) => typeof (made as Record<string, unknown>)[member] === "function")) {
    throw new TypeError(`it implements none of ${MEMBERS.join(", ")}`);
  }
  return made as Hook;
}
