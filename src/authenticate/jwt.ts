/** JSON Web Tokens (RFC 7519) as credentials. jose checks signatures; which key verifies what is decided here. */
import { type Static, Type } from "@sinclair/typebox";
import type { JWTPayload } from "jose";
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import { durationSetting } from "../lib/setting.ts";
import { after, type Duration, type Instant } from "../lib/time.ts";
import { type AuthenticatorAnswer, IGNORED } from "../policy/authentication.ts";
import { locate, readNamedFile } from "../settings/installation.ts";
import { choice, flag, SECRET, text } from "../settings/kinds.ts";
import { ASYMMETRIC, JWKS_MAX, JwksKeys, type Keys, publicKeys, SYMMETRIC } from "./jwt-keys.ts";
import { type AuthenticateHost, type AuthenticatorKind, unusable } from "./kind.ts";
import { Outside, type Source } from "./outside.ts";
import { outsideProperties } from "./outside-settings.ts";
import { needs } from "./packages.ts";
import { RulesError, rulesOf } from "./rules.ts";
import { asText, LoginTemplate } from "./template.ts";
import { Web } from "./web.ts";

const schema = Type.Object(
  {
    kind: Type.Literal("jwt", { description: "Tokens." }),
    ...outsideProperties,
    from: choice(["password", "username"], { description: "Where the token is.", default: "password" }),
    secret: Type.Optional(
      text({ description: "HS256, HS384, HS512: the secret.", [SECRET]: true, minLength: 1 }),
    ),
    secretEncoding: choice(["text", "base64"], { description: "How secret is written.", default: "text" }),
    publicKeyFile: Type.Optional(
      text({
        description: "RS, PS, ES, EdDSA: a public key or certificate as PEM, RSA, P-256 to P-521 or Ed25519.",
      }),
    ),
    jwks: Type.Optional(
      text({ description: "RS, PS, ES, EdDSA: a key set, as a URL or the path of a file." }),
    ),
    jwksRefresh: durationSetting({
      description: "How often the key set is read again; besides, when a token names a key that it lacks.",
      default: "5m",
      minimum: "1s",
    }),
    verifyClaims: Type.Record(
      Type.String(),
      text({ description: "What the claim must be, with placeholders." }),
      {
        description:
          "Claims that a token must have, as { sub: %u }: %u user name, %c client id, %a address. A claim that is a list must hold the value.",
        default: {},
      },
    ),
    usernameClaim: text({
      description:
        "The claim that is the client's user name, unless verifyClaims ties the name to the token already; where a token lacks it, the name that the client sent is a mere claim.",
      default: "sub",
    }),
    aclClaim: text({
      description: "The claim with access rules; they go before the general ones.",
      default: "acl",
    }),
    requireExpiry: flag({ description: "Refuse tokens that do not expire.", default: false }),
    disconnectAfterExpiry: flag({ description: "A login ends when its token does.", default: true }),
    clockTolerance: durationSetting({
      description: "How far clocks may be apart.",
      default: "0s",
      maximum: "10m",
    }),
  },
  { description: "A token is the login, signed by whom the operator trusts." },
);
type JwtConfig = Static<typeof schema>;

const TOKEN = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*$/;
const TOKEN_LENGTH_MAX = 16 * 1024;

const rejected = (reason: string): AuthenticatorAnswer => ({ answer: "rejected", reason });

class JwtSource implements Source {
  readonly #config: JwtConfig;
  readonly #keys: Keys;
  readonly #host: AuthenticateHost;
  readonly #web: Web | undefined;
  readonly #claims: readonly (readonly [claim: string, template: LoginTemplate])[];

