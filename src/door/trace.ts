import type { Message } from "../bus/message.ts";
import type { Answer, Ticket } from "../contract/answers.ts";
import type { Delivery } from "../contract/delivery.ts";
import type { Datagram } from "../contract/endpoint.ts";
import type { Refused, RefusedTo } from "../contract/refused.ts";
import type { BusClient } from "./bus-client.ts";
import type { ChannelDriver } from "./channel-driver.ts";
import type { Door } from "./door.ts";

/** What of a session's doings is told beside its messages. */
export type Step = "connect" | "subscribe" | "unsubscribe" | "disconnect";

/**
 * What the core tells a trace while one runs (`Core.trace`); without one each of these places costs a look at that field.
 * Every input of a channel is run by the trace, so that it knows what follows from what.
 */
export interface Trace {
  /** Octets of the peer: `take` gets them, cut so that each frame is an input of its own. */
  received(driver: ChannelDriver, bytes: Uint8Array, take: (piece: Uint8Array) => void): void;
  sent(driver: ChannelDriver, bytes: Uint8Array): void;
  /** A timer of the channel. */
  woken(driver: ChannelDriver, run: () => void): void;
  delivering(client: BusClient, delivery: Delivery, run: () => void): void;
  /** A client publishes: the message reaches the bus now, or later where the bus is elsewhere. */
  publishing(message: Message): void;
  /** An ask has no answer yet. */
  pending(driver: ChannelDriver, ticket: Ticket): void;
  answered(driver: ChannelDriver, ticket: Ticket, run: () => void): void;
  /** A client was let in, has left, or changed what it is subscribed to. */
  stepped(client: BusClient, step: Step, asked: string, answer: Answer | string): void;
  refused(to: RefusedTo, refused: Refused): void;
  closed(driver: ChannelDriver, reason: string): void;
  /** A datagram for which there is no channel: why nobody got it, or what was answered at once. */
  stray(door: Door, datagram: Datagram, outcome: string | Uint8Array): void;
}
