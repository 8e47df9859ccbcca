import type { Refusal } from "../contract/answers.ts";
import type { ConnectRequest } from "../contract/client.ts";
import type { Identity } from "../contract/identity.ts";
import type { Peer } from "../contract/peer.ts";
import type { Instant } from "../lib/time.ts";
import type { AuthenticationSettings } from "./settings.ts";

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
      readonly superuser?: boolean;
      readonly expiresAt?: Instant;
    }
  | { readonly answer: "rejected"; readonly reason: string }
  /** Too many passwords are being checked. */
  | { readonly answer: "busy" };

export const IGNORED: AuthenticatorAnswer = { answer: "ignored" };

/** One member of the authentication chain. A rejected promise refuses the client: the chain fails closed. */
export interface Authenticator {
  authenticate(
    request: ConnectRequest,
    peer: Peer,
    now: Instant,
  ): AuthenticatorAnswer | Promise<AuthenticatorAnswer>;
  /** Whether it would still vouch for somebody with the rights that it was given. Absent: who knows. */
  knows?(identity: Identity): boolean;
}

/** What the transport has proven (certificate subject, PSK identity) is the user name. */
export class TransportIdentityAuthenticator implements Authenticator {
  authenticate(_request: ConnectRequest, peer: Peer): AuthenticatorAnswer {
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
    }
  | { readonly ok: false; readonly refusal: Refusal; readonly reason: string };

export const anonymousLogin = (request: ConnectRequest): Login => ({
  ok: true,
  username: request.username,
  proven: undefined,
  superuser: false,
  expiresAt: undefined,
});

const refused = (refusal: Refusal, reason: string): Login => ({ ok: false, refusal, reason });

/**
 * Nobody in the chain knew the client. With no chain at all, `anonymous` lets everybody in and a user name is a
 * mere claim; with a chain, a client that presents a user name must be known to it.
 */
function unknownClient(settings: AuthenticationSettings, request: ConnectRequest): Login {
  if (!settings.anonymous) return refused("unauthenticated", "no authenticator knows this client");
  if (settings.chain.length > 0 && request.username !== undefined) {
    return refused("unauthenticated", "no authenticator knows this user name");
  }
  return anonymousLogin(request);
}

function conclude(answer: AuthenticatorAnswer, request: ConnectRequest): Login | undefined {
  switch (answer.answer) {
    case "ignored":
      return undefined;
    case "accepted": {
      const username = answer.clientIdOnly === true ? undefined : (answer.username ?? request.username);
      return {
        ok: true,
        username,
        proven: username === undefined ? `client:${request.clientId}` : `user:${username}`,
        superuser: answer.superuser ?? false,
        expiresAt: answer.expiresAt,
      };
    }
    case "rejected":
      return refused("unauthenticated", answer.reason);
    case "busy":
      return refused("congested", "too many logins wait for their password check");
  }
}

/** Asks the chain in order; the first that accepts or rejects decides. At once unless a member needs time. */
export function runChain(
  settings: AuthenticationSettings,
  request: ConnectRequest,
  peer: Peer,
  now: Instant,
): Login | Promise<Login> {
  for (let index = 0; index < settings.chain.length; index++) {
    const answer = settings.chain[index]!.authenticate(request, peer, now);
    if (answer instanceof Promise) return finishChain(settings, index, answer, request, peer, now);
    const login = conclude(answer, request);
    if (login !== undefined) return login;
  }
  return unknownClient(settings, request);
}

async function finishChain(
  settings: AuthenticationSettings,
  index: number,
  first: Promise<AuthenticatorAnswer>,
  request: ConnectRequest,
  peer: Peer,
  now: Instant,
): Promise<Login> {
  try {
    let answer = await first;
    for (let next = index + 1; ; next++) {
      const login = conclude(answer, request);
      if (login !== undefined) return login;
      if (next >= settings.chain.length) return unknownClient(settings, request);
      answer = await settings.chain[next]!.authenticate(request, peer, now);
    }
  } catch {
    return refused("unavailable", "an authenticator failed");
  }
}
