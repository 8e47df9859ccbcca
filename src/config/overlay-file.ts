import { readFileSync } from "node:fs";
import { writeDurably } from "../settings/durable-file.ts";
import { ConfigError } from "../settings/problem.ts";
import type { LaidOver } from "./load.ts";
import { Overlay } from "./overlay.ts";

/** Where what operators change lies, and is found by the next start. */
export class OverlayFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Throws `ConfigError`. */
  read(): LaidOver {
    return { file: this.path, overlay: Overlay.read(this.#text(), this.path) };
  }

  #text(): string {
    try {
      return readFileSync(this.path, "utf8");
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR") return "{}";
      const message = `${this.path}: it cannot be read (${code}); it holds what was changed over the API`;
      throw new ConfigError([{ key: "", path: [], where: this.path, message }]);
    }
  }

  write(overlay: Overlay): void {
    writeDurably(this.path, overlay.text());
  }
}
