/** How much peers may make this process hold, in bytes. */
export interface MemoryLimits {
  /** All of them together. */
  readonly total: number;
  /** Connections that have not logged in, together. */
  readonly beforeLogin: number;
  /** One connection: what has come of a packet, a transaction; what it does not read. */
  readonly connection: number;
}

/** Shares of the total: from the first on who makes us hold more is read from slowly, from the second on nothing is taken in. */
const SLOW = 0.7;
const REFUSE = 0.85;

/** A delivery without its message. */
const DELIVERY = 200;

/** Deliveries to one client that wait for what its channel does now, and are in no account: taken from its queue until then. */
export const WAITING_MAX = 256;

/** Something that several may hold, and that is there once. */
export interface Shared {
  readonly weight: number;
  holders: number;
}

/**
 * The one account of all that peers make this process hold: messages that wait or are unsettled, retained and delayed
 * ones, packets and bodies that are not whole, transactions, what is not read, subscriptions, wills, names of topics,
 * bodies of requests, what channels keep of messages at QoS 0. A number that is added to and subtracted from; what
 * is shared is counted once.
 */
export class Memory {
  held = 0;
  /** What of it is held for who has not logged in. */
  strangers = 0;
  /** Connections that make us hold something. */
  readonly burdens = new Set<Burden>();
  /** What has been said of it: 0 that there is enough, 1 scarce, 2 nothing more is taken in, 3 full. */
  alarm = 0;
  /** Acts where that is due: called each second, and at once when it is full or strangers have what they may have. */
  check: () => void = () => {};
  readonly limits: MemoryLimits;
  readonly #slowFrom: number;
  readonly #refuseFrom: number;

  constructor(limits: MemoryLimits = NO_LIMITS) {
    this.limits = limits;
    this.#slowFrom = limits.total * SLOW;
    this.#refuseFrom = limits.total * REFUSE;
  }

  get scarce(): boolean {
    return this.held >= this.#slowFrom;
  }

  /** Nothing more is taken in. */
  get refuses(): boolean {
    return this.held >= this.#refuseFrom;
  }

  get full(): boolean {
    return this.held >= this.limits.total;
  }

  get crowded(): boolean {
    return this.strangers >= this.limits.beforeLogin;
  }

  /** A delivery of this message waits, or is unsettled. */
  take(message: Shared): void {
    this.held += DELIVERY;
    if (message.holders++ === 0) this.held += message.weight;
  }

  give(message: Shared): void {
    this.held -= DELIVERY;
    if (--message.holders === 0) this.held -= message.weight;
  }
}

const NO_LIMITS: MemoryLimits = {
  total: Number.POSITIVE_INFINITY,
  beforeLogin: Number.POSITIVE_INFINITY,
  connection: Number.POSITIVE_INFINITY,
};

/** What one connection makes us hold beside its session, as the account has it. */
export class Burden {
  bytes = 0;
  /** What has come of a message that the transport itself puts together. */
  gathering = 0;
  /** What its channel has asked room for. */
  #reserved = 0;
  #over = false;
  stranger = true;
  readonly #memory: Memory;
  readonly #end: () => void;

  /** `end` ends the connection. */
  constructor(memory: Memory, end: () => void) {
    this.#memory = memory;
    this.#end = end;
  }

  /** `buffered`: what it has sent that is not whole. `backlog`: what it was sent and does not read. */
  weigh(buffered: number, backlog: number): void {
    this.#set(buffered + backlog + this.gathering + this.#reserved);
  }

  /** Room for so much that the channel keeps; false: there is none, and nothing is counted. */
  reserve(bytes: number): boolean {
    const memory = this.#memory;
    if (memory.refuses || this.bytes + bytes > memory.limits.connection) return false;
    // What it has sent before it went is still worked on.
    if (this.#over) return true;
    this.#reserved += bytes;
    this.#set(this.bytes + bytes);
    return true;
  }

  release(bytes: number): void {
    const less = Math.min(bytes, this.#reserved);
    this.#reserved -= less;
    this.#set(this.bytes - less);
  }

  #set(bytes: number): void {
    const grown = bytes - this.bytes;
    if (grown === 0) return;
    const memory = this.#memory;
    memory.held += grown;
    if (this.stranger) memory.strangers += grown;
    if (this.bytes === 0) memory.burdens.add(this);
    else if (bytes === 0) memory.burdens.delete(this);
    this.bytes = bytes;
  }

  get tooMuch(): boolean {
    return this.bytes > this.#memory.limits.connection;
  }

  /** It has logged in. */
  welcome(): void {
    if (!this.stranger) return;
    this.stranger = false;
    this.#memory.strangers -= this.bytes;
  }

  /** The connection is gone. */
  gone(): void {
    this.gathering = this.#reserved = 0;
    this.#over = true;
    this.weigh(0, 0);
  }

  end(): void {
    this.#end();
  }
}
