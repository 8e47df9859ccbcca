import type { Refusal } from "../contract/answers.ts";
import type { Credentials } from "../contract/client.ts";
import type { Identity } from "../contract/identity.ts";
import type { Peer } from "../contract/peer.ts";
import type { Instant } from "../lib/time.ts";
import type { AuthenticationFailure } from "./policy.ts";
import type { AccessRule, AuthenticationSettings } from "./settings.ts";

/** What one authenticator has to say about a client. */
export type AuthenticatorAnswer =
  /** It does not know this client; the next in the chain is asked. */
  | { readonly answer: "ignored" }
  | {
      readonly answer: "accepted";
      /** The proven user name, where it is not the one that the client sent. */
      readonly username?: string;
      /** Nothing but the client id is proven: a user name that the client sent along does not count. */
      readonly clientIdOnly?: boolean;
      /** The client may come in, but its user name stays a mere claim: nothing has proven it. */
      readonly unproven?: boolean;
      readonly superuser?: boolean;
      readonly expiresAt?: Instant;
      /** Rules that came with the login (a token, a table); they go before the general ones. */
      readonly rules?: readonly AccessRule[];
    }
  | { readonly answer: "rejected"; readonly reason: string }
  /** Too many logins are being checked. */
  | { readonly answer: "busy" }
  /** It could not find out. */
  | { readonly answer: "unavailable" };

export const IGNORED: AuthenticatorAnswer = { answer: "ignored" };

/** The connection that asks to be let in. */
export interface Applicant {
  /** It is gone, and nobody waits for the answer. */
  readonly closed: boolean;
}

/** One member of the authentication chain. A rejected promise refuses the client: the chain fails closed. */
export interface Authenticator {
  /** For the log: its kind, as in the configuration. */
  readonly name: string;
  /** Logins of several messages that it can check; it is asked about no others. */
  readonly methods?: readonly string[] | undefined;
  authenticate(
    request: Credentials,
    peer: Peer,
    now: Instant,
    applicant?: Applicant,
  ): AuthenticatorAnswer | Promise<AuthenticatorAnswer>;
  /**
   * Does for somebody whom it does not know what it would do for somebody who has the password wrong, so that time does
   * not tell them apart. Absent: knowing nobody takes it as long as knowing somebody.
   */
  pretend?(
    request: Credentials,
    peer: Peer,
    now: Instant,
    applicant?: Applicant,
  ): AuthenticatorAnswer | Promise<AuthenticatorAnswer>;
  /** Whether it would still vouch for somebody with the rights that it was given. Absent: who knows. */
  knows?(identity: Identity): boolean;
  /** For DTLS: the pre-shared key of an identity; undefined where it knows none, and the next is asked. */
  readonly presharedKey?:
    | ((identity: string) => Uint8Array | undefined | Promise<Uint8Array | undefined>)
    | undefined;
  /** For DTLS: the name of the device that has this raw public key (a SubjectPublicKeyInfo, RFC 7250). */
  readonly rawKeyHolder?:
    | ((publicKey: Uint8Array) => string | undefined | Promise<string | undefined>)
    | undefined;
}

/** What the transport has proven (certificate subject, PSK identity) is the user name. */
export class TransportIdentityAuthenticator implements Authenticator {
  readonly name = "transport-identity";

  authenticate(_request: Credentials, peer: Peer): AuthenticatorAnswer {
    if (peer.identity === undefined) return IGNORED;
    return { answer: "accepted", username: peer.identity };
  }

  knows({ username, peer }: Identity): boolean {
    return peer.identity !== undefined && peer.identity === username;
  }
}

/** Whether somebody who was let in before would be now, as far as that can be told without a password. */
export function isStillKnown({ anonymous, chain }: AuthenticationSettings, identity: Identity): boolean {
  if (identity.proven !== undefined) {
    return chain.some((member) => member.knows?.(identity) !== false);
  }
  return anonymous && (chain.length === 0 || identity.username === undefined);
}

/** The chain's verdict, before bans and mountpoint are looked at. */
export type Login =
  | {
      readonly ok: true;
      readonly username: string | undefined;
      /** See `Identity.proven`. */
      readonly proven: string | undefined;
      readonly superuser: boolean;
      readonly expiresAt: Instant | undefined;
      readonly rules?: readonly AccessRule[] | undefined;
    }
  | {
      readonly ok: false;
      readonly refusal: Refusal;
      /** For the client. */
      readonly reason: string;
      /** For the operator: it would tell a stranger which names there are. */
      readonly why?: string;
      /** Which authenticator has decided, by its name. */
      readonly by?: string;
      /** An authenticator could not do its work. */
      readonly failure?: AuthenticationFailure;
    };

export const anonymousLogin = (request: Credentials): Login => ({
  ok: true,
  username: request.username,
  proven: undefined,
  superuser: false,
  expiresAt: undefined,
});

