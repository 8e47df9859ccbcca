import type { Outgoing } from "./outgoing.ts";
import type { Session } from "./session.ts";

/**
 * What a durable session tells its store, as it happens. Calls only collect: the store commits in groups, and
 * the door asks `dirty` to know whether an acknowledgement must wait for the next commit.
 */
export interface SessionJournal {
  /** Identity, expiry, will, memo or subscriptions of a durable session changed. */
  saved(session: Session): void;
  /** The session is over: everything of it goes. */
  removed(session: Session): void;
  /** A QoS 1 or 2 delivery joined the session. Sets `delivery.sequence`. */
  queued(session: Session, delivery: Outgoing): void;
  /** It was handed out (has an id), or reached another stage, or went back to the queue. */
  moved(session: Session, delivery: Outgoing): void;
  settled(session: Session, delivery: Outgoing): void;
  /** An inbound QoS 2 packet id became known or was released. */
  inbound(session: Session, packetId: number, known: boolean): void;
}
