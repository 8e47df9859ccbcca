import type { Frame } from "./codec/frame.ts";
import type { StompConfig } from "./config.ts";
import type { Connection } from "./connection.ts";
import { deadLetter } from "./dead-letters.ts";
import { Header, type Version } from "./frames.ts";
import { missing, type Problem, problem } from "./problem.ts";
import { flagOf } from "./properties.ts";
import type { Subscription } from "./subscriptions.ts";
import type { Settlement } from "./transactions.ts";

/** What becomes of a message: the client has it, or one of the ways of a NACK. */
export type Verdict = "ack" | StompConfig["acknowledgements"]["nack"];

/**
 * The message was handed out on this connection and is nobody's any more: its subscription acknowledges by itself, has
 * ended meanwhile, or an earlier ACK covered it. STOMP is silent about that, and the client cannot always know.
 */
export const SETTLED = "settled";

/** What an ACK or NACK says, if the message is one that this client has to acknowledge. */
export function settlementOf(frame: Frame, connection: Connection): Settlement | typeof SETTLED | Problem {
  const verdict = verdictOf(frame, connection);
  if (typeof verdict === "object") return verdict;
  const named = messageIdOf(frame, connection.version);
  if (typeof named === "object") return named;
  const found = find(named, connection);
  if (found === undefined) return notOwned(frame, named);
  if (found === SETTLED) return SETTLED;
  if (connection.version === "1.1") {
    const id = frame.text(Header.subscription);
    if (id === undefined) return missing("subscription", frame.command);
    if (id !== found.subscription.options.id) {
      return problem("unknown message", `Message ${named} is not of subscription ${id}.`);
    }
  }
  return { ...found, verdict, acknowledged: false };
}

const notOwned = (frame: Frame, named: string): Problem =>
  problem("unknown message", `${frame.command} of ${named}, which is not unacknowledged here.`);

/**
 * `requeue` says what a NACK does; without it the configuration does. STOMP 1.0 has no NACK; Perl's Net::Stomp sends it
 * there all the same, and every version's client means the same by it.
 */
function verdictOf(frame: Frame, connection: Connection): Verdict | Problem {
  if (frame.command === "ACK") return "ack";
  const requeue = flagOf(frame, "requeue");
  if (typeof requeue === "object") return requeue;
  const configured = connection.settings.config.acknowledgements.nack;
  if (requeue === undefined) return configured;
  if (requeue) return "requeue";
  return configured === "requeue" ? "dead-letter" : configured;
}

/** STOMP 1.2 names the message by its `ack` header, the earlier versions by its message id. */
function messageIdOf(frame: Frame, version: Version): string | Problem {
  const header = version === "1.2" ? "id" : "message-id";
  return frame.text(Header[header]) ?? missing(header, frame.command);
}

const ID = /^(\d{1,9})-(\d{1,15})$/;

function find(
  id: string,
  connection: Connection,
): { subscription: Subscription; sequence: number } | typeof SETTLED | undefined {
  if (!id.startsWith(connection.session)) return undefined;
  const parts = ID.exec(id.slice(connection.session.length + 1));
  if (parts === null) return undefined;
  const number = Number(parts[1]);
  const subscription = connection.subscriptions.numbered(number);
  const sequence = Number(parts[2]);
  if (subscription?.unacknowledged.has(sequence) === true) return { subscription, sequence };
  const handedOut = subscription?.handedOut(sequence) ?? connection.subscriptions.hadNumber(number);
  return handedOut ? SETTLED : undefined;
}

/**
 * Whether a settlement that was found earlier can still be carried out, or has been already: an ACK may have covered the
 * message meanwhile. One that went back will be processed again, so that a transaction that rests on it must fail.
 */
export const stillHolds = ({ subscription, sequence, verdict, acknowledged }: Settlement): boolean =>
  subscription.unacknowledged.has(sequence) || (acknowledged && verdict === "ack");

/** Carries out an ACK or NACK, for all messages that it covers (STOMP 1.2 SUBSCRIBE ack Header). */
export function settle(settlement: Settlement, connection: Connection): void {
  const { subscription, sequence, verdict } = settlement;
  const covered = subscription.covered(sequence);
  if (verdict === "requeue") {
    requeue(subscription, covered, connection);
  } else {
    for (const one of covered) {
      const delivery = subscription.take(one);
      if (delivery === undefined) continue;
      if (verdict === "ack") subscription.acknowledged(one);
      if (verdict === "dead-letter") deadLetter(subscription, delivery, connection);
      else subscription.client.settle(delivery.id, "done");
    }
    connection.refill(subscription);
  }
  if (subscription.draining) connection.endIfDrained(subscription);
}

/** Gives messages back to the queue, newest first so that they come again in their order. */
function requeue(subscription: Subscription, covered: readonly number[], connection: Connection): void {
  const { deliveriesMax } = connection.settings.config.acknowledgements;
  const again = [];
  for (let index = covered.length - 1; index >= 0; index--) {
    const delivery = subscription.take(covered[index] as number);
    if (delivery === undefined) continue;
    if (subscription.deliveredOnceMore(delivery.message) >= deliveriesMax) {
      deadLetter(subscription, delivery, connection);
    } else if (delivery.id !== 0) {
      subscription.client.settle(delivery.id, "again");
    } else if (!subscription.draining) {
      // At QoS 0 the core has forgotten it already.
      again.unshift(delivery);
    }
  }
  for (const delivery of again) connection.sendMessage(subscription, { ...delivery, duplicate: true });
  subscription.redeliver();
  connection.refill(subscription);
}
