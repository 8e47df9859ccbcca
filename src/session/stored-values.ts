/** What a store keeps of sessions and messages, as values: written, and read back. */
import type { SharedSubscription } from "../bus/bus.ts";
import { Message, type MessageProperties, type QoS } from "../bus/message.ts";
import type { SubscribeOptions, Will } from "../contract/client.ts";
import type { DeliveryId } from "../contract/delivery.ts";
import type { Identity } from "../contract/identity.ts";
import { type Duration, FOREVER, type Instant } from "../lib/time.ts";
import type { Attendance } from "./attendance.ts";
import { Outgoing } from "./outgoing.ts";
import { plainIdentity } from "./plain-identity.ts";
import type { StoredValue } from "./store.ts";

/** Times in a store are milliseconds since the epoch; this stands for `NEVER` and `FOREVER`. */
export const UNBOUNDED = -1;

const bounded = (value: number): number => (value === Number.POSITIVE_INFINITY ? UNBOUNDED : value);

export const unbounded = (value: number): number => (value === UNBOUNDED ? Number.POSITIVE_INFINITY : value);

/** A session, without what stands in tables of its own. */
export interface SessionRecord {
  readonly gateway: string;
  readonly clientId: string;
  readonly username: string | undefined;
  /** Absent in what versions before it have written; null where nobody was proven. */
  readonly proven?: string | null;
  readonly identity?: Identity | undefined;
  readonly mountpoint: string;
  readonly expiry: number;
  readonly will: Will | undefined;
  /** When its client left; undefined while connected, and so after a crash. */
  readonly leftAt: number | undefined;
  /** Its client has not proven its address; absent where it has. */
  readonly unproven?: true | undefined;
  /** Until when a client without a connection counts as connected. */
  readonly expectedUntil?: number | undefined;
  readonly memo: unknown;
  /** Bytes of the memo, as the account of memory has them; absent where that has none. */
  readonly memoWeight?: number;
}

export type MessageRecord = readonly [
  topic: string,
  payload: Uint8Array,
  qos: QoS,
  retain: boolean,
  publishedAt: number,
  expiresAt: number,
  publisher: string,
  properties: MessageProperties | undefined,
  id?: string,
];

/** A message that waits for one session only is part of its delivery. */
export type DeliveryRecord = readonly [
  message: number | MessageRecord,
  id: number,
  stage: 0 | 1,
  qos: QoS,
  retain: boolean,
  subscriptionIds: readonly number[],
  group: readonly [group: string, filter: string] | undefined,
];

export function sessionRecord(session: Attendance): SessionRecord {
  const { gateway, clientId, username, mountpoint, will, leftAt, expectedUntil, memo } = session;
  const unproven = session.shown === "proof" ? undefined : true;
  const identity = session.identity && plainIdentity(session.identity);
  const proven = session.proven ?? null;
  const expiry = bounded(session.expiry);
  const who = { gateway, clientId, username, proven, identity };
  const kept = { ...who, mountpoint, expiry, will: withoutErrand(will), leftAt, expectedUntil, memo };
  const memoWeight = session.subscriptions.memo;
  const weighed = memoWeight === 0 ? kept : { ...kept, memoWeight };
  return unproven === undefined ? weighed : { ...weighed, unproven };
}

/** An errand is of this process. */
function withoutErrand(will: Will | undefined): Will | undefined {
  if (will?.errand === undefined) return will;
  const { errand: _, ...kept } = will;
  return kept;
}

export function messageRecord(message: Message): MessageRecord {
  const { topic, payload, qos, retain, publishedAt, expiresAt, publisher, properties, id } = message;
  const record = [
    topic,
    payload,
    qos,
    retain,
    publishedAt,
    bounded(expiresAt),
    publisher,
    properties,
  ] as const;
  return id === undefined ? record : [...record, id];
}

/** What is read back is believed only as far as its shape: a store may have been written by anybody. */
function must(holds: boolean, problem: string): void {
  if (!holds) throw new Error(problem);
}

export function sessionOf(record: StoredValue): SessionRecord {
  const { gateway, clientId, mountpoint, expiry } = record as SessionRecord;
  must(typeof gateway === "string" && typeof clientId === "string", "it names no client");
  must(typeof mountpoint === "string" && typeof expiry === "number", "it is no session");
  return record as SessionRecord;
}

export function subscriptionOf(record: StoredValue): SubscribeOptions {
  must(isQoS((record as SubscribeOptions).qos), "it has no QoS");
  return record as SubscribeOptions;
}

const isQoS = (value: unknown): boolean => value === 0 || value === 1 || value === 2;

export function messageOf(record: StoredValue): Message {
  const [topic, payload, qos, retain, publishedAt, expiresAt, publisher, properties, id] =
    record as MessageRecord;
  must(typeof topic === "string" && payload instanceof Uint8Array && isQoS(qos), "it is no message");
  must(typeof publishedAt === "number" && typeof expiresAt === "number", "it has no time");
  const expiry = expiresAt === UNBOUNDED ? FOREVER : ((expiresAt - publishedAt) as Duration);
  const message = new Message(
    topic,
    // Its own memory: not a view of the store's.
    new Uint8Array(payload),
    qos,
    retain,
    publishedAt as Instant,
    properties ?? undefined,
    expiry,
  );
  message.publisher = publisher;
  message.id = typeof id === "string" ? id : undefined;
  return message;
}

/** The number of the message that a delivery refers to; undefined where it is part of it. */
export function deliveryMessage(record: StoredValue): number | undefined {
  const [message] = record as DeliveryRecord;
  return typeof message === "number" ? message : undefined;
}

/** A delivery as it stood: its id, and itself. Undefined when its message is missing. */
export function deliveryOf(
  record: StoredValue,
  messages: (number: number) => Message | undefined,
  unmounted: (topic: string) => string,
  groupOf: (group: string, filter: string) => SharedSubscription | undefined,
): { readonly id: DeliveryId; readonly delivery: Outgoing } | undefined {
  const [content, id, stage, qos, retain, subscriptionIds, origin] = record as DeliveryRecord;
  must(typeof id === "number" && isQoS(qos) && Array.isArray(subscriptionIds), "it is no delivery");
  const message = typeof content === "number" ? messages(content) : messageOf(content);
  if (message === undefined) return undefined;
  const group = origin === undefined || origin === null ? undefined : groupOf(...origin);
  const delivery = new Outgoing(message, unmounted(message.topic), qos, retain, subscriptionIds, group);
  delivery.stage = stage === 1 ? "release" : "publish";
  return { id: id as DeliveryId, delivery };
}
