/** An authentication chain as configured, asked without a gateway around it. */
import type { AuthenticatorResult } from "#core/authenticate/kind.ts";
import { loadText } from "#core/config/load.ts";
import { policySettings } from "#core/config/policy-settings.ts";
import type { ConnectRequest } from "#core/contract/client.ts";
import type { Peer } from "#core/contract/peer.ts";
import type { Instant } from "#core/lib/time.ts";
import { MODULES } from "#core/modules.ts";
import { rawSocket } from "#core/net/raw-socket.ts";
import { ConfiguredPolicy } from "#core/policy/configured-policy.ts";
import { DeviceKeys } from "#core/policy/device-keys.ts";
import type { Identity, Verdict } from "#core/policy/policy.ts";
import { peerAt, requestOf } from "./policy.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export interface Chain {
  /** A login over MQTT. */
  login(
    who: { clientId?: string; username?: string; password?: string | Uint8Array },
    more?: Partial<ConnectRequest>,
    peer?: Partial<Peer>,
  ): Promise<Verdict>;
  mayPublish(identity: Identity, topic: string): boolean;
  maySubscribe(identity: Identity, filter: string): boolean;
  /** Keys of devices, as DTLS and TLS ask for them. */
  readonly keys: DeviceKeys;
  /** What was counted, as `name result`. */
  readonly counts: ReadonlyMap<string, number>;
  readonly notes: readonly string[];
  close(): void;
}

export function openChain(
  chain: readonly object[],
  settings: object = {},
  now: () => Instant = () => Date.now() as Instant,
  date: () => number = now,
): Chain {
  const { config } = loadText(
    MODULES,
    JSON.stringify({ authentication: { anonymous: false, chain }, ...settings }),
  );
  const counts = new Map<string, number>();
  const notes: string[] = [];
  const prepared = policySettings(config, {
    socket: rawSocket,
    now,
    date,
    count(name: string, result: AuthenticatorResult) {
      counts.set(`${name} ${result}`, (counts.get(`${name} ${result}`) ?? 0) + 1);
    },
    note: (name, problem) => notes.push(`${name}: ${problem}`),
  });
  const policy = new ConfiguredPolicy(prepared.settings, { now });
  const listener = policy.listener("mqtt", "tcp");
  return {
    keys: new DeviceKeys(policy, "mqtt"),
    async login({ password, ...who }, more = {}, peer = {}) {
      const secret = typeof password === "string" ? bytes(password) : password;
      const request = requestOf({ ...who, ...(secret === undefined ? {} : { password: secret }), ...more });
      return listener.authenticate(request, peerAt("192.0.2.7", peer), now());
    },
    mayPublish: (identity, topic) => listener.mayPublish(identity, topic, 0, false) === true,
    maySubscribe: (identity, filter) => listener.maySubscribe(identity, filter, 0) === true,
    counts,
    notes,
    close: prepared.close,
  };
}

/** The identity of a login that must have succeeded. */
export function identityIn(verdict: Verdict): Identity {
  if (!verdict.ok) throw new Error(`refused: ${verdict.refusal} (${verdict.reason})`);
  return verdict.identity;
}
