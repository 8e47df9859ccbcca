/** Who publishes and subscribes over HTTP is a client like any other: behind the door, under ACL, limits and metrics. */
import { Message, type MessageProperties, type QoS } from "../bus/message.ts";
import type { Answer, ClientId, Refusal } from "../contract/answers.ts";
import type { Channel, ChannelHost, StopReason } from "../contract/channel.ts";
import type { Client, ConnectAnswer, SessionRequest, SingleRequest } from "../contract/client.ts";
import type { Delivery } from "../contract/delivery.ts";
import type { Peer } from "../contract/peer.ts";
import type { Core } from "../door/core.ts";
import type { Door } from "../door/door.ts";
import type { Doors } from "../door/doors.ts";
import { ChannelLoop, type Link } from "../drive/channel-loop.ts";
import { Burden, type Memory } from "../lib/memory.ts";
import { type Duration, FOREVER, type Instant, NEVER, ZERO } from "../lib/time.ts";

/** The gateway and listener that rules know them by. */
const HTTP_GATEWAY = "http";
const HTTP_LISTENER = "api";

/** Who asks; the API has proven it. */
export interface HttpCaller {
  readonly clientId: ClientId;
  readonly username: string;
  readonly address: string;
}

export interface HttpMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: MessageProperties | undefined;
  readonly expiry: Duration | undefined;
}

export type HttpPublished = "accepted" | "no-subscribers" | Refusal;

/** A refusal with the protocol's own word. */
export class HttpRefusal extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal, reason: string) {
    super(reason);
    this.refusal = refusal;
  }
}

export interface HttpSubscription {
  readonly filter: string;
  readonly qos: QoS;
}

export interface HttpReader {
  /** False: it takes no more for now. At QoS 1 and 2 the delivery comes again. */
  read(delivery: Delivery): boolean;
  /** It was ended from this side. */
  ended(reason: string): void;
}

/** A subscriber; deliveries wait in its session while it is held. */
export interface HttpSubscriber {
  readonly granted: readonly (QoS | Refusal)[];
  hold(held: boolean): void;
  close(): void;
}

const CONNECT_TICKET = 0;
/** Deliveries that a reader may have at a time; each is settled as it is written. */
const CREDIT = 64;

/** A channel without a protocol: what a request asks for is done, and its answers come back as values. */
class HttpChannel implements Channel {
  readonly host: ChannelHost;
  client: Client | undefined = undefined;
  readonly #answers = new Map<number, (answer: Answer) => void>();
  #entered: ((answer: ConnectAnswer) => void) | undefined = undefined;
  #tickets = CONNECT_TICKET;
  reader: HttpReader | undefined = undefined;

  constructor(host: ChannelHost) {
    this.host = host;
  }

  enter(request: SingleRequest | SessionRequest): Promise<Client> {
    return new Promise((resolve, reject) => {
      const entered = (answer: ConnectAnswer): void => {
        if (answer.ok) {
          this.client = answer.client;
          resolve(answer.client);
        } else reject(new HttpRefusal(answer.refusal, answer.reason ?? answer.refusal));
      };
      const answer = this.host.connect(request, CONNECT_TICKET);
      if (answer === "pending") this.#entered = entered;
      else entered(answer);
    });
  }

  /** An answer at once, or when it comes. */
  ask<Given extends Answer>(put: (ticket: number) => Given | "pending"): Promise<Given> {
    const ticket = ++this.#tickets;
    return new Promise((resolve) => {
      const answer = put(ticket);
      if (answer !== "pending") resolve(answer as Given);
      else this.#answers.set(ticket, resolve as (answer: Answer) => void);
    });
  }

  receive(): void {}

  deliver(client: Client, delivery: Delivery): void {
    const read = this.reader?.read(delivery) === true;
    if (delivery.qos > 0) client.settle(delivery.id, read ? "done" : "again");
  }

  answered(ticket: number, answer: Answer): void {
    this.#answers.get(ticket)?.(answer);
    this.#answers.delete(ticket);
  }

  connected(_ticket: number, answer: ConnectAnswer): void {
    this.#entered?.(answer);
    this.#entered = undefined;
  }

  wake(): void {}

  stop(reason: StopReason): void {
    this.#over(reason);
  }

