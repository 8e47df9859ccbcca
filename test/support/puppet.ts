/** A channel without a protocol: a test pulls its strings and sees what the core does with it. */

import type { Message } from "#core/bus/message.ts";
import { Message as BusMessage, type QoS } from "#core/bus/message.ts";
import type { Answer, RetainedAnswer, Ticket } from "#core/contract/answers.ts";
import type { Channel, ChannelHost, StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer, ConnectRequest, SessionRequest } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import type { Datagram, Endpoint, Route } from "#core/contract/endpoint.ts";
import { type Instant, NEVER, ZERO } from "#core/lib/time.ts";

/** A connect request of any kind, as far as a test cares. */
type Wanted = Partial<Omit<SessionRequest, "kind">> & {
  readonly kind?: ConnectRequest["kind"];
  readonly of?: Client;
};

export class Puppet implements Channel {
  readonly host: ChannelHost;
  /** What came in, in order, in words. */
  readonly log: string[] = [];
  readonly received: string[] = [];
  readonly delivered: { client: Client; delivery: Delivery }[] = [];
  readonly answers: { ticket: Ticket; answer: Answer }[] = [];
  readonly finds: { ticket: Ticket; answer: RetainedAnswer }[] = [];
  readonly connects: { ticket: Ticket; answer: ConnectAnswer }[] = [];
  /** Settles each QoS 1 and 2 delivery at once. */
  settles = false;
  /** Lets an engine that answers late do so. */
  settle: (() => void) | undefined = undefined;
  wakeAt: Instant = NEVER;
  onReceive: ((bytes: Uint8Array, now: Instant) => void) | undefined = undefined;
  onDeliver: ((client: Client, delivery: Delivery) => void) | undefined = undefined;
  onWake: (() => void) | undefined = undefined;
  onStop: ((reason: StopReason, client?: Client) => void) | undefined = undefined;

  constructor(host: ChannelHost) {
    this.host = host;
  }

  receive(bytes: Uint8Array, now: Instant): void {
    this.received.push(Buffer.from(bytes).toString("latin1"));
    this.onReceive?.(bytes, now);
  }

  deliver(client: Client, delivery: Delivery): void {
    this.delivered.push({ client, delivery });
    this.log.push(`deliver ${Buffer.from(delivery.message.payload)}`);
    this.onDeliver?.(client, delivery);
    if (this.settles && delivery.qos > 0) client.settle(delivery.id, "done");
  }

  answered(ticket: Ticket, answer: Answer): void {
    this.answers.push({ ticket, answer });
  }

  found(ticket: Ticket, answer: RetainedAnswer): void {
    this.finds.push({ ticket, answer });
  }

  connected(ticket: Ticket, answer: ConnectAnswer): void {
    this.connects.push({ ticket, answer });
    this.log.push("connected");
  }

  wake(): void {
    this.log.push("wake");
    this.wakeAt = NEVER;
    this.onWake?.();
  }

  stop(reason: StopReason, _now: Instant, client?: Client): void {
    this.log.push(client === undefined ? `stop ${reason}` : `stop ${reason} ${client.id}`);
    this.onStop?.(reason, client);
  }

  closed(): void {
    this.log.push("closed");
  }

  deadline(): Instant {
    return this.wakeAt;
  }

  status(): string {
    return "puppet";
  }

  describe(): object {
    return { strings: 2 };
  }

  // ---- the strings

  /** Connects and expects to be let in at once. */
  connect(clientId: string, request: Wanted = {}): Client {
    const given = this.tryConnect(clientId, request);
    if (given === "pending") this.settle?.();
    const answer = given === "pending" ? (this.connects.pop()?.answer ?? given) : given;
    if (answer === "pending" || !answer.ok) throw new Error(`not let in: ${JSON.stringify(answer)}`);
    return answer.client;
  }

  tryConnect(clientId: string, request: Wanted = {}) {
    const usual = {
      kind: "session",
      clientId,
      cleanStart: false,
      sessionExpiry: ZERO,
      credit: 10,
      protocol: "puppet",
    } as const;
    return this.host.connect({ ...usual, ...request } as ConnectRequest, 1);
  }

  /** Payloads delivered since the last call. */
  take(): string[] {
    return this.delivered.splice(0).map(({ delivery }) => Buffer.from(delivery.message.payload).toString());
  }
}

/** An endpoint of puppets. What routes datagrams may be replaced. */
export class Puppets implements Endpoint {
  readonly all: Puppet[] = [];
  route: (datagram: Datagram, known: boolean) => Route = () => ({ to: "channel" });
  beacon: Endpoint["beacon"] = undefined;
  /** Given by the world: lets an engine that answers late do so. */
  settle: (() => void) | undefined = undefined;
  /** Runs on each puppet as it is made. */
  prepare: ((puppet: Puppet) => void) | undefined = undefined;

  open(_peer: unknown, host: ChannelHost): Puppet {
    const puppet = new Puppet(host);
    puppet.settle = this.settle;
    this.all.push(puppet);
    this.prepare?.(puppet);
    return puppet;
  }

  get last(): Puppet {
    const last = this.all[this.all.length - 1];
    if (last === undefined) throw new Error("no channel was opened yet");
    return last;
  }
}

export const text = (payload: string): Uint8Array => Buffer.from(payload);

/** A message as a gateway hands it to `Client.publish`. */
export const messageOf = (
  topic: string,
  payload: string | Uint8Array,
  qos: QoS = 0,
  retain = false,
  now = 1_700_000_000_000,
): Message =>
  new BusMessage(topic, typeof payload === "string" ? text(payload) : payload, qos, retain, now as Instant);
