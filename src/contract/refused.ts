/** What was refused to somebody, for the log and for operators. */
import type { Refusal } from "./answers.ts";

/** What was asked for. */
export type AskedFor =
  | "talk" // a first packet from an address, or a connection
  | "connect"
  | "publish"
  | "subscribe"
  | "read" // a look at retained messages
  | "will"
  | "forward"; // for nodes behind a forwarder

export interface Refused {
  /** Where it is another gateway's on the same port. */
  readonly gateway?: string;
  readonly what: AskedFor;
  /** The topic or filter, as it was asked for. */
  readonly asked?: string | undefined;
  readonly refusal: Refusal;
  /** Which rule, authenticator or limit has decided. Asked only when it is written down. */
  by(): string;
}

/** To whom, as far as that is known. */
export interface RefusedTo {
  readonly gateway: string;
  readonly listener: string;
  readonly address: string;
  readonly port: number;
  /** As it calls itself: nothing of that need be proven. */
  readonly clientId: string | undefined;
  readonly username: string | undefined;
}
