/** MongoDB: a document for each output. The library is mongodb 6. */
import { type Static, Type } from "@sinclair/typebox";
import type { Document, MongoClient, MongoClientOptions } from "mongodb";
import { loadMongodb } from "../lib/mongodb.ts";
import { ActionError } from "../rules/action.ts";
import { type Filled, Template, templatesIn } from "../rules/template.ts";
import { isArray, isMap, RuleFailure, type Value, type ValueMap } from "../rules/value.ts";
import { choice, text } from "../settings/kinds.ts";
import {
  type ConnectHost,
  type Connector,
  type ConnectorKind,
  connectionFailure,
  type Item,
  SinkFailure,
  secretOf,
} from "./connector.ts";
import { placesBy } from "./grouped.ts";
import { HeldConnection } from "./held-connection.ts";
import { actionSchema, connectorSchema, signInProperties, tlsOf, tlsProperties } from "./settings.ts";

const schema = connectorSchema("mongodb", {
  is: "A MongoDB server, or a replica set.",
  batch: 100,
  own: {
    url: text({
      description: "Where it is, without name and password: mongodb://host:27017/?replicaSet=rs0.",
      pattern: "^mongodb(\\+srv)?://[^@\\s]+$",
      default: "mongodb://127.0.0.1:27017",
    }),
    ...signInProperties,
    authSource: text({ description: "Database where the user is.", default: "admin" }),
    database: text({ description: "Database that is written.", default: "mqtt", minLength: 1 }),
    acknowledge: choice(["majority", "one"], {
      description:
        "Who has a document in its journal when it counts as taken: most members of the replica set, or the primary, whose fall may lose it.",
      default: "majority",
    }),
    ...tlsProperties,
  },
  description: "Documents for MongoDB: acknowledged as `acknowledge` says.",
});
type Config = Static<typeof schema>;

const action = actionSchema("mongodb", {
  does: "Insert a document.",
  own: {
    collection: text({ description: "A template.", minLength: 1 }),
    document: Type.Unsafe<string | Readonly<Record<string, unknown>>>({
      type: ["string", "object"],
      description:
        "Templates by the field's name, also nested: a place alone keeps its type. Or one place that has a map: ${.}. Its _id is the delivery's id where it names none.",
      default: "${.}",
    }),
  },
  description: "A document for a MongoDB collection for each output.",
});
type ActionConfig = Static<typeof action>;

/** mongodb.com, "Naming Restrictions": system collections are the server's own. */
const COLLECTION = /^(?!system\.)[^$\0]{1,255}$/;

function collectionFrom(name: string): string {
  if (COLLECTION.test(name)) return name;
  throw new RuleFailure(`mongodb: '${name.slice(0, 60)}' is no name of a collection`);
}

function compile({ collection, document }: ActionConfig) {
  const where = new Template(collection);
  if (where.isConstant && !COLLECTION.test(collection))
    throw new ActionError(`'${collection}' is no name of a collection`);
  const fill: Filled = document === "${.}" ? (output) => output : templatesIn(document);
  return (output: Value): ValueMap => {
    const filled = fill(output);
    if (!isMap(filled)) throw new RuleFailure("mongodb: a document must be a map of fields");
    return { collection: collectionFrom(where.fill(output)), document: filled };
  };
}

/** As BSON has it: whole numbers of 64 bits, octets, and null for what is missing. */
function stored(value: Value): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (isArray(value)) return value.map(stored);
  if (isMap(value))
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, stored(each)]));
  return value ?? null;
}

const documentOf = ({ id, parameters }: Item): Document => ({
  _id: id,
  ...(stored(parameters["document"]) as Document),
});

interface MongoError extends Error {
  readonly code?: number | string;
  readonly writeErrors?: readonly {
    readonly index: number;
    readonly code: number;
    readonly errmsg?: string;
  }[];
}

/** It has been written before: the answer to that was lost. */
const DUPLICATE = 11_000;
/** The document is at fault: too large, not as the collection wants it, or no BSON (mongodb.com, "Error Codes"). */
const AT_FAULT: readonly (number | string | undefined)[] = [
  2,
  9,
  22,
  52,
  57,
  121,
  DUPLICATE,
  10_334,
  17_419,
  17_420,
];

