/**
 * Names in SenML are paths below the alternate path of the device (LwM2M 1.2 Transport §6.4.1), and those of end
 * devices begin with their prefix (LwM2M Gateway 1.1 §9).
 */
import type { DecodeError, Result } from "#core/lib/result.ts";
import { ok } from "#core/lib/result.ts";
import { type Path, parseDevicePath } from "../objects/path.ts";

/** `root` is the alternate path with its slash (`/lwm2m`), empty when there is none. */
export const nameOf = (path: Path, root: string): string => `${root}${path}`;

/** The path of a name; devices also leave out the alternate path, and the prefix that was asked for. */
export function pathNamed(name: string, base: Path, root: string): Result<Path, DecodeError> {
  const below =
    root !== "" && (name === root || name.startsWith(`${root}/`)) ? name.slice(root.length) : name;
  const path = parseDevicePath(below === "" ? "/" : below);
  return path.ok && path.value.prefix === "" ? ok(path.value.behind(base.prefix)) : path;
}
