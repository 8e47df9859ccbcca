import type { Answer, PublishAnswer } from "#core/contract/answers.ts";
import { settle, stillHolds } from "../acknowledgements.ts";
import type { Awaiting } from "../asks.ts";
import { type Frame, receiptOf } from "../codec/frame.ts";
import type { Connection } from "../connection.ts";
import { Header } from "../frames.ts";
import { DEFERRED, DONE, missing, type Outcome, type Problem, problem } from "../problem.ts";
import type { Transaction } from "../transactions.ts";
import { outcomeOf, permitted } from "./send.ts";

export function begin(frame: Frame, connection: Connection): Outcome {
  const name = frame.text(Header.transaction);
  if (name === undefined) return missing("transaction", frame.command);
  return connection.transactions.begin(name, connection.now) ?? DONE;
}

export function abort(frame: Frame, connection: Connection): Outcome {
  const name = frame.text(Header.transaction);
  if (name === undefined) return missing("transaction", frame.command);
  const transaction = connection.transactions.end(name);
  return "message" in transaction ? transaction : DONE;
}

/**
 * All or none: everything that could be refused is checked first, then everything is published, and only when
 * all of it is accepted are the acknowledgements carried out.
 */
export function commit(frame: Frame, connection: Connection): Outcome {
  const name = frame.text(Header.transaction);
  if (name === undefined) return missing("transaction", frame.command);
  const transaction = connection.transactions.end(name);
  if ("message" in transaction) return transaction;
  const why = obstacle(transaction, connection);
  if (why !== undefined) return why;
  const commitment = new Commit(transaction, connection, receiptOf(frame)?.slice());
  return commitment.start();
}

/** What stands against this transaction; undefined when all of it can be carried out. */
function obstacle(transaction: Transaction, connection: Connection): Problem | undefined {
  for (const message of transaction.sends) {
    const why = permitted(message, connection);
    if (why !== undefined) return why;
  }
  if (transaction.settlements.every(stillHolds)) return undefined;
  return problem("unknown message", `${transaction.name} acknowledges a message that was given back.`);
}

/** A COMMIT whose messages may still be on their way to the store. */
class Commit implements Awaiting {
  readonly receipt: Uint8Array | undefined;
  readonly #transaction: Transaction;
  readonly #connection: Connection;
  /** Answers that are due. */
  #due = 0;
  #failed: Outcome = DONE;

  constructor(transaction: Transaction, connection: Connection, receipt: Uint8Array | undefined) {
    this.#transaction = transaction;
    this.#connection = connection;
    this.receipt = receipt;
  }

  start(): Outcome {
    for (const message of this.#transaction.sends) {
      if (message.expiresAt <= this.#connection.now) continue;
      const answer = this.#connection.asks.publish(message);
      if (answer === "pending") {
        this.#due++;
        this.#connection.asks.await(this.#connection.asks.ticket, this);
      } else this.#note(answer);
    }
    return this.#finish();
  }

  answered(answer: Answer): Outcome {
    this.#due--;
    this.#note(answer as PublishAnswer);
    return this.#finish();
  }

  #note(answer: PublishAnswer): void {
    const outcome = outcomeOf(answer, `in transaction ${this.#transaction.name}`);
    if (outcome !== DONE) this.#failed = outcome;
  }

  #finish(): Outcome {
    if (this.#due > 0) return DEFERRED;
    if (this.#failed !== DONE) return this.#failed;
    for (const settlement of this.#transaction.settlements) settle(settlement, this.#connection);
    for (const receipt of this.#transaction.receipts) this.#connection.conclude(DONE, receipt);
    return DONE;
  }
}
