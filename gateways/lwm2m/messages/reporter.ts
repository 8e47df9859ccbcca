/** Publishes what concerns one device under its topics, and settles commands once their answer is safe. */

import { Message, type MessageProperties } from "#core/bus/message.ts";
import type { PublishAnswer, Ticket } from "#core/contract/answers.ts";
import type { Client } from "#core/contract/client.ts";
import { SmallMap } from "#core/lib/small-map.ts";
import type { Instant } from "#core/lib/time.ts";
import type { CoapPeer } from "#gateways/coap/stack/site.ts";
import type { Lwm2mConfig } from "../config.ts";
import type { JsonObject } from "../content/exact-json.ts";
import type { Events } from "../operator/events.ts";
import { isRefused } from "../refusals.ts";
import { encodeReport } from "./reports.ts";
import { type Place, type TopicNames, topicFor } from "./topics.ts";

export type Published = (answer: PublishAnswer) => void;

export const JSON_PROPERTIES: MessageProperties = { payloadFormat: 1, contentType: "application/json" };

/** What fills the placeholders of its topics stays as it was when the device came. */
export class Reporter implements Place {
  readonly ep: string;
  readonly username: string;
  readonly address: string;
  readonly #peer: CoapPeer;
  readonly #client: Client;
  readonly #config: Pick<Lwm2mConfig, "topics" | "reportQos">;
  readonly #events: Events;
  /** Publishes that wait for the store; mostly there are none. */
  #pending: SmallMap<Ticket, Published> | undefined = undefined;
  /** Most reports are notifications. */
  #notifyTopic: string | undefined = undefined;

  constructor(
    peer: CoapPeer,
    client: Client,
    { ep, username, address }: Omit<Place, "clientId">,
    config: Pick<Lwm2mConfig, "topics" | "reportQos">,
    events: Events,
  ) {
    this.#events = events;
    this.ep = ep;
    this.username = username;
    this.address = address;
    this.#peer = peer;
    this.#client = client;
    this.#config = config;
  }

  get clientId(): string {
    return this.#client.id;
  }

  topic(of: keyof TopicNames): string {
    if (of !== "notify") return topicFor(this.#config.topics[of], this);
    this.#notifyTopic ??= topicFor(this.#config.topics.notify, this);
    return this.#notifyTopic;
  }

  publish(
    to: keyof TopicNames,
    report: JsonObject,
    now: Instant,
    then?: Published,
    correlation?: Uint8Array,
  ): void {
    const properties =
      correlation === undefined ? JSON_PROPERTIES : { ...JSON_PROPERTIES, correlationData: correlation };
    if (this.#events.watched) this.#events.tell({ endpoint: this.ep, kind: to, report, at: now });
    const message = new Message(
      this.topic(to),
      encodeReport(report),
      this.#config.reportQos,
      false,
      now,
      properties,
    );
    const ticket = this.#peer.ticket();
    const answer = this.#client.publish(message, ticket);
    if (answer === "pending") {
      this.#pending ??= new SmallMap();
      this.#pending.set(ticket, (later) => this.#published(message.topic, later, then));
    } else this.#published(message.topic, answer, then);
  }

  /** True when the ticket was one of these. */
  answered(ticket: Ticket, answer: PublishAnswer): boolean {
    const published = this.#pending?.get(ticket);
    if (published === undefined) return false;
    this.#pending?.delete(ticket);
    if (this.#pending?.size === 0) this.#pending = undefined;
    published(answer);
    return true;
  }

  #published(topic: string, answer: PublishAnswer, then: Published | undefined): void {
    if (isRefused(answer)) {
      this.#peer.host.note({ level: "info", event: "report-refused", detail: { topic, refusal: answer } });
    }
    then?.(answer);
  }
}
