/** What an operator sees of a device: its registration, and its objects with the names of their definitions. */
import type { Peer } from "#core/contract/peer.ts";
import type { Instant } from "#core/lib/time.ts";
import type { Device } from "../device.ts";
import { type Definitions, impliedVersion, type ObjectModel, type ResourceModel } from "../objects/model.ts";
import { parsePath } from "../objects/path.ts";
import type { ObjectList } from "../registration/object-list.ts";
import type { Registration } from "../registration/registration.ts";
import type { Remembered } from "../registration/remembered.ts";

export interface DeviceStatus {
  readonly endpoint: string;
  readonly clientId: string;
  readonly registrationId: string;
  /** `away`: registered, and not heard since a restart or the loss of its connection. */
  readonly state: "awake" | "sleeping" | "away";
  /** Since this process knows of it; undefined while it is away. */
  readonly registeredAt: Instant | undefined;
  readonly lastUpdate: Instant;
  readonly expiresAt: Instant;
  readonly peer: Pick<Peer, "transport" | "address" | "port" | "identity">;
  readonly lifetime: number;
  readonly version: string;
  readonly binding: string;
  readonly queueMode: boolean;
  readonly rootPath: string;
  readonly formats: readonly number[];
  readonly objects: readonly string[];
  /** Query fields of the registration that the specification does not know. */
  readonly attributes: Readonly<Record<string, string>>;
  /** Requests that wait for their turn or for the device to wake. */
  readonly waiting: number;
  readonly observed: readonly string[];
}

const said = ({ ep, lt, version, b, queueMode, list, custom }: Registration) => ({
  endpoint: ep,
  lifetime: lt,
  version,
  binding: b,
  queueMode,
  rootPath: list.root,
  formats: list.formats,
  objects: list.objects,
  attributes: custom,
});

export function statusOf(device: Device, now: Instant): DeviceStatus {
  const { registeredAt, renewedAt, until, waiting, observed } = device.standing;
  const { transport, address, port, identity } = device.peer.host.peer;
  return {
    ...said(device.registration),
    clientId: device.client.id,
    registrationId: device.location,
    state: device.awake(now) ? "awake" : "sleeping",
    registeredAt,
    lastUpdate: renewedAt,
    expiresAt: until,
    peer: { transport, address, port, identity },
    waiting,
    observed,
  };
}

export const statusOfAway = (remembered: Remembered, waiting: number): DeviceStatus => ({
  ...said(remembered.registration),
  clientId: remembered.clientId,
  registrationId: remembered.location,
  state: "away",
  registeredAt: undefined,
  lastUpdate: remembered.renewedAt,
  expiresAt: remembered.until,
  peer: remembered.peer,
  waiting,
  observed: [],
});

export interface ObjectStatus {
  readonly id: number;
  readonly version: string;
  readonly instances: readonly number[];
  /** Of the definition; undefined where none is known. */
  readonly definition: Omit<ObjectModel, "resources"> | undefined;
  readonly resources: readonly ResourceModel[];
}

/** The objects that a device has registered, in order of their ids. */
export function objectsOf(list: ObjectList, lwm2m: string, definitions: Definitions): ObjectStatus[] {
  const instances = new Map<number, number[]>();
  for (const link of list.objects) {
    const path = parsePath(link);
    if (!path.ok || path.value.object === undefined) continue;
    const known = instances.get(path.value.object) ?? [];
    if (path.value.instance !== undefined) known.push(path.value.instance);
    instances.set(path.value.object, known);
  }
  return [...instances]
    .sort(([a], [b]) => a - b)
    .map(([id, of]) => {
      const version = list.versions.get(id) ?? impliedVersion(id, lwm2m);
      const model = definitions.object(id, version);
      const { resources = new Map<number, ResourceModel>(), ...definition } = model ?? {};
      return {
        id,
        version,
        instances: of,
        definition: model === undefined ? undefined : (definition as Omit<ObjectModel, "resources">),
        resources: [...resources.values()],
      };
    });
}
