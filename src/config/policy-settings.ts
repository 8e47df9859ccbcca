import type { AuthenticateHost } from "../authenticate/kind.ts";
import { type ChainMember, openAuthenticator } from "../authenticate/kinds.ts";
import { ListedLogins } from "../authenticate/listed-logins.ts";
import { type LoginList, LoginLists } from "../authenticate/login-list.ts";
import { PasswordCheck } from "../authenticate/password-check.ts";
import { UsersFile } from "../authenticate/users-file.ts";
import type { SourceResult } from "../authorize/kind.ts";
import { type ConfiguredSource, openSource } from "../authorize/kinds.ts";
import type { Instant } from "../lib/time.ts";
import { NEVER } from "../lib/time.ts";
import type { AuthorizationSource } from "../policy/authorization.ts";
import type { AuthenticationSettings, Ban, GatewaySettings, PolicySettings } from "../policy/settings.ts";
import { UNLIMITED } from "../policy/unlimited.ts";
import type { Path } from "../settings/path.ts";
import type { Config, GatewayConfig } from "./schema.ts";

interface AuthenticationConfig {
  readonly anonymous: boolean;
  readonly chain: readonly ChainMember[];
}

/** The policy's settings, and what stands behind them: files that may be read again, connections that end with them. */
export interface PreparedPolicy {
  readonly settings: PolicySettings;
  readonly usersFiles: readonly UsersFile[];
  readonly loginLists: readonly ListedLogins[];
  /** These settings are no longer in force. */
  close(): void;
}

/** Who comes by the HTTP API has logged in there; rules name the gateway `http` and the listener `api`. */
const HTTP_CLIENTS: GatewaySettings = {
  mountpoint: "",
  listeners: { api: { authenticate: false, accessRules: [], limits: UNLIMITED } },
};

/** What authenticators and sources of rules tell of themselves. */
export interface AuthenticationObserver
  extends Pick<AuthenticateHost, "now" | "date" | "count" | "note" | "pace" | "socket"> {
  /** What a source of rules said. */
  decided?(source: string, result: SourceResult): void;
  /** Lists that outlive a configuration; absent: they are empty. */
  readonly lists?: LoginLists;
}
/** Of what is opened to be looked at, and asks nobody over the network. */
const UNOBSERVED: AuthenticationObserver = {
  now: () => Date.now() as Instant,
  date: () => Date.now(),
  count: () => {},
  note: () => {},
  socket() {
    throw new TypeError("nothing was given to connect with");
  },
};

/** Opens the authenticators that a configuration names. */
class Preparation {
  readonly #files = new Map<string, UsersFile>();
  readonly #lists = new Map<LoginList, ListedLogins>();
  readonly #opened: { close?(): void }[] = [];
  readonly #observer: AuthenticationObserver;
  readonly #host: AuthenticateHost;

  constructor(config: Config, observer: AuthenticationObserver) {
    const passwords = new PasswordCheck(config.authentication.hashing);
    const usersFile = (path: string): UsersFile => {
      const file = this.#files.get(path) ?? new UsersFile(path, passwords);
      this.#files.set(path, file);
      return file;
    };
    this.#observer = observer;
    const lists = observer.lists ?? new LoginLists();
    const listedLogins: AuthenticateHost["listedLogins"] = (of, own) => {
      const list = lists.open(of, own.list);
      const logins = this.#lists.get(list) ?? new ListedLogins(own, list, passwords);
      this.#lists.set(list, logins);
      return logins;
    };
    const { now, date, count, note, pace, socket } = observer;
    this.#host = { passwords, usersFile, listedLogins, now, date, count, note, pace, socket };
  }

  get loginLists(): readonly ListedLogins[] {
    return [...this.#lists.values()];
  }

  get usersFiles(): readonly UsersFile[] {
    return [...this.#files.values()];
  }

  authentication(config: AuthenticationConfig): AuthenticationSettings {
    const chain = config.chain.map((member) => {
      const opened = openAuthenticator(member, this.#host);
      this.#opened.push(opened);
      return opened;
    });
    return { anonymous: config.anonymous, chain };
  }

  source(source: ConfiguredSource): AuthorizationSource {
    const { now, note, pace, socket } = this.#host;
    const count = (name: string, result: SourceResult): void => this.#observer.decided?.(name, result);
    const opened = openSource(source, { now, note, count, pace, socket });
    this.#opened.push(opened);
    return opened;
  }

  readonly close = (): void => {
    for (const opened of this.#opened) opened.close?.();
  };
}

function gatewaySettings(config: GatewayConfig, preparation: Preparation): GatewaySettings {
  const { mountpoint, listeners, authentication, presents } = config;
  const common = { mountpoint, listeners, presents };
  return authentication === undefined
    ? common
    : { ...common, authentication: preparation.authentication(authentication) };
}

function banOf(ban: Config["bans"]["list"][number]): Ban {
  const until = ban.until === undefined ? NEVER : (Date.parse(ban.until) as Instant);
  return { ...ban, until };
}

/** What `ConfiguredPolicy` is made of. Opens authenticators; throws `ConfigError` when one cannot be used. */
export function policySettings(
  config: Config,
  observer: AuthenticationObserver = UNOBSERVED,
): PreparedPolicy {
  const preparation = new Preparation(config, observer);
  const { authorization, flapping, rewrite, subscriptions } = config;
  const settings: PolicySettings = {
    authentication: preparation.authentication(config.authentication),
    attempts: config.authentication.attempts,
    chains: Object.fromEntries(
      Object.entries(config.authentication.chains).map(([name, own]) => [
        name,
        preparation.authentication(own),
      ]),
    ),
    authorization: { ...authorization, sources: authorization.sources.map((one) => preparation.source(one)) },
    bans: { max: config.bans.max, list: config.bans.list.map(banOf) },
    flapping,
    rewrite,
    subscriptions,
    gateways: {
      ...Object.fromEntries(
        Object.entries(config.gateways).map(([name, own]) => [name, gatewaySettings(own, preparation)]),
      ),
      http: HTTP_CLIENTS,
    },
  };
  const { usersFiles, loginLists, close } = preparation;
  return { settings, usersFiles, loginLists, close };
}

/** Opens each authenticator and source of rules by itself, and closes it again; `failed` hears of what cannot be used. */
export function tryPolicy(config: Config, failed: (path: Path, error: unknown) => void): void {
  const preparation = new Preparation(config, UNOBSERVED);
  const attempt = (path: Path, open: () => void): void => {
    try {
      open();
    } catch (error) {
      failed(path, error);
    }
  };
  const { anonymous } = config.authentication;
  for (const [path, { chain }] of chainsOf(config)) {
    chain.forEach((member, index) => {
      attempt([...path, "chain", index], () => preparation.authentication({ anonymous, chain: [member] }));
    });
  }
  config.authorization.sources.forEach((source, index) => {
    attempt(["authorization", "sources", index], () => preparation.source(source));
  });
  preparation.close();
}

const chainsOf = (config: Config): (readonly [Path, Pick<AuthenticationConfig, "chain">])[] => [
  [["authentication"], config.authentication],
  ...Object.entries(config.authentication.chains).map(
    ([name, own]) => [["authentication", "chains", name], own] as const,
  ),
  ...Object.entries(config.gateways).flatMap(([name, { authentication }]) =>
    authentication === undefined ? [] : [[["gateways", name, "authentication"], authentication] as const],
  ),
];
