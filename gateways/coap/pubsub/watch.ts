import type { Delivery } from "#core/contract/delivery.ts";
import { utf8 } from "#core/lib/bytes.ts";
import type { Duration, Instant } from "#core/lib/time.ts";
import type { CoapConfig } from "../config.ts";
import { Response } from "../stack/message/codes.ts";
import { Option } from "../stack/message/options.ts";
import type { CoapPeer, CoapResponse, Observation, ObservationEnd, Observer } from "../stack/site.ts";
import { formNotification } from "./form-body.ts";
import type { ObservingClient, Subscription } from "./observing-client.ts";
import type { Form, Operation, Watched } from "./operation.ts";
import { formatOf, isOfFormat, notificationOf } from "./representation.ts";
import { locationOf } from "./topic-path.ts";

/** The last word to observers of a topic-data resource that was deleted. */
const DELETED = { code: Response.NotFound, payload: utf8("deleted") };
const ANOTHER_FORMAT = {
  code: Response.NotAcceptable,
  payload: utf8("the topic has another Content-Format now"),
};

const formatIn = ({ options }: CoapResponse): number | undefined =>
  options?.find(({ number }) => number === Option.ContentFormat)?.value as number | undefined;

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
  /** Whose observation it is, where that is not the client's own peer. */
  readonly #via: CoapPeer | undefined;
  /** The one Content-Format that the client takes; undefined when it has not said, or observes many topics. */
  readonly #accept: number | undefined;
  #format: number | undefined;

  constructor(
    client: ObservingClient,
    subscription: Subscription,
    operation: Pick<Operation, "form" | "watched" | "message" | "via">,
    config: CoapConfig,
    first: CoapResponse,
  ) {
    this.#client = client;
    this.subscription = subscription;
    this.#form = operation.form;
    this.#watched = operation.watched;
    this.#via = operation.via;
    this.#accept = subscription.wildcard ? undefined : operation.message.uint(Option.Accept);
    this.#format = formatIn(first);
    this.#config = config;
    // Under a wildcard the next message is of another topic, so nothing supersedes.
    this.coalesce = config.subscribe.coalesce && !subscription.wildcard;
  }

  notify(delivery: Delivery, now: Instant): void {
    // The data are what is retained; what passes by is not for those who read them (draft-21 §4).
    if (this.#form === "data" && !delivery.retain) {
      this.#client.settled(delivery.id, "done");
      return;
    }
    const { notify } = this.#config.subscribe;
    const confirmable = notify === "con" || (notify === "qos" && delivery.qos > 0);
    const last = this.#lastWord(delivery);
    this.#tell(last ?? this.#response(delivery, now), confirmable, delivery.id);
    if (last !== undefined) this.#client.ended(this, "deregistered");
  }

  /** The last word to an observer whose client has ended. */
  dismiss(response: CoapResponse): void {
    this.#tell(response, false, 0);
    if (this.#via === undefined) this.observation?.end();
    else this.#via.turn(() => this.observation?.end());
  }

  #tell(response: CoapResponse, confirmable: boolean, reference: number): void {
    if (this.#via === undefined) this.observation?.notify(response, confirmable, reference);
    else this.#via.turn(() => this.observation?.notify(response, confirmable, reference));
  }

  /** Why the observation ends with this delivery; undefined when it goes on. */
  #lastWord(delivery: Delivery): CoapResponse | undefined {
    const { payload, properties } = delivery.message;
    if (this.#form === "data" && delivery.retain && payload.length === 0) return DELETED;
    // RFC 7641 §4.2: notifications keep to the format that was asked for.
    if (this.#accept !== undefined && !isOfFormat(properties, this.#accept)) return ANOTHER_FORMAT;
    return this.#changesFormat(formatOf(properties)) ? ANOTHER_FORMAT : undefined;
  }

  /** Without Accept the first format that is told is the one of all that follow; one that is not known may be it. */
  #changesFormat(format: number | undefined): boolean {
    if (this.subscription.wildcard || this.#form === "form" || format === undefined) return false;
    this.#format ??= format;
    return format !== this.#format;
  }

  continues(previous: Observer): boolean {
    return previous instanceof Watch && previous.subscription === this.subscription;
  }

  get confirmInterval(): Duration | undefined {
    return this.#watched?.confirmInterval;
  }

  /** It is one of the client's observations from now on, and then no longer. */
  began(): void {
    this.#watched?.began(this);
  }

  over(): void {
    this.#watched?.ended(this);
  }

  /** Its topic is gone, or has no place for it any more. */
  end(): void {
    const peer = this.#via ?? this.#client.peer;
    peer.turn(() => {
      this.observation?.notify(DELETED, false, 0);
      this.#client.ended(this, "deregistered");
    });
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
