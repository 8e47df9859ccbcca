import type { SubscribeOptions } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import type { GatewayHost } from "#core/contract/gateway.ts";
import type { Counter } from "#core/contract/note.ts";
import type { Duration } from "#core/lib/time.ts";
import type { BootstrapProfiles } from "./bootstrap/profile.ts";
import type { Target } from "./commands/requests.ts";
import type { Lwm2mConfig } from "./config.ts";
import type { FirmwarePackages } from "./firmware/packages.ts";
import type { Definitions } from "./objects/model.ts";
import type { Devices } from "./operator/devices.ts";
import type { Events } from "./operator/events.ts";
import { userMayUse } from "./registration/endpoint-name.ts";
import type { ObjectList, ObjectLists } from "./registration/object-list.ts";
import { allowedLifetime, type Registration, type RegistrationRules } from "./registration/registration.ts";
import type { RememberedRegistrations } from "./registration/remembered.ts";

/** What all devices of this gateway share. Definitions, profiles and packages are replaced on reload. */
export interface Shared {
  readonly config: Lwm2mConfig;
  readonly rules: RegistrationRules;
  readonly host: GatewayHost;
  readonly counters: Counters;
  /** How each device's commands are subscribed. */
  readonly commandOptions: SubscribeOptions;
  /** Protocol name in status and logs by version. */
  readonly protocols: ReadonlyMap<string, string>;
  /**
   * QoS 0 commands of devices that registered again from another address: the session keeps only QoS 1 and 2,
   * so they are handed from the old channel to the new one here. Emptied within the same registration.
   */
  readonly inherited: Map<string, readonly HeldCommand[]>;
  /** Registrations from before the last restart whose devices have not been heard since. */
  readonly remembered: RememberedRegistrations;
  readonly lists: ObjectLists;
  /** Those that are registered here and now. */
  readonly devices: Devices;
  /** For operators who look on. */
  readonly events: Events;
  /** What requests must know of devices with the same object list and version; anew after a reload. */
  targets: WeakMap<ObjectList, Map<string, Target>>;
  definitions: Definitions;
  profiles: BootstrapProfiles;
  packages: FirmwarePackages;
}

/** A command that was not answered when its device was lost. */
export interface HeldCommand {
  readonly delivery: Delivery;
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

/** For `ConnectRequest.mayEnter`. What the transport has proven was judged already, by the rule for identities. */
export const mayEnterAs =
  (
    ep: string,
    { transportIdentity, config }: { transportIdentity: string | undefined; config: Lwm2mConfig },
  ) =>
  (proven: string): boolean =>
    transportIdentity !== undefined || userMayUse(proven, ep, config.users);

/** How long a registration stands after Register or Update. */
export const heldFor = (lt: number, config: Lwm2mConfig): Duration =>
  (allowedLifetime(lt, config) + config.lifetimeGrace) as Duration;

/** A registration that outlives a restart needs its session as long as it stands. */
export const sessionExpiryFor = (lt: number, config: Lwm2mConfig): Duration =>
  Math.max(config.sessionExpiry, heldFor(lt, config)) as Duration;

/** The target of a device; one object for all that have the same list and version. */
export function targetOf({ list, version }: Registration, shared: Shared): Target {
  let byVersion = shared.targets.get(list);
  if (byVersion === undefined) {
    byVersion = new Map();
    shared.targets.set(list, byVersion);
  }
  let target = byVersion.get(version);
  if (target === undefined) {
    const types = shared.definitions.typesFor(list.versions, version, shared.config.enforceRanges);
    const root = list.root.split("/").filter((segment) => segment !== "");
    target = { version, formats: list.formats, root, types };
    byVersion.set(version, target);
  }
  return target;
}
