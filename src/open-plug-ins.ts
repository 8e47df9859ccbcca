/** Imports the gateways that the configuration brings along. */
import { register } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { NamedPlugIn } from "./config/plug-ins.ts";
import type { GatewayModule } from "./contract/gateway.ts";
import type { Note } from "./contract/note.ts";
import { CONTRACT, type GatewayPlugIn } from "./contract/plug-in.ts";
import { stackOf } from "./lib/thrown.ts";
import { PlugInWatch } from "./observe/plug-in-watch.ts";
import type { AnyGatewayModule } from "./plans.ts";
import { guardedModule } from "./plug-ins/guarded-module.ts";
import { plugInFailure } from "./plug-ins/supervision.ts";
import { INSTALLATION, moduleAddress } from "./settings/installation.ts";
import { ConfigError, problem } from "./settings/problem.ts";

const NAME = /^[a-z][a-z0-9-]*$/;
/** What metrics, logs and shelves call something else. */
const TAKEN: readonly string[] = ["all", "api", "core", "hooks", "http", "rules", "system"];
const TRANSPORTS: readonly string[] = ["tcp", "tls", "ws", "wss", "udp", "dtls"];

/** One for all plug-ins of this process, which runs one at a time. */
export const plugInWatch = new PlugInWatch();

/** Throws `ConfigError`, which names the key, where a module cannot be imported or is no gateway of this contract. */
export async function openPlugIns(named: readonly NamedPlugIn[]): Promise<readonly AnyGatewayModule[]> {
  giveOwnContract();
  const modules: AnyGatewayModule[] = [];
  for (const { name, module } of named) modules.push(await openPlugIn(name, module));
  return modules;
}

/** `isthmus-iot/gateway` is this process's own wherever a module lies and whatever is installed there: its values are shared. */
function giveOwnContract(): void {
  const own = pathToFileURL(join(INSTALLATION, "dist/src/contract/index.js")).href;
  const hook = `export const resolve = (name, context, next) =>
    name === "isthmus-iot/gateway" ? { url: ${JSON.stringify(own)}, shortCircuit: true } : next(name, context);`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
}

async function openPlugIn(name: string, module: string): Promise<AnyGatewayModule> {
  try {
    if (!NAME.test(name) || TAKEN.includes(name)) {
      const free = `${TAKEN.join(", ")} are taken`;
      throw new TypeError(`a gateway's name is of a-z, 0-9 and -, and begins with a letter; ${free}`);
    }
    const { default: plugIn } = (await import(moduleAddress(module))) as { readonly default?: unknown };
    const guarded: GatewayModule<never> = guardedModule(name, checked(plugIn), plugInWatch);
    return { ...guarded, plugIn: module } as AnyGatewayModule;
  } catch (error) {
    const says = `is "${module}", of which no gateway was made: ${error instanceof Error ? error.message : String(error)}`;
    throw new ConfigError([problem(() => undefined, { path: ["gateways", name, "module"], says })]);
  }
}

function checked(plugIn: unknown): GatewayPlugIn<never> {
  if (typeof plugIn !== "object" || plugIn === null)
    throw new TypeError("it has no object as its default export");
  const { contract, schema, transports, open } = plugIn as Partial<Record<keyof GatewayPlugIn, unknown>>;
  if (contract !== CONTRACT) {
    const written =
      contract === undefined
        ? "does not say for which contract it was written"
        : `was written for contract ${String(contract)}`;
    throw new TypeError(
      `it ${written}, and this Isthmus has contract ${CONTRACT}: contract: ${CONTRACT} says that it fits`,
    );
  }
  if (typeof open !== "function") throw new TypeError("it has no function open");
  if (
    schema !== undefined &&
    (typeof schema !== "object" || schema === null || (schema as { type?: unknown }).type !== "object")
  ) {
    throw new TypeError('its schema is no JSON Schema with type: "object"');
  }
  const unknown = Array.isArray(transports)
    ? transports.find((one) => !TRANSPORTS.includes(one as string))
    : undefined;
  if (unknown !== undefined || (transports !== undefined && !Array.isArray(transports))) {
    throw new TypeError(
      `its transports are ${JSON.stringify(transports)}: a list of ${TRANSPORTS.join(", ")}`,
    );
  }
  return plugIn as GatewayPlugIn<never>;
}

/** What is thrown by a plug-in's own timers and promises, where no input of its is to blame, costs nobody else anything. */
export function watchOver(
  modules: readonly AnyGatewayModule[],
  told: (gateway: string, note: Note) => void,
): void {
  const addresses = modules.flatMap(({ name, plugIn }) =>
    plugIn === undefined ? [] : [[name, moduleAddress(plugIn)] as const],
  );
  if (addresses.length === 0) return;
  process.on("uncaughtException", (error) => {
    const thrower = firstOwnFrame(error instanceof Error ? error.stack : undefined);
    const gateway = addresses.find(([, address]) => thrower?.includes(address) === true)?.[0];
    if (gateway !== undefined) {
      told(gateway, plugInFailure("its own", error));
      return;
    }
    process.stderr.write(`${stackOf(error)}\n`);
    process.exit(1);
  });
}

/** Of a stack: the first line that is not of Node itself. */
const firstOwnFrame = (stack = ""): string | undefined =>
  stack.split("\n").find((line) => /^\s+at /.test(line) && !/\(?node:/.test(line));
