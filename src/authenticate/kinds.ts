/** The one list of authenticators. Their order here is nothing; that of a chain is the operator's. */
import { type TUnsafe, Type } from "@sinclair/typebox";
import type { AuthenticatorAnswer } from "../policy/authentication.ts";
import { byKind } from "../settings/json-schema.ts";
import { http } from "./http.ts";
import { jwt } from "./jwt.ts";
import type { AuthenticateHost, AuthenticatorKind, OpenedAuthenticator } from "./kind.ts";
import { ldap } from "./ldap.ts";
import { clientIdList, userList } from "./listed-logins.ts";
import { mongodb } from "./mongodb.ts";
import { mysql } from "./mysql.ts";
import { Outside } from "./outside.ts";
import { postgres } from "./postgres.ts";
import { redis } from "./redis.ts";
import { transportIdentity } from "./transport-identity.ts";
import { usersFile } from "./users-file-kind.ts";

/** Each kind takes the configuration that its own schema has passed. */
// biome-ignore lint/suspicious/noExplicitAny: kinds of different configuration types stand in one list
const KINDS: readonly AuthenticatorKind<any>[] = [
  usersFile,
  userList,
  clientIdList,
  transportIdentity,
  jwt,
  http,
  redis,
  postgres,
  mysql,
  mongodb,
  ldap,
];

/** A member of a chain, as configured. */
export interface ChainMember {
  readonly kind: string;
  readonly name?: string;
  readonly [key: string]: unknown;
}

export const ChainMemberSchema: TUnsafe<ChainMember> = Type.Unsafe<ChainMember>({
  type: "object",
  description: "An authenticator; its kind says which keys it has.",
  required: ["kind"],
  oneOf: KINDS.map(({ schema }) => schema),
  ...byKind,
});

/** Throws `ConfigError` when it cannot work as configured. */
export function openAuthenticator(member: ChainMember, host: AuthenticateHost): OpenedAuthenticator {
  const kind = KINDS.find((one) => one.kind === member.kind);
  if (kind === undefined) throw new TypeError(`no authenticator of kind ${member.kind}`);
  const opened = kind.open(member, host);
  return opened instanceof Outside ? opened : counting(member.name ?? member.kind, opened, host);
}

/** What decides within this process is counted like what asks outside. */
function counting(name: string, inner: OpenedAuthenticator, host: AuthenticateHost): OpenedAuthenticator {
  const counted = (answer: AuthenticatorAnswer): AuthenticatorAnswer => {
    host.count(name, answer.answer === "unavailable" ? "failed" : answer.answer);
    return answer;
  };
  return {
    name,
    authenticate(request, peer, now, applicant) {
      const answer = inner.authenticate(request, peer, now, applicant);
      return answer instanceof Promise ? answer.then(counted) : counted(answer);
    },
    get methods() {
      return inner.methods;
    },
    ...others(inner),
  };
}

const OTHERS = ["pretend", "knows", "presharedKey", "rawKeyHolder", "close"] as const;

/** All else that it can do, and only that: that a method is absent says something, too. */
function others(inner: OpenedAuthenticator): Omit<OpenedAuthenticator, "authenticate" | "name"> {
  const present = OTHERS.filter((name) => inner[name] !== undefined);
  return Object.fromEntries(present.map((name) => [name, inner[name]?.bind(inner)]));
}
