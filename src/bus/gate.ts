import type { Alarms } from "../lib/alarm.ts";
import type { Memory } from "../lib/memory.ts";
import { Ring } from "../lib/ring.ts";
import type { Instant } from "../lib/time.ts";
import type { Bus, Routed, SharedSubscription, Subscriber } from "./bus.ts";
import type { Asker, Commits } from "./commits.ts";
import { type DelayedJournal, type DelayedLimits, DelayedMessages } from "./delayed.ts";
import type { Message } from "./message.ts";
import { QUEUE_GROUP } from "./topic.ts";

/** How a message came to the gate. */
export type Origin =
  | "client" // a client publishes
  | "will" // a client was lost, or its session ended
  | "last-word" // a gateway speaks for a client that stays away
  | "delayed" // its time has come
  | "redelivery" // a member of a shared subscription has left it behind
  | "rule" // a rule has made it of something else
  | "system"; // the gateway says something of itself

/** What may be attached to the gate: a trace. It sees every message, whoever published it. */
export interface Inspection {
  /** Returns what shall be routed: this message, another in its place, or nothing. */
  entering(message: Message, from: object | undefined, origin: Origin): Message | undefined;
  /** It has been routed. */
  routed?(message: Message, origin: Origin, routed: Routed): void;
}

/** What an answer has to wait for beside the store. */
export interface Hold {
  /** Runs, once, when nothing is waited for any more. */
  whenOver(run: () => void): void;
}

/** Who does something of its own for each message that has been routed: rules. */
export interface Follower {
  /** It will be routed: what subscribers are given is made of it as it is then. */
  entering(message: Message): void;
  /** Something durable of it would have to keep what follows of this message. */
  keeps(message: Message): boolean;
  /** What follows of this message would find no room. */
  full(message: Message): boolean;
  passed(
    message: Message,
    from: object | undefined,
    origin: Origin,
    by: Asker | undefined,
    routed: Routed,
  ): void;
  /** Messages that follow: they are routed next, and what they write is waited for with what caused them. */
  next(): Message | undefined;
  /** What the answer to the publisher has to wait for. Asked once a message. */
  held(): Hold | undefined;
}

/** Sees what is routed, and changes nothing. */
export interface Looker {
  saw(message: Message): void;
}

/**
 * What the publisher hears: accepted, and at this moment subscribed to by somebody or by nobody; `unavailable`: it
 * cannot be kept, and nothing was done; `quota`: as many messages wait for their time as may. At QoS 1 and 2
 * `accepted` says that what must be kept is; `pending`: that comes under the ticket of the ask.
 */
export type Passed = "accepted" | "no-subscribers" | "unavailable" | "quota" | "pending";

export interface GateParts {
  readonly alarms: Alarms;
  readonly delayed: DelayedLimits;
  readonly journal?: DelayedJournal | undefined;
  /** Present when a store keeps what is acknowledged. */
  readonly commits?: Commits | undefined;
  readonly memory?: Memory;
  /** Counts messages of clients that nobody was subscribed to. */
  readonly unheard: { value: number };
}

/** What waits in line: a message, or one that is given to another member of its group. */
interface InLine {
  readonly message: Message;
  readonly from: object | undefined;
  readonly origin: Origin;
  readonly asker?: Asker | undefined;
  /** Who publishes, also where nobody waits for an answer. */
  readonly by?: Asker | undefined;
  readonly ticket?: number;
  readonly since?: number;
  readonly group?: SharedSubscription;
}

/**
 * The one gate to the bus. One message passes at a time, with all its deliveries: one that is caused by a delivery
 * waits in line, so every subscriber sees one order, and no chain of causes grows the stack. The gate knows what each
 * message has to wait for, because it looks at what the store was told while that message passed, and no other.
 */
export class Gate {
  readonly bus: Bus;
  readonly delayed: DelayedMessages;
  /** Without it a message costs one look at this field. */
  inspection: Inspection | undefined = undefined;
  /** So does a message without this. */
  follower: Follower | undefined = undefined;
  #lookers: readonly Looker[] | undefined = undefined;
  readonly #commits: Commits | undefined;
  readonly #unheard: { value: number };
  readonly #line = new Ring<InLine>();
  #passing = false;

  constructor(bus: Bus, { alarms, delayed, journal, commits, unheard, memory }: GateParts) {
    this.bus = bus;
    this.#commits = commits;
    this.#unheard = unheard;
    const publish = (message: Message, taken: () => void): void => {
      this.publish(message, undefined, "delayed");
      taken();
    };
    this.delayed = new DelayedMessages({ alarms, limits: delayed, publish, journal, commits, memory });
  }

  /** A message is being routed at this moment. */
  get passing(): boolean {
    return this.#passing;
  }

