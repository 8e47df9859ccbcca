import { isTree, type Tree } from "../settings/defaults.ts";
import type { ConfigFile, ConfigSources } from "./file.ts";
import { environmentOverrides, flagOverride, plain } from "./overrides.ts";

/** A gateway that comes from outside, as the configuration names it. */
export interface NamedPlugIn {
  /** The key of its section. */
  readonly name: string;
  /** What is imported: `gateways.<name>.module`. */
  readonly module: string;
}

/**
 * Looks for `gateways.<name>.module` before the schema is known, of which the plug-ins' own schemas are a part. What is
 * wrong with the sources is left to `loadConfig` to tell.
 */
export function namedPlugIns(sources: ConfigSources, { yaml }: ConfigFile): NamedPlugIn[] {
  const builtIn = new Set(sources.modules.map(({ name }) => plain(name)));
  const modules = new Map<string, string>();
  const name = (asked: string, module: unknown): void => {
    if (typeof module !== "string" || module === "" || builtIn.has(plain(asked))) return;
    const known = [...modules.keys()].find((one) => plain(one) === plain(asked));
    modules.set(known ?? asked, module);
  };
  const gateways: unknown = yaml.values["gateways"];
  if (isTree(gateways)) {
    for (const [key, section] of Object.entries(gateways)) {
      if (isTree(section)) name(key, (section as Tree)["module"]);
    }
  }
  const overrides = [
    ...environmentOverrides(sources.environment ?? {}),
    ...(sources.set ?? []).map(flagOverride),
  ];
  for (const { steps, value } of overrides) {
    const [section, key, member] = steps;
    if (steps.length !== 3 || plain(section!) !== "gateways" || plain(member!) !== "module") continue;
    name(key!.toLowerCase(), value);
  }
  return [...modules].map(([key, module]) => ({ name: key, module }));
}
