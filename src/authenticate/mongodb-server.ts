/** How a MongoDB server is reached, and how documents are found: what a client calls itself is a text there, never an operator. */
import { type Static, Type } from "@sinclair/typebox";
import type { Db, MongoClient } from "mongodb";
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import { loadMongodb } from "../lib/mongodb.ts";
import type { AccessRule } from "../policy/settings.ts";
import { flag, SECRET, text } from "../settings/kinds.ts";
import type { Fields } from "./account.ts";
import { needs } from "./packages.ts";
import { bounded, ruleOf, rulesOf } from "./rules.ts";
import { authorityOf } from "./sql.ts";
import { LoginTemplate } from "./template.ts";

export const mongodbConnection = {
  url: text({
    description:
      "The server or replica set, as mongodb://host:port or mongodb+srv://host, without a password.",
    default: "mongodb://127.0.0.1:27017",
    pattern: "^mongodb(\\+srv)?://",
  }),
  user: Type.Optional(text({ description: "The gateway's user name there." })),
  password: Type.Optional(text({ description: "The gateway's password there.", [SECRET]: true })),
  authSource: text({ description: "The database that knows the gateway's user.", default: "admin" }),
  database: text({ description: "Database.", default: "mqtt" }),
  tls: flag({ description: "Speak TLS, and check the server's certificate.", default: false }),
  caFile: Type.Optional(text({ description: "tls: certificates that the server's is signed with, as PEM." })),
};

const filter = (description: string, value: Readonly<Record<string, string>>) =>
  Type.Record(Type.String(), text({ description: "A value, with placeholders." }), {
    description,
    default: value,
  });

export const mongodbRules = {
  rulesCollection: text({ description: "The collection of rules.", default: "mqtt_acl" }),
  rulesFilter: filter("Which documents are the client's rules.", { username: "%u" }),
};
export const mongodbUsers = {
  collection: text({ description: "The collection of users.", default: "mqtt_user" }),
  filter: filter("Which document is the client's.", { username: "%u" }),
};
const Connection = Type.Object(mongodbConnection);
type MongodbConnection = Static<typeof Connection>;

/** Documents fetched at most: one more than rules may be. */
const DOCUMENTS_MAX = 1_001;

export class DocumentFilter {
  readonly namesUser: boolean;
  readonly #fields: readonly (readonly [field: string, template: LoginTemplate])[];

  constructor(written: Readonly<Record<string, string>>, name: string) {
    this.#fields = Object.entries(written).map(([field, value]) => [field, new LoginTemplate(value, name)]);
    this.namesUser = /%u|\$\{username\}/.test(Object.values(written).join(" "));
  }

  /** Undefined where a value is missing. */
  of(request: Credentials, peer: Peer): Readonly<Record<string, { readonly $eq: string }>> | undefined {
    const filled: Record<string, { readonly $eq: string }> = {};
    for (const [field, template] of this.#fields) {
      const value = template.fill(request, peer);
      if (value === undefined) return undefined;
      filled[field] = { $eq: value };
    }
    return filled;
  }
}

export class MongodbServer {
  readonly #config: MongodbConnection & { readonly timeout: number; readonly concurrent: number };
  readonly #ca: Buffer | undefined;
  #client: MongoClient | undefined = undefined;

  constructor(
    config: MongodbConnection & { readonly timeout: number; readonly concurrent: number },
    name: string,
  ) {
    needs(name, "mongodb");
    this.#config = config;
    this.#ca = authorityOf(config.caFile, name);
  }

  async find(collection: string, filter: object): Promise<readonly Fields[]> {
    const database = await this.#database();
    const { timeout } = this.#config;
    return database
      .collection(collection)
      .find(filter, { limit: DOCUMENTS_MAX, maxTimeMS: timeout })
      .toArray();
  }

  close(): void {
    void this.#client?.close().catch(() => {});
  }

  async #database(): Promise<Db> {
    const { MongoClient } = await loadMongodb();
    const { url, user, password, authSource, database, tls, timeout, concurrent } = this.#config;
    this.#client ??= new MongoClient(url, {
      maxPoolSize: concurrent,
      connectTimeoutMS: timeout,
      serverSelectionTimeoutMS: timeout,
      socketTimeoutMS: timeout,
      appName: "isthmus",
      ...(user === undefined ? {} : { auth: { username: user, password: password ?? "" }, authSource }),
      ...(tls ? { tls: true, ...(this.#ca === undefined ? {} : { ca: this.#ca }) } : {}),
    });
    return this.#client.db(database);
  }
}

/** EMQX 5's documents (permission, action, topics) and EMQ X 4's (publish, subscribe, pubsub). */
export function rulesOfDocuments(documents: readonly Fields[]): readonly AccessRule[] {
  return bounded(
    documents.flatMap((document) => {
      if ("permission" in document) return [ruleOf(document)];
      const { publish, subscribe, pubsub } = document;
      return (
        rulesOf({ pub: publish ?? undefined, sub: subscribe ?? undefined, all: pubsub ?? undefined }) ?? []
      );
    }),
  );
}
