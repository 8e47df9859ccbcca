import type { Lent, SharedSubscription } from "../bus/bus.ts";
import type { Message, QoS } from "../bus/message.ts";
import { parseSharedFilter, topicMatches } from "../bus/topic.ts";
import { type Delivery, type DeliveryId, NO_DELIVERY_ID } from "../contract/delivery.ts";
import type { KeptDelivery } from "./durable-state.ts";

/** A delivery as its session keeps it, from the queue through the window to its settlement. */
export class Outgoing implements Delivery {
  id: DeliveryId = NO_DELIVERY_ID;
  message: Message;
  readonly topic: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly subscriptionIds: readonly number[];
  duplicate = false;
  stage: "publish" | "release" = "publish";
  /** The shared subscription that chose this session, which gets the message back if the session ends. */
  readonly group: SharedSubscription | undefined;
  /** Who it belongs to until it is settled, when that is not this session. */
  lent: Lent | undefined = undefined;
  /** Place in the order of the session's deliveries; also its key in the store. 0 before it is queued or handed out. */
  sequence = 0;
  /** Its record in the store, where the session is durable. */
  record: KeptDelivery | undefined = undefined;
  /** Has an id, and has not gone out yet because a store has still to keep it. */
  held = false;
  /** How often the channel failed that had it: a bug of ours, which meets it again at every attempt. */
  failures = 0;
  /** Was handed to an earlier connection, and to this one not yet. */
  again = false;

  constructor(
    message: Message,
    topic: string,
    qos: QoS,
    retain: boolean,
    subscriptionIds: readonly number[],
    group: SharedSubscription | undefined,
  ) {
    this.message = message;
    this.topic = topic;
    this.qos = qos;
    this.retain = retain;
    this.subscriptionIds = subscriptionIds;
    this.group = group;
  }
}

/** One that is not made for its subscriber, for who is told of that. */
export const unsent = (message: Message, to: { unmounted(topic: string): string }): Outgoing =>
  new Outgoing(message, to.unmounted(message.topic), message.qos, false, [], undefined);

/** Names one that waits, to an operator: places are given anew after a restart, and then the time tells. */
export const waitingId = ({ sequence, message }: Outgoing): string => `${sequence}-${message.publishedAt}`;

/** To whom they were borrowed from, the last first: each goes to the head of the queue that it came from. */
export function giveLentBack(left: readonly Outgoing[]): void {
  for (const { lent, qos, id } of left.toReversed()) {
    if (qos === 2 && id !== 0) lent?.done();
    else lent?.back();
  }
  for (const { lent } of left) lent?.resume();
}

/** Those that a session has because of this filter, and of none of its subscriptions. */
export function onlyBy(
  filter: string,
  subscriptions: ReadonlyMap<string, unknown>,
): (delivery: Outgoing) => boolean {
  const shared = parseSharedFilter(filter);
  return ({ topic, group }) => {
    if (typeof shared === "object")
      return group?.group === shared.group && group.filter.endsWith(shared.filter);
    if (group !== undefined || !topicMatches(filter, topic)) return false;
    for (const other of subscriptions.keys()) if (topicMatches(other, topic)) return false;
    return true;
  };
}
