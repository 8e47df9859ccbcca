import type { Message, QoS } from "#core/bus/message.ts";
import type { Answer, PublishAnswer } from "#core/contract/answers.ts";
import type { Awaiting } from "../asks.ts";
import { type Frame, receiptOf } from "../codec/frame.ts";
import type { Connection } from "../connection.ts";
import { Header } from "../frames.ts";
import { DEFERRED, DONE, missing, type Outcome, type Problem, problem, refused } from "../problem.ts";
import { messageOf } from "../properties.ts";

/** SEND publishes; its receipt waits until the message is accepted, and kept where something must keep it. */
export function send(frame: Frame, connection: Connection): Outcome {
  const message = readMessage(frame, connection);
  if (!("topic" in message)) return message;
  const transaction = frame.text(Header.transaction);
  if (transaction !== undefined) return buffer(transaction, message, frame, connection);
  if (message.expiresAt <= connection.now) return permitted(message, connection) ?? DONE;
  const answer = connection.asks.publish(message);
  if (answer !== "pending") return outcomeOf(answer, message.topic);
  connection.asks.await(connection.asks.ticket, new AwaitingSend(message.topic, frame));
  return DEFERRED;
}

function readMessage(frame: Frame, connection: Connection): Message | Problem {
  const destination = frame.text(Header.destination);
  if (destination === undefined) return missing("destination", frame.command);
  const { destinations, config } = connection.settings;
  const topic = destinations.topic(destination);
  if (topic === "") return problem("empty destination", "SEND needs a destination with a name.");
  if (topic.startsWith("$share/") || topic.startsWith("$queue/")) {
    return problem("malformed destination", `${destination} names a shared subscription, not a topic.`);
  }
  return messageOf(frame, topic, destinations, config.sendQos as QoS, connection.now);
}

/** Its receipt goes out with the transaction: what is not committed is not processed. */
function buffer(name: string, message: Message, frame: Frame, connection: Connection): Outcome {
  const { transactions } = connection;
  const transaction = transactions.get(name);
  if ("message" in transaction) return transaction;
  const receipt = receiptOf(frame)?.slice();
  const why = transactions.addSend(transaction, message);
  if (why !== undefined || receipt === undefined) return why ?? DONE;
  return transactions.addReceipt(transaction, receipt) ?? DEFERRED;
}

/** Why this client may not publish that; undefined when it may. */
export function permitted(message: Message, connection: Connection): Problem | undefined {
  const { topic, qos, retain } = message;
  const answer = connection.client.mayPublish(topic, qos, retain);
  return answer === "accepted" ? undefined : refused(answer, `SEND to ${topic}`);
}

/** STOMP 1.2 SEND: a message that cannot be processed costs the connection. */
export function outcomeOf(answer: PublishAnswer, topic: string): Outcome {
  if (answer === "accepted" || answer === "no-subscribers") return DONE;
  return refused(answer, `SEND to ${topic}`);
}

class AwaitingSend implements Awaiting {
  readonly #topic: string;
  readonly receipt: Uint8Array | undefined;

  constructor(topic: string, frame: Frame) {
    this.#topic = topic;
    this.receipt = receiptOf(frame)?.slice();
  }

  answered(answer: Answer): Outcome {
    return outcomeOf(answer as PublishAnswer, this.#topic);
  }
}
