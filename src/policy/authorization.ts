/** Sources outside this process that say what a client may do, as the policy asks them. */
import type { QoS } from "../bus/message.ts";
import type { Identity } from "../contract/identity.ts";
import type { AccessRule } from "./settings.ts";

/** One thing that a client wants to do. */
export interface Question {
  readonly action: "publish" | "subscribe";
  /** A topic, or a filter without what shares it. */
  readonly topic: string;
  readonly qos: QoS;
  /** Publishing only. */
  readonly retain: boolean;
}

export type Decision = "allow" | "deny" | "ignore";

/** A source, in one of two forms. A promise that is `undefined` in the end: it could not be asked. */
export interface AuthorizationSource {
  readonly name: string;
  /**
   * When it cannot be asked: deny, go on with the next source, or keep to what it said last (and deny what nobody has
   * asked yet): a client that is at work goes on while the source is away.
   */
  readonly onError: "deny" | "next" | "keep";
  /** All rules of a client, to be matched here. */
  readonly rules?: ((identity: Identity) => Promise<readonly AccessRule[] | undefined>) | undefined;
  /** The answer to one question. */
  readonly decide?: ((identity: Identity, question: Question) => Promise<Decision | undefined>) | undefined;
  /** It is not asked any more. */
  close?(): void;
}
