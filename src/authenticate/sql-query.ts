/** Queries of operators: placeholders become bound parameters, never text of the query. */
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import { unusable } from "./kind.ts";
import { LoginTemplate } from "./template.ts";

/** A quoted text, or a placeholder that stands alone. */
const PLACE = /'((?:[^']|'')*)'|%[ucaPCdeik]|\$\{[^}]*\}/g;
const PLACEHOLDER = /%[ucaPCdeik]|\$\{[^}]*\}/;
const USERNAME = /%u|\$\{username\}/;

export class SqlQuery {
  /** With `$1` or `?` where parameters go. */
  readonly text: string;
  readonly namesUser: boolean;
  readonly #parameters: readonly LoginTemplate[];

  /** Throws `ConfigError` for what is no single SELECT. */
  constructor(query: string, marks: "numbered" | "question", authenticator: string) {
    const single = query.trim().replace(/;$/, "");
    if (!/^select\b/i.test(single) || single.includes(";")) {
      throw unusable(authenticator, "a query must be one SELECT");
    }
    const parameters: LoginTemplate[] = [];
    this.text = single.replace(PLACE, (whole, quoted: string | undefined) => {
      if (quoted !== undefined && !PLACEHOLDER.test(quoted)) return whole;
      // '%u' of EMQ X 4 and ${username} of EMQX 5 are one parameter each, and so is '%c/x' as a whole.
      parameters.push(new LoginTemplate(quoted?.replaceAll("''", "'") ?? whole, authenticator));
      return marks === "numbered" ? `$${parameters.length}` : "?";
    });
    this.namesUser = USERNAME.test(single);
    this.#parameters = parameters;
  }

  /** Undefined where a client has no value (NULL in a query: it equals nothing). */
  values(request: Credentials, peer: Peer): (string | undefined)[] {
    return this.#parameters.map((parameter) => parameter.fill(request, peer));
  }
}