  /** Returns what ends it. While nobody looks on a message costs a look at a field. */
  look(looker: Looker): () => void {
    this.#lookers = [...(this.#lookers ?? []), looker];
    return () => {
      const others = (this.#lookers ?? []).filter((one) => one !== looker);
      this.#lookers = others.length === 0 ? undefined : others;
    };
  }

  /** For who waits for no answer. `from`, for no-local: a subscriber or an owner. */
  publish(message: Message, from: object | undefined, origin: Origin): void {
    if (this.#passing) {
      this.#line.push({ message, from, origin });
      return;
    }
    this.#passing = true;
    try {
      this.#route(message, from, origin);
      if (this.#line.length > 0) this.#letThrough();
    } finally {
      this.#passing = false;
    }
  }

  /**
   * A client publishes. `since`: the store's count of writes from which on the answer has to wait, when that is before
   * this call; -1 when it is not. Within a delivery the answer is always pending at QoS 1 and 2.
   */
  ask(message: Message, from: object | undefined, asker: Asker, ticket: number, since: number): Passed {
    if (this.#passing) {
      const waits = message.qos > 0;
      this.#line.push({
        ...{ message, from, origin: "client", by: asker },
        ...{ asker: waits ? asker : undefined, ticket, since },
      });
      return waits ? "pending" : "accepted";
    }
    this.#passing = true;
    try {
      const passed = this.#answer(message, from, asker, ticket, since);
      if (this.#line.length > 0) this.#letThrough();
      return passed;
    } finally {
      this.#passing = false;
    }
  }

  /** As `ask`, for a message that shall be published later: the answer says that it waits. */
  askLater(message: Message, due: Instant, asker: Asker, ticket: number, since: number): Passed {
    return this.delayed.ask(message, due, asker, ticket, since);
  }

  /** For who waits for no answer. False when as many messages wait for their time as may. */
  publishLater(message: Message, due: Instant): boolean {
    return this.delayed.add(message, due);
  }

  /** Gives a message that a leaving member never settled to another member of its group. */
  redeliver(group: SharedSubscription, message: Message, except: Subscriber): void {
    if (this.#passing) {
      this.#line.push({ message, from: except, origin: "redelivery", group });
      return;
    }
    this.#passing = true;
    try {
      this.#routeAgain(group, message, except);
      if (this.#line.length > 0) this.#letThrough();
    } finally {
      this.#passing = false;
    }
  }

  // ---- inside

  #answer(message: Message, from: object | undefined, asker: Asker, ticket: number, since: number): Passed {
    const { follower } = this;
    const commits = this.#commits;
    if (message.qos === 0) return this.#count(this.#route(message, from, "client", asker));
    const writes = since >= 0 ? since : (commits?.writes ?? 0);
    // What cannot be kept must not be half done: it would come twice when the client repeats it.
    if (commits?.failing === true && (commits.writes !== writes || this.#keeps(message)))
      return "unavailable";
    if (follower?.full(message) === true) return "quota";
    const passed = this.#count(this.#route(message, from, "client", asker));
    const hold = follower?.held();
    if (hold !== undefined) {
      hold.whenOver(() => this.#answerHeld(asker, ticket, passed, writes));
      return "pending";
    }
    if (commits === undefined || commits.writes === writes) return passed;
    commits.await(asker, ticket, passed, writes);
    return "pending";
  }

  #keeps(message: Message): boolean {
    return this.bus.keeps(message) || this.follower?.keeps(message) === true;
  }

  #answerHeld(asker: Asker, ticket: number, passed: "accepted" | "no-subscribers", writes: number): void {
    const commits = this.#commits;
    if (commits !== undefined && commits.writes !== writes) commits.await(asker, ticket, passed, writes);
    else if (!asker.closed) asker.answered(ticket, passed);
  }

  #count(routed: Routed): "accepted" | "no-subscribers" {
    if (routed === "matched") return "accepted";
    this.#unheard.value++;
    return "no-subscribers";
  }

  #route(message: Message, from: object | undefined, origin: Origin, by?: Asker): Routed {
    const { follower } = this;
    if (follower === undefined) return this.#pass(message, from, origin);
    follower.entering(message);
    const routed = message.errand?.swallows === true ? "matched" : this.#pass(message, from, origin);
    follower.passed(message, from, origin, by, routed);
    for (let next = follower.next(); next !== undefined; next = follower.next()) {
      follower.entering(next);
      follower.passed(next, undefined, "rule", undefined, this.#pass(next, undefined, "rule"));
    }
    return routed;
  }

  #pass(message: Message, from: object | undefined, origin: Origin): Routed {
    const { inspection } = this;
    if (inspection === undefined) {
      if (this.#lookers !== undefined) this.#show(message);
      return this.bus.route(message, from);
    }
    const entered = inspection.entering(message, from, origin);
    if (entered === undefined) return "matched";
    if (this.#lookers !== undefined) this.#show(entered);
    const routed = this.bus.route(entered, from);
    inspection.routed?.(entered, origin, routed);
    return routed;
  }

  #show(message: Message): void {
    for (const looker of this.#lookers ?? []) looker.saw(message);
  }

  #routeAgain(group: SharedSubscription, message: Message, except: Subscriber): void {
    const { inspection } = this;
    const entered = inspection === undefined ? message : inspection.entering(message, except, "redelivery");
    if (entered === undefined) return;
    const { keeper } = this.bus;
    if (group.group === QUEUE_GROUP && keeper?.keeps(entered.topic) === true) {
      keeper.take(entered);
      inspection?.routed?.(entered, "redelivery", "matched");
      return;
    }
    // Its last member may have left, and another have made it anew.
    const present = this.bus.sharedSubscription(group.group, group.filter) ?? group;
    const routed = present.redeliver(entered, except) ? "matched" : "none";
    inspection?.routed?.(entered, "redelivery", routed);
  }

  #letThrough(): void {
    for (let next = this.#line.shift(); next !== undefined; next = this.#line.shift()) {
      const { message, from, origin, asker, by, ticket = 0, since = -1, group } = next;
      if (group !== undefined) this.#routeAgain(group, message, from as Subscriber);
      else if (asker === undefined) this.#routeUnasked(message, from, origin, by);
      else {
        const passed = this.#answer(message, from, asker, ticket, since);
        if (passed !== "pending" && !asker.closed) asker.answered(ticket, passed);
      }
    }
  }

  #routeUnasked(message: Message, from: object | undefined, origin: Origin, by?: Asker): void {
    const routed = this.#route(message, from, origin, by);
    if (origin === "client") this.#count(routed);
  }
}
