import type { Instant } from "../lib/time.ts";
import { NEVER } from "../lib/time.ts";
import { type Authenticator, TransportIdentityAuthenticator } from "../policy/authentication.ts";
import type { AuthenticationSettings, Ban, GatewaySettings, PolicySettings } from "../policy/settings.ts";
import { PasswordCheck } from "./password-check.ts";
import type { Config, GatewayConfig } from "./schema.ts";
import { UsersFile } from "./users-file.ts";

interface ChainMember {
  readonly kind: "users-file" | "transport-identity";
  readonly file?: string;
}
interface AuthenticationConfig {
  readonly anonymous: boolean;
  readonly chain: readonly ChainMember[];
}

/** The policy's settings, and the files behind them that may be read again. */
export interface PreparedPolicy {
  readonly settings: PolicySettings;
  readonly usersFiles: readonly UsersFile[];
}

/** Opens the files that a configuration names. */
class Preparation {
  readonly #files = new Map<string, UsersFile>();
  readonly #passwords: PasswordCheck;

  constructor(config: Config) {
    this.#passwords = new PasswordCheck(config.authentication.hashing);
  }

  get usersFiles(): readonly UsersFile[] {
    return [...this.#files.values()];
  }

  authentication(config: AuthenticationConfig): AuthenticationSettings {
    return { anonymous: config.anonymous, chain: config.chain.map((member) => this.#authenticator(member)) };
  }

  #authenticator(member: ChainMember): Authenticator {
    if (member.kind === "transport-identity") return new TransportIdentityAuthenticator();
    const path = member.file ?? "";
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const file = new UsersFile(path, this.#passwords);
    this.#files.set(path, file);
    return file;
  }
}

function gatewaySettings(config: GatewayConfig, preparation: Preparation): GatewaySettings {
  const { mountpoint, listeners, authentication } = config;
  return authentication === undefined
    ? { mountpoint, listeners }
    : { mountpoint, listeners, authentication: preparation.authentication(authentication) };
}

function banOf(ban: Config["bans"]["list"][number]): Ban {
  const until = ban.until === undefined ? NEVER : (Date.parse(ban.until) as Instant);
  return { ...ban, until };
}

/** What `ConfiguredPolicy` is made of. Reads users files; throws `ConfigError` when one cannot be used. */
export function policySettings(config: Config): PreparedPolicy {
  const preparation = new Preparation(config);
  const { authorization, flapping, rewrite, subscriptions } = config;
  const settings: PolicySettings = {
    authentication: preparation.authentication(config.authentication),
    authorization,
    bans: { max: config.bans.max, list: config.bans.list.map(banOf) },
    flapping,
    rewrite,
    subscriptions,
    gateways: Object.fromEntries(
      Object.entries(config.gateways).map(([name, own]) => [name, gatewaySettings(own, preparation)]),
    ),
  };
  return { settings, usersFiles: preparation.usersFiles };
}
