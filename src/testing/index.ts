/**
 * The world in virtual time, for tests of gateways that come from outside: `import { World } from "isthmus-iot/testing"`. See
 * docs/plug-ins.md.
 */
import { loadText } from "../config/load.ts";
import type { Gateway } from "../contract/gateway.ts";
import type { GatewayPlugIn } from "../contract/plug-in.ts";
import { guardedModule } from "../plug-ins/guarded-module.ts";
import type { World } from "./world.ts";

export { DatagramNetwork, VirtualDevice } from "./datagrams.ts";
export { StreamListener, VirtualStream } from "./streams.ts";
export { World, type WorldOptions } from "./world.ts";

/** Nothing is measured where time is not real. */
const NO_STOPWATCH = { enter: () => {}, leave: () => 0 };

/**
 * Opens a plug-in in a world as the gateway `name`, with settings as the configuration file has them; defaults are filled
 * in. Throws `ConfigError` where they do not fit its schema.
 */
export function openPlugIn(
  world: World,
  name: string,
  plugIn: GatewayPlugIn<never>,
  settings: Readonly<Record<string, unknown>> = {},
): Gateway<never> {
  const module = { ...guardedModule(name, plugIn, NO_STOPWATCH), plugIn: "this test" };
  const text = JSON.stringify({ gateways: { [name]: { module: module.plugIn, ...settings } } });
  const { config } = loadText([module], text);
  return world.open(module, config.gateways[name] as never) as Gateway<never>;
}
