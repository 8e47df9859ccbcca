import { existsSync, readdirSync } from "node:fs";
import type { GatewayModule } from "#core/gateway/contract.ts";

const FOLDER = new URL("../../../gateways/", import.meta.url);

const isModule = (value: unknown): value is GatewayModule<unknown> =>
  typeof value === "object" && value !== null && "schema" in value && "open" in value && "name" in value;

/** The modules of all gateway folders, in the order of the default configuration: MQTT first, then by name. */
export async function gatewayModules(): Promise<readonly GatewayModule<unknown>[]> {
  const modules: GatewayModule<unknown>[] = [];
  for (const folder of readdirSync(FOLDER).sort()) {
    const index = new URL(`${folder}/index.ts`, FOLDER);
    if (!existsSync(index)) continue;
    const exported = Object.values((await import(/* @vite-ignore */ index.pathname)) as object);
    modules.push(...exported.filter(isModule));
  }
  return modules.sort((a, b) => Number(b.name === "mqtt") - Number(a.name === "mqtt"));
}
