import type { Message } from "#core/bus/message.ts";
import type {
  Answer,
  Pending,
  PublishAnswer,
  RetainedAnswer,
  SubscribeAnswer,
  Ticket,
  UnsubscribeAnswer,
} from "#core/contract/answers.ts";
import type { ChannelHost } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer, ConnectRequest, SubscribeOptions } from "#core/contract/client.ts";
import type { Outcome } from "./problem.ts";
import type { Subscription } from "./subscriptions.ts";

/** A frame whose outcome depends on an answer of the core. */
export interface Awaiting {
  /** The receipt that the frame asked for; a copy. */
  readonly receipt: Uint8Array | undefined;
  /** Nothing more may be read until the answer is here. */
  readonly blocks?: boolean;
  answered(answer: Answer): Outcome;
}
/** The same for a session that is being opened. */
export interface AwaitingSession {
  readonly receipt: Uint8Array | undefined;
  /** What the store had been told before the frame. */
  told?: number;
  connected(answer: ConnectAnswer): Outcome;
}

/** What a connection asks of the core, and who waits for the answers that are due. */
export class Asks {
  readonly #host: ChannelHost;
  readonly #client: Client;
  readonly #dueMax: number;
  #awaiting: Map<Ticket, Awaiting> | undefined = undefined;
  #opening: Map<Ticket, AwaitingSession> | undefined = undefined;
  #finding: Map<Ticket, (messages: readonly Message[]) => void> | undefined = undefined;
  #blocking = 0;
  #tickets = 0;
  /** What the store had been told before the frame that is being processed. */
  told = 0;

  /** `dueMax`: with so many answers due no more is read. */
  constructor(host: ChannelHost, client: Client, dueMax: number) {
    this.#host = host;
    this.#client = client;
    this.#dueMax = dueMax;
  }

  /** A pending answer has to be awaited under `ticket`. */
  publish(message: Message): PublishAnswer | Pending {
    return this.#client.publish(message, ++this.#tickets);
  }

  /** The ticket of the last ask. */
  get ticket(): Ticket {
    return this.#tickets;
  }

  /** False when all that was told since then is kept already; `awaiting` is told later otherwise. */
  isKeptLater(since: number, awaiting: Awaiting): boolean {
    const ticket = ++this.#tickets;
    if (this.#client.kept(ticket, since) !== "pending") return false;
    this.await(ticket, awaiting);
    return true;
  }

  subscribe(
    subscription: Subscription,
    options: SubscribeOptions,
    awaiting: Awaiting,
  ): SubscribeAnswer | Pending {
    const ticket = ++this.#tickets;
    const answer = subscription.client.subscribe(subscription.options.filter, options, ticket);
    if (answer === "pending") this.await(ticket, awaiting);
    return answer;
  }

  /** As `subscribe`. */
  unsubscribe(client: Client, filter: string, awaiting: Awaiting): UnsubscribeAnswer | Pending {
    const ticket = ++this.#tickets;
    const answer = client.unsubscribe(filter, ticket);
    if (answer === "pending") this.await(ticket, awaiting);
    return answer;
  }

  /** Calls `then` with what is retained under a filter, now or later; not when that is refused. */
  findRetained(filter: string, limit: number, then: (messages: readonly Message[]) => void): void {
    const ticket = ++this.#tickets;
    const answer = this.#client.retained(filter, limit, ticket);
    if (answer === "pending") {
      this.#finding ??= new Map();
      this.#finding.set(ticket, then);
    } else if (typeof answer !== "string") then(answer);
  }

  openSession(request: ConnectRequest, awaiting: AwaitingSession): ConnectAnswer | Pending {
    const ticket = ++this.#tickets;
    const answer = this.#host.connect(request, ticket);
    if (answer === "pending") {
      this.#opening ??= new Map();
      this.#opening.set(ticket, awaiting);
      awaiting.told = this.told;
    }
    return answer;
  }

  await(ticket: Ticket, awaiting: Awaiting): void {
    this.#awaiting ??= new Map();
    this.#awaiting.set(ticket, awaiting);
    if (awaiting.blocks === true) this.#blocking++;
  }

  // ---- answers

  found(ticket: Ticket, answer: RetainedAnswer): void {
    const then = this.#finding?.get(ticket);
    this.#finding?.delete(ticket);
    if (typeof answer !== "string") then?.(answer);
  }

  /** Who awaits the answer to this ask; it is due no more. */
  takeAwaiting(ticket: Ticket): Awaiting | undefined {
    const awaiting = this.#awaiting?.get(ticket);
    if (awaiting === undefined) return undefined;
    this.#awaiting?.delete(ticket);
    if (awaiting.blocks === true) this.#blocking--;
    return awaiting;
  }

  takeOpening(ticket: Ticket): AwaitingSession | undefined {
    const awaiting = this.#opening?.get(ticket);
    if (awaiting !== undefined) this.#opening?.delete(ticket);
    return awaiting;
  }

  /** Answers are due: a DISCONNECT waits for all of them. */
  get waiting(): boolean {
    return (this.#awaiting?.size ?? 0) > 0 || (this.#opening?.size ?? 0) > 0;
  }

  /** The next frame has to wait for an answer, or there are too many of them due. */
  get busy(): boolean {
    if (this.#blocking > 0 || (this.#opening?.size ?? 0) > 0) return true;
    return this.#awaiting !== undefined && this.#awaiting.size >= this.#dueMax;
  }
}
