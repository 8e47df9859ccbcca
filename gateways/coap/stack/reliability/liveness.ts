import { after, type Instant, NEVER } from "#core/lib/time.ts";
import { Type } from "../message/message.ts";
import { emptyMessage } from "../message/writer.ts";
import type { StackSettings } from "../settings.ts";
import type { Outgoing } from "./retransmission.ts";

interface Observed {
  /** The peer has observations, which is why it matters. */
  readonly observed: boolean;
  readonly proven: boolean;
  silent(): void;
  confirm(outgoing: Outgoing): void;
}

/**
 * Finds out whether a peer that observes is still there, when nothing that it observes happens (RFC 7641 §4.5 asks for
 * a confirmable notification a day; a ping costs four bytes): pings it after a while of silence, and again and again
 * like any CON. An address that has proven nothing is asked much sooner.
 */
export class Liveness implements Outgoing {
  readonly #peer: Observed;
  readonly #settings: Pick<StackSettings, "ackTimeout" | "observe">;
  #asked = false;

  constructor(peer: Observed, settings: Pick<StackSettings, "ackTimeout" | "observe">) {
    this.#peer = peer;
    this.#settings = settings;
  }

  deadline(heardAt: Instant): Instant {
    if (this.#asked || !this.#peer.observed) return NEVER;
    const { ackTimeout, observe } = this.#settings;
    return after(heardAt, this.#peer.proven ? observe.silence : ackTimeout);
  }

  due(heardAt: Instant, now: Instant): void {
    if (this.deadline(heardAt) > now) return;
    this.#asked = true;
    this.#peer.confirm(this);
  }

  encode(messageId: number): Uint8Array {
    return emptyMessage(Type.CON, messageId, new Uint8Array(4));
  }

  acknowledged(): void {
    this.#asked = false;
  }

  failed(why: "timeout" | "reset"): void {
    this.#asked = false;
    if (why === "timeout") this.#peer.silent();
  }
}
