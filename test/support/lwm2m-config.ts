import { readdirSync, readFileSync } from "node:fs";
import { loadText } from "#core/config/load.ts";
import type { Lwm2mConfig } from "#gateways/lwm2m/config.ts";
import { lwm2m } from "#gateways/lwm2m/index.ts";

/** The gateway's options with their defaults, as the configuration file would give them. */
export function lwm2mConfig(settings: object = {}): Lwm2mConfig {
  const text = JSON.stringify(settings);
  const known = configs.get(text) ?? load(settings);
  configs.set(text, known);
  return known;
}

const configs = new Map<string, Lwm2mConfig>();

function load(settings: object): Lwm2mConfig {
  const { config } = loadText([lwm2m], JSON.stringify({ gateways: { lwm2m: settings } }));
  return config.gateways["lwm2m"] as unknown as Lwm2mConfig;
}

const FOLDER = new URL("../../xml/", import.meta.url);
let files: Record<string, Uint8Array> | undefined;

/** The definition files of this repository, as a virtual world reads them; all, or those of these objects. */
export function definitionFiles(...objects: readonly number[]): Record<string, Uint8Array> {
  files ??= Object.fromEntries(
    readdirSync(FOLDER)
      .filter((name) => name.endsWith(".xml"))
      .map((name) => [`xml/${name}`, readFileSync(new URL(name, FOLDER))]),
  );
  if (objects.length === 0) return files;
  const wanted = Object.entries(files).filter(([name]) =>
    objects.includes(Number(/\/(\d+)/.exec(name)?.[1])),
  );
  return Object.fromEntries(wanted);
}
