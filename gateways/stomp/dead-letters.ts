import { Message, type QoS } from "#core/bus/message.ts";
import type { Answer } from "#core/contract/answers.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import type { Awaiting } from "./asks.ts";
import type { Connection } from "./connection.ts";
import { DONE, type Outcome } from "./problem.ts";
import type { Subscription } from "./subscriptions.ts";

/** User property with the topic that a dead letter was sent to; what has it is not dead-lettered again. */
const ORIGIN = "dead-letter-topic";

/** Publishes a message that nobody took to the dead letter topic, and only then lets the core forget it. */
export function deadLetter(subscription: Subscription, delivery: Delivery, connection: Connection): void {
  const { deadLetterTopic } = connection.settings.config.acknowledgements;
  const { message } = delivery;
  const properties = message.properties;
  const died = properties?.userProperties?.some(([name]) => name === ORIGIN) === true;
  if (deadLetterTopic === "" || died) {
    subscription.client.settle(delivery.id, "dead");
    return;
  }
  const letter = new Message(
    deadLetterTopic.replaceAll("%t", delivery.topic),
    message.payload,
    // Kept even when the message itself was sent at QoS 0.
    Math.max(1, message.qos) as QoS,
    false,
    connection.now,
    { ...properties, userProperties: [...(properties?.userProperties ?? []), [ORIGIN, delivery.topic]] },
  );
  const awaiting = new AwaitingDeadLetter(subscription, delivery, connection);
  const answer = connection.asks.publish(letter);
  if (answer === "pending") connection.asks.await(connection.asks.ticket, awaiting);
  else awaiting.answered(answer);
}

class AwaitingDeadLetter implements Awaiting {
  readonly receipt = undefined;
  readonly #subscription: Subscription;
  readonly #delivery: Delivery;
  readonly #connection: Connection;

  constructor(subscription: Subscription, delivery: Delivery, connection: Connection) {
    this.#subscription = subscription;
    this.#delivery = delivery;
    this.#connection = connection;
  }

  answered(answer: Answer): Outcome {
    const taken = answer === "accepted";
    if (!taken) {
      this.#connection.host.note({ level: "warn", event: "dead-letter-lost", detail: { answer } });
    }
    this.#subscription.client.settle(this.#delivery.id, taken ? "done" : "dead");
    return DONE;
  }
}
