/** Which endpoint name a proven identity may use (LwM2M 1.1 Transport §5.2): the port for DTLS identities. */

/** `off` lets any identity register any name; `equal` insists on the same text; `list` on the configured pairs. */
export type IdentityBinding = "off" | "equal" | "list";

export interface IdentityRule {
  readonly identity: string;
  readonly endpoint: string;
}

/** A peer that has proven nothing (NoSec) may use any name: there is nothing to hold it to. */
export function mayUse(
  identity: string | undefined,
  ep: string,
  binding: IdentityBinding,
  rules: readonly IdentityRule[],
): boolean {
  if (identity === undefined || binding === "off") return true;
  if (binding === "equal") return identity === ep;
  return rules.some((rule) => rule.identity === identity && rule.endpoint === ep);
}

/** The endpoint name of a peer that sends none: by its identity. */
export function impliedEndpoint(
  identity: string | undefined,
  binding: IdentityBinding,
  rules: readonly IdentityRule[],
): string | undefined {
  if (identity === undefined || binding !== "list") return identity;
  return rules.find((rule) => rule.identity === identity)?.endpoint;
}
