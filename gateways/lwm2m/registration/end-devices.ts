/**
 * End devices behind an LwM2M gateway (LwM2M Gateway 1.1 §6): they are in no registration, but in the instances of
 * object 25 that the gateway registers, each with the prefix under which its objects are addressed.
 */
import type { Instant } from "#core/lib/time.ts";
import type { Operation } from "../commands/operation.ts";
import type { Settlement } from "../commands/request-queue.ts";
import { answerData } from "../commands/responses.ts";
import type { Json, JsonObject } from "../content/exact-json.ts";
import type { Entry } from "../content/value.ts";
import { Path, parseDevicePath } from "../objects/path.ts";
import { type ObjectList, splitLinks } from "./object-list.ts";

const GATEWAY = 25;
const Resource = { DeviceId: 0, Prefix: 1, Objects: 3 } as const;

const READ_ALL: Operation = { kind: "read", path: Path.of(GATEWAY) as Path, query: [] };

/** Instances of object 25 as the registration lists them; an object without instances counts as itself. */
export const gatewayLinks = (list: ObjectList): readonly string[] =>
  list.objects.filter((path) => path === `/${GATEWAY}` || path.startsWith(`/${GATEWAY}/`));

/** Objects of an end device; links may repeat the prefix, which is then left out. */
function objectsIn(links: Entry["value"]): string[] {
  if (typeof links !== "string") return [];
  return splitLinks(links).flatMap((link) => {
    const target = /<([^>]*)>/.exec(link)?.[1];
    const path = target === undefined ? undefined : parseDevicePath(target);
    return path?.ok === true && path.value.ids.length > 0 ? [path.value.behind("").toString()] : [];
  });
}

/** Asks a gateway what its end devices are; `report` is given what it says. */
export const readEndDevices = (report: (report: JsonObject, now: Instant) => void) => ({
  operation: READ_ALL,
  settled: (settlement: Settlement, now: Instant): void => {
    if (settlement.kind !== "answered") return;
    const { answer } = settlement;
    const data =
      answer.entries === undefined
        ? answerData(READ_ALL, answer, undefined)
        : { devices: endDevicesIn(answer.entries) };
    report({ msgType: "end-devices", data }, now);
  },
});

/** What a read of object 25 says, by instance: `{instance, id, prefix, objectList}`. */
function endDevicesIn(entries: readonly Entry[]): JsonObject[] {
  const byInstance = new Map<number, Map<number, Entry["value"]>>();
  for (const { path, value } of entries) {
    const { instance, resource } = path;
    if (instance === undefined || resource === undefined) continue;
    const resources = byInstance.get(instance) ?? new Map<number, Entry["value"]>();
    resources.set(resource, value);
    byInstance.set(instance, resources);
  }
  const shown = (value: Entry["value"]): Json => (typeof value === "string" ? value : null);
  return [...byInstance].map(([instance, resources]) => ({
    instance,
    id: shown(resources.get(Resource.DeviceId)),
    prefix: shown(resources.get(Resource.Prefix)),
    objectList: objectsIn(resources.get(Resource.Objects)),
  }));
}
