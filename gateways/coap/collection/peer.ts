import { Message } from "#core/bus/message.ts";
import { topicNameProblem } from "#core/bus/topic.ts";
import type { Answer, RetainedAnswer, Ticket } from "#core/contract/answers.ts";
import type { StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { type Instant, NEVER, seconds } from "#core/lib/time.ts";
import type { CoapConfig } from "../config.ts";
import { type CoapDescription, SINGLE_REQUESTS } from "../operator.ts";
import { Clients } from "../pubsub/clients.ts";
import type { Connections } from "../pubsub/connections.ts";
import type { ObservingClient, ObservingPeer } from "../pubsub/observing-client.ts";
import { Operation } from "../pubsub/operation.ts";
import { clearRetained, publish } from "../pubsub/publish.ts";
import { readQuery } from "../pubsub/query.ts";
import { read } from "../pubsub/read.ts";
import { refusalResponse } from "../pubsub/refusals.ts";
import { propertiesOf } from "../pubsub/representation.ts";
import { Waiting } from "../pubsub/waiting.ts";
import { Watch } from "../pubsub/watch.ts";
import { Method, Response } from "../stack/message/codes.ts";
import { ContentFormat } from "../stack/message/content-formats.ts";
import { formatLinks } from "../stack/message/link-format.ts";
import { Option, option } from "../stack/message/options.ts";
import type { CoapPeer, CoapRequest, CoapResponse, PeerSite } from "../stack/site.ts";
import {
  Key,
  matches,
  type Properties,
  RESOURCE_TYPE_DATA,
  readKeys,
  readProperties,
  shown,
  writeProperties,
} from "./topic-properties.ts";
import { type CollectionTopic, expiryOf, type Topics } from "./topics.ts";

const PREFIX = "pubsub";
const DATA = "data";
const IMMUTABLE = [Key.topicName, Key.topicData, Key.resourceType];
const refused = (code: CoapResponse["code"], text: string) => ({ code, payload: utf8(text) });
const NOT_FOUND = refused(Response.NotFound, "no such topic");
const METHOD = refused(Response.MethodNotAllowed, "not a method of this resource");
const FORMAT = refused(Response.UnsupportedContentFormat, "another Content-Format is needed here");
const FULL = refused(Response.Forbidden, "the collection is full");
const EMPTY = refused(Response.BadRequest, "an empty value cannot be kept; DELETE removes one");
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
  readonly #clients: Clients;

  constructor(config: CoapConfig, peer: CoapPeer, topics: Topics, connections: Connections) {
    this.config = config;
    this.peer = peer;
    this.#topics = topics;
    this.#clients = new Clients(this, connections);
  }

  /** Who asks is known first: of the topics it finds those of its own mountpoint. */
  request(request: CoapRequest, now: Instant): void {
    const query = readQuery(request.message);
    if (typeof query === "string") {
      request.refuse(Response.BadRequest, query);
      return;
    }
    const operation = new Operation(request, "", query);
    this.#clients.as(operation, now, (client, at, of) => this.#route(operation, client, at, of));
  }

  #route(operation: Operation, client: Client, now: Instant, of: ObservingPeer): void {
    const { request, message } = operation;
    const [, first, second, ...more] = message.path() ?? [];
    if (first === undefined) {
      if (accepts(operation, request.method === Method.POST ? ContentFormat.PubSubCBOR : ContentFormat.Link))
        this.#collection(operation, client, now);
      return;
    }
    const isData = first === DATA && second !== undefined;
    const topic = more.length > 0 ? undefined : this.#topics.find(client.mountpoint, isData ? second : first);
    if (topic === undefined || (!isData && second !== undefined)) request.respond(NOT_FOUND);
    else if (isData) this.#data(this.#at(operation, topic), topic, client, now, of);
    else if (accepts(operation, ContentFormat.PubSubCBOR))
      this.#topic(this.#at(operation, topic), topic, client, now, of);
  }

  /** The request, at the bus topic that it is about. */
  #at({ request, query, message, payload, via }: Operation, topic: CollectionTopic): Operation {
    const operation = new Operation(request, topic.name, { ...query, retain: true }, "data", payload);
    operation.message = message;
    operation.via = via;
    return operation;
  }

  // ---- the collection

  #collection(operation: Operation, client: Client, now: Instant): void {
    const { request, message } = operation;
    if (request.method === Method.GET) {
      const data = message.strings(Option.UriQuery)?.includes(`rt=${RESOURCE_TYPE_DATA}`) === true;
      request.respond(
        linkPayload(this.#readable(client).map((topic) => (data ? dataPath(topic) : path(topic)))),
      );
      return;
    }
    if (request.method !== Method.FETCH && request.method !== Method.POST) {
      request.respond(METHOD);
      return;
    }
    const body = bodyOf(operation);
    if (body === undefined) request.respond(FORMAT);
    else if (typeof body === "string") request.refuse(Response.BadRequest, body);
    else if (request.method === Method.POST) this.#create(operation, body, client, now);
    else {
      const found = this.#readable(client).filter(({ properties }) => matches(properties, body));
      request.respond(linkPayload(found.map(path)));
    }
  }

  /** Topics that this client may read: others are not for it to see. */
  #readable(client: Client): CollectionTopic[] {
    return this.#topics.all(client.mountpoint).filter(({ name }) => client.mayRead(name) === "accepted");
  }

  #create(operation: Operation, body: Properties, client: Client, now: Instant): void {
    const { request } = operation;
    const name = body.get(Key.topicName);
    const initial = body.get(Key.initialize);
    const problem = this.#problemOf(body, client, now);
    if (problem !== undefined || typeof name !== "string") {
      request.refuse(Response.BadRequest, problem ?? "topic-name is missing");
      return;
    }
    if (!this.#mayChange(operation, name, client)) return;
    if (this.#topics.full) {
      request.respond(FULL);
      return;
    }
    const id = Buffer.from(this.peer.host.random(6)).toString("hex");
    const properties = new Map(body);
    properties.delete(Key.initialize);
    properties.set(Key.topicData, `/${PREFIX}/${DATA}/${id}`);
    const { told } = client;
    const topic = this.#topics.add(id, client.mountpoint, name, properties, now);
    if (initial instanceof Uint8Array) {
      const format = propertiesOf(body.get(Key.topicContentFormat) as number, undefined);
      const known = format === "unknown" ? undefined : format;
      client.publish(new Message(name, Uint8Array.from(initial), 0, true, now, known), this.peer.ticket());
    }
    this.#respondOnceKept(operation, client, told, {
      ...configuration(topic, Response.Created),
      options: [
        option(Option.ContentFormat, ContentFormat.PubSubCBOR),
        option(Option.LocationPath, PREFIX),
        option(Option.LocationPath, id),
      ],
    });
  }

  /** What is answered for is there after a crash. */
  #respondOnceKept(operation: Operation, client: Client, told: number, response: CoapResponse): void {
    const { request } = operation;
    const ticket = this.peer.ticket();
    if (client.kept(ticket, told) === "accepted") {
      request.respond(response);
      return;
    }
    this.waiting.answer(ticket, (answer, at) =>
      operation.turn(at, () =>
        request.respond(answer === "accepted" ? response : refusalResponse("unavailable", false)),
      ),
    );
  }

  #problemOf(body: Properties, client: Client, now: Instant): string | undefined {
    const name = body.get(Key.topicName);
    if (typeof name !== "string") return "topic-name is missing";
    if (topicNameProblem(name) !== undefined) return "topic-name is no valid topic of the bus";
    if (body.get(Key.resourceType) !== RESOURCE_TYPE_DATA)
      return `resource-type must be ${RESOURCE_TYPE_DATA}`;
    if (body.has(Key.topicData)) return "topic-data is for the gateway to choose";
    if (body.has(Key.initialize) && !body.has(Key.topicContentFormat))
      return "initialize needs topic-content-format";
    return (
      valueProblem(body, now) ??
      (this.#topics.named(client.mountpoint, name) === undefined ? undefined : "topic-name is in use")
    );
  }

  // ---- one topic's configuration

  #topic(
    operation: Operation,
    topic: CollectionTopic,
    client: Client,
    now: Instant,
    of: ObservingPeer,
  ): void {
    switch (operation.request.method) {
      case Method.GET:
      case Method.FETCH:
        this.#read(operation, topic, client);
        return;
      case Method.POST:
      case Method.iPATCH:
        this.#update(operation, topic, client, now);
        return;
      case Method.DELETE:
        if (!this.#mayChange(operation, topic.name, client)) return;
        this.#topics.remove(topic);
        // Observers of the data hear of it on the bus.
        clearRetained(of, operation, client, now);
        return;
      default:
        operation.request.respond(METHOD);
    }
  }

  #read(operation: Operation, topic: CollectionTopic, client: Client): void {
    const { request, message, payload } = operation;
    const readable = client.mayRead(topic.name);
    if (readable !== "accepted") {
      request.respond(refusalResponse(readable, false));
      return;
    }
    if (request.method === Method.GET) {
      request.respond(configuration(topic, Response.Content));
      return;
    }
    const keys = message.uint(Option.ContentFormat) === ContentFormat.CBOR ? readKeys(payload) : undefined;
    if (keys === undefined) request.respond(FORMAT);
    else if (typeof keys === "string") request.refuse(Response.BadRequest, keys);
    else request.respond(configuration(topic, Response.Content, keys));
  }

  #update(operation: Operation, topic: CollectionTopic, client: Client, now: Instant): void {
    const { request } = operation;
    const body = bodyOf(operation);
    const problem = body instanceof Map ? valueProblem(body, now) : body;
    if (body === undefined) request.respond(FORMAT);
    else if (typeof body === "string" || problem !== undefined) {
      request.refuse(Response.BadRequest, problem ?? "");
    } else if (IMMUTABLE.some((key) => body.has(key) && body.get(key) !== topic.properties.get(key))) {
      request.refuse(Response.BadRequest, "topic-name, topic-data and resource-type cannot be changed");
    } else if (this.#mayChange(operation, topic.name, client)) {
      const kept = request.method === Method.iPATCH ? [...topic.properties] : [];
      const fixed = IMMUTABLE.map((key) => [key, topic.properties.get(key) ?? ""] as const);
      const properties: Properties = new Map([...kept, ...body, ...fixed]);
      properties.delete(Key.initialize);
      const { told } = client;
      this.#topics.change(topic, properties, now);
      this.#respondOnceKept(operation, client, told, configuration(topic, Response.Changed));
    }
  }

  /** Of what the draft lets a broker answer it says 4.03, whether or not the client gave a name (§3.4.3, §3.5). */
  #mayChange(operation: Operation, name: string, client: Client): boolean {
    const verdict = client.mayChange(name);
    if (verdict === "accepted") return true;
    operation.request.respond(refusalResponse(verdict, false));
    return false;
  }

  // ---- one topic's data

  #data(operation: Operation, topic: CollectionTopic, client: Client, now: Instant, of: ObservingPeer): void {
    const { request, message, payload } = operation;
    const format = topic.properties.get(Key.topicContentFormat);
    switch (request.method) {
      case Method.PUT:
        if (format !== undefined && message.uint(Option.ContentFormat) !== format) request.respond(FORMAT);
        else if (payload.length === 0) request.respond(EMPTY);
        else publish(of, operation, client, now);
        return;
      case Method.GET:
        if (request.observe === 1) this.#forget(request);
        this.#get(operation, topic, client, now);
        return;
      case Method.DELETE:
        clearRetained(of, operation, client, now);
        return;
      default:
        request.respond(METHOD);
    }
  }

  /** Half created topics are not there to be read or observed. */
  #get(operation: Operation, topic: CollectionTopic, client: Client, now: Instant): void {
    read(this, operation, client, now, (response, at) => this.#answerGet(operation, topic, response, at));
  }

  #answerGet(operation: Operation, topic: CollectionTopic, response: CoapResponse, now: Instant): void {
    const { request } = operation;
    const limit = topic.properties.get(Key.maxSubscribers);
    const full = typeof limit === "number" && topic.subscribers.size >= limit && !observes(request, topic);
    const readable = response.code === Response.Content || response.code === Response.Valid;
    if (request.observe !== 0 || !readable || full) {
      request.respond(response);
      return;
    }
    const check = topic.properties.get(Key.observerCheck);
    operation.watched = {
      confirmInterval: typeof check === "number" ? seconds(check) : undefined,
      began: (observation) => void topic.subscribers.add(observation),
      ended: (observation) => void topic.subscribers.delete(observation),
    };
    this.#clients.observe(operation, now);
  }

  #forget(request: CoapRequest): void {
    const { observation } = request;
    if (observation?.observer instanceof Watch) observation.observer.deregister();
    else observation?.end();
  }

  // ---- the core

  unwatched(observing: ObservingClient, how: "closed" | "lost"): void {
    this.#clients.unwatched(observing, how);
  }

  deliver(client: Client, delivery: Delivery, now: Instant): void {
    const observing = this.#clients.observers.of(client);
    if (observing !== undefined) observing.deliver(delivery, now);
    else if (delivery.qos > 0) client.settle(delivery.id, "dead");
  }

  answered(ticket: Ticket, answer: Answer, now: Instant): void {
    this.waiting.answered(ticket, answer, now);
  }

  found(ticket: Ticket, answer: RetainedAnswer, now: Instant): void {
    this.waiting.found(ticket, answer, now);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    this.waiting.connected(ticket, answer, now);
  }

  deadline(): Instant {
    return NEVER;
  }

  wake(): void {}

  stop(reason: StopReason, _now: Instant, client?: Client): void {
    if (client !== undefined) this.#clients.stop(client, reason);
  }

  closed(): void {}

  busy(): boolean {
    return this.#clients.observers.size > 0 || !this.waiting.empty;
  }

  status(client: Client): string {
    return this.#clients.observers.of(client) === undefined ? SINGLE_REQUESTS : "observing";
  }

  describe(client: Client): CoapDescription {
    return { observing: this.#clients.observers.of(client)?.filters ?? [] };
  }
}

