/** Documents of a MongoDB server, as EMQ X 4 and EMQX 5 name and fill them. */
import { type Static, Type } from "@sinclair/typebox";
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import { type AuthenticatorAnswer, IGNORED } from "../policy/authentication.ts";
import { text } from "../settings/kinds.ts";
import { accountProperties, concluded, isYes } from "./account.ts";
import type { AuthenticatorKind } from "./kind.ts";
import {
  DocumentFilter,
  MongodbServer,
  mongodbConnection,
  mongodbRules,
  mongodbUsers,
  rulesOfDocuments,
} from "./mongodb-server.ts";
import { Outside, type Source } from "./outside.ts";
import { outsideProperties } from "./outside-settings.ts";
import { handshaking, namedBy, storedKey } from "./stored-key.ts";
import { type CheckStored, checkStored } from "./stored-password.ts";

const schema = Type.Object(
  {
    kind: Type.Literal("mongodb", { description: "MongoDB." }),
    ...outsideProperties,
    ...accountProperties,
    ...mongodbConnection,
    ...mongodbUsers,
    ...mongodbRules,
    passwordField: Type.Optional(
      text({ description: "Field of the password; absent: password_hash, or password with emqx4." }),
    ),
    saltField: text({ description: "Field of the salt.", default: "salt" }),
    superuserField: text({
      description: "Field that says whether rules are skipped.",
      default: "is_superuser",
    }),
    pskField: Type.Optional(
      text({
        description:
          "Field of the pre-shared key of an identity (%u), in hexadecimal; with keysFromAuthentication of tls or dtls.",
      }),
    ),
  },
  { description: "Documents of a MongoDB server; the library is mongodb." },
);
type MongodbConfig = Static<typeof schema>;

const USUAL = {
  emqx4: { password: "password", hash: "sha256" },
  emqx5: { password: "password_hash", hash: "sha256,salt" },
} as const;

class MongodbSource implements Source {
  readonly presharedKey: Source["presharedKey"];
  readonly #config: MongodbConfig;
  readonly #server: MongodbServer;
  readonly #check: CheckStored;
  readonly #user: DocumentFilter;
  readonly #rules: DocumentFilter;

  constructor(config: MongodbConfig, name: string) {
    const { passwordHash, dialect, filter, rulesFilter, pskField, collection } = config;
    this.#config = config;
    this.#server = new MongodbServer(config, name);
    this.#check = checkStored(passwordHash ?? USUAL[dialect].hash, name);
    this.#user = new DocumentFilter(filter, name);
    this.#rules = new DocumentFilter(rulesFilter, name);
    if (pskField !== undefined) {
      this.presharedKey = async (identity) => {
        const wanted = this.#user.of(namedBy(identity), handshaking(identity));
        const [found] = wanted === undefined ? [] : await this.#server.find(collection, wanted);
        return storedKey(found?.[pskField]);
      };
    }
  }

  async ask(request: Credentials, peer: Peer): Promise<AuthenticatorAnswer> {
    const { collection, dialect, passwordField, saltField, superuserField, readRules } = this.#config;
    const wanted = this.#user.of(request, peer);
    if (wanted === undefined) return IGNORED;
    const [found] = await this.#server.find(collection, wanted);
    const fields =
      found === undefined
        ? undefined
        : { password: found[passwordField ?? USUAL[dialect].password], salt: found[saltField] };
    const account = {
      fields,
      clientIdOnly: !this.#user.namesUser,
      superuser: async () => isYes(found?.[superuserField]),
      rules: async () => {
        const which = readRules ? this.#rules.of(request, peer) : undefined;
        if (which === undefined) return undefined;
        return rulesOfDocuments(await this.#server.find(this.#config.rulesCollection, which));
      },
    };
    return concluded(request, account, this.#check);
  }

  close(): void {
    this.#server.close();
  }
}

export const mongodb: AuthenticatorKind<MongodbConfig> = {
  kind: "mongodb",
  schema,
  open(config, host) {
    const { name = "mongodb", password } = config;
    return new Outside(name, config, host, new MongodbSource(config, name), [password]);
  },
};
