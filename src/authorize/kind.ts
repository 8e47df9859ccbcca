/** What a kind of authorisation source is: its settings beside what opens it. */
import type { TSchema } from "@sinclair/typebox";
import { Type } from "@sinclair/typebox";
import { askedBy } from "../authenticate/asked-by.ts";
import { patienceProperties } from "../authenticate/outside-settings.ts";
import type { PaceOfLogins } from "../authenticate/pace.ts";
import { type Asked, Patience, type PatienceSettings } from "../authenticate/patience.ts";
import type { Credentials } from "../contract/client.ts";
import type { Identity } from "../contract/identity.ts";
import type { Peer } from "../contract/peer.ts";
import type { Instant } from "../lib/time.ts";
import type { RawSocket } from "../net/transport.ts";
import type { AuthorizationSource, Decision, Question } from "../policy/authorization.ts";
import type { AccessRule } from "../policy/settings.ts";
import { choice } from "../settings/kinds.ts";

/** What one source said, as it is counted; `rules` where it gave a client's rules. */
export type SourceResult = "allowed" | "denied" | "ignored" | "rules" | "busy" | "failed";

export interface AuthorizeHost {
  /** As an authenticator's. */
  readonly pace?: PaceOfLogins | undefined;
  /** As an authenticator's. */
  socket(): RawSocket;
  now(): Instant;
  count(source: string, result: SourceResult): void;
  /** Something about this source that an operator should know; never a secret. */
  note(source: string, problem: string): void;
}

export interface SourceKind<Config = never> {
  readonly kind: string;
  readonly schema: TSchema;
  /** Throws `ConfigError` when it cannot work as configured. */
  open(config: Config, host: AuthorizeHost): AuthorizationSource;
}

/** Settings that all sources have. */
export const sourceProperties = {
  ...patienceProperties,
  onError: choice(["deny", "next", "keep"], {
    description:
      "When it cannot be asked: deny refuses; next goes on with the next source; keep stays with what it said last of this client, and denies what it was never asked.",
    default: "deny",
  }),
};
const Common = Type.Object(sourceProperties);
type SourceSettings = PatienceSettings & { readonly onError: (typeof Common)["static"]["onError"] };

/** A client as templates see it; one that lacks a name has an empty one. */
export interface Client {
  readonly request: Credentials & { readonly question?: Question };
  readonly peer: Peer;
}

export const clientOf = (identity: Identity, question?: Question): Client => ({
  request: {
    clientId: identity.clientId,
    username: identity.username ?? "",
    endpointName: identity.endpointName,
    ...(question === undefined ? {} : { question }),
  },
  peer: identity.peer,
});

/** How a source is asked, as its own file knows it. A rejected promise means: it could not be. */
export interface Asking {
  rules?(client: Client, signal: AbortSignal): Promise<readonly AccessRule[]>;
  decide?(client: Client, signal: AbortSignal): Promise<Decision>;
  close(): void;
}

const RESULTS = { allow: "allowed", deny: "denied", ignore: "ignored" } as const;

/** Asks within the bounds that are configured, and counts. */
export class BoundedSource implements AuthorizationSource {
  readonly name: string;
  readonly onError: AuthorizationSource["onError"];
  readonly rules: AuthorizationSource["rules"];
  readonly decide: AuthorizationSource["decide"];
  readonly #patience: Patience;
  readonly #host: AuthorizeHost;
  readonly #asking: Asking;

  constructor(
    name: string,
    settings: SourceSettings,
    host: AuthorizeHost,
    asking: Asking,
    secrets: readonly (string | undefined)[] = [],
  ) {
    this.name = name;
    this.onError = settings.onError;
    this.#host = host;
    this.#asking = asking;
    this.#patience = new Patience(name, settings, host, secrets);
    if (asking.rules !== undefined) this.rules = (identity) => this.#rules(identity);
    if (asking.decide !== undefined) this.decide = (identity, question) => this.#decide(identity, question);
  }

  close(): void {
    this.#asking.close();
  }

  async #rules(identity: Identity): Promise<readonly AccessRule[] | undefined> {
    const asked = await this.#patience.ask(
      (signal) => this.#asking.rules!(clientOf(identity), signal),
      askedBy(identity, identity.peer),
    );
    return this.#counted(asked, () => "rules");
  }

  async #decide(identity: Identity, question: Question): Promise<Decision | undefined> {
    const client = clientOf(identity, question);
    const asked = await this.#patience.ask(
      (signal) => this.#asking.decide!(client, signal),
      askedBy(identity, identity.peer),
    );
    return this.#counted(asked, (decision) => RESULTS[decision]);
  }

  #counted<Value>(asked: Asked<Value>, result: (value: Value) => SourceResult): Value | undefined {
    if (typeof asked === "object") {
      this.#host.count(this.name, result(asked.value));
      return asked.value;
    }
    this.#host.count(this.name, asked === "busy" ? "busy" : "failed");
    return undefined;
  }
}
