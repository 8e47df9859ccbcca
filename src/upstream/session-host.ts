/** What one session needs to know of the engine that has it. */
import type { Message } from "../bus/message.ts";
import type { PublishAnswer } from "../contract/answers.ts";
import type { Duration } from "../lib/time.ts";
import type { SessionEngine } from "../session/engine.ts";
import type { UpstreamContext } from "./context.ts";
import type { Devices } from "./devices/devices.ts";
import type { PublishAsker } from "./exchange.ts";
import type { UpstreamSession } from "./session.ts";

export interface SessionLimits {
  readonly failuresMax: number;
  readonly expiryMax: Duration;
  readonly inboundMax: number;
}

/** What a session needs of the engine that has it. */
export interface SessionHost {
  readonly context: UpstreamContext;
  readonly limits: SessionLimits;
  /** What is remembered of devices, where anything is. */
  readonly devices: Devices | undefined;
  readonly mayPublishWill: SessionEngine["mayPublishWill"];
  /** Somebody is on the way in to it. */
  isAwaited(session: UpstreamSession): boolean;
  /** Somebody else has its connection: this comes first of what the one who is on the way in says, if there is one. */
  owes(session: UpstreamSession, will: Message): void;
  /** Its subscriptions end, because the server's session does; it has them still. */
  subscriptionsEnd(session: UpstreamSession): void;
  /** Nothing of it is left here. */
  ended(session: UpstreamSession): void;
  /** The server has to be told that this session is over. */
  wipe(session: UpstreamSession): void;
  /** Publishes for a client that is gone, or sleeps. */
  publishFor(session: UpstreamSession, message: Message, asker: PublishAsker): PublishAnswer | "pending";
}
