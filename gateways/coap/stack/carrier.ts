import type { ChannelHost } from "#core/contract/channel.ts";
import type { Instant } from "#core/lib/time.ts";
import type { Capacity, Reply } from "./blockwise/reply.ts";
import type { PendingAsk } from "./client/ask.ts";
import type { Asks } from "./client/asks.ts";
import type { Listener } from "./listener.ts";
import type { PeerObservation } from "./observe/observation.ts";
import type { Outgoing } from "./reliability/retransmission.ts";
import type { Exchange } from "./server/exchange.ts";
import type { CoapResponse } from "./site.ts";

/** One peer's transport as requests, observations and asks see it: datagrams or a stream. */
export interface Carrier extends Capacity {
  readonly host: ChannelHost;
  readonly listener: Listener;
  /** Our requests to the peer. */
  readonly asks: Asks;
  /** The time of the input at hand. */
  readonly now: Instant;
  /** When the peer was heard last. */
  readonly heardAt: Instant;
  /** A stream: no acknowledgements, no retransmission. */
  readonly reliable: boolean;
  /** The peer's address is real, or nobody cares. */
  readonly proven: boolean;
  /**
   * Sends a response. On an unproven address it may hold it back instead: then `exchange.state` is `held`
   * and it comes back through `Server.answer` once the address is proven.
   */
  respond(exchange: Exchange, reply: Reply, response: CoapResponse): void;
  /** Sends a ping whose answer proves the address, if one is needed; returns when that is late. */
  probe(): Instant;
  /** Whether a reply is small enough for an unproven address. */
  fits(exchange: Exchange, reply: Reply): boolean;
  /** Exponent of the largest block for a notification: small while the address is not proven. */
  notificationSzx(observation: PeerObservation): number;
  /** Answers 4.01 with an Echo option instead (RFC 9175 §2.3). */
  challenge(exchange: Exchange): void;
  /** Nothing is to be said, but a CON wants its ACK. */
  acknowledge(exchange: Exchange): void;
  /** Refuses the message itself: RST where there is one. */
  reject(exchange: Exchange): void;
  notify(observation: PeerObservation): number;
  /** Runs as an input of this peer: what another peer of the gateway causes here. */
  turn(run: (now: Instant) => void): void;
  confirm(outgoing: Outgoing): void;
  withdraw(outgoing: Outgoing): void;
  encodeNotification(observation: PeerObservation, messageId: number): Uint8Array;
  ask(ask: PendingAsk): void;
  encodeAsk(ask: PendingAsk, messageId: number): Uint8Array;
  /** A message id is free now. */
  readonly idReady: boolean;
}
