import type { QoS } from "#core/bus/message.ts";
import type { Duration, Instant } from "#core/lib/time.ts";
import type { CoapMessage } from "../stack/message/message.ts";
import type { CoapPeer, CoapRequest } from "../stack/site.ts";
import type { Query } from "./query.ts";

/**
 * How the client speaks, which decides what it hears: `topic` names the topic in the path (`ps/...` and the form
 * of 2018), `form` in a body or query of `qos=0&topic=t&message=m` (2016); `data` is a topic-data resource of the
 * collection, which a cleared retained message deletes.
 */
export type Form = "topic" | "form" | "data";

/** What a topic of the collection wants of its observations. */
export interface Watched {
  readonly confirmInterval: Duration | undefined;
  began(observation: { end(): void }): void;
  ended(observation: { end(): void }): void;
}

/** One request to the bus, read whole; it may wait for an answer of the core. */
export class Operation {
  readonly request: CoapRequest;
  readonly topic: string;
  readonly query: Readonly<Query>;
  readonly form: Form;
  message: CoapMessage;
  payload: Uint8Array;
  watched: Watched | undefined = undefined;
  /** The peer that asked, where it acts for a client of another peer: a connection used from a further port. */
  via: CoapPeer | undefined = undefined;
  #detached = false;

  constructor(
    request: CoapRequest,
    topic: string,
    query: Readonly<Query>,
    form: Form = "topic",
    payload = request.payload,
  ) {
    this.request = request;
    this.topic = topic;
    this.query = query;
    this.form = form;
    this.message = request.message;
    this.payload = payload;
  }

  /** It has to wait: views become copies. */
  detach(): this {
    if (this.#detached) return this;
    this.#detached = true;
    this.message = this.message.copy();
    this.payload = Uint8Array.from(this.payload);
    return this;
  }

  /** Runs what answers the request as an input of the peer that asked. */
  turn(now: Instant, run: (now: Instant) => void): void {
    if (this.via === undefined) run(now);
    else this.via.turn(run);
  }

  get anonymous(): boolean {
    return this.query.username === undefined;
  }

  /** The QoS asked for, or that of the setting: by name, or NON 0 and CON 1. */
  qos(setting: "coap" | "qos0" | "qos1" | "qos2"): QoS {
    if (this.query.qos !== undefined) return this.query.qos;
    if (setting === "coap") return this.request.confirmable ? 1 : 0;
    return setting === "qos0" ? 0 : setting === "qos1" ? 1 : 2;
  }
}
