import type { Endpoint } from "#core/contract/endpoint.ts";
import type { Gateway, GatewayHost, GatewayModule } from "#core/contract/gateway.ts";
import type { GatewayOperations } from "#core/contract/operations.ts";
import { createCoapEndpoint } from "#gateways/coap/stack/endpoint.ts";
import { CoapDissector } from "#gateways/coap/stack/message/dissector.ts";
import { COAP_SITES } from "#gateways/coap/stack/site.ts";
import { NO_PROFILES, parseProfiles } from "./bootstrap/profile.ts";
import { Lwm2mConfig } from "./config.ts";
import { FirmwarePackages } from "./firmware/packages.ts";
import { parseDefinition } from "./objects/definition-xml.ts";
import { Definitions, type ObjectModel } from "./objects/model.ts";
import { Devices } from "./operator/devices.ts";
import { Events } from "./operator/events.ts";
import { DeviceDescription, OfferedOperations } from "./operator/offered.ts";
import { DeviceOperations, type Lwm2mOperations } from "./operator/operations.ts";
import { reportEnd } from "./registration/lifetime-end.ts";
import { movedRegistration } from "./registration/memo.ts";
import { ObjectLists } from "./registration/object-list.ts";
import { promisedUntil } from "./registration/registration.ts";
import { RememberedRegistrations } from "./registration/remembered.ts";
import { heldFor, openCounters, type Shared } from "./shared.ts";
import { Lwm2mSite } from "./site.ts";

/** The gateway, with what an operator may ask of it. */
export interface Lwm2m extends Gateway<Lwm2mConfig> {
  readonly management: Lwm2mOperations;
}

class Lwm2mGateway implements Lwm2m {
  readonly management: DeviceOperations;
  readonly operations: GatewayOperations;
  readonly #shared: Shared;
  readonly #site: Lwm2mSite;
  readonly offers: Readonly<Record<string, readonly unknown[]>>;

  constructor(given: Lwm2mConfig, host: GatewayHost) {
    // All devices look at it, so that what a reload puts in is in force at once.
    const config = { ...given };
    const definitions = readDefinitions(host, config.definitions);
    const lists = new ObjectLists(config.objectLists);
    this.#shared = {
      config,
      rules: config,
      host,
      counters: openCounters(host),
      // Retained commands are for whoever was there; a device that registers daily must not repeat them.
      commandOptions: { qos: config.commandQos, retainHandling: 2 },
      protocols: new Map(config.versions.map((version) => [version, `LwM2M ${version}`])),
      inherited: new Map(),
      devices: new Devices(),
      events: new Events(),
      remembered: new RememberedRegistrations(
        host.remembered(),
        lists,
        (lt) => heldFor(lt, config),
        host.alarms,
        (registration) => reportEnd(registration, this.#shared),
      ),
      lists,
      targets: new WeakMap(),
      definitions,
      profiles: readProfiles(host, config.bootstrap.profiles, definitions),
      packages: new FirmwarePackages(host, config.firmware.folder, config.firmware.maxSize),
    };
    for (const { clientId, renewedAt, registration } of this.#shared.remembered.all())
      host.promised(clientId, promisedUntil(renewedAt, registration.lt, config));
    this.#site = new Lwm2mSite(this.#shared);
    this.#shared.remembered.watchAfter(() => config.lifetimeGrace);
    this.management = new DeviceOperations(this.#shared);
    this.operations = new OfferedOperations(this.management);
    this.offers = config.shareCoapListeners ? { [COAP_SITES]: [this.#site] } : {};
  }

  endpoint(): Endpoint {
    return createCoapEndpoint([this.#site], this.#shared.config.stack, this.#shared.host);
  }

  /** Definitions, profiles and packages, too; devices use the new definitions from their next registration on. */
  reload(next: Lwm2mConfig): void {
    const { config, host } = this.#shared;
    Object.assign(config, next);
    this.#shared.definitions = readDefinitions(host, config.definitions);
    // Whoever has changed a file is told now what is wrong with it.
    this.#shared.definitions.load();
    this.#shared.targets = new WeakMap();
    this.#shared.profiles = readProfiles(host, config.bootstrap.profiles, this.#shared.definitions);
    this.#shared.packages = new FirmwarePackages(host, config.firmware.folder, config.firmware.maxSize);
  }

  /** Who is registered stays so in its session's memo, for whoever opens the gateway next. */
  stop(): void {
    this.#shared.remembered.close();
    this.management.close();
  }
}

/** All `*.xml` of the folder; a file that cannot be read is noted and left out, never a reason to stand still. */
function readDefinitions(host: GatewayHost, folder: string): Definitions {
  const names = listed(host, folder).filter((name) => name.toLowerCase().endsWith(".xml"));
  return new Definitions(() => names.flatMap((name) => readDefinition(host, folder, name)));
}

function readDefinition(host: GatewayHost, folder: string, name: string): readonly ObjectModel[] {
  const unreadable = (detail: object) =>
    host.note({ level: "warn", event: "definition-unreadable", detail: { name, ...detail } });
  let models: ReturnType<typeof parseDefinition>;
  try {
    models = parseDefinition(host.readFile(`${folder}/${name}`));
  } catch (error) {
    // It was there when the folder was looked at.
    unreadable({ problem: error instanceof Error ? error.message : String(error) });
    return [];
  }
  if (models.ok) return models.value;
  unreadable(models.error);
  return [];
}

/** A folder that is not there is an operator's to know of; devices work without definitions. */
function listed(host: GatewayHost, folder: string): readonly string[] {
  if (folder === "") return [];
  try {
    return host.listFiles(folder);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    host.note({ level: "warn", event: "definitions-missing", detail: { folder, problem } });
    return [];
  }
}

function readProfiles(host: GatewayHost, file: string, definitions: Definitions): Shared["profiles"] {
  if (file === "") return NO_PROFILES;
  const profiles = parseProfiles(host.readFile(file), definitions.typesFor(new Map()));
  if (profiles.ok) return profiles.value;
  throw new FileError(`${file}: ${profiles.error}`);
}

/** What an operator reads; its code is that of the error table. */
class FileError extends Error {
  readonly code = "bad-configuration";
}

export const lwm2m: GatewayModule<Lwm2mConfig> = {
  name: "lwm2m",
  schema: Lwm2mConfig,
  transports: ["udp", "dtls", "tcp", "tls", "ws", "wss"],
  describes: DeviceDescription,
  // What listeners are made from, and what registrations have taken over already.
  restart: ["stack", "shareCoapListeners", "versions", "objectLists", "commandQos", "topics"],
  moved: movedRegistration,
  dissector: (of) => new CoapDissector(of),
  open: (config, host): Lwm2m => new Lwm2mGateway(config, host),
};