/** A subscriber that registers again takes no place of another. */
function observes(request: CoapRequest, topic: CollectionTopic): boolean {
  const watch = request.observation?.observer;
  return watch instanceof Watch && watch.subscription.filter === topic.name;
}

const path = (topic: CollectionTopic): string => `/${PREFIX}/${topic.id}`;
const dataPath = (topic: CollectionTopic): string => `/${PREFIX}/${DATA}/${topic.id}`;

/** The CBOR map of the request, or what is wrong with it; undefined when it has another Content-Format. */
const bodyOf = ({ message, payload }: Operation): Properties | string | undefined =>
  message.uint(Option.ContentFormat) === ContentFormat.PubSubCBOR ? readProperties(payload) : undefined;

/** RFC 7252 §5.10.4: what is asked for in another format is 4.06. */
function accepts({ request, message }: Operation, format: number): boolean {
  const accept = message.uint(Option.Accept);
  if (accept === undefined || accept === format) return true;
  request.refuse(Response.NotAcceptable, `Content-Format ${format} only`);
  return false;
}

/** What creation and change alike refuse. */
function valueProblem(body: Properties, now: Instant): string | undefined {
  const format = body.get(Key.topicContentFormat);
  if (typeof format === "number" && propertiesOf(format, undefined) === "unknown")
    return "topic-content-format is unknown";
  return expiryOf(body) <= now ? "expiration-date is over" : undefined;
}

function configuration(
  { properties }: CollectionTopic,
  code: CoapResponse["code"],
  keys?: readonly number[],
): CoapResponse {
  const some: Properties = new Map(shown(properties));
  if (keys !== undefined) for (const key of some.keys()) if (!keys.includes(key)) some.delete(key);
  return {
    code,
    options: [option(Option.ContentFormat, ContentFormat.PubSubCBOR)],
    payload: writeProperties(some),
  };
}