  closed(): void {
    this.#over("closed");
  }

  deadline(): Instant {
    return NEVER;
  }

  status(): string {
    return "connected";
  }

  describe(): object {
    return {};
  }

  #over(reason: string): void {
    this.reader?.ended(reason);
    this.reader = undefined;
    this.#entered?.({ ok: false, refusal: "unavailable", reason });
    this.#entered = undefined;
    for (const resolve of this.#answers.values()) resolve("unavailable");
    this.#answers.clear();
  }
}

const NOTHING = (): void => {};

/** There is nothing under such a channel: HTTP answers for it. */
const linkOf = (peer: Peer, memory: Memory): Link => ({
  peer,
  burden: new Burden(memory, NOTHING),
  send: NOTHING,
  sendView: NOTHING,
  pauseReading: NOTHING,
  resumeReading: NOTHING,
  close: NOTHING,
  claim: NOTHING,
  unclaim: NOTHING,
});

export class HttpClients {
  readonly #core: Core;
  readonly #door: Door;

  constructor(core: Core, doors: Doors) {
    this.#core = core;
    this.#door = doors.open(HTTP_GATEWAY, HTTP_LISTENER);
  }

  /** Lets a caller in, has `act` done for it, and lets it out again. Throws `HttpRefusal`. */
  async publish(caller: HttpCaller, messages: readonly HttpMessage[]): Promise<readonly HttpPublished[]> {
    const { loop, channel } = this.#open(caller);
    try {
      const client = await this.#turn(loop, () =>
        channel.enter({
          kind: "single",
          protocol: "HTTP",
          credit: 0,
          sessionExpiry: ZERO,
          ...namesOf(caller),
        } as SingleRequest),
      );
      return await Promise.all(
        messages.map((message) =>
          this.#turn(loop, () => channel.ask((ticket) => client.publish(this.#stamped(message), ticket))),
        ),
      );
    } finally {
      this.#close(loop);
    }
  }

  /** A client of its own for as long as somebody reads. Throws `HttpRefusal`. */
  async subscribe(
    caller: HttpCaller,
    subscriptions: readonly HttpSubscription[],
    reader: HttpReader,
  ): Promise<HttpSubscriber> {
    const { loop, channel } = this.#open(caller);
    channel.reader = reader;
    try {
      const client = await this.#turn(loop, () =>
        channel.enter({
          kind: "session",
          protocol: "HTTP",
          cleanStart: true,
          sessionExpiry: ZERO,
          credit: CREDIT,
          ...namesOf(caller),
        }),
      );
      const granted = await Promise.all(
        subscriptions.map(({ filter, qos }) =>
          this.#turn(loop, () => channel.ask((ticket) => client.subscribe(filter, { qos }, ticket))),
        ),
      );
      return { granted, hold: (held) => this.#hold(loop, held), close: () => this.#close(loop) };
    } catch (error) {
      channel.reader = undefined;
      this.#close(loop);
      throw error;
    }
  }

  #stamped({ topic, payload, qos, retain, properties, expiry = FOREVER }: HttpMessage): Message {
    return new Message(topic, payload, qos, retain, this.#core.now, properties, expiry);
  }

  #open({ address }: HttpCaller): { loop: ChannelLoop; channel: HttpChannel } {
    this.#core.tick();
    const loop = new ChannelLoop(
      this.#door,
      linkOf({ transport: "tcp", address, port: 0 }, this.#core.memory),
    );
    loop.open({ open: (_peer, host) => new HttpChannel(host) });
    return { loop, channel: loop.channel as HttpChannel };
  }

  /** As one input of the channel, so that nothing comes in between. */
  #turn<Given>(loop: ChannelLoop, run: () => Promise<Given>): Promise<Given> {
    this.#core.tick();
    return new Promise((resolve, reject) => loop.turn(() => void run().then(resolve, reject)));
  }

  #hold(loop: ChannelLoop, held: boolean): void {
    this.#core.tick();
    loop.hold(held);
  }

  #close(loop: ChannelLoop): void {
    this.#core.tick();
    loop.gone("closed");
  }
}

const namesOf = ({ clientId, username }: HttpCaller) => ({ clientId, username });
