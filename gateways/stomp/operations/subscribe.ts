import type { QoS } from "#core/bus/message.ts";
import { parseSharedFilter } from "#core/bus/topic.ts";
import type { Answer, Refusal } from "#core/contract/answers.ts";
import type { ConnectAnswer, FurtherRequest, SubscribeOptions } from "#core/contract/client.ts";
import { NO_DELIVERY_ID, NO_SUBSCRIPTION_IDS } from "#core/contract/delivery.ts";
import { NO_BYTES, utf8 } from "#core/lib/bytes.ts";
import { ZERO } from "#core/lib/time.ts";
import type { Awaiting, AwaitingSession } from "../asks.ts";
import { encodeSubscriptionHeader } from "../codec/encoder.ts";
import { type Frame, receiptOf } from "../codec/frame.ts";
import type { Connection } from "../connection.ts";
import { durableNameOf, durableSessionId } from "../durable.ts";
import { Header } from "../frames.ts";
import { DEFERRED, DONE, missing, type Outcome, type Problem, problem, refused } from "../problem.ts";
import { contentOf, flagOf } from "../properties.ts";
import { type AckMode, Subscription, type SubscriptionOptions } from "../subscriptions.ts";

export function subscribe(frame: Frame, connection: Connection): Outcome {
  const options = optionsOf(frame, connection);
  if ("message" in options) return options;
  const { subscriptions, settings } = connection;
  if (subscriptions.named(options.id, options.destination) !== undefined) {
    return problem("subscription exists", `${options.id ?? options.destination} is subscribed already.`);
  }
  if (subscriptions.count >= settings.config.limits.subscriptions) {
    return problem("too many subscriptions", `At most ${settings.config.limits.subscriptions}.`);
  }
  const receipt = receiptOf(frame)?.slice();
  // Members of a group each take their share of its messages (MQTT 5 §4.8.2), so each is a session.
  const grouped = parseSharedFilter(options.filter) !== undefined;
  if (options.mode === "auto" && options.durable === undefined && !grouped) {
    return joinShared(new Subscription(options, connection.client, connection.host), connection, receipt);
  }
  if (options.durable !== undefined) {
    const former = subscriptions.durable(options.durable);
    if (former !== undefined && !former.draining) {
      return problem("subscription exists", `The durable subscription ${options.durable} is open already.`);
    }
    // What it has not acknowledged is delivered again.
    if (former !== undefined) connection.endSubscription(former);
  }
  return openOwn(options, connection, receipt);
}

function optionsOf(frame: Frame, connection: Connection): SubscriptionOptions | Problem {
  const { settings, version, subscriptions } = connection;
  const destination = frame.text(Header.destination);
  if (destination === undefined) return missing("destination", frame.command);
  const id = frame.text(Header.id);
  // STOMP 1.1 made the id a must.
  if (id === undefined && version !== "1.0") return missing("id", frame.command);
  if (frame.has(Header.selector)) return problem("selectors are not supported", "SUBSCRIBE has a selector.");
  const mode = modeOf(frame, connection);
  if (typeof mode === "object") return mode;
  const qos = qosOf(frame, settings.config.subscribeQos as QoS, mode);
  if (typeof qos === "object") return qos;
  const prefetch = prefetchOf(frame, settings.config.acknowledgements.prefetch);
  if (typeof prefetch === "object") return prefetch;
  const source = settings.destinations.source(destination);
  if (typeof source === "string") return problem("malformed destination", `${destination}: ${source}.`);
  const durable = durableNameOf(frame);
  if (typeof durable === "object") return durable;
  const noLocal = noLocalOf(frame, source.filter);
  if (typeof noLocal === "object") return noLocal;
  const browser = flagOf(frame, "browser");
  if (typeof browser === "object") return browser;
  if (browser === true) return problem("browsers are not supported", "SUBSCRIBE asks to browse a queue.");
  const number = subscriptions.nextNumber();
  const { filter, style } = source;
  return {
    id,
    destination,
    filter,
    style,
    qos,
    mode,
    prefetch,
    durable,
    noLocal,
    number,
    envelope: {
      version,
      dialect: style,
      head: id === undefined ? NO_BYTES : encodeSubscriptionHeader(id, version),
      idPrefix: utf8(`${connection.session}-${number}-`),
      acks: version === "1.2" && mode !== "auto",
      describe: (delivery) => contentOf(delivery, settings.destinations, style),
    },
  };
}

/** Somebody of a group has to take each message, whoever sent it [MQTT-3.8.3-4]. */
function noLocalOf(frame: Frame, filter: string): boolean | Problem {
  const asked = flagOf(frame, "no-local");
  if (asked === true && parseSharedFilter(filter) !== undefined) {
    return problem(
      "no-local on a queue",
      "Messages of a queue go to one of its subscribers, whoever sent them.",
    );
  }
  return asked ?? false;
}

/** STOMP 1.0 knows no client-individual; its clients (Perl's, PHP's) ask for it, as ActiveMQ and RabbitMQ grant it. */
function modeOf(frame: Frame, connection: Connection): AckMode | Problem {
  const mode = frame.text(Header.ack) ?? "auto";
  if (mode === "auto" || mode === "client" || mode === "client-individual") return mode;
  return problem("unknown ack mode", `${mode} is not an ack mode of STOMP ${connection.version}.`);
}

/**
 * STOMP has one acknowledgement, so QoS 1 is the most that a subscription can have. Below it there would be
 * nothing to acknowledge, and nothing to give back.
 */
