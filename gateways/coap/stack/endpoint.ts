/** One CoAP listener: the sites it serves, and what all its peers share. */
import type { Datagram, Endpoint, GatewayHost } from "#core/gateway/contract.ts";
import type { Instant } from "#core/lib/time.ts";
import type { StackSettings } from "./settings.ts";
import type { Site } from "./site.ts";

/**
 * Puts sites on a listener. `main.ts` composes: the sites of the CoAP gateway and of LwM2M on one listener, or
 * each on its own. Throws when two sites serve the same prefix.
 */
export function createCoapEndpoint(
  _sites: readonly Site[],
  _settings: StackSettings,
  _host: GatewayHost,
): Endpoint {
  return {
    route: (_datagram: Datagram, _known: boolean, _now: Instant) => ({ to: "nobody", why: "to be built" }),
    open: () => {
      throw new Error("to be built");
    },
  };
}
