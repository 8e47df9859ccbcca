/** Passwords that stand in the configuration as salted hashes. */
import { createHash, timingSafeEqual } from "node:crypto";
import { type Static, Type } from "@sinclair/typebox";
import { SECRET, text } from "../settings/kinds.ts";
import type { Failed, Filter } from "./filter.ts";
import { FilterError, filterProperties } from "./settings.ts";
import type { SinkHost } from "./sinks.ts";

export const clientAuthSchema = Type.Object(
  {
    kind: Type.Literal("MQTTClientAuth", { description: "Ask for user name and password." }),
    ...filterProperties,
    salt: text({
      description: "Put behind the password before it is hashed; file:<path> or env:<name> says where it is.",
      default: "",
      [SECRET]: true,
    }),
    auth: Type.Array(
      Type.Object({
        username: text({ description: "User name.", minLength: 1 }),
        saltedSha256Pass: text({
          description:
            "SHA-256 of password and salt in hexadecimal, or file:<path> or env:<name>. Of salt and password fits too: Easegress's manual has it so.",
          pattern: "^([0-9A-Fa-f]{64}|(file|env):.+)$",
          [SECRET]: true,
        }),
      }),
      { description: "Who may connect.", minItems: 1 },
    ),
  },
  { description: "A CONNECT without one of these user names and its password is refused." },
);
export type ClientAuthSettings = Static<typeof clientAuthSchema>;

export const AUTH_FAIL = "AuthFail";

const FAILED: Failed = {
  result: AUTH_FAIL,
  refusal: "unauthenticated",
  reason: "user name or password are wrong",
};

/** Nobody has it: an unknown user takes as long as one who mistypes. */
const NOBODY = Buffer.alloc(32);

const HASH = /^[0-9A-Fa-f]{64}$/;

/** What stands there, or where that says. */
function found(
  value: string,
  at: readonly (string | number)[],
  { secret }: Pick<SinkHost, "secret">,
): string {
  try {
    return secret(value);
  } catch (error) {
    throw new FilterError(at, `cannot be read: ${(error as Error).message}`);
  }
}

/** Throws `FilterError`. */
export function clientAuth(settings: ClientAuthSettings, host: Pick<SinkHost, "secret">): Filter {
  const salt = found(settings.salt, ["salt"], host);
  const hashes = new Map(
    settings.auth.map(({ username, saltedSha256Pass }, place) => {
      const at = ["auth", place, "saltedSha256Pass"];
      const hash = found(saltedSha256Pass, at, host);
      if (!HASH.test(hash))
        throw new FilterError(at, "leads to something else: expected 64 digits of SHA-256");
      return [username, Buffer.from(hash, "hex")] as const;
    }),
  );
  const hashed = (...parts: (string | Uint8Array)[]): Buffer =>
    parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
  return {
    handle({ packet: { sender, password = new Uint8Array() } }) {
      const known = sender.username === undefined ? undefined : hashes.get(sender.username);
      const behind = timingSafeEqual(hashed(password, salt), known ?? NOBODY);
      const before = timingSafeEqual(hashed(salt, password), known ?? NOBODY);
      return known !== undefined && (behind || before) ? undefined : FAILED;
    },
  };
}
