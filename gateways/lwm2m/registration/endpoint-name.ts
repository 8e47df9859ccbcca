/** Which endpoint name who may use: an identity that the transport has proven, or a user that a password has. */

/**
 * `off` lets any identity register any name; `equal` insists on the same text, `prefix` on it or it with more behind a
 * separator, `list` on the configured pairs.
 */
export type IdentityBinding = "off" | "equal" | "prefix" | "list";

export interface IdentityRule {
  readonly identity: string;
  readonly endpoint: string;
}

/** LwM2M 1.1 Transport §5.2. A peer that has proven nothing (NoSec) may use any name: there is nothing to hold it to. */
export function mayUse(
  identity: string | undefined,
  ep: string,
  binding: IdentityBinding,
  rules: readonly IdentityRule[],
): boolean {
  if (identity === undefined || binding === "off") return true;
  if (binding === "equal") return identity === ep;
  if (binding === "prefix") return isOrExtends(ep, identity);
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

/** The name, or it and something after a character that is no letter and no digit. */
const isOrExtends = (ep: string, name: string): boolean =>
  ep === name || (ep.startsWith(name) && /^[^\p{L}\p{N}]/u.test(ep.slice(name.length)));

/** How the endpoint names of a user follow from the user name. */
export interface UserRule {
  /** `prefix`: the user name, or it with more behind a separator. */
  readonly binding: "same" | "prefix" | "template" | "table" | "any";
  /** The endpoint name, with `%u` for the user name; `*` stands for any text. */
  readonly template: string;
  readonly table: readonly { readonly username: string; readonly endpoint: string }[];
}

export function userMayUse(username: string, ep: string, rule: UserRule): boolean {
  switch (rule.binding) {
    case "same":
      return ep === username;
    case "prefix":
      return isOrExtends(ep, username);
    case "template":
      return matches(
        ep,
        rule.template.split("*").map((part) => part.replaceAll("%u", () => username)),
      );
    case "table":
      return rule.table.some((pair) => pair.username === username && pair.endpoint === ep);
    case "any":
      return true;
  }
}

/** Whether these parts follow each other in the text with anything between them: without search back and forth. */
function matches(text: string, parts: readonly string[]): boolean {
  const [first = "", ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
