import type { Entry } from "../content/value.ts";
import type { Path } from "../objects/path.ts";

/** Uri-Query parts that a command asks to be sent along, as they stand (`pmin=10`). */
export type Query = readonly string[];

/** What a server asks of a device (LwM2M 1.1 §6.3 and §6.4), free of CoAP. */
export type Operation =
  | {
      readonly kind: "read";
      readonly path: Path;
      readonly query: Query;
      readonly accept?: number | undefined;
    }
  | { readonly kind: "discover"; readonly path: Path; readonly query: Query }
  | {
      readonly kind: "write";
      /** `replace` is PUT, `update` POST (LwM2M 1.1 §6.3.3). */
      readonly mode: "replace" | "update";
      readonly path: Path;
      readonly query: Query;
      readonly entries: readonly Entry[];
      readonly format?: number | undefined;
    }
  | { readonly kind: "write-attributes"; readonly path: Path; readonly attributes: Query }
  | { readonly kind: "execute"; readonly path: Path; readonly args: Uint8Array }
  | {
      readonly kind: "create";
      readonly path: Path;
      readonly entries: readonly Entry[];
      /** False: the entries stand under instance 0 only to have a path; the device chooses the instance. */
      readonly instanceGiven: boolean;
      readonly format?: number | undefined;
    }
  | { readonly kind: "delete"; readonly path: Path }
  | {
      readonly kind: "observe";
      readonly path: Path;
      readonly query: Query;
      readonly accept?: number | undefined;
    }
  | { readonly kind: "cancel-observe"; readonly path: Path }
  | { readonly kind: "read-composite"; readonly paths: readonly Path[]; readonly accept?: number | undefined }
  | {
      readonly kind: "write-composite";
      readonly entries: readonly Entry[];
      readonly format?: number | undefined;
    }
  | {
      readonly kind: "observe-composite";
      readonly paths: readonly Path[];
      /** Attributes for this observation alone (LwM2M 1.2 §6.4.4). */
      readonly query: Query;
      readonly accept?: number | undefined;
    }
  | { readonly kind: "cancel-observe-composite"; readonly paths: readonly Path[] };

/** The path that answers name: that of the request, or all paths of a composite one. */
export function requestPath(operation: Operation): string {
  switch (operation.kind) {
    case "read-composite":
    case "observe-composite":
    case "cancel-observe-composite":
      return operation.paths.join(",");
    case "write-composite":
      return operation.entries.map((entry) => entry.path).join(",");
    default:
      return operation.path.toString();
  }
}

/** Prefixes of end devices that an operation addresses. */
export const addressesEndDevice = (operation: Operation): boolean => {
  if ("path" in operation) return operation.path.prefix !== "";
  if ("paths" in operation) return operation.paths.some((path) => path.prefix !== "");
  return operation.entries.some((entry) => entry.path.prefix !== "");
};

/** By which an observation and its cancellation find each other. */
export function observationKey(operation: Operation): string | undefined {
  switch (operation.kind) {
    case "observe":
    case "cancel-observe":
      return operation.path.toString();
    case "observe-composite":
    case "cancel-observe-composite":
      return operation.paths
        .map((path) => path.toString())
        .sort()
        .join(",");
    default:
      return undefined;
  }
}
