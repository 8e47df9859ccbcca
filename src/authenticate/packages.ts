/** Libraries that only some authenticators need: loaded when used, and missed with the command that brings them. */
import { isInstalled } from "../settings/installation.ts";
import { unusable } from "./kind.ts";

/**
 * Throws `ConfigError` at the start instead of failing at the first login. What is there is loaded at once: that takes up to
 * a tenth of a second of the event loop, which costs nobody anything before clients are here.
 */
export function needs(authenticator: string, library: string): void {
  if (isInstalled(library)) {
    // Whoever uses it hears what is wrong with it.
    void import(library).catch(() => {});
    return;
  }
  throw unusable(
    authenticator,
    `needs the package ${library}, which is not installed: npm install ${library}`,
  );
}
