import { Message } from "#core/bus/message.ts";
import { topicNameProblem } from "#core/bus/topic.ts";
import type { PublishAnswer, SubscribeAnswer, Ticket } from "#core/contract/answers.ts";
import type { StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { type Instant, NEVER, seconds } from "#core/lib/time.ts";
import type { CoapConfig } from "../config.ts";
import { Identities } from "../pubsub/identities.ts";
import { Observers } from "../pubsub/observers.ts";
import type { ObservingClient, ObservingPeer } from "../pubsub/observing-client.ts";
import { Operation } from "../pubsub/operation.ts";
import { clearRetained, publish } from "../pubsub/publish.ts";
import { type Query, readQuery } from "../pubsub/query.ts";
import { retainedResponse } from "../pubsub/read.ts";
import { refusalResponse } from "../pubsub/refusals.ts";
import { propertiesOf } from "../pubsub/representation.ts";
import { Waiting } from "../pubsub/waiting.ts";
import { Watch } from "../pubsub/watch.ts";
import { Method, Response } from "../stack/codes.ts";
import { ContentFormat } from "../stack/content-formats.ts";
import { formatLinks } from "../stack/link-format.ts";
import { Option, option } from "../stack/options.ts";
import type { CoapPeer, CoapRequest, CoapResponse, PeerSite, PeerSiteStatus } from "../stack/site.ts";
import {
  Key,
  matches,
  OBSERVER_CHECK_DEFAULT,
  type Properties,
  RESOURCE_TYPE_DATA,
  readKeys,
  readProperties,
  writeProperties,
} from "./topic-properties.ts";
import type { CollectionTopic, Topics } from "./topics.ts";

const PREFIX = "pubsub";
const DATA = "data";
const IMMUTABLE = [Key.topicName, Key.topicData, Key.resourceType];
const refused = (code: CoapResponse["code"], text: string) => ({ code, payload: utf8(text) });
const NOT_FOUND = refused(Response.NotFound, "no such topic");
const METHOD = refused(Response.MethodNotAllowed, "not a method of this resource");
const FORMAT = refused(Response.UnsupportedContentFormat, "another Content-Format is needed here");
const FULL = refused(Response.Forbidden, "the collection is full");
const linkPayload = (targets: readonly string[]): CoapResponse => ({
  code: Response.Content,
  options: [option(Option.ContentFormat, ContentFormat.Link)],
  payload: utf8(formatLinks(targets.map((target) => ({ target })))),
});

/** One peer at the topic collection (draft-ietf-core-coap-pubsub-21). */
export class CollectionPeer implements PeerSite, ObservingPeer {
  readonly config: CoapConfig;
  readonly peer: CoapPeer;
  readonly waiting = new Waiting();
  readonly #topics: Topics;
  readonly #identities: Identities;
  readonly #observers: Observers;

  constructor(config: CoapConfig, peer: CoapPeer, topics: Topics) {
    this.config = config;
    this.peer = peer;
    this.#topics = topics;
    this.#identities = new Identities(config, peer, this.waiting);
    this.#observers = new Observers(this);
  }

  request(request: CoapRequest, now: Instant): void {
    const query = readQuery(request.message);
    const [, first, second, ...more] = request.message.path() ?? [];
    if (typeof query === "string") request.refuse(Response.BadRequest, query);
    else if (first === undefined) this.#collection(request, query, now);
    else {
      const isData = first === DATA && second !== undefined;
      const topic = more.length > 0 ? undefined : this.#topics.find(isData ? second : first, now);
      if (topic === undefined || (!isData && second !== undefined)) request.respond(NOT_FOUND);
      else if (isData) this.#data(request, query, topic, now);
      else this.#topic(request, query, topic, now);
    }
  }

  // ---- the collection

  #collection(request: CoapRequest, query: Readonly<Query>, now: Instant): void {
    const operation = new Operation(request, "", query);
    const body = this.#body(request, ContentFormat.PubSubCBOR);
    if (request.method === Method.GET) {
      const data = request.message.strings(Option.UriQuery)?.includes(`rt=${RESOURCE_TYPE_DATA}`) === true;
      this.#identities.with(operation, now, (client, at) =>
        request.respond(
          linkPayload(this.#readable(client, at).map((topic) => (data ? dataPath(topic) : path(topic)))),
        ),
      );
    } else if (request.method !== Method.FETCH && request.method !== Method.POST) request.respond(METHOD);
    else if (body === undefined) request.respond(FORMAT);
    else if (typeof body === "string") request.refuse(Response.BadRequest, body);
    else if (request.method === Method.POST) {
      this.#identities.with(operation, now, (client, at) => this.#create(operation, body, client, at));
    } else {
      this.#identities.with(operation, now, (client, at) => {
        const found = this.#readable(client, at).filter(({ properties }) => matches(properties, body));
        request.respond(linkPayload(found.map(path)));
      });
    }
  }

  /** Topics that this client may read: others are not for it to see. */
  #readable(client: Client, now: Instant): CollectionTopic[] {
    return this.#topics.all(now).filter(({ name }) => typeof client.retained(name, 1) !== "string");
  }

  /** The CBOR map of the request; undefined when it has another Content-Format. */
  #body(request: CoapRequest, format: number): Properties | string | undefined {
    return request.message.uint(Option.ContentFormat) === format
      ? readProperties(request.payload)
      : undefined;
  }

  #create(operation: Operation, body: Properties, client: Client, now: Instant): void {
    const { request } = operation;
    const name = body.get(Key.topicName);
    const initial = body.get(Key.initialize);
    const format = body.get(Key.topicContentFormat) as number | undefined;
    const problem = this.#problemOf(body, now);
    if (problem !== undefined || typeof name !== "string") {
      request.refuse(Response.BadRequest, problem ?? "topic-name is missing");
      return;
    }
    if (this.#topics.full) {
      request.respond(FULL);
      return;
    }
    const verdict = client.mayPublish(name, 0, true);
    if (verdict !== "accepted") {
      request.respond(refusalResponse(verdict, operation.anonymous));
      return;
    }
    const id = Buffer.from(this.peer.host.random(6)).toString("hex");
    const topic = this.#topics.add(id, name, new Map(body));
    topic.properties.delete(Key.initialize);
    topic.properties.set(Key.topicData, dataPath(topic));
    if (initial instanceof Uint8Array) {
      const properties = propertiesOf(format, undefined);
      const known = properties === "unknown" ? undefined : properties;
      client.publish(new Message(name, Uint8Array.from(initial), 0, true, now, known), this.peer.ticket());
    }
    request.respond({
      ...this.#configuration(topic, Response.Created),
      options: [
        option(Option.ContentFormat, ContentFormat.PubSubCBOR),
        option(Option.LocationPath, PREFIX),
        option(Option.LocationPath, id),
      ],
    });
  }

  #problemOf(body: Properties, now: Instant): string | undefined {
    const name = body.get(Key.topicName);
    const format = body.get(Key.topicContentFormat);
    if (typeof name !== "string") return "topic-name is missing";
    if (topicNameProblem(name) !== undefined) return "topic-name is no valid topic of the bus";
    if (body.get(Key.resourceType) !== RESOURCE_TYPE_DATA)
      return `resource-type must be ${RESOURCE_TYPE_DATA}`;
    if (body.has(Key.topicData)) return "topic-data is for the gateway to choose";
    if (body.has(Key.initialize) && format === undefined) return "initialize needs topic-content-format";
    if (typeof format === "number" && propertiesOf(format, undefined) === "unknown") {
      return "topic-content-format is unknown";
    }
    return this.#topics.named(name, now) === undefined ? undefined : "topic-name is in use";
  }

  // ---- one topic's configuration

  #topic(request: CoapRequest, query: Readonly<Query>, topic: CollectionTopic, now: Instant): void {
    const operation = new Operation(request, topic.name, query);
    switch (request.method) {
      case Method.GET:
      case Method.FETCH:
        this.#identities.with(operation, now, (client) => this.#read(operation, topic, client));
        return;
      case Method.POST:
      case Method.iPATCH:
        this.#identities.with(operation, now, (client) => this.#update(operation, topic, client));
        return;
      case Method.DELETE:
        this.#identities.with(operation, now, (client, at) => {
          if (!this.#mayChange(operation, client)) return;
          this.#topics.remove(topic);
          // Observers of the data hear of it on the bus.
          clearRetained(this, operation, client, at);
        });
        return;
      default:
        request.respond(METHOD);
    }
  }

  #read(operation: Operation, topic: CollectionTopic, client: Client): void {
    const { request, message, payload } = operation;
    const readable = client.retained(topic.name, 1);
    if (typeof readable === "string") {
      request.respond(refusalResponse(readable, operation.anonymous));
      return;
    }
    if (request.method === Method.GET) {
      request.respond(this.#configuration(topic, Response.Content));
      return;
    }
    const keys = message.uint(Option.ContentFormat) === ContentFormat.CBOR ? readKeys(payload) : undefined;
    if (keys === undefined) request.respond(FORMAT);
    else if (typeof keys === "string") request.refuse(Response.BadRequest, keys);
    else request.respond(this.#configuration(topic, Response.Content, keys));
  }

  #update(operation: Operation, topic: CollectionTopic, client: Client): void {
    const { request, message, payload } = operation;
    const isCbor = message.uint(Option.ContentFormat) === ContentFormat.PubSubCBOR;
    const body = isCbor ? readProperties(payload) : undefined;
    if (body === undefined) request.respond(FORMAT);
    else if (typeof body === "string") request.refuse(Response.BadRequest, body);
    else if (IMMUTABLE.some((key) => body.has(key) && body.get(key) !== topic.properties.get(key))) {
      request.refuse(Response.BadRequest, "topic-name, topic-data and resource-type cannot be changed");
    } else if (this.#mayChange(operation, client)) {
      const kept = request.method === Method.iPATCH ? [...topic.properties] : [];
      const fixed = IMMUTABLE.map((key) => [key, topic.properties.get(key) ?? ""] as const);
      topic.properties = new Map([...kept, ...body, ...fixed]);
      topic.properties.delete(Key.initialize);
      request.respond(this.#configuration(topic, Response.Changed));
    }
  }

  #mayChange(operation: Operation, client: Client): boolean {
    const verdict = client.mayPublish(operation.topic, 0, true);
    if (verdict === "accepted") return true;
    operation.request.respond(refusalResponse(verdict, operation.anonymous));
    return false;
  }

  #configuration(topic: CollectionTopic, code: CoapResponse["code"], keys?: readonly number[]): CoapResponse {
    const shown: Properties = new Map(topic.properties);
    if (!shown.has(Key.observerCheck)) shown.set(Key.observerCheck, OBSERVER_CHECK_DEFAULT);
    if (keys !== undefined) for (const key of shown.keys()) if (!keys.includes(key)) shown.delete(key);
    return {
      code,
      options: [option(Option.ContentFormat, ContentFormat.PubSubCBOR)],
      payload: writeProperties(shown),
    };
  }

  // ---- one topic's data

  #data(request: CoapRequest, query: Readonly<Query>, topic: CollectionTopic, now: Instant): void {
    const operation = new Operation(request, topic.name, { ...query, retain: true }, "data");
    const format = topic.properties.get(Key.topicContentFormat);
    const given = request.message.uint(Option.ContentFormat);
    switch (request.method) {
      case Method.PUT:
        if (format !== undefined && given !== format) request.respond(FORMAT);
        else this.#identities.with(operation, now, (client, at) => publish(this, operation, client, at));
        return;
      case Method.GET:
        if (request.observe === 1) this.#forget(request);
        this.#identities.with(operation, now, (client, at) => this.#get(operation, topic, client, at));
        return;
      case Method.DELETE:
        this.#identities.with(operation, now, (client, at) => clearRetained(this, operation, client, at));
        return;
      default:
        request.respond(METHOD);
    }
  }

  /** Half created topics are not there to be read or observed. */
  #get(operation: Operation, topic: CollectionTopic, client: Client, now: Instant): void {
    const { request } = operation;
    const response = retainedResponse(operation, client, now);
    const limit = topic.properties.get(Key.maxSubscribers);
    const full = typeof limit === "number" && topic.subscribers >= limit && !observes(request, topic);
    const readable = response.code === Response.Content || response.code === Response.Valid;
    if (request.observe !== 0 || !readable || full) {
      request.respond(response);
      return;
    }
    const check = topic.properties.get(Key.observerCheck);
    operation.watched = {
      confirmInterval: typeof check === "number" ? seconds(check) : undefined,
      began: () => {
        topic.subscribers++;
      },
      ended: () => {
        topic.subscribers--;
      },
    };
    this.#observers.observe(operation, now);
  }

  #forget(request: CoapRequest): void {
    const { observation } = request;
    if (observation?.observer instanceof Watch) observation.observer.deregister();
    else observation?.end();
  }

  // ---- the core

  unwatched(observing: ObservingClient, how: "closed" | "lost"): void {
    this.#observers.unwatched(observing, how);
  }

  deliver(client: Client, delivery: Delivery, now: Instant): void {
    const observing = this.#observers.of(client);
    if (observing !== undefined) observing.deliver(delivery, now);
    else if (delivery.qos > 0) client.settle(delivery.id, "dead");
  }

  answered(ticket: Ticket, answer: PublishAnswer | SubscribeAnswer, now: Instant): void {
    this.waiting.answered(ticket, answer, now);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    this.waiting.connected(ticket, answer, now);
  }

  deadline(): Instant {
    return NEVER;
  }

  wake(): void {}

  stop(_reason: StopReason, _now: Instant, client?: Client): void {
    if (client !== undefined && !this.#observers.stop(client)) this.#identities.drop(client);
  }

  closed(): void {}

  busy(): boolean {
    return this.#observers.size > 0 || !this.waiting.empty;
  }

  status(): PeerSiteStatus {
    const clientIds = this.#observers.clientIds;
    return { state: clientIds.length > 0 ? "observing" : "", clientIds };
  }
}

/** A subscriber that registers again takes no place of another. */
function observes(request: CoapRequest, topic: CollectionTopic): boolean {
  const watch = request.observation?.observer;
  return watch instanceof Watch && watch.subscription.filter === topic.name;
}

const path = (topic: CollectionTopic): string => `/${PREFIX}/${topic.id}`;
const dataPath = (topic: CollectionTopic): string => `/${PREFIX}/${DATA}/${topic.id}`;
