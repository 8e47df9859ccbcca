import type { Instant } from "../lib/time.ts";
import type { ClientId } from "./answers.ts";
import type { Peer } from "./peer.ts";

/** Who a client is, once authenticated; what placeholders and rules look at. */
export interface Identity {
  readonly gateway: string;
  readonly listener: string;
  /** The gateway whose listener it is, where that is another. */
  readonly host?: string | undefined;
  readonly clientId: ClientId;
  readonly username: string | undefined;
  /**
   * Who was proven, in one text: `user:<name>` or `client:<id>`. Undefined: nobody was, and the user name is a mere
   * claim. A session belongs to who is proven here.
   */
  readonly proven?: string | undefined;
  readonly endpointName: string | undefined;
  readonly peer: Peer;
  /** Skips the ACL. */
  readonly superuser: boolean;
  /** When the login ends, if it does. */
  readonly expiresAt: Instant | undefined;
}
