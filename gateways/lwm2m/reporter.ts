/** Publishes what concerns one device under its topics, and settles commands once their answer is safe. */

import { Message, type MessageProperties } from "#core/bus/message.ts";
import type { Client, PublishAnswer, QoS, Ticket } from "#core/gateway/contract.ts";
import type { Instant } from "#core/lib/time.ts";
import type { CoapPeer } from "#gateways/coap/stack/site.ts";
import type { JsonObject } from "./content/exact-json.ts";
import { isRefused } from "./refusals.ts";
import { encodeReport } from "./reports.ts";
import { type Place, type TopicNames, topicFor } from "./topics.ts";

export type Published = (answer: PublishAnswer) => void;

const JSON_PROPERTIES: MessageProperties = { payloadFormat: 1, contentType: "application/json" };

export class Reporter {
  readonly #peer: CoapPeer;
  readonly #client: Client;
  readonly #templates: TopicNames;
  readonly #qos: QoS;
  readonly #place: Place;
  /** Publishes that wait for the store; mostly there are none. */
  #pending: Map<Ticket, Published> | undefined = undefined;
  /** Most reports are notifications. */
  #notifyTopic: string | undefined = undefined;

  constructor(peer: CoapPeer, client: Client, place: Place, templates: TopicNames, qos: QoS) {
    this.#peer = peer;
    this.#client = client;
    this.#place = place;
    this.#templates = templates;
    this.#qos = qos;
  }

  topic(of: keyof TopicNames): string {
    if (of !== "notify") return topicFor(this.#templates[of], this.#place);
    this.#notifyTopic ??= topicFor(this.#templates.notify, this.#place);
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
    const message = new Message(this.topic(to), encodeReport(report), this.#qos, false, now, properties);
    const ticket = this.#peer.ticket();
    const answer = this.#client.publish(message, ticket);
    if (answer === "pending") {
      this.#pending ??= new Map();
      this.#pending.set(ticket, (later) => this.#published(message.topic, later, then));
    } else this.#published(message.topic, answer, then);
  }

  /** True when the ticket was one of these. */
  answered(ticket: Ticket, answer: PublishAnswer): boolean {
    const published = this.#pending?.get(ticket);
    if (published === undefined) return false;
    this.#pending?.delete(ticket);
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
