/** What one session, the engine that has it and its client need to know of each other. */
import type { Message } from "../bus/message.ts";
import type { PublishAnswer, Ticket } from "../contract/answers.ts";
import type { Duration } from "../lib/time.ts";
import type { ReasonPacket } from "../mqtt/packets.ts";
import type { EngineClient, Opening, SessionEngine } from "../session/engine.ts";
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
  /** Nothing of it is left here. */
  ended(session: UpstreamSession): void;
  /** The server has to be told that this session is over. */
  wipe(session: UpstreamSession): void;
  /** Publishes for a client that is gone, or sleeps. */
  publishFor(session: UpstreamSession, message: Message, asker: PublishAsker): PublishAnswer | "pending";
}

/** A client that waits to be let in. */
export interface Entering {
  readonly client: EngineClient;
  readonly opening: Opening;
  readonly ticket: Ticket;
  /** There was a session of this client here. */
  readonly known: boolean;
  /** The last that a server said about it. */
  refusal: ReasonPacket | undefined;
}
