import type { Authenticator } from "./authentication.ts";
import type { ConfiguredPolicy } from "./configured-policy.ts";

type Maybe<Value> = Value | undefined | Promise<Value | undefined>;

/** Keys of devices, asked of the authentication chain of a gateway, and then of the general one. */
export class DeviceKeys {
  readonly #policy: ConfiguredPolicy;
  readonly #gateway: string;
  readonly #listener: string;

  constructor(policy: ConfiguredPolicy, gateway: string, listener = "") {
    this.#policy = policy;
    this.#gateway = gateway;
    this.#listener = listener;
  }

  /** The pre-shared key of an identity. */
  presharedKey(identity: string): Maybe<Uint8Array> {
    return first(this.#members(), (member) => member.presharedKey?.(identity));
  }

  /** Who holds a raw public key (a SubjectPublicKeyInfo). */
  rawKeyHolder(publicKey: Uint8Array): Maybe<string> {
    return first(this.#members(), (member) => member.rawKeyHolder?.(publicKey));
  }

  #members(): readonly Authenticator[] {
    const { settings } = this.#policy.rules;
    const gateway = settings.gateways[this.#gateway];
    const named = gateway?.listeners[this.#listener]?.chain;
    const ofListener = named === undefined ? [] : (settings.chains?.[named]?.chain ?? []);
    return [...ofListener, ...(gateway?.authentication?.chain ?? []), ...settings.authentication.chain];
  }
}

/** The first that knows; at once as long as all who were asked answer at once. */
function first<Value>(
  members: readonly Authenticator[],
  ask: (member: Authenticator) => Maybe<Value>,
  from = 0,
): Maybe<Value> {
  for (let index = from; index < members.length; index++) {
    const answer = ask(members[index]!);
    if (answer instanceof Promise) {
      return answer.then((late) => late ?? first(members, ask, index + 1));
    }
    if (answer !== undefined) return answer;
  }
  return undefined;
}
