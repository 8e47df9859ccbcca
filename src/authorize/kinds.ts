/** The one list of authorisation sources. Their order here is nothing; that of the configuration is the operator's. */
import { type TUnsafe, Type } from "@sinclair/typebox";
import type { AuthorizationSource } from "../policy/authorization.ts";
import { byKind } from "../settings/json-schema.ts";
import { ldap, mongodb, mysql, postgres, redis } from "./databases.ts";
import { http } from "./http.ts";
import type { AuthorizeHost, SourceKind } from "./kind.ts";

/** Each kind takes the configuration that its own schema has passed. */
// biome-ignore lint/suspicious/noExplicitAny: kinds of different configuration types stand in one list
const KINDS: readonly SourceKind<any>[] = [http, redis, postgres, mysql, mongodb, ldap];

/** A source, as configured. */
export interface ConfiguredSource {
  readonly kind: string;
  readonly [key: string]: unknown;
}

export const SourceSchema: TUnsafe<ConfiguredSource> = Type.Unsafe<ConfiguredSource>({
  type: "object",
  description: "A source of access rules; its kind says which keys it has.",
  required: ["kind"],
  oneOf: KINDS.map(({ schema }) => schema),
  ...byKind,
});

/** Throws `ConfigError` when it cannot work as configured. */
export function openSource(source: ConfiguredSource, host: AuthorizeHost): AuthorizationSource {
  const kind = KINDS.find((one) => one.kind === source.kind);
  if (kind === undefined) throw new TypeError(`no authorization source of kind ${source.kind}`);
  return kind.open(source, host);
}
