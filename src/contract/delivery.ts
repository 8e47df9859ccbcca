import type { Message, QoS } from "../bus/message.ts";
import type { Brand } from "../lib/brand.ts";
import type { Instant } from "../lib/time.ts";

/** Names one unsettled QoS 1 or 2 delivery of a session: 1 to 65,535, or 0 at QoS 0. */
export type DeliveryId = Brand<number, "DeliveryId">;
export const NO_DELIVERY_ID = 0 as DeliveryId;

/**
 * What became of a delivery.
 * - `done`: the client has it (PUBACK, PUBCOMP, ACK); the session forgets it.
 * - `again`: the client could not take it; it goes back to the head of the queue.
 * - `dead`: nobody will ever take it; it is counted, and dead-lettered where that is configured.
 */
export type Outcome = "done" | "again" | "dead";

/** One message on its way to one client. */
export interface Delivery {
  readonly id: DeliveryId;
  readonly message: Message;
  /**
   * It waited where nobody says when it was published: at this time at the earliest. For clients that ask for it
   * (`SessionRequest.dated`); undefined: `message.publishedAt` is true.
   */
  readonly since?: Instant | undefined;
  /** The topic as this client knows it, mountpoint removed; `message.topic` itself where there is none. */
  readonly topic: string;
  /** The lower of published and granted QoS [MQTT-3.8.4-8]. */
  readonly qos: QoS;
  /** The RETAIN flag to send: a retained message on subscribe, or retain-as-published. */
  readonly retain: boolean;
  /** It was handed to this client before and not settled: DUP, `redelivered`. */
  readonly duplicate: boolean;
  /** Identifiers of all subscriptions that matched, in no order (MQTT 5 §3.3.2.3.8); often empty. */
  readonly subscriptionIds: readonly number[];
  /** `release`: at QoS 2 the client already has the message and only PUBREL is due [MQTT-4.3.3]. */
  readonly stage: "publish" | "release";
}

export const NO_SUBSCRIPTION_IDS: readonly number[] = [];
