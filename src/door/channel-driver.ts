import type { Answer, Pending, RetainedAnswer, ServerWords, Ticket } from "../contract/answers.ts";
import type { Channel, StopReason } from "../contract/channel.ts";
import type { Client, ConnectAnswer } from "../contract/client.ts";
import type { Delivery } from "../contract/delivery.ts";
import type { Note } from "../contract/note.ts";
import type { Peer } from "../contract/peer.ts";
import type { Instant } from "../lib/time.ts";
import type { PublisherChannel } from "../session/back-pressure.ts";
import type { BusClient } from "./bus-client.ts";
import type { Core } from "./core.ts";
import type { Door } from "./door.ts";
import type { Rates } from "./rates.ts";

/** What drives one channel, as the door and its clients see it: the way in and out of `src/drive`. */
export interface ChannelDriver extends PublisherChannel {
  readonly core: Core;
  readonly door: Door;
  readonly peer: Peer;
  /** The address and port of ours that the peer has reached, where that is known. */
  readonly local: string | undefined;
  readonly channel: Channel;
  /** Nothing can reach the channel any more. */
  readonly closed: boolean;
  /** The transport takes no more: deliveries stay in their sessions. */
  readonly held: boolean;
  /** When the peer last sent something. */
  readonly heardAt: Instant;
  /** Rates of clients that live for one request: they share those of their channel. */
  rates: Rates | undefined;

  deliver(client: BusClient, delivery: Delivery): void;
  /** An answer is due, which comes as `answered` or `found`. */
  asked(ticket: Ticket): void;
  answered(ticket: Ticket, answer: Answer, words?: ServerWords): void;
  found(ticket: Ticket, answer: RetainedAnswer): void;
  connected(ticket: Ticket, admit: () => ConnectAnswer | Pending): void;

  /** The channel's clients, as they come and go. */
  join(client: BusClient): void;
  part(client: BusClient): void;
  clients(): readonly BusClient[];
  /** A client by the handle that the channel has of it; undefined when it is not, or no longer, one of these. */
  clientOf(handle: Client): BusClient | undefined;

  /** Nothing is read from the peer until then. */
  throttle(until: Instant): void;
  /** Nothing is read from the peer until as many resumes: what it sent waits already. */
  pauseReading(): void;
  resumeReading(): void;
  stop(reason: StopReason): void;
  /** Ends one client; the channel says goodbye for it. */
  stopClient(client: BusClient, reason: StopReason, words?: ServerWords): void;
  note(note: Note): void;
}
