/** Libraries that only some authenticators need: loaded when used, and missed with the command that brings them. */
import { createRequire } from "node:module";
import { unusable } from "./kind.ts";

const require = createRequire(import.meta.url);

/** Throws `ConfigError` at the start instead of failing at the first login. */
export function needs(authenticator: string, library: string): void {
  try {
    require.resolve(library);
  } catch (error) {
    // A package for `import` alone has nothing that `require` resolves, and is there all the same.
    if ((error as NodeJS.ErrnoException).code === "ERR_PACKAGE_PATH_NOT_EXPORTED") return;
    throw unusable(
      authenticator,
      `needs the package ${library}, which is not installed: npm install ${library}`,
    );
  }
}
