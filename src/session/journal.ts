import type { SubscribeOptions } from "../contract/client.ts";
import type { Outgoing } from "./outgoing.ts";
import type { SessionState } from "./session-state.ts";

/**
 * What a durable session tells its store, as it happens. Calls only collect: the store commits in groups, and
 * the door compares its count of writes to know whether an acknowledgement must wait for the next commit.
 */
export interface SessionJournal {
  /** Identity, expiry, will, memo or presence of a durable session changed. */
  saved(session: SessionState): void;
  subscribed(session: SessionState, filter: string, options: SubscribeOptions): void;
  unsubscribed(session: SessionState, filter: string): void;
  /** The session is over. Its deliveries and subscriptions were settled and ended before. */
  removed(session: SessionState): void;
  /** A QoS 1 or 2 delivery joined the session; `delivery.sequence` is its place. */
  queued(session: SessionState, delivery: Outgoing): void;
  /** It was handed out (has an id), or reached another stage, or went back to the queue. */
  moved(delivery: Outgoing): void;
  settled(session: SessionState, delivery: Outgoing): void;
  /** An inbound QoS 2 packet id became known or was released. */
  inbound(session: SessionState, packetId: number, known: boolean): void;
  /** Runs when all that was told so far is committed: at once where nothing waits. */
  whenKept(run: () => void): void;
}

/** The session became durable, and everything of it is written, or ceased to be, and everything goes. */
export function journalWhole(session: SessionState, journal: SessionJournal, wasDurable: boolean): void {
  if (wasDurable) {
    for (const delivery of session.kept) journal.settled(session, delivery);
    for (const filter of session.subscriptions.keys()) journal.unsubscribed(session, filter);
    journal.removed(session);
    return;
  }
  journal.saved(session);
  for (const [filter, options] of session.subscriptions) journal.subscribed(session, filter, options);
  for (const delivery of session.kept) journal.queued(session, delivery);
  for (const packetId of session.inboundIds) journal.inbound(session, packetId, true);
}
