import type { Credentials } from "#core/contract/client.ts";
import type { Peer } from "#core/contract/peer.ts";
import { type Clock, type Duration, type Instant, seconds } from "#core/lib/time.ts";
import type { Identity, Verdict } from "#core/policy/policy.ts";
import type { PolicySettings } from "#core/policy/settings.ts";
import { UNLIMITED } from "#core/policy/unlimited.ts";

export const peerAt = (address: string, more: Partial<Peer> = {}): Peer => ({
  transport: "tcp",
  address,
  port: 40_000,
  ...more,
});

export const identityOf = (fields: Partial<Identity> = {}): Identity => ({
  gateway: "mqtt",
  listener: "tcp",
  clientId: "c1",
  username: undefined,
  endpointName: undefined,
  peer: peerAt("192.0.2.7"),
  superuser: false,
  expiresAt: undefined,
  ...fields,
});

export const requestOf = (fields: Partial<Credentials> = {}): Credentials => ({
  clientId: "c1",
  ...fields,
});

/** Settings under which everything is allowed, and what a test wants different. */
export const settingsWith = (fields: Partial<PolicySettings> = {}): PolicySettings => ({
  authentication: { anonymous: true, chain: [] },
  authorization: { noMatch: "allow", cache: { entries: 16, ttl: seconds(60) }, rules: [] },
  bans: { max: 100, list: [] },
  flapping: { enable: false, threshold: 3, window: seconds(60), ban: seconds(300), clients: 10 },
  rewrite: [],
  subscriptions: [],
  gateways: {
    mqtt: {
      mountpoint: "",
      listeners: { tcp: { authenticate: true, accessRules: [], limits: UNLIMITED } },
    },
  },
  ...fields,
});

/** A clock that a test moves. */
export class HandClock implements Clock {
  #now: Instant;
  constructor(start = 1_700_000_000_000) {
    this.#now = start as Instant;
  }
  now(): Instant {
    return this.#now;
  }
  pass(length: Duration): Instant {
    this.#now = (this.#now + length) as Instant;
    return this.#now;
  }
}

/** The identity of a verdict that must be there at once. */
export function accepted(verdict: Verdict | Promise<Verdict>): Identity {
  if (verdict instanceof Promise || !verdict.ok) throw new Error(`not accepted: ${JSON.stringify(verdict)}`);
  return verdict.identity;
}
