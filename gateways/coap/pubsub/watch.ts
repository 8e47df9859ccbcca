import type { Delivery } from "#core/contract/delivery.ts";
import { utf8 } from "#core/lib/bytes.ts";
import type { Duration, Instant } from "#core/lib/time.ts";
import type { CoapConfig } from "../config.ts";
import { Response } from "../stack/codes.ts";
import { Option } from "../stack/options.ts";
import type { CoapResponse, Observation, ObservationEnd, Observer } from "../stack/site.ts";
import { formNotification } from "./form-body.ts";
import type { ObservingClient, Subscription } from "./observing-client.ts";
import type { Form, Operation, Watched } from "./operation.ts";
import { formatOf, notificationOf } from "./representation.ts";
import { locationOf } from "./topic-path.ts";

/** The last word to observers of a topic-data resource that was deleted. */
const DELETED = { code: Response.NotFound, payload: utf8("deleted") };
const ANOTHER_FORMAT = {
  code: Response.NotAcceptable,
  payload: utf8("the topic has another Content-Format now"),
};

export type WatchEnd = ObservationEnd;

/** One observation of a topic or filter. */
export class Watch implements Observer {
  readonly coalesce: boolean;
  readonly subscription: Subscription;
  observation: Observation | undefined = undefined;
  readonly #client: ObservingClient;
  readonly #form: Form;
  readonly #config: CoapConfig;
  readonly #watched: Watched | undefined;
  /** The one Content-Format that the client takes; undefined when it has not said, or observes many topics. */
  readonly #accept: number | undefined;

  constructor(
    client: ObservingClient,
    subscription: Subscription,
    operation: Pick<Operation, "form" | "watched" | "message">,
    config: CoapConfig,
  ) {
    this.#client = client;
    this.subscription = subscription;
    this.#form = operation.form;
    this.#watched = operation.watched;
    this.#accept = subscription.wildcard ? undefined : operation.message.uint(Option.Accept);
    this.#config = config;
    // Under a wildcard the next message is of another topic, so nothing supersedes.
    this.coalesce = config.subscribe.coalesce && !subscription.wildcard;
  }

  notify(delivery: Delivery, now: Instant): void {
    const { notify } = this.#config.subscribe;
    const confirmable = notify === "con" || (notify === "qos" && delivery.qos > 0);
    const last = this.#lastWord(delivery);
    this.observation?.notify(last ?? this.#response(delivery, now), confirmable, delivery.id);
    if (last !== undefined) this.#client.ended(this, "deregistered");
  }

  /** Why the observation ends with this delivery; undefined when it goes on. */
  #lastWord(delivery: Delivery): CoapResponse | undefined {
    const { payload, properties } = delivery.message;
    if (this.#form === "data" && delivery.retain && payload.length === 0) return DELETED;
    // RFC 7641 §4.2: notifications keep to the format that was asked for.
    const format = this.#accept === undefined ? undefined : formatOf(properties);
    return format === undefined || format === this.#accept ? undefined : ANOTHER_FORMAT;
  }

  continues(previous: Observer): boolean {
    return previous instanceof Watch && previous.subscription === this.subscription;
  }

  get confirmInterval(): Duration | undefined {
    return this.#watched?.confirmInterval;
  }

  /** It is one of the client's observations from now on, and then no longer. */
  began(): void {
    this.#watched?.began();
  }

  over(): void {
    this.#watched?.ended();
  }

  /** The client asked for its end. */
  deregister(): void {
    this.#client.forget(this);
  }

  settled(reference: number, outcome: "done" | "dropped" | "failed"): void {
    this.#client.settled(reference, outcome);
  }

  ended(why: ObservationEnd): void {
    this.#client.ended(this, why);
  }

  #response(delivery: Delivery, now: Instant): CoapResponse {
    if (this.#form === "form") {
      return { code: Response.Content, payload: formNotification(delivery.topic, delivery.message.payload) };
    }
    const location = this.subscription.wildcard
      ? locationOf(this.#config.topicPrefix, delivery.topic)
      : undefined;
    return notificationOf(delivery.message, location, now);
  }
}
