/** What a kind of authenticator is: its settings beside what opens it, so that a further one is a file and a line in `kinds.ts`. */
import type { TSchema } from "@sinclair/typebox";
import type { Instant } from "../lib/time.ts";
import type { RawSocket } from "../net/transport.ts";
import type { Authenticator } from "../policy/authentication.ts";
import { ConfigError } from "../settings/problem.ts";
import type { ListedLogins } from "./listed-logins.ts";
import type { ListOf } from "./login-list.ts";
import type { PaceOfLogins } from "./pace.ts";
import type { PasswordCheck } from "./password-check.ts";
import type { UsersFile } from "./users-file.ts";

/** What one authenticator said, as it is counted. */
export type AuthenticatorResult = "accepted" | "rejected" | "ignored" | "busy" | "failed";

/** What an authenticator is given. */
export interface AuthenticateHost {
  /** Of all questions to anything outside, and of their answers; absent: nobody waits for others. */
  readonly pace?: PaceOfLogins | undefined;
  readonly passwords: PasswordCheck;
  /** The same file for all that name it. */
  usersFile(path: string): UsersFile;
  /** The same list for all that name it. */
  listedLogins(of: ListOf, settings: ListedLogins["settings"]): ListedLogins;
  /** For a library that connects it by itself. */
  socket(): RawSocket;
  now(): Instant;
  /** The date of this machine, in milliseconds: it may be set while the process runs, whose own clock goes on. */
  date(): number;
  count(authenticator: string, result: AuthenticatorResult): void;
  /** Something about this authenticator that an operator should know; never a secret. */
  note(authenticator: string, problem: string): void;
}

export interface OpenedAuthenticator extends Authenticator {
  /** It is not asked any more: connections end when what is under way has its answer. */
  close?(): void;
}

export interface AuthenticatorKind<Config = never> {
  readonly kind: string;
  readonly schema: TSchema;
  /** Throws `ConfigError` when it cannot work as configured. */
  open(config: Config, host: AuthenticateHost): OpenedAuthenticator;
}

/** A configuration of this authenticator that no schema finds fault with and that cannot work all the same. */
export const unusable = (authenticator: string, why: string): ConfigError =>
  new ConfigError([
    {
      path: ["authentication", "chain"],
      key: "authentication.chain",
      message: `authentication.chain: ${authenticator}: ${why}`,
    },
  ]);
