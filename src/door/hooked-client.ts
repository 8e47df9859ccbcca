import { meantTopic } from "../bus/delayed.ts";
import { Message, type QoS } from "../bus/message.ts";
import type {
  Answer,
  Pending,
  PublishAnswer,
  RetainedAnswer,
  ServerWords,
  SubscribeAnswer,
  Ticket,
  UnsubscribeAnswer,
  WillAnswer,
} from "../contract/answers.ts";
import type { StopReason } from "../contract/channel.ts";
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
import { BusClient, type Standing } from "./bus-client.ts";
import type { ChannelDriver } from "./channel-driver.ts";
import type { Arrival } from "./core.ts";
import type { Door } from "./door.ts";

type Later = (answer: Answer) => void;

/**
 * A client of a gateway that has hooks, or whose rights are known elsewhere: sources of rules are asked first, then hooks,
 * before rewrite and mountpoint; and hooks are told what has happened. As long as one of them thinks, what the client asks next waits in its order. A class of its own, so that
 * a client without hooks has nothing of this on its way.
 */
export class HookedClient extends BusClient {
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
  readonly #hearsPublished: boolean;
  readonly #hearsDelivered: boolean;

  constructor(loop: ChannelDriver, door: Door, identity: Identity, standing: Standing, hooks: Hooks) {
    super(loop, door, identity, { ...standing, waits: true });
    this.#hooks = hooks;
    const { transport, address, port } = identity.peer;
    const { clientId, username, listener } = identity;
    this.#who = Object.freeze({
      gateway: door.gateway,
      listener,
      clientId,
      username,
      address,
      port,
      transport,
    });
    this.#line = new Line(hooks.room, {
      tick: () => loop.core.tick(),
      pause: () => loop.pauseReading(),
      resume: () => loop.resumeReading(),
      empty: () => this.#leave(),
    });
    this.#hearsPublished = hooks.hear("published");
    this.#hearsDelivered = hooks.hear("delivered");
  }

  override get passesHooks(): boolean {
    return true;
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
      this.loop.core.counters.messagesRefused.value++;
      return given.refusal as Given;
    };
    return decided instanceof Promise ? decided.then(read) : read(decided);
  }

  /** Goes on where it is allowed, at once or when that has been found out. */
  #allowed<Given>(question: Question, goOn: () => Given | Promise<Given>): Given | Promise<Given> {
    const { policy } = this.door;
    if (!policy.asks) return goOn();
    const read = (allowed: boolean): Given | Promise<Given> => {
      if (!allowed) {
        this.loop.core.counters.messagesRefused.value++;
        return "forbidden" as Given;
      }
      return this.#left || this.#hooks.room.closed ? ("unavailable" as Given) : goOn();
    };
    const { action, topic, qos, retain } = question;
    const known =
      action === "publish"
        ? policy.mayPublish(this.identity, topic, qos, retain)
        : policy.maySubscribe(this.identity, topic, qos);
    if (known !== undefined) return read(known);
    return policy.ask(this.identity, question).then((allowed) => {
      this.door.authorized(askedOf(this.identity, question), allowed, "authorization.sources");
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

  protected override pass(message: Message, ticket: Ticket): PublishAnswer | Pending {
    // It may wait: not with a view of a buffer that is read into again.
    const own = message.kept();
    const decide = () =>
      this.#decide<Message, PublishAnswer | Pending>(
        this.#hooks.publish(this.#who, own),
        (changed) => this.#publish(changed, ticket),
        "accepted",
      );
    const run = () => this.#allowed<PublishAnswer | Pending>(publishing(own), decide);
    if (message.qos > 0) return this.#inTurn(run, (answer) => this.answered(ticket, answer as Answer));
    // Nobody waits for an answer: it is on its way.
    const answer = this.#inTurn(run, () => {});
    return answer === "pending" ? "accepted" : answer;
  }

  #publish(message: Message, ticket: Ticket): PublishAnswer | Pending {
    const answer = super.pass(message, ticket);
    if (this.#hearsPublished) {
      this.#whenAnswered(ticket, answer, (late) => {
        if (late === "accepted" || late === "no-subscribers") this.#hooks.published(this.#who, message);
      });
    }
    return answer;
  }

  protected override enrol(
    filter: string,
    options: SubscribeOptions,
    ticket: Ticket,
  ): SubscribeAnswer | Pending {
    const decide = () =>
      this.#decide<{ filter: string; options: SubscribeOptions }, SubscribeAnswer | Pending>(
        this.#hooks.subscribe(this.#who, { filter, options }, false),
        (wanted) => this.#enrol(filter, wanted.filter, wanted.options, ticket),
        "forbidden",
      );
    const run = () => this.#allowed<SubscribeAnswer | Pending>(reading(filter, options.qos), decide);
    return this.#inTurn(run, (answer) => this.answered(ticket, answer as Answer));
  }

  #enrol(
    asked: string,
    filter: string,
    options: SubscribeOptions,
    ticket: Ticket,
  ): SubscribeAnswer | Pending {
    const answer = super.enrol(filter, filter === asked ? options : { ...options, asked }, ticket);
    this.#whenAnswered(ticket, answer, (late) => {
      if (typeof late === "number") this.#hooks.subscribed(this.#who, filter, late as QoS);
    });
    return answer;
  }

  protected override withdraw(asked: string, ticket: Ticket): UnsubscribeAnswer | Pending {
    return this.#inTurn<UnsubscribeAnswer | Pending>(
      () => {
        const answer = this.#withdraw(asked, ticket);
        this.#whenAnswered(ticket, answer, (late) => {
          if (late === "unsubscribed") this.#hooks.unsubscribed(this.#who, asked);
        });
        return answer;
      },
      (answer) => this.answered(ticket, answer as Answer),
    );
  }

  /** A hook may have made another filter of the one that the client knows. */
  #withdraw(asked: string, ticket: Ticket): UnsubscribeAnswer | Pending {
    for (const [filter, options] of this.session.subscriptions) {
      if (options.asked === asked) return this.session.unsubscribe(filter, ticket);
    }
    return super.withdraw(asked, ticket);
  }

  protected override lookUp(asked: string, limit: number, ticket: Ticket): RetainedAnswer | Pending {
    const decide = () =>
      this.#decide<{ filter: string }, RetainedAnswer | Pending>(
        this.#hooks.subscribe(this.#who, { filter: asked, options: { qos: 0 } }, true),
        (wanted) => super.lookUp(wanted.filter, limit, ticket),
        "forbidden",
      );
    const run = () => this.#allowed<RetainedAnswer | Pending>(reading(asked, 0), decide);
    return this.#inTurn(run, (answer) => this.found(ticket, answer as RetainedAnswer));
  }

  /** What was asked before has been told to the store first. */
  protected override committed(ticket: Ticket, since: number): "accepted" | Pending {
    if (!this.#line.busy) return super.committed(ticket, since);
    return this.#inTurn<"accepted" | Pending>(
      () => super.committed(ticket, since),
      (answer) => this.answered(ticket, answer as Answer),
    );
  }

  protected override changeWill(will: Will | undefined, ticket: Ticket): WillAnswer | Pending {
    const run = () => {
      if (will === undefined) return super.changeWill(will, ticket);
      return this.#decide<Will, WillAnswer | Pending>(
        this.#judged(will),
        (judged) => super.changeWill(judged, ticket),
        "accepted",
      );
    };
    return this.#inTurn(run, (answer) => this.answered(ticket, answer as Answer));
  }

  override firstWill(will: Will | undefined): Will | undefined | Promise<Will | undefined> {
    if (will === undefined) return undefined;
    const read = (given: Decided<Will>): Will | undefined => (given.ok ? given.value : undefined);
    const judged = this.#judged(will);
    return judged instanceof Promise ? judged.then(read) : read(judged);
  }

  /** A will is a message that is published later. */
  #judged(will: Will): Decided<Will> | Promise<Decided<Will>> {
    const { topic, payload, qos, retain, options } = will;
    const { properties, expiry } = options;
    const message = new Message(topic, payload, qos, retain, this.loop.core.now, properties, expiry);
    const read = (given: Decided<Message> | "forbidden"): Decided<Will> => {
      if (given === "forbidden") return refused("forbidden", "the rules say no");
      if (!given.ok) return given;
      const judged = given.value === message ? will : willOf(will, given.value);
      return { ok: true, value: this.door.policy.asks ? { ...judged, found: true } : judged };
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

  override answered(ticket: Ticket, answer: Answer, words?: ServerWords): void {
    const waiting = this.#toTell?.get(ticket);
    if (waiting !== undefined) {
      waiting.shift()?.(answer);
      if (waiting.length === 0) this.#toTell?.delete(ticket);
    }
    super.answered(ticket, answer, words);
  }

  override announced(how: Arrival): void {
    this.#hooks.connected(this.#who, how);
  }

  override departed(reason: string): void {
    this.#hooks.disconnected(this.#who, reason);
  }

  override deliver(delivery: Delivery): void {
    super.deliver(delivery);
    if (!this.#hearsDelivered) return;
    if (delivery.qos === 0) this.#hooks.delivered(this.#who, delivery.message, delivery.topic);
    else {
      this.#handed ??= new Map();
      this.#handed.set(delivery.id, delivery);
    }
  }

  override settle(id: DeliveryId, outcome: Outcome): boolean {
    const handed = this.#handed?.get(id);
    if (handed !== undefined) {
      this.#handed?.delete(id);
      if (outcome === "done") this.#hooks.delivered(this.#who, handed.message, handed.topic);
    }
    return super.settle(id, outcome);
  }

  // ---- its end

  /** One that leaves takes nothing any more; it stays in its session. */
  override get held(): boolean {
    return this.#leaving !== undefined || super.held;
  }

  /** What it sent before it said goodbye, or was lost, is published before its session is left. */
  protected override depart(how: Departure, reason: string): void {
    this.#leaving = { how, reason };
    if (!this.#line.busy || this.#evicted || this.#hooks.room.closed) {
      this.#leave();
      return;
    }
    const { core } = this.loop;
    this.#limit = new CallbackAlarm(() => this.#leave());
    core.alarms.arm(this.#limit, after(core.now, this.#hooks.room.linger));
  }

  /** Another connection takes the session: it does not wait, and what is not published yet was not acknowledged. */
  override evict(reason?: StopReason, words?: ServerWords): void {
    this.#evicted = true;
    if (this.#leaving === undefined) super.evict(reason, words);
    else this.#leave();
  }

  #leave(): void {
    const leaving = this.#leaving;
    if (leaving === undefined || this.#left) return;
    this.#left = true;
    if (this.#limit !== undefined) this.loop.core.alarms.disarm(this.#limit);
    this.#line.drop();
    super.depart(leaving.how, leaving.reason);
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
