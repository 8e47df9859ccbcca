import type { Answer, Refusal } from "#core/contract/answers.ts";
import type { ConnectAnswer } from "#core/contract/client.ts";
import { ZERO } from "#core/lib/time.ts";
import type { Awaiting, AwaitingSession } from "../asks.ts";
import { type Frame, receiptOf } from "../codec/frame.ts";
import type { Connection } from "../connection.ts";
import { durableNameOf, durableSessionId } from "../durable.ts";
import { Header } from "../frames.ts";
import { DEFERRED, DONE, missing, type Outcome, problem, refused } from "../problem.ts";
import type { Subscription } from "../subscriptions.ts";

/**
 * UNSUBSCRIBE by id, or by destination in STOMP 1.0. A durable subscription only stops; it ends for good when the
 * frame names it as durable, whether it is open or not.
 */
export function unsubscribe(frame: Frame, connection: Connection): Outcome {
  const id = frame.text(Header.id);
  const destination = connection.version === "1.0" ? frame.text(Header.destination) : undefined;
  const durable = durableNameOf(frame);
  if (typeof durable === "object") return durable;
  if (durable !== undefined) return deleteDurable(durable, frame, connection);
  if (id === undefined && destination === undefined) return missing("id", frame.command);
  const { subscriptions } = connection;
  const subscription = subscriptions.named(id, destination) ?? subscriptions.to(destination);
  if (subscription === undefined) {
    return problem("unknown subscription", `There is no subscription ${id ?? destination}.`);
  }
  return stop(subscription, connection, receiptOf(frame)?.slice());
}

/** No more messages; those that are out can still be acknowledged, and end the subscription. */
function stop(subscription: Subscription, connection: Connection, receipt: Uint8Array | undefined): Outcome {
  const { subscriptions } = connection;
  const awaiting = new AwaitingUnsubscribe(subscription, connection, receipt);
  if (subscription.client === connection.client) {
    subscriptions.remove(subscription);
    return subscriptions.part(subscription) ? awaiting.start() : DONE;
  }
  subscriptions.unname(subscription);
  subscription.drain();
  if (subscription.options.durable === undefined) return awaiting.start();
  // Its session waits for it.
  connection.endIfDrained(subscription);
  return DONE;
}

class AwaitingUnsubscribe implements Awaiting {
  readonly receipt: Uint8Array | undefined;
  readonly #subscription: Subscription;
  readonly #connection: Connection;

  constructor(subscription: Subscription, connection: Connection, receipt: Uint8Array | undefined) {
    this.#subscription = subscription;
    this.#connection = connection;
    this.receipt = receipt;
  }

  start(): Outcome {
    const { client, options } = this.#subscription;
    const answer = this.#connection.asks.unsubscribe(client, options.filter, this);
    return answer === "pending" ? DEFERRED : this.answered(answer);
  }

  answered(answer: Answer): Outcome {
    const { number, destination } = this.#subscription.options;
    const { subscriptions, client } = this.#connection;
    const own = this.#subscription.client !== client;
    // Its session ends with it, whatever the answer is; perhaps it has, acknowledged to the last message meanwhile.
    if (own) this.#connection.endIfDrained(this.#subscription);
    if (answer === "unsubscribed" || answer === "no-subscription") return DONE;
    const open = subscriptions.numbered(number) === this.#subscription;
    return own && !open ? DONE : refused(answer as Refusal, `UNSUBSCRIBE from ${destination}`);
  }
}

function deleteDurable(name: string, frame: Frame, connection: Connection): Outcome {
  const { login } = connection;
  const open = connection.subscriptions.durable(name);
  if (open !== undefined) {
    connection.subscriptions.unname(open);
    open.client.setSessionExpiry(ZERO);
    connection.endSubscription(open);
    return DONE;
  }
  const awaiting = new AwaitingDeletion(name, receiptOf(frame)?.slice());
  const answer = connection.asks.openSession(
    {
      kind: "further",
      of: login.client,
      clientId: durableSessionId(login, name),
      cleanStart: true,
      sessionExpiry: ZERO,
      credit: 0,
    },
    awaiting,
  );
  return answer === "pending" ? DEFERRED : awaiting.connected(answer);
}

/** A session opened clean and ended at once leaves nothing behind. */
class AwaitingDeletion implements AwaitingSession {
  readonly receipt: Uint8Array | undefined;
  readonly #name: string;

  constructor(name: string, receipt: Uint8Array | undefined) {
    this.#name = name;
    this.receipt = receipt;
  }

  connected(answer: ConnectAnswer): Outcome {
    if (!answer.ok) return refused(answer.refusal, `UNSUBSCRIBE of ${this.#name}`);
    answer.client.end("closed");
    return DONE;
  }
}
