import { hasWildcard, topicFilterProblem, topicNameProblem } from "#core/bus/topic.ts";
import type { Answer, RetainedAnswer, Ticket } from "#core/contract/answers.ts";
import type { StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { utf8 } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";
import type { CoapConfig } from "../config.ts";
import { type CoapDescription, SINGLE_REQUESTS } from "../operator.ts";
import { Method, Response } from "../stack/message/codes.ts";
import { ContentFormat } from "../stack/message/content-formats.ts";
import { parseLinks } from "../stack/message/link-format.ts";
import type { CoapMessage } from "../stack/message/message.ts";
import { Option } from "../stack/message/options.ts";
import {
  type CoapPeer,
  type CoapRequest,
  type CoapResponse,
  type PeerSite,
  respondWith,
} from "../stack/site.ts";
import { Clients } from "./clients.ts";
import { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import { readFormBody } from "./form-body.ts";
import type { ObservingClient, ObservingPeer } from "./observing-client.ts";
import { Operation } from "./operation.ts";
import { clearRetained, publish } from "./publish.ts";
import { type Query, readQuery } from "./query.ts";
import { read } from "./read.ts";
import { refusalResponse } from "./refusals.ts";
import { locationOf, topicOf } from "./topic-path.ts";
import { Waiting } from "./waiting.ts";
import { Watch } from "./watch.ts";

const refused = (code: CoapResponse["code"], text: string) => ({ code, payload: utf8(text) });
const METHOD = refused(Response.MethodNotAllowed, "GET, PUT, POST and DELETE only");
const METHOD_OLD = refused(Response.MethodNotAllowed, "GET and PUT only");
const METHOD_FORM = refused(Response.MethodNotAllowed, "GET with Observe, PUT and POST only");
const TOPIC = refused(Response.BadRequest, "not a valid topic");
const WILDCARD = refused(Response.BadRequest, "a wildcard can only be observed");
const NO_CLIENT_ID = refused(Response.BadRequest, "c, the client id, is missing");
const NOT_SERVED = refused(Response.BadRequest, "this form is not served here");
const CHANGED = respondWith(Response.Changed);
const CREATED = respondWith(Response.Created);
const NO_CONTENT = respondWith(Response.NoContent);
const NO_VALUE = respondWith(Response.Content);
const ALIVE = respondWith(Response.Content);

const isLinks = (message: CoapMessage): boolean => message.uint(Option.ContentFormat) === ContentFormat.Link;

/** `mqtt/connection` is no topic of the older form. */
const CONNECTION = "connection";

/** Everything that one CoAP peer does with the bus. */
export class PubSubPeer implements PeerSite, ObservingPeer {
  readonly config: CoapConfig;
  readonly peer: CoapPeer;
  readonly waiting = new Waiting();
  readonly #clients: Clients;
  readonly #connection: Connection;

  constructor(config: CoapConfig, peer: CoapPeer, connections: Connections) {
    this.config = config;
    this.peer = peer;
    this.#clients = new Clients(this, connections);
    this.#connection = new Connection(this, connections);
  }

  // ---- requests

  request(request: CoapRequest, now: Instant): void {
    const query = readQuery(request.message);
    if (typeof query === "string") request.refuse(Response.BadRequest, query);
    else if (request.message.pathStartsWith(this.config.topicPrefix)) this.#pubsub(request, query, now);
    else this.#mqtt(request, query, now);
  }

  #pubsub(request: CoapRequest, query: Readonly<Query>, now: Instant): void {
    const topic = topicOf(request.message, 1, this.config.percentDecoding);
    if (!this.config.forms.pubsub) request.respond(NOT_SERVED);
    else if (topic === "" && request.method === Method.POST && isLinks(request.message))
      this.#create(request, query, now);
    else if (topic === undefined || topicFilterProblem(topic) !== undefined) request.respond(TOPIC);
    else this.#run(new Operation(request, topic, query), now);
  }

  /** CREATE of draft-ietf-core-coap-pubsub-09 §4.2: a topic of the bus need not be made, but may be refused. */
  #create(request: CoapRequest, query: Readonly<Query>, now: Instant): void {
    const [link] = parseLinks(request.payload) ?? [];
    const topic = link?.target.replace(/^\//, "");
    if (topic === undefined || topicNameProblem(topic) !== undefined) {
      request.respond(TOPIC);
      return;
    }
    const operation = new Operation(request, topic, query);
    this.#clients.as(operation, now, (client) => {
      const verdict = client.mayChange(topic);
      if (verdict !== "accepted") request.respond(refusalResponse(verdict, operation.anonymous));
      else
        request.respond({
          code: Response.Created,
          options: locationOf(this.config.topicPrefix, topic) ?? [],
        });
    });
  }

  #mqtt(request: CoapRequest, query: Readonly<Query>, now: Instant): void {
    const { forms, percentDecoding } = this.config;
    const topic = topicOf(request.message, 1, percentDecoding);
    if (topic === CONNECTION && forms.connection) this.#connection.request(request, query, now);
    else if (topic === undefined) request.respond(TOPIC);
    else if (topic === "") this.#form(request, query, now);
    else if (!forms.mqttTopic) request.respond(NOT_SERVED);
    else if (topicFilterProblem(topic) !== undefined) request.respond(TOPIC);
    else this.#old(request, topic, query, now);
  }

  /** The form of 2018: `mqtt/{topic}?c=&u=&p=`. */
  #old(request: CoapRequest, topic: string, query: Readonly<Query>, now: Instant): void {
    if (query.clientId === undefined) {
      request.respond(NO_CLIENT_ID);
      return;
    }
    // It published at QoS 0 without retain, whatever the type of the message was.
    const operation = new Operation(request, topic, {
      ...query,
      qos: query.qos ?? 0,
      retain: query.retain ?? false,
    });
    if (request.method === Method.PUT) this.#publish(operation, now, CHANGED);
    else if (request.method !== Method.GET) request.respond(METHOD_OLD);
    else if (request.observe !== undefined) this.#run(operation, now);
    else this.#clients.as(operation, now, () => request.respond(ALIVE));
  }

  /** The form of 2016: topic and message in the body, or the topic in the query of an observation. */
  #form(request: CoapRequest, query: Readonly<Query>, now: Instant): void {
    if (!this.config.forms.mqttForm) {
      request.respond(NOT_SERVED);
      return;
    }
    const { method } = request;
    if (method === Method.GET && query.topic !== undefined && request.observe !== undefined) {
      if (topicFilterProblem(query.topic) !== undefined) request.respond(TOPIC);
      else this.#run(new Operation(request, query.topic, query, "form"), now);
      return;
    }
    if (method !== Method.PUT && method !== Method.POST) {
      request.respond(METHOD_FORM);
      return;
    }
    const body = readFormBody(request.payload);
    if (typeof body === "string") {
      request.refuse(Response.BadRequest, body);
      return;
    }
    const { qos, retain, topic } = body;
    const asked = { ...query, clientId: query.clientId ?? body.client, qos, retain };
    const operation = new Operation(request, topic, asked, "form", utf8(body.message));
    if (topicFilterProblem(topic) !== undefined) request.respond(TOPIC);
    else this.#publish(operation, now, method === Method.POST ? CREATED : CHANGED);
  }

  #run(operation: Operation, now: Instant): void {
    const { request } = operation;
    switch (request.method) {
      case Method.PUT:
      case Method.POST:
        this.#publish(operation, now);
        return;
      case Method.DELETE:
        if (hasWildcard(operation.topic)) request.respond(WILDCARD);
        else this.#clients.as(operation, now, (client, at, of) => clearRetained(of, operation, client, at));
        return;
      case Method.GET:
        if (request.observe === 0) this.#clients.observe(operation, now);
        else this.#read(operation, now);
        return;
      default:
        request.respond(METHOD);
    }
  }

  #publish(operation: Operation, now: Instant, success?: CoapResponse): void {
    if (hasWildcard(operation.topic)) operation.request.respond(WILDCARD);
    else this.#clients.as(operation, now, (client, at, of) => publish(of, operation, client, at, success));
  }

  /** GET, and GET with Observe 1, which ends the observation with the same token first. */
  #read(operation: Operation, now: Instant): void {
    const { request } = operation;
    if (request.observe === undefined) {
      this.#clients.as(operation, now, (client, at, of) =>
        read(of, operation, client, at, (found) => request.respond(found)),
      );
      return;
    }
    this.#forgetObservation(operation);
    // Clients of the form with a client id expect 2.07; to all others this is a GET (RFC 7641 §3.6).
    const absent = operation.query.clientId === undefined ? NO_VALUE : NO_CONTENT;
    if (hasWildcard(operation.topic) || operation.form === "form") request.respond(absent);
    else {
      this.#clients.as(operation, now, (client, at, of) =>
        read(of, operation, client, at, (found) => request.respond(found), absent),
      );
    }
  }

  #forgetObservation({ request, topic, query }: Operation): void {
    const { observation } = request;
    const watch = observation?.observer;
    if (watch instanceof Watch) watch.deregister();
    else if (observation !== undefined) observation.end();
    // Some clients that name themselves unsubscribe by topic, under another token.
    else if (query.clientId !== undefined && this.config.subscribe.endByTopic)
      this.#clients.named(query)?.unobserve(topic);
  }

  // ---- the core

  deliver(client: Client, delivery: Delivery, now: Instant): void {
    const observing = this.#observing(client);
    if (observing !== undefined) observing.deliver(delivery, now);
    else if (delivery.qos > 0) client.settle(delivery.id, "dead");
  }

  #observing(client: Client): ObservingClient | undefined {
    const connected = this.#connection.observing;
    return connected?.client === client ? connected : this.#clients.observers.of(client);
  }

  unwatched(observing: ObservingClient, how: "closed" | "lost"): void {
    if (this.#connection.observing !== observing) this.#clients.unwatched(observing, how);
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

  heard(now: Instant): void {
    this.#connection.heard(now);
  }

  deadline(): Instant {
    return this.#connection.deadline();
  }

  wake(now: Instant): void {
    this.#connection.wake(now);
  }

  stop(reason: StopReason, _now: Instant, client?: Client): void {
    if (client === undefined) return;
    if (!this.#connection.stop(client, reason)) this.#clients.stop(client, reason);
  }

  closed(): void {}

  busy(): boolean {
    return this.#connection.open || this.#clients.observers.size > 0 || !this.waiting.empty;
  }

  status(client: Client): string {
    if (this.#connection.observing?.client === client) return "connected";
    return this.#clients.observers.of(client) === undefined ? SINGLE_REQUESTS : "observing";
  }

  describe(client: Client): CoapDescription {
    const { observing } = this.#connection;
    const filters = observing?.client === client ? observing.filters : undefined;
    return { observing: filters ?? this.#clients.observers.of(client)?.filters ?? [] };
  }
}