const refused = (refusal: Refusal, reason: string): Login => ({ ok: false, refusal, reason });
/** One answer to all whom the chain does not let in. */
const notAuthenticated = (why: string): Login => ({
  ok: false,
  refusal: "unauthenticated",
  reason: "not authenticated",
  why,
});

/**
 * Nobody in the chain knew the client. With no chain at all, `anonymous` lets everybody in and a user name is a
 * mere claim; with a chain, a client that presents a user name must be known to it.
 */
function unknownClient(settings: AuthenticationSettings, request: Credentials): Login {
  if (!settings.anonymous) {
    const why = "no authenticator knows this client, and authentication.anonymous is false";
    return notAuthenticated(why);
  }
  const { username, password, exchange } = request;
  const presents = username !== undefined || password !== undefined || exchange !== undefined;
  if (settings.chain.length > 0 && presents) {
    return notAuthenticated("no authenticator knows this user name or password");
  }
  return anonymousLogin(request);
}

const provenOf = (username: string | undefined, { clientId }: Credentials): string =>
  username === undefined ? `client:${clientId}` : `user:${username}`;

function conclude(answer: AuthenticatorAnswer, request: Credentials, by: string): Login | undefined {
  const login = loginOf(answer, request);
  return login === undefined || login.ok ? login : { ...login, by };
}

function loginOf(answer: AuthenticatorAnswer, request: Credentials): Login | undefined {
  switch (answer.answer) {
    case "ignored":
      return undefined;
    case "accepted": {
      const username = answer.clientIdOnly === true ? undefined : (answer.username ?? request.username);
      return {
        ok: true,
        username,
        proven: answer.unproven === true ? `bearer:${request.clientId}` : provenOf(username, request),
        superuser: answer.superuser ?? false,
        expiresAt: answer.expiresAt,
        rules: answer.rules,
      };
    }
    case "rejected":
      return notAuthenticated(answer.reason);
    case "busy":
      return refused("congested", "too many logins wait for their check");
    case "unavailable":
      return refused("unavailable", "logins cannot be checked now");
  }
}

/** A login of several messages is for those who know its method, and for nobody else. */
const isAsked = ({ methods }: Authenticator, { exchange }: Credentials): boolean =>
  exchange === undefined || methods?.includes(exchange.method) === true;

/** Asks the chain in order; the first that accepts or rejects decides. At once unless a member needs time. */
export function runChain(
  settings: AuthenticationSettings,
  request: Credentials,
  peer: Peer,
  now: Instant,
  applicant?: Applicant,
): Login | Promise<Login> {
  for (let index = 0; index < settings.chain.length; index++) {
    const authenticator = settings.chain[index]!;
    if (!isAsked(authenticator, request)) continue;
    try {
      const answer = authenticator.authenticate(request, peer, now, applicant);
      if (answer instanceof Promise)
        return finishChain(settings, index, answer, { request, peer, now, applicant });
      const login = conclude(answer, request, authenticator.name);
      if (login !== undefined) return login;
    } catch (error) {
      return failed(authenticator, error);
    }
  }
  return concludeUnknown(settings, { request, peer, now, applicant });
}

interface Asked {
  readonly request: Credentials;
  readonly peer: Peer;
  readonly now: Instant;
  readonly applicant: Applicant | undefined;
}

/** Refuses a stranger with a password no sooner than somebody whose password is wrong. */
function concludeUnknown(
  settings: AuthenticationSettings,
  { request, peer, now, applicant }: Asked,
): Login | Promise<Login> {
  const login = unknownClient(settings, request);
  if (login.ok || request.password === undefined) return login;
  for (const member of settings.chain) {
    const answer = member.pretend?.(request, peer, now, applicant) ?? IGNORED;
    const outcome = (given: AuthenticatorAnswer): Login =>
      given.answer === "busy" ? (conclude(given, request, member.name) as Login) : login;
    if (answer instanceof Promise) return answer.then(outcome);
    if (answer.answer !== "ignored") return outcome(answer);
  }
  return login;
}

async function finishChain(
  settings: AuthenticationSettings,
  index: number,
  first: Promise<AuthenticatorAnswer>,
  asked: Asked,
): Promise<Login> {
  const { request, peer, now, applicant } = asked;
  let at = index;
  try {
    let answer = await first;
    for (;;) {
      const login = conclude(answer, request, settings.chain[at]!.name);
      if (login !== undefined) return login;
      do at++;
      while (at < settings.chain.length && !isAsked(settings.chain[at]!, request));
      if (at >= settings.chain.length) return await concludeUnknown(settings, asked);
      answer = await settings.chain[at]!.authenticate(request, peer, now, applicant);
    }
  } catch (error) {
    return failed(settings.chain[at], error);
  }
}

const failed = (authenticator: Authenticator | undefined, error: unknown): Login => ({
  ok: false,
  refusal: "unavailable",
  reason: "an authenticator failed",
  failure: { authenticator: authenticator?.name ?? "the last of the chain", error: String(error) },
});