function failureOf(error: unknown): SinkFailure {
  if (error instanceof SinkFailure) return error;
  const { name, code, message } = error as MongoError;
  const broken = connectionFailure(error);
  if (broken !== undefined) return broken;
  // A document that cannot be written down.
  if (name === "BSONError") return new SinkFailure(message, false);
  if (!name.startsWith("Mongo")) throw error;
  return new SinkFailure(code === undefined ? message : `${message} (${code})`, !AT_FAULT.includes(code));
}

class Mongo implements Connector {
  readonly #config: Config;
  readonly #options: MongoClientOptions;
  readonly #held = new HeldConnection<MongoClient>({
    open: (_, unwanted) => this.#open(unwanted),
    close: (client) => client.close(),
    failureOf,
  });

  constructor(config: Config, options: MongoClientOptions) {
    this.#config = config;
    this.#options = options;
  }

  async send(items: readonly Item[], signal: AbortSignal): Promise<readonly (SinkFailure | undefined)[]> {
    return this.#held.use(signal, async (client) => {
      const results: (SinkFailure | undefined)[] = new Array(items.length).fill(undefined);
      for (const [collection, places] of placesBy(items, "collection"))
        await this.#insert(client, collection, items, places, results);
      return results;
    });
  }

  /** Not ordered: what one of them has does not keep the others out. */
  async #insert(
    client: MongoClient,
    collection: string,
    items: readonly Item[],
    places: readonly number[],
    results: (SinkFailure | undefined)[],
  ): Promise<void> {
    const { database, acknowledge } = this.#config;
    const writeConcern = { w: acknowledge === "majority" ? ("majority" as const) : 1, j: true };
    const documents = places.map((place) => documentOf(items[place]!));
    try {
      await client
        .db(database)
        .collection(collection)
        .insertMany(documents, { ordered: false, writeConcern });
    } catch (error) {
      const { name, writeErrors = [] } = error as MongoError;
      // Without any it is not known what was written: all of it comes again, under the same ids.
      if (name !== "MongoBulkWriteError" || writeErrors.length === 0) throw error;
      for (const { index, code, errmsg } of writeErrors) {
        const isThere = code === DUPLICATE && /index: _id_/.test(errmsg ?? "");
        if (!isThere || documents[index]!["_id"] !== items[places[index]!]!.id)
          results[places[index]!] = new SinkFailure(
            `${errmsg ?? "refused"} (${code})`,
            !AT_FAULT.includes(code),
          );
      }
    }
  }

  async check(signal: AbortSignal): Promise<void> {
    await this.#held.use(signal, (client) => client.db(this.#config.database).command({ ping: 1 }));
  }

  async #open(unwanted: AbortSignal): Promise<MongoClient> {
    const { MongoClient: Client } = await loadMongodb();
    const client = new Client(this.#config.url, this.#options);
    // A server that is away is the answer of each command.
    client.on("error", () => {});
    unwanted.addEventListener("abort", () => void client.close().catch(() => {}));
    // A client whose first connection fails is of no use any more.
    return client.connect();
  }

  async close(): Promise<void> {
    await this.#held.close();
  }
}

export const mongodb: ConnectorKind<Config, ActionConfig> = {
  kind: "mongodb",
  schema,
  action,
  libraries: ["mongodb"],
  open(config: Config, host: ConnectHost) {
    const { username, authSource, timeout, concurrency } = config;
    const tls = tlsOf(config, host);
    const password = secretOf(config.password, host);
    return new Mongo(config, {
      ...{ appName: "isthmus", maxPoolSize: concurrency + 1, retryWrites: false },
      ...{ connectTimeoutMS: timeout, socketTimeoutMS: timeout },
      // It knows why no server can be used, and says so before the time of the batch is over.
      serverSelectionTimeoutMS: timeout * 0.8,
      ...(username === "" ? {} : { auth: { username, password }, authSource }),
      ...(tls === undefined ? {} : { tls: true, ...tls }),
    });
  },
  compile,
};
