/** Users and clients that this process knows by itself, and what it says of those who log in. */
import { randomBytes } from "node:crypto";
import type { Credentials, Exchange } from "../contract/client.ts";
import type { Identity } from "../contract/identity.ts";
import type { Peer } from "../contract/peer.ts";
import type { Instant } from "../lib/time.ts";
import {
  type Applicant,
  type Authenticator,
  type AuthenticatorAnswer,
  IGNORED,
} from "../policy/authentication.ts";
import { askedBy } from "./asked-by.ts";
import type { PasswordCheck } from "./password-check.ts";
import type { PasswordHash } from "./password-hash.ts";
import { challengeOf, decoys, SCRAM_METHODS, type Verifier } from "./scram.ts";

export interface Entry {
  /** Undefined: of a client, the name is enough; of a user, there is no password that is right. */
  readonly hash: PasswordHash | undefined;
  readonly verifiers: readonly Verifier[];
  readonly superuser: boolean;
  /** Undefined: any. */
  readonly clientId: string | undefined;
}

export interface Users {
  /** Of all that have one. */
  readonly hashes: readonly PasswordHash[];
  readonly byName: ReadonlyMap<string, Entry>;
  readonly byClientId: ReadonlyMap<string, Entry>;
  /** SCRAM with the hashes that somebody has verifiers of. */
  readonly methods: readonly string[];
  /** Pre-shared keys by name, and names by raw public keys in base64. */
  readonly presharedKeys: ReadonlyMap<string, Uint8Array>;
  readonly rawKeyHolders: ReadonlyMap<string, string>;
}

const WRONG_CLIENT_ID: AuthenticatorAnswer = {
  answer: "rejected",
  reason: "this user may not have this client id",
};
const WRONG_PASSWORD: AuthenticatorAnswer = { answer: "rejected", reason: "wrong password" };
const NO_PASSWORD = new Uint8Array();

/** FNV-1a, 32 bits. */
function spread(name: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < name.length; index++)
    value = Math.imul(value ^ name.charCodeAt(index), 0x01000193);
  return value >>> 0;
}

export abstract class KnownUsers implements Authenticator {
  readonly name: string;
  readonly #passwords: PasswordCheck;
  readonly #decoy = decoys(randomBytes(32));

  constructor(name: string, passwords: PasswordCheck) {
    this.name = name;
    this.#passwords = passwords;
  }

  protected abstract readonly users: Users;

  authenticate(
    request: Credentials,
    peer: Peer,
    now: Instant,
    applicant?: Applicant,
  ): AuthenticatorAnswer | Promise<AuthenticatorAnswer> {
    const { byName, byClientId } = this.users;
    if (request.exchange !== undefined) return this.#exchange(request, request.exchange);
    const user = request.username === undefined ? undefined : byName.get(request.username);
    const entry = user ?? byClientId.get(request.clientId);
    if (entry === undefined) return IGNORED;
    const { superuser } = entry;
    const accepted: AuthenticatorAnswer =
      user === undefined
        ? { answer: "accepted", superuser, clientIdOnly: true }
        : { answer: "accepted", superuser };
    const held = entry.clientId !== undefined && entry.clientId !== request.clientId;
    if (entry.hash === undefined && user !== undefined) return WRONG_PASSWORD;
    if (entry.hash === undefined) return held ? WRONG_CLIENT_ID : accepted;
    if (request.password === undefined) return { answer: "rejected", reason: "no password was given" };
    // The password comes first, so that time does not tell which names there are.
    const right = held ? WRONG_CLIENT_ID : accepted;
    return this.#check(entry.hash, request, peer, now, applicant, right);
  }

  /** Of all users: SCRAM is offered when somebody has what it needs. */
  get methods(): readonly string[] {
    return this.users.methods;
  }

  /** SCRAM (RFC 5802). Whom nobody knows gets a challenge as everybody does, and fails at the end. */
  async #exchange(request: Credentials, exchange: Exchange): Promise<AuthenticatorAnswer> {
    const hash = SCRAM_METHODS[exchange.method];
    if (hash === undefined) return IGNORED;
    const { byName } = this.users;
    const verifierOf = (name: string) => byName.get(name)?.verifiers.find((one) => one.hash === hash);
    const challenge = challengeOf(exchange.data, hash, verifierOf, this.#decoy);
    if (challenge === undefined) return { answer: "rejected", reason: "no first message of SCRAM" };
    const { username } = challenge;
    const answered = await new Promise<Uint8Array | undefined>((resolve) =>
      exchange.challenge(challenge.message, resolve),
    );
    if (answered === undefined) return { answer: "rejected", reason: "the client gave up" };
    const final = challenge.conclude(answered);
    if (final === undefined) return WRONG_PASSWORD;
    // CONNECT's user name may be absent; where it is there, it is the same (MQTT 5 §4.12).
    if (request.username !== undefined && request.username !== username) {
      return { answer: "rejected", reason: "CONNECT names another user" };
    }
    const entry = byName.get(username);
    if (entry === undefined) return WRONG_PASSWORD;
    if (entry.clientId !== undefined && entry.clientId !== request.clientId) return WRONG_CLIENT_ID;
    exchange.success(final);
    return { answer: "accepted", username, superuser: entry.superuser };
  }

  /** Checks the password of one of its users who has another name; always the same one for a name. */
  pretend(
    request: Credentials,
    peer: Peer,
    now: Instant,
    applicant?: Applicant,
  ): AuthenticatorAnswer | Promise<AuthenticatorAnswer> {
    const { hashes } = this.users;
    const hash = hashes[spread(request.username ?? request.clientId) % Math.max(1, hashes.length)];
    return hash === undefined ? IGNORED : this.#check(hash, request, peer, now, applicant, WRONG_PASSWORD);
  }

  #check(
    hash: PasswordHash,
    request: Credentials,
    peer: Peer,
    now: Instant,
    applicant: Applicant | undefined,
    right: AuthenticatorAnswer,
  ): AuthenticatorAnswer | Promise<AuthenticatorAnswer> {
    const { password = NO_PASSWORD } = request;
    const outcome = this.#passwords.verify(hash, password, now, askedBy(request, peer, applicant));
    const conclude = (answer: boolean | "busy"): AuthenticatorAnswer =>
      answer === "busy" ? { answer: "busy" } : answer ? right : WRONG_PASSWORD;
    return outcome instanceof Promise ? outcome.then(conclude) : conclude(outcome);
  }

  knows({ username, clientId, superuser, proven }: Identity): boolean {
    const { byName, byClientId } = this.users;
    const entry = proven === `user:${username}` ? byName.get(username as string) : byClientId.get(clientId);
    return entry !== undefined && entry.superuser === superuser && (entry.clientId ?? clientId) === clientId;
  }

  presharedKey(identity: string): Uint8Array | undefined {
    return this.users.presharedKeys.get(identity);
  }

  rawKeyHolder(publicKey: Uint8Array): string | undefined {
    return this.users.rawKeyHolders.get(Buffer.from(publicKey).toString("base64"));
  }
}
