import { meantTopic } from "../bus/delayed.ts";
import { Message, type QoS } from "../bus/message.ts";
import type {
  Answer,
  Pending,
  PublishAnswer,
  RetainedAnswer,
  SubscribeAnswer,
  Ticket,
  UnsubscribeAnswer,
  WillAnswer,
} from "../contract/answers.ts";
import type { SubscribeOptions, Will } from "../contract/client.ts";
import type { Delivery, DeliveryId, Outcome } from "../contract/delivery.ts";
import type { Identity } from "../contract/identity.ts";
import { type Decided, refused } from "../hooks/decided.ts";
import type { Hooks } from "../hooks/hooks.ts";
import { Line } from "../hooks/line.ts";
import type { HookClient } from "../hooks/plugin.ts";
import { CallbackAlarm } from "../lib/alarm.ts";
import { after, FOREVER, NEVER } from "../lib/time.ts";
import type { AskedOfPolicy, Question } from "../policy/policy.ts";
import type { Departure } from "../session/sessions.ts";
import type { BusClient } from "./bus-client.ts";
import type { Arrival } from "./core.ts";
import { hookClientOf, leaves } from "./hook-client.ts";

type Later = (answer: Answer) => void;

/** The ask whose answer nobody waits for. Channels count theirs from 0. */
export const NOBODYS: Ticket = -1;

/** The steps that follow when a client's ask has passed all checks of the door. */
export type Steps = Pick<
  BusClient,
  "pass" | "enrol" | "withdraw" | "lookUp" | "commit" | "changeWill" | "firstWill" | "depart"
>;

/**
 * What stands between a client and its session where its gateway has hooks, or where rights are known elsewhere: sources
 * of rules are asked first, then hooks, before rewrite and mountpoint; and hooks are told what has happened. As long as
 * one of them thinks, what the client asks next waits in its order. It comes and goes while the client stays: one without
 * hooks has nothing of this on its way.
 */
export class Hooked implements Steps {
  readonly #client: BusClient;
  readonly #hooks: Hooks;
  readonly #who: HookClient;
  readonly #line: Line;
  /** What hooks will be told when the engine has answered. */
  #toTell: Map<Ticket, Later[]> | undefined = undefined;
  /** Handed to the client and not settled. */
  #handed: Map<DeliveryId, Delivery> | undefined = undefined;
  /** It has ended, and its session is left when nothing of it waits any more. */
  #leaving: { readonly how: Departure; readonly reason: string } | undefined = undefined;
  #left = false;
  /** Rings when its last messages have been waited for long enough. */
  #limit: CallbackAlarm | undefined = undefined;
  #evicted = false;

