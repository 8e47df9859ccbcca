import type { Instant } from "../lib/time.ts";
import type { AccessRule } from "./access-rule.ts";
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
   * Who was proven, in one text: `user:<name>`, `client:<id>`, or `bearer:<id>` for whom a token lets in
   * that holds no name. Undefined: nobody was, and the user name is a mere
   * claim. A session belongs to who is proven here.
   */
  readonly proven?: string | undefined;
  readonly endpointName: string | undefined;
  readonly peer: Peer;
  /** Skips the ACL. */
  readonly superuser: boolean;
  /** When the login ends, if it does. */
  readonly expiresAt: Instant | undefined;
  /** Rules that came with the login, from a token or a table; they are asked before the general ones. */
  readonly rules?: readonly AccessRule[] | undefined;
}
