import type { ConnectAnswer } from "#core/contract/client.ts";
import { ZERO } from "#core/lib/time.ts";
import { type Frame, receiptOf } from "../codec/frame.ts";
import type { AwaitingSession, Connection } from "../connection.ts";
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
  stop(subscription, connection);
  return DONE;
}

/** No more messages; those that are out can still be acknowledged, and end the subscription. */
function stop(subscription: Subscription, connection: Connection): void {
  const { subscriptions } = connection;
  if (subscription.client === connection.client) {
    subscriptions.remove(subscription);
    if (subscriptions.part(subscription)) connection.client.unsubscribe(subscription.options.filter);
    return;
  }
  subscriptions.unname(subscription);
  subscription.drain();
  if (subscription.options.durable === undefined) {
    subscription.client.unsubscribe(subscription.options.filter);
  }
  connection.endIfDrained(subscription);
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
  const answer = connection.openSession(
    {
      clientId: durableSessionId(login, name),
      username: login.username,
      password: login.password,
      of: login.client,
      cleanStart: true,
      sessionExpiry: ZERO,
      credit: 0,
      protocol: `STOMP ${login.version}`,
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
