/**
 * The seam between the core and a gateway: this folder, and types only.
 *
 * A channel is one device's protocol state. The core calls its inputs (`receive`, `deliver`, `answered`, ...)
 * one at a time, each with the time; the channel acts through its `ChannelHost` and its `Client` handles and
 * never through anything else: no socket, no clock, no promise, no other gateway. Effects happen when they are
 * called. An ask (`connect`, `publish`, `subscribe`) returns its answer at once when the core has it, which is
 * the rule, or `"pending"`, and then the answer comes later as an input under the ticket of the ask.
 *
 * The core never enters a channel that is running: what its own effects cause (a delivery of its own publish,
 * retained messages of its subscribe) arrives as the next input.
 */
import type { Duration, Instant } from "../lib/time.ts";
import type { Answer, Pending, RetainedAnswer, ServerWords, Ticket } from "./answers.ts";
import type { Client, ConnectAnswer, ConnectRequest } from "./client.ts";
import type { Delivery } from "./delivery.ts";
import type { Note } from "./note.ts";
import type { Peer } from "./peer.ts";
import type { Refused } from "./refused.ts";

/** Why the core ends a channel; the channel says goodbye in its protocol and the core closes. */
export type StopReason =
  | "shutdown" // the gateway stops
  | "taken-over" // the same client id connected elsewhere
  | "kicked" // an operator, a ban
  | "expired" // its login was for a time, which is over
  | "forbidden" // the rules have changed, and take away what it has
  | "rate" // over a limit again and again
  | "unavailable" // the servers behind the gateway cannot be reached any longer
  | "overload"; // the peer does not read what we send

/** Limits of the listener that only a gateway can keep, because only it knows where a packet begins and ends. */
export interface PacketLimits {
  /** Largest packet a client may send, in bytes. A longer datagram never comes this far. */
  readonly packetSize: number;
  /** Streams: time from the connection to its first complete login (CONNECT, CSM). */
  readonly connectTimeout: Duration;
}

/** Proven are streams, datagram peers where the endpoint sets no bound (`Endpoint.unprovenFactor`), and who has proven it. */
export interface Reachability {
  /** Bytes that may still be sent to the address; what is above is dropped. Infinite once it is proven. */
  readonly allowance: number;
  /**
   * The peer has repeated what we sent it, of so many bits that nobody can know who has not read it: an id drawn at
   * random. 32 bits prove its address, more after wrong guesses; true when these complete them.
   */
  evidence(bits: number): boolean;
  /** It has repeated something that we did not send: a guess, so that all evidence before counts for nothing. */
  doubt(): void;
  /**
   * Who logs in at this gateway would be asked about, and the address may be forged. A gateway that can prove addresses
   * does that before it connects anybody: a forged login costs no look-up then, and counts against nobody.
   */
  missedAtLogin(gateway?: string): boolean;
}

/** What the core does for one channel. */
export interface ChannelHost {
  readonly peer: Peer;
  /** As configured at this moment; read when the channel is made, so that a connection keeps what it was told. */
  readonly limits: PacketLimits;
  /**
   * Sends bytes: a datagram each on UDP, a part of the stream else (one message on a WebSocket of a message
   * protocol). They may be used again by the caller once this returns, except those of `sendView`.
   */
  send(bytes: Uint8Array): void;
  /** As `send`, for bytes that are never changed again: large ones are passed on without a copy. */
  sendView(bytes: Uint8Array): void;
  /** Methods of logins of several messages that can be checked: by whom is not the channel's business. */
  readonly authenticationMethods?: readonly string[] | "any";
  connect(request: ConnectRequest, ticket: Ticket): ConnectAnswer | Pending;
  /**
   * Datagrams: what later proves that a sender is this device (a client id, a token, a location), so that it
   * is found from a new address. The last channel to claim a name has it.
   */
  claim(name: string): void;
  unclaim(name: string): void;
  /** Datagrams: how far a device that proves who it is may have moved; undefined for streams. */
  readonly roaming?: "anywhere" | "same-host" | "never" | undefined;
  /** Streams: stop and go on reading, while an ask is pending whose answer decides how to read on. */
  pauseReading(): void;
  resumeReading(): void;
  /** Nothing is read at present, for this channel's reasons or the core's: the peer's silence is not its own. */
  readonly paused?: boolean;
  /**
   * Room in the account of memory for so many bytes that the channel keeps for this peer beside `Channel.buffered`:
   * bodies that come or go in parts, messages at QoS 0 that wait. False: there is none, and they must not be kept.
   */
  reserve(bytes: number): boolean;
  /** Gives back what was reserved; at the end of the channel that is done for it. */
  release(bytes: number): void;
  /** Whether the peer's present address is real. */
  readonly reachability: Reachability;
  /** Runs as an input of this channel, now or behind the one that runs: for what another channel causes here. */
  turn(run: (now: Instant) => void): void;
  note(note: Note): void;
  /** Something was refused that no other part of the core has refused. */
  refused(refused: Refused): void;
  random(length: number): Uint8Array;
  /**
   * Flushes what was sent, then closes (streams) or forgets the peer (datagrams). Clients not ended are refused for what
   * they sent, or with `how` are lost: the peer has ended it. `parted`: and it sends no more and waits for nothing.
   */
  close(reason: string, parted?: boolean, how?: "lost"): void;
}

/** One device's protocol state. Inputs are never nested. */
export interface Channel {
  /** A datagram, or the next bytes of a stream wherever they happen to be cut. Views: copy what is kept. */
  receive(bytes: Uint8Array, now: Instant): void;
  /** A message for one of this channel's clients. At QoS 1 and 2 it is settled later through the client. */
  deliver(client: Client, delivery: Delivery, now: Instant): void;
  /**
   * The answer to a `publish`, `subscribe`, `unsubscribe`, `setWill` or `kept` that was pending. `words`: of a server
   * behind the gateway, where it has said more than the answer does.
   */
  answered(ticket: Ticket, answer: Answer, now: Instant, words?: ServerWords): void;
  /** The answer to a `retained` that was pending; for channels that ask for it. */
  found?(ticket: Ticket, answer: RetainedAnswer, now: Instant): void;
  /** The answer to a `connect` that was pending. */
  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void;
  /** `deadline()` has come. May be called late, and once too often. */
  wake(now: Instant): void;
  /** Say goodbye; the core closes right afterwards. With `client`, only that client was taken over or kicked. */
  stop(reason: StopReason, now: Instant, client?: Client, words?: ServerWords): void;
  /** The transport is gone (reset, end of stream, forgotten). Nothing can be sent any more. */
  closed(now: Instant): void;
  /** When `wake` is wanted; read after every input; `NEVER` for not at all. Cheap: a field. */
  deadline(): Instant;
  /** Streams: bytes that the peer makes this channel hold: of packets that are not whole, in transactions. Cheap. */
  readonly buffered?: number;
  /** How one of its clients is, in a word or a few, for lists: `active`, `asleep`, `observing`. */
  status(client: Client, now: Instant): string;
  /** What an operator may want to know of it beside what the core knows; `GatewayModule.describes` is its schema. */
  describe(client: Client, now: Instant): object;
}
