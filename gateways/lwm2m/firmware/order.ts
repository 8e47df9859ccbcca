import { err, ok, type Result } from "#core/lib/result.ts";
import type { JsonObject } from "../content/exact-json.ts";

/** What a `firmware` command wants of object 5 (LwM2M 1.1 Appendix E.6). */
export interface FirmwareOrder {
  /** `push`: the package is written to /5/0/0 in blocks; `pull`: its URI is written to /5/0/1. */
  readonly mode: "push" | "pull";
  /** Name of a file of the firmware folder; absent when `uri` is given. */
  readonly file: string | undefined;
  /** Pull from somewhere else. */
  readonly uri: string | undefined;
  /** Execute /5/0/2 as soon as the device has the package. */
  readonly update: boolean;
}

export function firmwareOrder(data: JsonObject): Result<{ firmware: FirmwareOrder }, string> {
  const { mode = "push", file, uri, update = true } = data as { [name: string]: unknown };
  if (mode !== "push" && mode !== "pull") return err("mode must be push or pull");
  if (typeof update !== "boolean") return err("update must be true or false");
  if (file !== undefined && typeof file !== "string") return err("file must be a text");
  if (uri !== undefined && typeof uri !== "string") return err("uri must be a text");
  if (mode === "push" && file === undefined) return err("file is missing");
  if (mode === "pull" && file === undefined && uri === undefined) return err("file or uri is missing");
  return ok({ firmware: { mode, file, uri, update } });
}
