/** `isthmus backup` and `isthmus restore`. */
import { readFileSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import { withProgress } from "../progress.ts";
import { ApiError } from "./api-client.ts";
import type { SteeringCommands } from "./steering.ts";

interface Restored {
  readonly users: number;
  readonly keys: number;
  readonly bans: number;
  readonly routes: number;
  readonly logins: number;
}

interface Saved extends Readonly<Record<"users" | "keys" | "bans", readonly unknown[]>> {
  readonly routes?: readonly unknown[];
  readonly lists?: readonly { readonly entries: readonly unknown[] }[];
}

const told = ({ users, keys, bans, routes, logins }: Restored): string =>
  `${users} users, ${keys} keys, ${bans} bans, ${routes} routes and ${logins} logins`;

export function addBackup(program: Command, commands: SteeringCommands): void {
  commands.add(
    program,
    "backup <file>",
    "write users, keys, bans, routes and lists of logins that were made at the node to a file; only its owner may read it",
    ["backup isthmus-backup.json"],
    async ({ api, args, done, io }) => {
      const [file = ""] = args;
      const found = await withProgress(io, "waiting for the node", () => api.ask<Saved>("GET", "/backup"));
      writeFileSync(file, `${JSON.stringify(found, undefined, 1)}\n`, { mode: 0o600 });
      const { users, keys, bans, routes = [], lists = [] } = found;
      const counts = {
        ...{ users: users.length, keys: keys.length, bans: bans.length, routes: routes.length },
        logins: lists.reduce((sum, { entries }) => sum + entries.length, 0),
      };
      done(`${told(counts)} are in ${file}`, { file, ...counts });
    },
  );
  commands.add(
    program,
    "restore <file>",
    "put a backup back: what has the same name is replaced, everything else stays",
    ["restore isthmus-backup.json"],
    async ({ api, args, done, io }) => {
      const [file = ""] = args;
      let body: unknown;
      const text = readFileSync(file, "utf8");
      try {
        body = JSON.parse(text);
      } catch {
        throw new ApiError("api-refused", `${file} is no backup: it is not JSON`);
      }
      const restored = await withProgress(io, "the node puts it back", () =>
        api.ask<Restored>("POST", "/restore", { body }),
      );
      done(`${told(restored)} were put back`, restored);
    },
  );
}
