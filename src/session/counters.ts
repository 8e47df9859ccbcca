import type { Counter } from "../contract/note.ts";

/** Numbers that all sessions share; read by metrics. */
export interface SessionCounters {
  /** Handed to clients, by QoS; a message handed out again counts again. */
  readonly delivered: readonly [Counter, Counter, Counter];
  readonly settled: Counter;
  readonly droppedFull: Counter;
  readonly droppedExpired: Counter;
  readonly droppedAway: Counter;
  readonly droppedMoved: Counter;
  readonly droppedRevoked: Counter;
  readonly droppedMemory: Counter;
  readonly droppedDeleted: Counter;
  readonly dead: Counter;
  readonly publishersWaited: Counter;
  readonly readersSlow: Counter;
  readonly unprovenEnded: Counter;
}

export const newSessionCounters = (
  counter: (name: string, help: string) => Counter = () => ({ value: 0 }),
): SessionCounters => ({
  delivered: [
    counter("messages_qos0_sent", "QoS 0 messages handed to clients"),
    counter("messages_qos1_sent", "QoS 1 messages handed to clients"),
    counter("messages_qos2_sent", "QoS 2 messages handed to clients"),
  ],
  settled: counter("messages_settled", "QoS 1 and 2 messages that clients acknowledged"),
  droppedFull: counter("messages_dropped_queue_full", "Messages dropped because a session's queue was full"),
  droppedExpired: counter("messages_dropped_expired", "Messages that expired before they could be delivered"),
  droppedAway: counter("messages_dropped_away", "QoS 0 messages not queued for clients that were away"),
  droppedMoved: counter(
    "messages_dropped_moved",
    "Messages dropped because their session came back under another mountpoint",
  ),
  droppedRevoked: counter(
    "messages_dropped_revoked",
    "Messages dropped because a change of the rules took away the subscription that they waited for",
  ),
  droppedMemory: counter(
    "messages_dropped_memory",
    "Messages dropped with the queue that held most when memory.total was used up",
  ),
  droppedDeleted: counter(
    "messages_dropped_deleted",
    "Messages that an operator took away from who waited for them",
  ),
  publishersWaited: counter(
    "publishers_waited",
    "Times that a publisher had to wait for a connected subscriber to catch up",
  ),
  readersSlow: counter(
    "readers_slow",
    "Times that a subscriber did not catch up in time, so that nobody waits for it",
  ),
  unprovenEnded: counter(
    "sessions_unproven_ended",
    "Sessions ended to make room, whose clients were away and had never proven their address",
  ),
  dead: counter("messages_dead", "Messages that a client could not take and never will"),
});
