import { readFileSync } from "node:fs";
import { join } from "node:path";
import { INSTALLATION } from "./settings/installation.ts";

/** Of this installation. */
export const { version } = JSON.parse(readFileSync(join(INSTALLATION, "package.json"), "utf8")) as {
  readonly version: string;
};
