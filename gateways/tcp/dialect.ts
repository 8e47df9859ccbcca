import type { Refusal } from "#core/contract/answers.ts";
import type { Duration, Instant } from "#core/lib/time.ts";
import type { Framing } from "./framing.ts";

/** Who a connection says it is. */
export interface Login {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  /** Longest silence that the device promises; undefined for the listener's own. */
  readonly silence: Duration | undefined;
}

/** What one frame of a device asks for. */
export type Step =
  /** `payload`: the frame is a message as well. */
  | { readonly kind: "login"; readonly login: Login; readonly payload?: Uint8Array | undefined }
  | { readonly kind: "publish"; readonly payload: Uint8Array }
  | { readonly kind: "answer"; readonly bytes: Uint8Array }
  | { readonly kind: "nothing" }
  | { readonly kind: "goodbye" }
  /** The connection ends, after `bytes` where there are any. */
  | { readonly kind: "illegal"; readonly problem: string; readonly bytes?: Uint8Array };

/** How the devices of one listener speak: the framed protocol, or raw frames of their own. */
export interface Dialect {
  /** For status and logs. */
  readonly name: string;
  readonly framing: Framing;
  /** A frame before the login. */
  first(frame: Uint8Array, now: Instant): Step;
  /** A frame after it. */
  next(frame: Uint8Array, now: Instant): Step;
  /** What a device is answered when it is let in or refused; undefined where the dialect has no words for it. */
  accepted(): Uint8Array | undefined;
  refused(refusal: Refusal): Uint8Array | undefined;
  /** The frame of a message to the device; undefined when none can carry it. */
  message(payload: Uint8Array): Uint8Array | undefined;
}
