/** `isthmus backup` and `isthmus restore`. */
import { readFileSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import { ApiError } from "./api-client.ts";
import type { SteeringCommands } from "./steering.ts";

interface Restored {
  readonly users: number;
  readonly keys: number;
  readonly bans: number;
  readonly routes: number;
}

interface Saved extends Readonly<Record<"users" | "keys" | "bans", readonly unknown[]>> {
  readonly routes?: readonly unknown[];
}

const told = ({ users, keys, bans, routes }: Restored): string =>
  `${users} users, ${keys} keys, ${bans} bans and ${routes} routes`;

export function addBackup(program: Command, commands: SteeringCommands): void {
  commands.add(
    program,
    "backup <file>",
    "write users, keys, bans and routes that were made at the node to a file; only its owner may read it",
    ["backup isthmus-backup.json"],
    async ({ api, args, done }) => {
      const [file = ""] = args;
      const found = await api.ask<Saved>("GET", "/backup");
      writeFileSync(file, `${JSON.stringify(found, undefined, 1)}\n`, { mode: 0o600 });
      const { users, keys, bans, routes = [] } = found;
      const counts = { users: users.length, keys: keys.length, bans: bans.length, routes: routes.length };
      done(`${told(counts)} are in ${file}`, { file, ...counts });
    },
  );
  commands.add(
    program,
    "restore <file>",
    "put a backup back: what has the same name is replaced, everything else stays",
    ["restore isthmus-backup.json"],
    async ({ api, args, done }) => {
      const [file = ""] = args;
      let body: unknown;
      const text = readFileSync(file, "utf8");
      try {
        body = JSON.parse(text);
      } catch {
        throw new ApiError("api-refused", `${file} is no backup: it is not JSON`);
      }
      const restored = await api.ask<Restored>("POST", "/restore", { body });
      done(`${told(restored)} were put back`, restored);
    },
  );
}
