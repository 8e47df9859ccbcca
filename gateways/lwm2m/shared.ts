import type { Counter, GatewayHost } from "#core/gateway/contract.ts";
import type { BootstrapProfiles } from "./bootstrap/profile.ts";
import type { Lwm2mConfig } from "./config.ts";
import type { HeldCommand } from "./device.ts";
import type { Packages } from "./firmware/packages.ts";
import type { Definitions } from "./objects/model.ts";
import type { RegistrationRules } from "./registration.ts";

/** What all devices of this gateway share. Definitions, profiles and packages are replaced on reload. */
export interface Shared {
  readonly config: Lwm2mConfig;
  readonly rules: RegistrationRules;
  readonly host: GatewayHost;
  readonly counters: Counters;
  /**
   * QoS 0 commands of devices that registered again from another address: the session keeps only QoS 1 and 2,
   * so they are handed from the old channel to the new one here. Emptied within the same registration.
   */
  readonly inherited: Map<string, readonly HeldCommand[]>;
  definitions: Definitions;
  profiles: BootstrapProfiles;
  packages: Packages;
}

export interface Counters {
  readonly registrations: Counter;
  readonly updates: Counter;
  readonly expirations: Counter;
  readonly commands: Counter;
  readonly badCommands: Counter;
  readonly notifications: Counter;
  readonly sends: Counter;
  readonly bootstraps: Counter;
}

export function openCounters(host: GatewayHost): Counters {
  return {
    registrations: host.counter("registrations", "Registrations accepted"),
    updates: host.counter("updates", "Registration updates accepted"),
    expirations: host.counter("expirations", "Registrations whose lifetime ended"),
    commands: host.counter("commands", "Commands taken from MQTT"),
    badCommands: host.counter("bad_commands", "Commands answered 4.00 without asking the device"),
    notifications: host.counter("notifications", "Notifications published"),
    sends: host.counter("sends", "Send operations published"),
    bootstraps: host.counter("bootstraps", "Bootstrap sequences finished"),
  };
}
