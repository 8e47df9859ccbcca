import type { Reachability } from "../contract/channel.ts";
import type { Shown } from "../contract/peer.ts";

/**
 * What an attacker must not be able to guess, in bits, while nobody has guessed wrong; each wrong guess asks for one bit
 * more, up to the 64 that RFC 9175 §2.3 and §4 ask for. So honest devices are through after one or two round trips,
 * and who tries ids gains nothing by trying.
 */
const PROOF_BITS_MIN = 32;
const PROOF_BITS_MAX = 64;

/** Of whom nothing has to be proven. */
export const PROVEN: Reachability = {
  allowance: Number.POSITIVE_INFINITY,
  evidence: () => false,
  doubt: () => {},
  missedAtLogin: () => false,
};

/** The peer whose address it is. */
export interface Proving {
  proven(): void;
  checksLogins(gateway: string | undefined): boolean;
}

/**
 * What one datagram peer may be sent before its address is known to be real: so many times what came from there, over
 * everything that is sent, answers, repetitions and what timers cause (RFC 9175 §2.4). Proven is an address from which
 * something was repeated that only who is there can have read. Ids are short in most protocols, so several of them
 * count together, but only without a wrong guess in between.
 */
export class AddressProof implements Reachability {
  readonly #factor: number;
  readonly #of: Proving;
  #allowance = 0;
  #evidence = 0;
  #needed = PROOF_BITS_MIN;
  #shown: Shown | "unheard" = "unheard";

  constructor(factor: number, of: Proving) {
    this.#factor = factor;
    this.#of = of;
  }

  /** Bytes that may still be sent. */
  get allowance(): number {
    return this.#allowance;
  }

  get proven(): boolean {
    return this.#allowance === Number.POSITIVE_INFINITY;
  }

  /** The most that has shown, here or at an address before, that there is anybody. */
  get shown(): Shown {
    return this.#shown === "unheard" ? "nothing" : this.#shown;
  }

  received(bytes: number): void {
    if (this.#shown === "unheard") this.#shown = "nothing";
    else if (this.#shown === "nothing") this.#shown = "talk";
    this.#allowance += this.#factor * bytes;
  }

  /** False when it must not be sent. */
  spend(bytes: number): boolean {
    if (bytes > this.#allowance) return false;
    this.#allowance -= bytes;
    return true;
  }

  /** True when that completes the proof. */
  evidence(bits: number): boolean {
    if (this.proven) return false;
    this.#evidence += bits;
    if (this.#evidence < this.#needed) return false;
    this.#allowance = Number.POSITIVE_INFINITY;
    this.#shown = "proof";
    this.#of.proven();
    return true;
  }

  doubt(): void {
    this.#evidence = 0;
    if (this.#needed < PROOF_BITS_MAX) this.#needed++;
  }

  missedAtLogin(gateway?: string): boolean {
    return !this.proven && this.#of.checksLogins(gateway);
  }

  /** The device is at another address, which has proven nothing. */
  moved(): void {
    this.#allowance = 0;
    this.#evidence = 0;
  }
}
