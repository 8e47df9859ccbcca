import type { ProfileName } from "#core/upstream/profiles.ts";
import type { Cluster } from "../support/clusters.ts";

/** A cluster, and what it does against expectation. */
export interface Kind {
  readonly name: string;
  readonly profile: ProfileName;
  /** Its program is not installed. */
  readonly missing: boolean;
  start(): Promise<Cluster>;
  /** A session, with what waits in it, survives a kill of its node. */
  readonly keepsSessions: boolean;
  /** How a node ends under load; absent: SIGKILL. */
  readonly ends?: NodeJS.Signals;
  readonly maximumQoS: 1 | 2;
  readonly shared: boolean;
  /** The gateway asks for this version; absent: for what the server speaks. */
  readonly version?: "3.1.1";
  /** What the two speak. */
  readonly speaks: "5.0" | "3.1.1";
  /** What one node retains is read at all, or there alone. */
  readonly retainedAt: "all" | "node";
  /** What becomes of `dots/a.b`. */
  readonly dots: "kept" | "refused" | "dots/a/b";
  /** `#` shows `$` topics. */
  readonly showsSystem: boolean;
  /** Of 25 messages, so many are sent to a device that takes as many and acknowledges none. */
  readonly inFlight: number;
  /** The longest that a session is kept, in seconds, where that is said. */
  readonly keptFor?: number;
  /** It lets in who says no name and no password; absent: it does. */
  readonly nobody?: false;
  /** It lets in who says a name and no password; absent: it does. */
  readonly nameAlone?: false;
  /** Of 1,100 messages, so many wait for a device that is away; absent: not asked. */
  readonly waiting?: number;
}
