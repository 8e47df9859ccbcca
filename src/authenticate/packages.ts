/** Libraries that only some authenticators need: loaded when used, and missed with the command that brings them. */
import { isInstalled } from "../settings/installation.ts";
import { unusable } from "./kind.ts";

/** Throws `ConfigError` at the start instead of failing at the first login. */
export function needs(authenticator: string, library: string): void {
  if (isInstalled(library)) return;
  throw unusable(
    authenticator,
    `needs the package ${library}, which is not installed: npm install ${library}`,
  );
}
