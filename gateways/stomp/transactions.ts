import type { Message } from "#core/bus/message.ts";
import { after, type Instant, NEVER } from "#core/lib/time.ts";
import type { Verdict } from "./acknowledgements.ts";
import type { StompConfig } from "./config.ts";
import { type Problem, problem } from "./problem.ts";
import type { Subscription } from "./subscriptions.ts";

/** An ACK or NACK as it will be carried out. */
export interface Settlement {
  readonly subscription: Subscription;
  readonly sequence: number;
  readonly verdict: Verdict;
  /** In a transaction: an ACK outside of it has covered the message meanwhile. */
  acknowledged: boolean;
}

/** What a client has said between BEGIN and COMMIT. */
export interface Transaction {
  readonly name: string;
  expiresAt: Instant;
  readonly sends: Message[];
  readonly settlements: Settlement[];
  /** Receipts that SEND frames asked for: a message is processed when the transaction is. */
  readonly receipts: Uint8Array[];
  /** Bodies and headers, roughly. */
  bytes: number;
}

/** An ACK in a transaction costs about this much. */
const SETTLEMENT_BYTES = 64;

/** The open transactions of one connection (STOMP 1.2 BEGIN); gone with it, which aborts them. */
export class Transactions {
  readonly #limits: StompConfig["limits"];
  #open: Map<string, Transaction> | undefined = undefined;

  constructor(limits: StompConfig["limits"]) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#open?.size ?? 0;
  }

  /** What all of them hold. */
  get bytes(): number {
    let bytes = 0;
    for (const transaction of this.#open?.values() ?? []) bytes += transaction.bytes;
    return bytes;
  }

  begin(name: string, now: Instant): Problem | undefined {
    this.#open ??= new Map();
    if (this.#open.has(name)) return problem("transaction exists", `${name} has begun already.`);
    if (this.#open.size >= this.#limits.transactions) {
      return problem("too many transactions", `At most ${this.#limits.transactions} may be open.`);
    }
    const expiresAt = after(now, this.#limits.transactionTimeout);
    this.#open.set(name, { name, expiresAt, sends: [], settlements: [], receipts: [], bytes: 0 });
    return undefined;
  }

  get(name: string): Transaction | Problem {
    return this.#open?.get(name) ?? problem("unknown transaction", `${name} has not begun.`);
  }

  /** Takes a transaction out, to commit or to abort it. */
  end(name: string): Transaction | Problem {
    const transaction = this.get(name);
    if (this.#open?.delete(name) === true) {
      for (const settlement of (transaction as Transaction).settlements)
        settlement.subscription.unpledge(settlement);
    }
    return transaction;
  }

  addSend(transaction: Transaction, message: Message): Problem | undefined {
    // It must not hold on to the read buffer that it came in.
    transaction.sends.push(message.kept());
    return this.#grow(transaction, message.weight);
  }

  addReceipt(transaction: Transaction, receipt: Uint8Array): Problem | undefined {
    transaction.receipts.push(receipt);
    return this.#grow(transaction, receipt.length);
  }

  addSettlement(transaction: Transaction, settlement: Settlement): Problem | undefined {
    transaction.settlements.push(settlement);
    settlement.subscription.pledge(settlement);
    return this.#grow(transaction, SETTLEMENT_BYTES);
  }

  /** When the next transaction has waited too long. */
  get deadline(): Instant {
    let first = NEVER;
    for (const { expiresAt } of this.#open?.values() ?? []) if (expiresAt < first) first = expiresAt;
    return first;
  }

  /** What is due gets its time once more: its COMMIT may have come, and not been read. */
  postpone(now: Instant): void {
    for (const transaction of this.#open?.values() ?? []) {
      if (transaction.expiresAt <= now) transaction.expiresAt = after(now, this.#limits.transactionTimeout);
    }
  }

  /** A transaction whose time is over. */
  expired(now: Instant): Transaction | undefined {
    for (const transaction of this.#open?.values() ?? []) {
      if (transaction.expiresAt <= now) return transaction;
    }
    return undefined;
  }

  clear(): void {
    this.#open = undefined;
  }

  #grow(transaction: Transaction, bytes: number): Problem | undefined {
    transaction.bytes += bytes;
    const limits = this.#limits;
    if (transaction.sends.length + transaction.settlements.length > limits.transactionFrames) {
      return problem("transaction too long", `At most ${limits.transactionFrames} frames.`);
    }
    if (transaction.bytes <= limits.transactionBytes) return undefined;
    return problem("transaction too large", `At most ${limits.transactionBytes} bytes.`);
  }
}
