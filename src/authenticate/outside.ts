/** An authenticator whose knowledge is outside this process: what becomes of a login when it answers, and when not. */
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import type { Instant } from "../lib/time.ts";
import { type Applicant, type AuthenticatorAnswer, IGNORED } from "../policy/authentication.ts";
import { askedBy } from "./asked-by.ts";
import type { AuthenticateHost, OpenedAuthenticator } from "./kind.ts";
import { KnownLogins } from "./known-logins.ts";
import type { OutsideSettings } from "./outside-settings.ts";
import { Patience } from "./patience.ts";

/** A source as its own file knows it. A rejected promise means: it could not be asked. */
export interface Source {
  ask(request: Credentials, peer: Peer, signal: AbortSignal): Promise<AuthenticatorAnswer>;
  /** The pre-shared key of an identity; absent where it is not configured to hold any. */
  readonly presharedKey?:
    | ((identity: string, signal: AbortSignal) => Promise<Uint8Array | undefined>)
    | undefined;
  /** Who holds a raw public key. */
  readonly rawKeyHolder?:
    | ((publicKey: Uint8Array, signal: AbortSignal) => Promise<string | undefined>)
    | undefined;
  close?(): void;
}

const BUSY: AuthenticatorAnswer = { answer: "busy" };
const UNAVAILABLE: AuthenticatorAnswer = { answer: "unavailable" };

export class Outside implements OpenedAuthenticator {
  readonly name: string;
  readonly presharedKey: OpenedAuthenticator["presharedKey"];
  readonly rawKeyHolder: OpenedAuthenticator["rawKeyHolder"];
  readonly #settings: OutsideSettings;
  readonly #host: AuthenticateHost;
  readonly #source: Source;
  readonly #patience: Patience;
  readonly #known: KnownLogins | undefined;

  /** `secrets`: what no note may show, should the source's own words hold it. */
  constructor(
    name: string,
    settings: OutsideSettings,
    host: AuthenticateHost,
    source: Source,
    secrets: readonly (string | undefined)[] = [],
  ) {
    this.name = name;
    this.#settings = settings;
    this.#host = host;
    this.#source = source;
    this.#patience = new Patience(name, settings, host, secrets);
    this.#known = settings.onError === "allow-known" ? new KnownLogins(settings.known) : undefined;
    if (source.presharedKey !== undefined) {
      // DTLS asks for keys of addresses that are proven, one handshake at a time each.
      this.presharedKey = (identity) =>
        this.#key((signal) => source.presharedKey!(identity, signal), `key of ${identity}`);
    }
    if (source.rawKeyHolder !== undefined) {
      this.rawKeyHolder = (publicKey) => {
        // The octets are the handshake's.
        const own = publicKey.slice();
        return this.#key(
          (signal) => source.rawKeyHolder!(own, signal),
          `holder of ${Buffer.from(own).toString("base64")}`,
        );
      };
    }
  }

  authenticate(
    request: Credentials,
    peer: Peer,
    now: Instant,
    applicant?: Applicant,
  ): AuthenticatorAnswer | Promise<AuthenticatorAnswer> {
    if (this.#patience.away) return this.#withoutSource(request, peer, now);
    // What a channel passes is good until it reads on.
    const { password } = request;
    const own = password === undefined ? request : { ...request, password: password.slice() };
    return this.#ask(own, peer, applicant);
  }

  close(): void {
    this.#source.close?.();
  }

  async #ask(
    request: Credentials,
    peer: Peer,
    applicant: Applicant | undefined,
  ): Promise<AuthenticatorAnswer> {
    const by = askedBy(request, peer, applicant);
    const asked = await this.#patience.ask((signal) => this.#source.ask(request, peer, signal), by);
    if (asked === "gone") return BUSY;
    if (asked === "busy") return this.#counted("busy", BUSY);
    if (asked === "away") return this.#withoutSource(request, peer, this.#host.now());
    return this.#answered(request, peer, asked.value);
  }

  #answered(request: Credentials, peer: Peer, answer: AuthenticatorAnswer): AuthenticatorAnswer {
    if (answer.answer === "accepted") this.#known?.remember(request, peer, answer, this.#host.now());
    else if (answer.answer !== "busy") this.#known?.forget(request, peer);
    return this.#counted(answer.answer === "unavailable" ? "failed" : answer.answer, answer);
  }

  #withoutSource(request: Credentials, peer: Peer, now: Instant): AuthenticatorAnswer {
    const { onError } = this.#settings;
    if (onError === "next") return this.#counted("failed", IGNORED);
    return this.#counted("failed", this.#known?.find(request, peer, now) ?? UNAVAILABLE);
  }

  /** Undefined where it knows no key: the next is asked. Where it cannot be asked, no handshake goes on, unless by `next`. */
  async #key<Value>(
    ask: (signal: AbortSignal) => Promise<Value | undefined>,
    address: string,
  ): Promise<Value | undefined> {
    const asked = await this.#patience.ask(ask, { address, name: "" });
    if (typeof asked === "object") {
      this.#host.count(this.name, asked.value === undefined ? "ignored" : "accepted");
      return asked.value;
    }
    this.#host.count(this.name, asked === "busy" ? "busy" : "failed");
    if (this.#settings.onError === "next") return undefined;
    throw new Error(`${this.name} cannot be asked for keys`);
  }

  #counted(
    result: Parameters<AuthenticateHost["count"]>[1],
    answer: AuthenticatorAnswer,
  ): AuthenticatorAnswer {
    this.#host.count(this.name, result);
    return answer;
  }
}
