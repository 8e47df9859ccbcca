import type { GatewayModule } from "./gateway.ts";

/**
 * The form of the contract that this core speaks. It is raised when gateways that were written for the former one have to
 * be changed; what is only added leaves it as it is.
 */
export const CONTRACT = 1;

/** A gateway that comes from outside: the default export of the module that `gateways.<name>.module` names. */
export interface GatewayPlugIn<Config = never> extends Omit<GatewayModule<Config>, "name" | "schema"> {
  /** The form that it was written for. */
  readonly contract: typeof CONTRACT;
  /** JSON Schema (TypeBox makes such) of its own options; what has a default need not be written. Absent: none. */
  readonly schema?: object;
}
