/** Access rules of a listener: which addresses may talk to it at all. */
import { AddressSet, isAddressRange } from "./addresses.ts";

const RULE = /^(allow|deny)\s+(\S+)$/;

const ALLOWED = "allow or deny, and an IP address, a CIDR range or all";

/** Undefined for a good rule; what is allowed otherwise. For the configuration check. */
export function accessRuleProblem(text: string): string | undefined {
  const match = RULE.exec(text);
  if (match === null) return ALLOWED;
  const who = match[2]!;
  return who === "all" || isAddressRange(who) ? undefined : ALLOWED;
}

/**
 * `allow 10.0.0.0/8`, `deny all`: the first that matches decides. Where none matches, a list with an `allow` in it
 * means "only those" and refuses; a list of mere `deny` lets the rest in.
 */
export class AccessRules {
  readonly #rules: readonly { readonly allow: boolean; readonly who: AddressSet | "all" }[];
  readonly #texts: readonly string[];
  readonly #otherwise: boolean;

  constructor(texts: readonly string[]) {
    this.#texts = texts;
    this.#rules = texts.map((text) => {
      const [, verb, who = ""] = RULE.exec(text) ?? [];
      return { allow: verb === "allow", who: who === "all" ? "all" : new AddressSet([who]) };
    });
    this.#otherwise = !this.#rules.some((rule) => rule.allow);
  }

  /** The rule that speaks about an address, for the log. */
  decidedBy(address: string): string {
    const index = this.#rules.findIndex(({ who }) => who === "all" || who.has(address));
    return index < 0 ? "accessRules allow only others" : `accessRules ${index + 1}: ${this.#texts[index]}`;
  }

  allows(address: string): boolean {
    for (const rule of this.#rules) {
      if (rule.who === "all" || rule.who.has(address)) return rule.allow;
    }
    return this.#otherwise;
  }
}