  constructor(client: BusClient, hooks: Hooks) {
    this.#client = client;
    this.#hooks = hooks;
    const { loop, identity } = client;
    this.#who = hookClientOf(identity);
    this.#line = new Line(hooks.room, {
      tick: () => loop.core.tick(),
      pause: () => loop.pauseReading(),
      resume: () => loop.resumeReading(),
      empty: () => this.#leave(),
    });
    const { will } = client.session.attendance ?? {};
    if (will !== undefined) this.#judgeAgain(will);
  }

  /** Something that the client asked for waits here. */
  get busy(): boolean {
    return this.#line.busy;
  }

  /** One that leaves takes nothing any more; it stays in its session. */
  get leaving(): boolean {
    return this.#leaving !== undefined;
  }

  /** The will that it gave before there was anybody to ask about it. */
  #judgeAgain(will: Will): void {
    const take = (judged: Will | undefined): void => {
      if (judged !== will && !this.#left) this.#client.changeWill(judged, NOBODYS);
    };
    this.#inTurn<void>(
      () => {
        const judged = this.firstWill(will);
        return judged instanceof Promise ? judged.then(take) : take(judged);
      },
      () => {},
    );
  }

  // ---- what hooks decide

  /** Goes on with what hooks made of it, at once or when they have answered. */
  #decide<Value, Given>(
    decided: Decided<Value> | Promise<Decided<Value>>,
    goOn: (value: Value) => Given,
    dropped: Given,
  ): Given | Promise<Given> {
    const read = (given: Decided<Value>): Given => {
      if (given.ok)
        return this.#left || this.#hooks.room.closed ? ("unavailable" as Given) : goOn(given.value);
      if (given.refusal === "dropped") return dropped;
      this.#client.loop.core.counters.messagesRefused.value++;
      return given.refusal as Given;
    };
    return decided instanceof Promise ? decided.then(read) : read(decided);
  }

  /** Goes on where it is allowed, at once or when that has been found out. */
  #allowed<Given>(question: Question, goOn: () => Given | Promise<Given>): Given | Promise<Given> {
    const { policy } = this.#client.door;
    if (!policy.asks) return goOn();
    const read = (allowed: boolean): Given | Promise<Given> => {
      if (!allowed) {
        this.#client.loop.core.counters.messagesRefused.value++;
        return "forbidden" as Given;
      }
      return this.#left || this.#hooks.room.closed ? ("unavailable" as Given) : goOn();
    };
    const { action, topic, qos, retain } = question;
    const known =
      action === "publish"
        ? policy.mayPublish(this.#client.identity, topic, qos, retain)
        : policy.maySubscribe(this.#client.identity, topic, qos);
    if (known !== undefined) return read(known);
    return policy.ask(this.#client.identity, question).then((allowed) => {
      this.#client.door.authorized(
        askedOf(this.#client.identity, question),
        allowed,
        "authorization.sources",
      );
      return read(allowed);
    });
  }

  /** `give` gets what comes later, unless the engine will tell. */
  #inTurn<Given>(run: () => Given | Promise<Given>, give: (given: Given) => void): Given | Pending {
    const late = (given: Given): void => {
      if (given !== "pending") give(given);
    };
    return this.#line.ask(run, late, "congested" as Given, "unavailable" as Given);
  }

  pass(message: Message, ticket: Ticket): PublishAnswer | Pending {
    // It may wait: not with a view of a buffer that is read into again.
    const own = message.kept();
    const decide = () =>
      this.#decide<Message, PublishAnswer | Pending>(
        this.#hooks.publish(this.#who, own),
        (changed) => this.#publish(changed, ticket),
        "accepted",
      );
    const run = () => this.#allowed<PublishAnswer | Pending>(publishing(own), decide);
    if (message.qos > 0)
      return this.#inTurn(run, (answer) => this.#client.answered(ticket, answer as Answer));
    // Nobody waits for an answer: it is on its way.
    const answer = this.#inTurn(run, () => {});
    return answer === "pending" ? "accepted" : answer;
  }

  #publish(message: Message, ticket: Ticket): PublishAnswer | Pending {
    const answer = this.#client.pass(message, ticket);
    if (this.#hooks.hear("published")) {
      this.#whenAnswered(ticket, answer, (late) => {
        if (late === "accepted" || late === "no-subscribers") this.#hooks.published(this.#who, message);
      });
    }
    return answer;
  }

  enrol(filter: string, options: SubscribeOptions, ticket: Ticket): SubscribeAnswer | Pending {
    const { said } = this.#client;
    const decide = () =>
      this.#decide<{ filter: string; options: SubscribeOptions }, SubscribeAnswer | Pending>(
        this.#hooks.subscribe(this.#who, { filter, options }, false),
        (wanted) => this.#saying(said, () => this.#enrol(filter, wanted.filter, wanted.options, ticket)),
        "forbidden",
      );
    const run = () => this.#allowed<SubscribeAnswer | Pending>(reading(filter, options.qos), decide);
    return this.#inTurn(run, (answer) => this.#client.answered(ticket, answer as Answer));
  }

  #enrol(
    asked: string,
    filter: string,
    options: SubscribeOptions,
    ticket: Ticket,
  ): SubscribeAnswer | Pending {
    const answer = this.#client.enrol(filter, filter === asked ? options : { ...options, asked }, ticket);
    this.#whenAnswered(ticket, answer, (late) => {
      if (typeof late === "number") this.#hooks.subscribed(this.#who, filter, late as QoS);
    });
    return answer;
  }

  /** What is asked for may have waited, and the packet that asks for it is not being read any more. */
  #saying<Given>(said: BusClient["said"], ask: () => Given): Given {
    const client = this.#client;
    const before = client.said;
    client.said = said;
    const given = ask();
    client.said = before;
    return given;
  }

  withdraw(asked: string, ticket: Ticket): UnsubscribeAnswer | Pending {
    const { said } = this.#client;
    return this.#inTurn<UnsubscribeAnswer | Pending>(
      () => {
        const answer = this.#saying(said, () => this.#client.withdraw(asked, ticket));
        this.#whenAnswered(ticket, answer, (late) => {
          if (late === "unsubscribed") this.#hooks.unsubscribed(this.#who, asked, "asked");
        });
        return answer;
      },
      (answer) => this.#client.answered(ticket, answer as Answer),
    );
  }

  lookUp(asked: string, limit: number, ticket: Ticket): RetainedAnswer | Pending {
    const decide = () =>
      this.#decide<{ filter: string }, RetainedAnswer | Pending>(
        this.#hooks.subscribe(this.#who, { filter: asked, options: { qos: 0 } }, true),
        (wanted) => this.#client.lookUp(wanted.filter, limit, ticket),
        "forbidden",
      );
    const run = () => this.#allowed<RetainedAnswer | Pending>(reading(asked, 0), decide);
    return this.#inTurn(run, (answer) => this.#client.found(ticket, answer as RetainedAnswer));
  }

  /** What was asked before has been told to the store first. */
  commit(ticket: Ticket, since: number): "accepted" | Pending {
    if (!this.#line.busy) return this.#client.commit(ticket, since);
    return this.#inTurn<"accepted" | Pending>(
      () => this.#client.commit(ticket, since),
      (answer) => this.#client.answered(ticket, answer as Answer),
    );
  }

  changeWill(will: Will | undefined, ticket: Ticket): WillAnswer | Pending {
    const run = () => {
      if (will === undefined) return this.#client.changeWill(will, ticket);
      return this.#decide<Will, WillAnswer | Pending>(
        this.#judged(will),
        (judged) => this.#client.changeWill(judged, ticket),
        "accepted",
      );
    };
    return this.#inTurn(run, (answer) => this.#client.answered(ticket, answer as Answer));
  }

  firstWill(will: Will | undefined): Will | undefined | Promise<Will | undefined> {
    if (will === undefined) return undefined;
    const read = (given: Decided<Will>): Will | undefined => (given.ok ? given.value : undefined);
    const judged = this.#judged(will);
    return judged instanceof Promise ? judged.then(read) : read(judged);
  }

  /** A will is a message that is published later. */
  #judged(will: Will): Decided<Will> | Promise<Decided<Will>> {
    const { topic, payload, qos, retain, options } = will;
    const { properties, expiry } = options;
    const message = new Message(topic, payload, qos, retain, this.#client.loop.core.now, properties, expiry);
    const read = (given: Decided<Message> | "forbidden"): Decided<Will> => {
      if (given === "forbidden") return refused("forbidden", "the rules say no");
      if (!given.ok) return given;
      const judged = given.value === message ? will : willOf(will, given.value);
      return { ok: true, value: this.#client.door.policy.asks ? { ...judged, found: true } : judged };
    };
    const asked = publishing(message, will.asked);
    const decided = this.#allowed<Decided<Message> | "forbidden">(asked, () =>
      this.#hooks.publish(this.#who, message),
    );
    return decided instanceof Promise ? decided.then(read) : read(decided);
  }

  // ---- what hooks are told

  #whenAnswered(ticket: Ticket, answer: Answer | Pending, tell: Later): void {
    if (answer !== "pending") {
      tell(answer);
      return;
    }
    this.#toTell ??= new Map();
    const waiting = this.#toTell.get(ticket);
    if (waiting === undefined) this.#toTell.set(ticket, [tell]);
    else waiting.push(tell);
  }

  answered(ticket: Ticket, answer: Answer): void {
    const waiting = this.#toTell?.get(ticket);
    if (waiting === undefined) return;
    waiting.shift()?.(answer);
    if (waiting.length === 0) this.#toTell?.delete(ticket);
  }

  announced(how: Arrival): void {
    this.#hooks.connected(this.#who, how);
  }

  departed(reason: string): void {
    this.#hooks.disconnected(this.#who, reason);
  }

  delivered(delivery: Delivery): void {
    if (!this.#hooks.hear("delivered")) return;
    if (delivery.qos === 0) this.#hooks.delivered(this.#who, delivery.message, delivery.topic);
    else {
      this.#handed ??= new Map();
      this.#handed.set(delivery.id, delivery);
    }
  }

  settled(id: DeliveryId, outcome: Outcome): void {
    const handed = this.#handed?.get(id);
    if (handed === undefined) return;
    this.#handed?.delete(id);
    if (outcome === "done") this.#hooks.delivered(this.#who, handed.message, handed.topic);
  }

  // ---- its end

  /** What it sent before it said goodbye, or was lost, is published before its session is left. */
  depart(how: Departure, reason: string): void {
    this.#leaving = { how, reason };
    if (!this.#line.busy || this.#evicted || this.#hooks.room.closed) {
      this.#leave();
      return;
    }
    const { core } = this.#client.loop;
    this.#limit = new CallbackAlarm(() => this.#leave());
    core.alarms.arm(this.#limit, after(core.now, this.#hooks.room.linger));
  }

  /**
   * Another connection takes the session: it does not wait, and what is not published yet was not acknowledged. True
   * where its end had come already.
   */
  evicted(): boolean {
    this.#evicted = true;
    const { leaving } = this;
    this.#leave();
    return leaving;
  }

  #leave(): void {
    const leaving = this.#leaving;
    if (leaving === undefined || this.#left) return;
    this.#left = true;
    if (this.#limit !== undefined) this.#client.loop.core.alarms.disarm(this.#limit);
    this.#line.drop();
    if (this.#hooks.hear("unsubscribed")) leaves(this.#client.session.attendance, this.#who);
    this.#client.depart(leaving.how, leaving.reason);
  }
}

/** Of `$delayed/<seconds>/<topic>` rules mean the topic; of a rewritten will, the one that the client asked for. */
const publishing = ({ topic, qos, retain }: Message, asked = topic): Question => ({
  action: "publish",
  topic: meantTopic(asked),
  qos,
  retain,
});
const askedOf = (identity: Identity, { action, topic, qos, retain }: Question): AskedOfPolicy =>
  action === "publish" ? { action, identity, topic, qos, retain } : { action, identity, filter: topic, qos };
const reading = (topic: string, qos: QoS): Question => ({ action: "subscribe", topic, qos, retain: false });

function willOf(
  will: Will,
  { topic, payload, qos, retain, properties, expiresAt, publishedAt, errand }: Message,
): Will {
  const expiry = expiresAt === NEVER ? FOREVER : ((expiresAt - publishedAt) as typeof FOREVER);
  return { ...will, topic, payload, qos, retain, errand, options: { properties, expiry } };
}
