/** How an LDAP directory is reached and searched. */
import { type Static, Type } from "@sinclair/typebox";
import type { Client, ClientOptions, Entry } from "ldapts";
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import type { AccessRule, Action } from "../policy/settings.ts";
import { choice, flag, SECRET, text } from "../settings/kinds.ts";
import { needs } from "./packages.ts";
import { bounded, ruleOf } from "./rules.ts";
import { authorityOf } from "./sql.ts";
import { asText, LoginTemplate, type Value } from "./template.ts";

export const ldapConnection = {
  url: text({
    description: "The server, as ldap://host:port or ldaps://host:port.",
    default: "ldap://127.0.0.1:389",
    pattern: "^ldaps?://",
  }),
  startTls: flag({ description: "ldap: change to TLS before anything is said (StartTLS).", default: false }),
  caFile: Type.Optional(text({ description: "Certificates that the server's is signed with, as PEM." })),
  bindDn: Type.Optional(text({ description: "As whom the gateway searches; absent: anonymously." })),
  bindPassword: Type.Optional(text({ description: "The gateway's password there.", [SECRET]: true })),
  dialect: choice(["emqx5", "emqx4"], {
    description:
      "Whose defaults: emqx5 uid=%u,ou=testdevice,dc=emqx,dc=io with (objectClass=mqttUser); emqx4 ou=device,dc=emqx,dc=io with (&(objectClass=mqttUser)(uid=%u)).",
    default: "emqx5",
  }),
  baseDn: Type.Optional(text({ description: "Where is searched, with placeholders.", minLength: 1 })),
  filter: Type.Optional(text({ description: "What is searched, with placeholders.", minLength: 1 })),
  publishAttribute: text({ description: "Topic filters to publish to.", default: "mqttPublishTopic" }),
  subscribeAttribute: text({
    description: "Topic filters to subscribe to.",
    default: "mqttSubscriptionTopic",
  }),
  pubsubAttribute: text({ description: "Topic filters for both.", default: "mqttPubSubTopic" }),
};
const Connection = Type.Object(ldapConnection);
export type LdapConnection = Static<typeof Connection>;

const DEFAULTS = {
  emqx4: { baseDn: "ou=device,dc=emqx,dc=io", filter: "(&(objectClass=mqttUser)(uid=%u))" },
  emqx5: { baseDn: "uid=%u,ou=testdevice,dc=emqx,dc=io", filter: "(objectClass=mqttUser)" },
} as const;

