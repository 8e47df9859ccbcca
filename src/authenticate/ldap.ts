/** An LDAP directory: its entries' passwords are compared here (`hash`), or tried there (`bind`). */
import { type Static, Type } from "@sinclair/typebox";
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import { type AuthenticatorAnswer, IGNORED } from "../policy/authentication.ts";
import { choice, flag, text } from "../settings/kinds.ts";
import { isYes } from "./account.ts";
import type { AuthenticatorKind } from "./kind.ts";
import { ldapPasswordRight } from "./ldap-password.ts";
import { type Found, LdapSearch, LdapServer, ldapConnection, rulesOfEntry } from "./ldap-server.ts";
import { Outside, type Source } from "./outside.ts";
import { outsideProperties } from "./outside-settings.ts";
import { handshaking, namedBy, storedKey } from "./stored-key.ts";
import { asText } from "./template.ts";

const schema = Type.Object(
  {
    kind: Type.Literal("ldap", { description: "LDAP." }),
    ...outsideProperties,
    ...ldapConnection,
    method: choice(["hash", "bind"], {
      description:
        "hash: the gateway reads the password's hash and compares; bind: it tries the password at the server.",
      default: "hash",
    }),
    passwordAttribute: text({
      description: "hash: where the password is, plain or as {SSHA} and the like.",
      default: "userPassword",
    }),
    superuserAttribute: text({ description: "TRUE there skips the access rules.", default: "isSuperuser" }),
    pskAttribute: Type.Optional(
      text({
        description:
          "Where the pre-shared key of an identity (%u) is, in hexadecimal; with keysFromAuthentication of tls or dtls.",
      }),
    ),
    readRules: flag({
      description: "Read the client's access rules with its login; they go before the general ones.",
      default: false,
    }),
  },
  { description: "Entries of an LDAP directory; the library is ldapts." },
);
type LdapConfig = Static<typeof schema>;

/** As long a name as those of entries, of nobody. */
const NOBODY = "cn=isthmus-nobody";

class LdapSource implements Source {
  readonly presharedKey: Source["presharedKey"];
  readonly #config: LdapConfig;
  readonly #server: LdapServer;
  readonly #search: LdapSearch;

  constructor(config: LdapConfig, name: string) {
    this.#config = config;
    this.#server = new LdapServer(config, name);
    this.#search = new LdapSearch(config, name);
    const { pskAttribute } = config;
    if (pskAttribute !== undefined) {
      this.presharedKey = async (identity) => {
        const search = this.#search.of(namedBy(identity), handshaking(identity));
        const entry = search === undefined ? undefined : await this.#server.find(search);
        return storedKey(entry?.values(pskAttribute)[0]);
      };
    }
  }

  async ask(request: Credentials, peer: Peer): Promise<AuthenticatorAnswer> {
    const search = this.#search.of(request, peer);
    if (search === undefined) return IGNORED;
    const { password } = request;
    // RFC 4513 §5.1.2: a bind without a password succeeds, and proves nothing.
    if (password === undefined || password.length === 0) {
      return (await this.#server.find(search)) === undefined
        ? IGNORED
        : { answer: "rejected", reason: "no password was given" };
    }
    const entry = await this.#server.find(search);
    const right = await this.#right(entry, password);
    if (entry === undefined) return IGNORED;
    if (!right) return { answer: "rejected", reason: "wrong password" };
    const { superuserAttribute, readRules } = this.#config;
    const superuser = isYes(entry.values(superuserAttribute)[0]);
    return {
      answer: "accepted",
      superuser,
      ...(readRules && !superuser ? { rules: rulesOfEntry(entry, this.#config) } : {}),
      ...(this.#search.namesUser ? {} : { clientIdOnly: true }),
    };
  }

  close(): void {
    this.#server.close();
  }

  /** Takes as long for an entry that is not there. */
  async #right(entry: Found | undefined, password: Uint8Array): Promise<boolean> {
    const { method, passwordAttribute } = this.#config;
    if (method === "bind") {
      const text = asText(password);
      return text !== undefined && (await this.#server.binds(entry?.dn ?? NOBODY, text));
    }
    const stored = entry?.values(passwordAttribute) ?? [];
    if (stored.length === 0) return ldapPasswordRight(password, undefined);
    return stored.map((one) => ldapPasswordRight(password, one)).includes(true);
  }
}

export const ldap: AuthenticatorKind<LdapConfig> = {
  kind: "ldap",
  schema,
  open(config, host) {
    const { name = "ldap", bindPassword } = config;
    return new Outside(name, config, host, new LdapSource(config, name), [bindPassword]);
  },
};
