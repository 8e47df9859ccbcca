import type { Clients } from "./clients.ts";
import type { GatewayControl } from "./gateways.ts";

/** What whoever operates the gateway may see and do while it runs. */
export interface Operator {
  readonly clients: Clients;
  readonly gateways: GatewayControl;
}