function qosOf(frame: Frame, fallback: QoS, mode: AckMode): QoS | Problem {
  const asked = frame.digits(Header.qos) ?? fallback;
  if (asked < 0 || asked > 2) return problem("bad header qos", "qos is 0, 1 or 2.");
  return mode === "auto" ? (Math.min(asked, 1) as QoS) : 1;
}

const PREFETCH_MAX = 65_535;

/** RabbitMQ's and ActiveMQ's headers; 0 asks for no limit, which here is the highest. */
function prefetchOf(frame: Frame, fallback: number): number | Problem {
  const asked = frame.digits(Header["prefetch-count"]) ?? frame.digits(Header["activemq.prefetchSize"]);
  if (asked === undefined) return fallback;
  if (asked < 0) return problem("bad header prefetch-count", "It is a number of messages.");
  return asked === 0 ? PREFETCH_MAX : Math.min(asked, PREFETCH_MAX);
}

// ---- automatic acknowledgement: filters of the connection's own session, shared by equal destinations

function joinShared(
  subscription: Subscription,
  connection: Connection,
  receipt: Uint8Array | undefined,
): Outcome {
  const { subscriptions } = connection;
  const { filter, qos, number } = subscription.options;
  const shared = subscriptions.shared(filter);
  const granted = shared?.members.some((member) => member.options.qos >= qos) === true;
  subscriptions.add(subscription);
  subscriptions.join(subscription);
  if (shared !== undefined) replayRetained(subscription, connection);
  if (granted) return DONE;
  const awaiting = new AwaitingSubscribe(subscription, connection, receipt);
  return awaiting.start({
    qos,
    identifier: shared?.identifier ?? number,
    retainHandling: shared === undefined ? 0 : 2,
  });
}

/** The filter is subscribed already: what a new subscription would be sent first, this one gets from here. */
function replayRetained(subscription: Subscription, connection: Connection): void {
  const { filter, qos } = subscription.options;
  connection.asks.findRetained(filter, RETAINED_MAX, (retained) => {
    // It may have ended meanwhile.
    if (connection.subscriptions.numbered(subscription.options.number) !== subscription) return;
    for (const message of retained) {
      connection.sendMessage(subscription, {
        id: NO_DELIVERY_ID,
        message,
        topic: message.topic,
        qos: Math.min(message.qos, qos) as QoS,
        retain: true,
        duplicate: false,
        subscriptionIds: NO_SUBSCRIPTION_IDS,
        stage: "publish",
      });
    }
  });
}

/** As many as the core replays for a subscribe by default. */
const RETAINED_MAX = 10_000;

// ---- a session for one subscription

function openOwn(
  options: SubscriptionOptions,
  connection: Connection,
  receipt: Uint8Array | undefined,
): Outcome {
  return new AwaitingOwnSession(options, connection, receipt).start(options.durable === undefined);
}

class AwaitingOwnSession implements AwaitingSession {
  readonly receipt: Uint8Array | undefined;
  readonly #options: SubscriptionOptions;
  readonly #connection: Connection;

  constructor(options: SubscriptionOptions, connection: Connection, receipt: Uint8Array | undefined) {
    this.#options = options;
    this.#connection = connection;
    this.receipt = receipt;
  }

  start(cleanStart: boolean): Outcome {
    const answer = this.#connection.asks.openSession(this.#request(cleanStart), this);
    return answer === "pending" ? DEFERRED : this.connected(answer);
  }

  #request(cleanStart: boolean): FurtherRequest {
    const { login, session, settings } = this.#connection;
    const { durable, number, prefetch } = this.#options;
    return {
      kind: "further",
      of: login.client,
      clientId:
        durable === undefined ? `${login.client.id}//${session}-${number}` : durableSessionId(login, durable),
      cleanStart,
      sessionExpiry: durable === undefined ? ZERO : settings.config.durableExpiry,
      // Raised once the channel knows whose deliveries they are.
      credit: 0,
      window: prefetch,
    };
  }

  connected(answer: ConnectAnswer): Outcome {
    const { destination, filter, prefetch } = this.#options;
    if (!answer.ok) return refused(answer.refusal, `SUBSCRIBE to ${destination}`);
    const { client } = answer;
    const former = client.subscriptions();
    const known = former.has(filter);
    if (former.size > (known ? 1 : 0)) {
      // Of another destination it is another subscription: what waits was for the former one.
      client.setSessionExpiry(ZERO);
      client.end("closed");
      return this.start(true);
    }
    const subscription = new Subscription(this.#options, client, this.#connection.host);
    const { subscriptions } = this.#connection;
    subscriptions.add(subscription);
    subscriptions.own(subscription);
    client.credit(prefetch);
    const awaiting = new AwaitingSubscribe(subscription, this.#connection, this.receipt);
    // A durable subscription that goes on gets nothing retained anew (MQTT 5 §3.8.3.1).
    return awaiting.start({ qos: this.#options.qos, retainHandling: known ? 2 : 0 });
  }
}

class AwaitingSubscribe implements Awaiting {
  readonly blocks = true;
  readonly receipt: Uint8Array | undefined;
  readonly #subscription: Subscription;
  readonly #connection: Connection;

  constructor(subscription: Subscription, connection: Connection, receipt: Uint8Array | undefined) {
    this.#subscription = subscription;
    this.#connection = connection;
    this.receipt = receipt;
  }

  start(options: SubscribeOptions): Outcome {
    const answer = this.#connection.asks.subscribe(this.#subscription, options, this);
    return answer === "pending" ? DEFERRED : this.answered(answer);
  }

  answered(answer: Answer): Outcome {
    if (typeof answer === "number") return DONE;
    if (answer === "accepted" || answer === "no-subscribers") return DONE;
    return refused(answer as Refusal, `SUBSCRIBE to ${this.#subscription.options.destination}`);
  }
}
