import type { Delivery } from "#core/gateway/contract.ts";
import type { Instant } from "#core/lib/time.ts";
import type { CoapConfig } from "../config.ts";
import { Response } from "../stack/codes.ts";
import type { CoapResponse, Observation, ObservationEnd, Observer } from "../stack/site.ts";
import { formNotification } from "./form-body.ts";
import type { ObservingClient, Subscription } from "./observing-client.ts";
import type { Form } from "./operation.ts";
import { notificationOf } from "./representation.ts";
import { locationOf } from "./topic-path.ts";

export type WatchEnd = ObservationEnd;

/** One observation of a topic or filter. */
export class Watch implements Observer {
  readonly coalesce: boolean;
  readonly subscription: Subscription;
  observation: Observation | undefined = undefined;
  readonly #client: ObservingClient;
  readonly #form: Form;
  readonly #config: CoapConfig;

  constructor(client: ObservingClient, subscription: Subscription, form: Form, config: CoapConfig) {
    this.#client = client;
    this.subscription = subscription;
    this.#form = form;
    this.#config = config;
    // Under a wildcard the next message is of another topic, so nothing supersedes.
    this.coalesce = config.subscribe.coalesce && !subscription.wildcard;
  }

  notify(delivery: Delivery, now: Instant): void {
    const { notify } = this.#config.subscribe;
    const confirmable = notify === "con" || (notify === "qos" && delivery.qos > 0);
    this.observation?.notify(this.#response(delivery, now), confirmable, delivery.id);
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