  constructor(config: JwtConfig, keys: Keys, host: AuthenticateHost, web: Web | undefined) {
    this.#config = config;
    this.#keys = keys;
    this.#host = host;
    this.#web = web;
    const { name = "jwt", verifyClaims } = config;
    this.#claims = Object.entries(verifyClaims).map(([claim, value]) => [
      claim,
      new LoginTemplate(value, name),
    ]);
  }

  async ask(request: Credentials, peer: Peer, signal: AbortSignal): Promise<AuthenticatorAnswer> {
    const { from } = this.#config;
    const token = from === "username" ? request.username : asText(request.password ?? "");
    if (token === undefined || !TOKEN.test(token)) return IGNORED;
    if (token.length > TOKEN_LENGTH_MAX) return rejected("a token longer than tokens are");
    const { errors } = await import("jose");
    try {
      const payload = await this.#verified(token, signal);
      return payload === undefined ? IGNORED : this.#concluded(payload, request, peer);
    } catch (error) {
      if (error instanceof RulesError) return rejected(error.message);
      if (!(error instanceof errors.JOSEError)) throw error;
      // Neither ours nor well-formed: somebody else's, perhaps. Expired, not yet valid: ours, and no good.
      const late = error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed;
      return late ? rejected("the token is not valid now") : unsigned(token) ? rejected("unsigned") : IGNORED;
    }
  }

  close(): void {
    this.#web?.close();
  }

  /** Undefined when no key of ours has signed it. */
  async #verified(token: string, signal: AbortSignal): Promise<JWTPayload | undefined> {
    const { jwtVerify, errors } = await import("jose");
    const { algorithms, key } = this.#keys;
    const now = this.#host.now();
    // NumericDate (RFC 7519 §2) is a date: one that is right from a step of the clock on, and not from a restart on.
    const currentDate = new Date(this.#host.date());
    const { clockTolerance, requireExpiry } = this.#config;
    const options = {
      algorithms: [...algorithms],
      clockTolerance: clockTolerance / 1000,
      currentDate,
      ...(requireExpiry ? { requiredClaims: ["exp"] } : {}),
    };
    if (!(key instanceof JwksKeys)) return (await jwtVerify(token, key, options)).payload;
    let set = await key.current(now, signal);
    for (;;) {
      try {
        return (await jwtVerify(token, set, options)).payload;
      } catch (error) {
        if (error instanceof errors.JWKSMultipleMatchingKeys) return anyOf(token, error, options);
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        const newer = await key.newer(now, signal);
        if (newer === undefined || newer === set) return undefined;
        set = newer;
      }
    }
  }

  #concluded(payload: JWTPayload, request: Credentials, peer: Peer): AuthenticatorAnswer {
    const { aclClaim, usernameClaim, disconnectAfterExpiry, from } = this.#config;
    for (const [claim, template] of this.#claims) {
      const wanted = template.fill(request, peer);
      const found = payload[claim];
      const holds = Array.isArray(found)
        ? found.map(String).includes(wanted ?? "")
        : String(found) === wanted;
      if (wanted === undefined || found === undefined || !holds)
        return rejected(`the claim ${claim} is another's`);
    }
    const rules = rulesOf(payload[aclClaim]);
    const superuser = payload["is_superuser"] === true;
    const { exp } = payload;
    const common = {
      answer: "accepted" as const,
      superuser,
      ...(rules === undefined ? {} : { rules }),
      ...(exp !== undefined && disconnectAfterExpiry ? { expiresAt: this.#endOf(exp) } : {}),
    };
    const ties = (name: "username" | "clientid") => this.#claims.some(([, template]) => template.is(name));
    if (from === "password" && ties("username")) return common;
    const named = payload[usernameClaim];
    if (typeof named === "string" && named !== "") return { ...common, username: named };
    if (ties("clientid")) return { ...common, clientIdOnly: true };
    return { ...common, unproven: true };
  }

  /** The date, by the clock of this process. */
  #endOf(exp: number): Instant {
    return after(this.#host.now(), (exp * 1000 - this.#host.date()) as Duration);
  }
}

/** Several keys of a set may fit a token that names none (RFC 7517 §4.5); few are tried. */
async function anyOf(
  token: string,
  keys: AsyncIterable<import("jose").CryptoKey>,
  options: import("jose").JWTVerifyOptions,
): Promise<JWTPayload | undefined> {
  const { jwtVerify, errors } = await import("jose");
  let left = 8;
  for await (const key of keys) {
    if (left-- === 0) break;
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  return undefined;
}

/** `alg: none` (RFC 7519 §6): no authenticator of any chain takes it. */
function unsigned(token: string): boolean {
  try {
    const header = JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString("utf8"));
    return String(header.alg).toLowerCase() === "none";
  } catch {
    return false;
  }
}

function keysOf(config: JwtConfig, host: AuthenticateHost, name: string, web: Web): Keys {
  const { secret, secretEncoding, publicKeyFile, jwks, jwksRefresh } = config;
  if ([secret, publicKeyFile, jwks].filter((given) => given !== undefined).length !== 1) {
    throw unusable(name, "takes one of secret, publicKeyFile and jwks");
  }
  if (secret !== undefined) {
    const key = new Uint8Array(Buffer.from(secret, secretEncoding === "base64" ? "base64" : "utf8"));
    return { algorithms: SYMMETRIC, key };
  }
  if (publicKeyFile !== undefined) {
    try {
      return publicKeys(readNamedFile(publicKeyFile));
    } catch (error) {
      throw unusable(name, `publicKeyFile cannot be used: ${(error as Error).message}`);
    }
  }
  const place = /^https?:/.test(jwks!) ? { url: jwks!, web } : { file: locate(jwks!) };
  const key = new JwksKeys(place, jwksRefresh, (problem) => host.note(name, problem));
  return { algorithms: ASYMMETRIC, key };
}

export const jwt: AuthenticatorKind<JwtConfig> = {
  kind: "jwt",
  schema,
  open(config, host) {
    const { name = "jwt", secret } = config;
    needs(name, "jose");
    if (config.jwks !== undefined) needs(name, "undici");
    const web = new Web({ connections: 1, answerMax: JWKS_MAX });
    const source = new JwtSource(config, keysOf(config, host, name, web), host, web);
    return new Outside(name, config, host, source, [secret]);
  },
};
