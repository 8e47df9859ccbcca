/** The virtual world as the tests of this repository have it: before the engine of their run, and ended behind each test. */
import type { Endpoint } from "#core/contract/endpoint.ts";
import type { Hook } from "#core/hooks/plugin.ts";
import type { ListenerPolicy } from "#core/policy/policy.ts";
import type { StreamListener } from "#core/testing/streams.ts";
import { type WorldOptions as VirtualOptions, World as VirtualWorld } from "#core/testing/world.ts";
import type { DeviceMemoryOf } from "#core/upstream/engine.ts";
import type { UpstreamOptions } from "#core/upstream/options.ts";
import { endsWithTest } from "./endings.ts";
import { endEngine, engineOfRun } from "./engine-of-run.ts";
import { plugIn } from "./plug-in.ts";
import { Puppets } from "./puppet.ts";
import type { Before } from "./upstream-world.ts";

export { DatagramNetwork, VirtualDevice } from "#core/testing/datagrams.ts";
export { StreamListener, VirtualStream } from "#core/testing/streams.ts";
export { permissive, SESSION } from "#core/testing/world.ts";

export interface WorldOptions extends Omit<VirtualOptions, "engine"> {
  /** Plugged in for all gateways. */
  readonly hooks?: readonly Hook[];
  /** It stands before servers of the test's own, whatever the engine of the run. */
  readonly before?: Before;
  /** Where the engine of the run stands before our broker. */
  readonly upstream?: Partial<UpstreamOptions>;
  /** Where such an engine keeps what gateways remember of devices. */
  readonly devices?: DeviceMemoryOf;
}

export class World extends VirtualWorld {
  constructor(options: WorldOptions = {}) {
    super({
      ...options,
      engine: (embedded, deadlines, world) => engineOfRun(embedded, deadlines, world as World, options),
      endEngine: (world) => endEngine(world as World),
    });
    if (options.hooks !== undefined) this.core.hooks = plugIn(options.hooks, this);
    endsWithTest(this);
  }

  override streams(
    gateway: string,
    endpoint: Endpoint,
    policy: Partial<ListenerPolicy> = {},
  ): StreamListener {
    if (endpoint instanceof Puppets) endpoint.settle = () => this.settle();
    return super.streams(gateway, endpoint, policy);
  }
}