/** RFC 4515 §3. */
const asFilterValue = (value: Value): string | undefined =>
  asText(value)?.replaceAll(
    /[*()\\\0]/g,
    (octet) => `\\${octet.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );

/** RFC 4514 §2.4. */
const asDnValue = (value: Value): string | undefined =>
  asText(value)
    ?.replaceAll(/["+,;<>\\=]/g, (octet) => `\\${octet}`)
    .replace(/^([ #])/, "\\$1")
    .replace(/ $/, "\\ ");

export interface Found {
  readonly dn: string;
  /** Values of an attribute, whatever its letters' case; octets as text. */
  values(attribute: string): readonly string[];
}

/** Where whoever asks is looked for. */
export class LdapSearch {
  readonly namesUser: boolean;
  readonly #base: LoginTemplate;
  readonly #filter: LoginTemplate;

  constructor({ dialect, baseDn, filter }: LdapConnection, name: string) {
    const written = { base: baseDn ?? DEFAULTS[dialect].baseDn, filter: filter ?? DEFAULTS[dialect].filter };
    this.namesUser = /%u|\$\{username\}/.test(written.base + written.filter);
    this.#base = new LoginTemplate(written.base, name);
    this.#filter = new LoginTemplate(written.filter, name);
  }

  /** Undefined where a value is missing. */
  of(request: Credentials, peer: Peer): { readonly base: string; readonly filter: string } | undefined {
    const base = this.#base.fill(request, peer, asDnValue);
    const filter = this.#filter.fill(request, peer, asFilterValue);
    return base === undefined || filter === undefined ? undefined : { base, filter };
  }
}

export class LdapServer {
  readonly #config: LdapConnection;
  readonly #options: ClientOptions;
  readonly #ca: Buffer | undefined;
  #searching: Promise<Client> | undefined = undefined;

  constructor(config: LdapConnection & { readonly timeout: number }, name: string) {
    needs(name, "ldapts");
    const { url, caFile, timeout } = config;
    this.#config = config;
    this.#ca = authorityOf(caFile, name);
    const secure = url.startsWith("ldaps:");
    this.#options = {
      url,
      timeout,
      connectTimeout: timeout,
      ...(secure ? { tlsOptions: this.#ca === undefined ? {} : { ca: this.#ca } } : {}),
    };
  }

  /** The one entry; undefined for none. More than one is an error: which of them would it be? */
  async find(search: { readonly base: string; readonly filter: string }): Promise<Found | undefined> {
    const client = await this.#searcher();
    const { NoSuchObjectError } = await import("ldapts");
    try {
      const { base, filter } = search;
      const { searchEntries } = await client.search(base, { scope: "sub", filter, sizeLimit: 2 });
      if (searchEntries.length > 1) throw new Error("more than one entry is of this name");
      return searchEntries[0] === undefined ? undefined : foundOf(searchEntries[0]);
    } catch (error) {
      if (error instanceof NoSuchObjectError) return undefined;
      throw error;
    }
  }

  /** Whether this is the password of the entry, by the directory's own word: a bind changes whose connection it is. */
  async binds(dn: string, password: string): Promise<boolean> {
    const { InvalidCredentialsError, NoSuchObjectError } = await import("ldapts");
    const client = await this.#open();
    try {
      await client.bind(dn, password);
      return true;
    } catch (error) {
      if (error instanceof InvalidCredentialsError || error instanceof NoSuchObjectError) return false;
      throw error;
    } finally {
      client.unbind().catch(() => {});
    }
  }

  close(): void {
    void this.#searching?.then((client) => client.unbind()).catch(() => {});
  }

  async #searcher(): Promise<Client> {
    const current = await this.#searching?.catch(() => undefined);
    if (current?.isConnected === true) return current;
    // A connection that was lost is bound to nobody when it comes again.
    this.#searching = this.#bound();
    return this.#searching;
  }

  async #bound(): Promise<Client> {
    const { bindDn, bindPassword } = this.#config;
    const client = await this.#open();
    await client.bind(bindDn ?? "", bindPassword ?? "");
    return client;
  }

  async #open(): Promise<Client> {
    const { Client } = await import("ldapts");
    const client = new Client(this.#options);
    if (this.#config.startTls) await client.startTLS(this.#ca === undefined ? {} : { ca: this.#ca });
    return client;
  }
}

function foundOf(entry: Entry): Found {
  const byName = new Map(Object.entries(entry).map(([name, value]) => [name.toLowerCase(), value]));
  return {
    dn: entry.dn,
    values(attribute) {
      const value = byName.get(attribute.toLowerCase());
      if (value === undefined) return [];
      const list = Array.isArray(value) ? value : [value];
      return list.map((one) => (typeof one === "string" ? one : one.toString("utf8")));
    },
  };
}

/** What the entry allows; it forbids nothing. */
export function rulesOfEntry(entry: Found | undefined, names: LdapConnection): readonly AccessRule[] {
  const of = (attribute: string, action: Action) =>
    (entry?.values(attribute) ?? []).map((topic) => ruleOf({ permission: "allow", action, topic }));
  return bounded([
    ...of(names.publishAttribute, "publish"),
    ...of(names.subscribeAttribute, "subscribe"),
    ...of(names.pubsubAttribute, "both"),
  ]);
}
