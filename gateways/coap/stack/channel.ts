import type { Answer, RetainedAnswer, Ticket } from "#core/contract/answers.ts";
import type { Channel, ChannelHost, StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { type Instant, NEVER } from "#core/lib/time.ts";
import type { Reply } from "./blockwise/reply.ts";
import type { Carrier } from "./carrier.ts";
import type { PendingAsk } from "./client/ask.ts";
import { Asks } from "./client/asks.ts";
import type { Listener } from "./listener.ts";
import type { CoapMessage } from "./message/message.ts";
import type { PeerObservation } from "./observe/observation.ts";
import type { Outgoing } from "./reliability/retransmission.ts";
import type { Exchange } from "./server/exchange.ts";
import { Server } from "./server/server.ts";
import { SitesOfPeer } from "./server/sites-of-peer.ts";
import type { CoapResponse } from "./site.ts";

/**
 * One CoAP peer: what datagrams and streams have in common. The transport below decodes messages and calls
 * `server.receive` and `asks`; what they want sent comes back through the `Carrier` methods.
 */
export abstract class CoapChannel implements Channel, Carrier {
  readonly host: ChannelHost;
  readonly listener: Listener;
  protected readonly sites: SitesOfPeer;
  protected readonly server: Server;
  #asks: Asks | undefined = undefined;
  #released = false;

  constructor(listener: Listener, host: ChannelHost, now: Instant) {
    this.listener = listener;
    this.host = host;
    listener.now = now;
    this.sites = new SitesOfPeer(this);
    this.server = new Server(this, this.sites);
  }

  /** One for all peers: inputs are never nested but in time. */
  get now(): Instant {
    return this.listener.now;
  }

  /** Made at the first request of ours. */
  get asks(): Asks {
    this.#asks ??= new Asks(this);
    return this.#asks;
  }

  abstract readonly reliable: boolean;
  abstract readonly heardAt: Instant;
  abstract readonly proven: boolean;
  abstract readonly payloadMax: number;
  abstract readonly szxMax: number;
  abstract readonly idReady: boolean;
  abstract respond(exchange: Exchange, reply: Reply, response: CoapResponse): void;
  abstract probe(): Instant;
  abstract fits(exchange: Exchange, reply: Reply): boolean;
  abstract notificationSzx(observation: PeerObservation): number;
  abstract challenge(exchange: Exchange): void;
  abstract acknowledge(exchange: Exchange): void;
  abstract reject(exchange: Exchange): void;
  abstract notify(observation: PeerObservation): number;
  abstract confirm(outgoing: Outgoing): void;
  abstract withdraw(outgoing: Outgoing): void;
  abstract encodeNotification(observation: PeerObservation, messageId: number): Uint8Array;
  abstract ask(ask: PendingAsk): void;
  abstract encodeAsk(ask: PendingAsk, messageId: number): Uint8Array;

  turn(run: (now: Instant) => void): void {
    this.host.turn((now) => {
      this.listener.now = now;
      run(now);
      this.#finish(now);
    });
  }

  /** Bytes of the peer. */
  protected abstract read(bytes: Uint8Array, now: Instant): void;
  /** When the transport itself wants `due`. */
  protected abstract transportDeadline(): Instant;
  protected abstract transportDue(now: Instant): void;
  protected abstract releaseTransport(): void;
  /** Says goodbye where the transport has a word for it. */
  protected abstract farewell(reason: StopReason): void;

  receive(bytes: Uint8Array, now: Instant): void {
    this.listener.now = now;
    this.read(bytes, now);
    this.#finish(now);
  }

  deliver(client: Client, delivery: Delivery, now: Instant): void {
    this.listener.now = now;
    this.sites.deliver(client, delivery, now);
    this.#finish(now);
  }

  answered(ticket: Ticket, answer: Answer, now: Instant): void {
    this.listener.now = now;
    this.sites.answered(ticket, answer, now);
    this.#finish(now);
  }

  found(ticket: Ticket, answer: RetainedAnswer, now: Instant): void {
    this.listener.now = now;
    this.sites.found(ticket, answer, now);
    this.#finish(now);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    this.listener.now = now;
    this.sites.connected(ticket, answer, now);
    this.#finish(now);
  }

  wake(now: Instant): void {
    this.listener.now = now;
    this.server.wake(now);
    this.#asks?.wake(now);
    this.sites.wake(now);
    this.transportDue(now);
    this.#finish(now);
  }

  stop(reason: StopReason, now: Instant, client?: Client): void {
    this.listener.now = now;
    this.sites.stop(reason, now, client);
    if (client === undefined) {
      this.farewell(reason);
      this.#release(now);
    }
    this.#finish(now);
  }

  /** Ends the peer from our side, or because it has (`lost`). */
  protected shut(reason: string, how?: "lost"): void {
    this.#release(this.now);
    this.host.close(reason, false, how);
  }

  closed(now: Instant): void {
    this.listener.now = now;
    this.#release(now);
  }

  /** Gives back what the peer holds of the listener's budgets, and tells the sites. Once. */
  #release(now: Instant): void {
    if (this.#released) return;
    this.#released = true;
    this.releaseTransport();
    this.#asks?.fail("gone", now);
    this.server.closed();
    this.server.tell(now);
    this.sites.closed(now);
  }

  deadline(): Instant {
    let next = this.transportDeadline();
    const server = this.server.deadline();
    if (server < next) next = server;
    const asks = this.#asks?.deadline() ?? NEVER;
    if (asks < next) next = asks;
    const sites = this.sites.deadline();
    return sites < next ? sites : next;
  }

  status(client: Client, now: Instant): string {
    return this.sites.status(client, now);
  }

  describe(client: Client, now: Instant): object {
    return this.sites.describe(client, now);
  }

  /** The request of ours that a response answers. */
  protected askOf(response: CoapMessage): PendingAsk | undefined {
    return this.#asks?.find(response);
  }

  protected get busy(): boolean {
    return this.server.busy || this.#asks?.busy === true || this.sites.busy();
  }

  /** What every input ends with: those are told whom it concerns. */
  #finish(now: Instant): void {
    this.server.tell(now);
    this.#asks?.tell(now);
  }
}
