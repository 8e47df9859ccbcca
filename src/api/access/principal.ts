/** What credentials allow; each role may do what the ones before it may, but the publisher, who publishes only. */
export const ROLES = ["publisher", "viewer", "operator", "administrator"] as const;
export type Role = (typeof ROLES)[number];

export const ROLE_MEANINGS: Readonly<Record<Role, string>> = {
  publisher: "publishes messages, and nothing else",
  viewer: "sees everything but secrets and credentials",
  operator: "also acts on clients, devices, messages, listeners and bans",
  administrator: "also changes the configuration, credentials and what is kept",
};

/** Who asks. */
export interface Principal {
  /** `user`: signed in. `key`: an API key. `local`: who may read the node's own key, or comes from this machine while nobody has an account. */
  readonly kind: "user" | "key" | "local" | "nobody";
  readonly name: string;
  readonly role: Role | undefined;
}

export const NOBODY: Principal = { kind: "nobody", name: "", role: undefined };

/** Whom a route is for: the least role; `known`: any; `anybody`: also who gives no credentials. */
export type Least = Role | "known" | "anybody";

/** A route for publishers is for operators and administrators as well, and not for viewers. */
export function allows(role: Role | undefined, least: Least): boolean {
  if (least === "anybody") return true;
  if (role === undefined) return false;
  if (least === "known") return true;
  if (least === "publisher") return role !== "viewer";
  return role !== "publisher" && ROLES.indexOf(role) >= ROLES.indexOf(least);
}
