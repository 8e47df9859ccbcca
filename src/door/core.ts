import type { Message } from "../bus/message.ts";
import type { Refusal } from "../contract/answers.ts";
import type { Identity } from "../contract/identity.ts";
import type { Counter, Note } from "../contract/note.ts";
import type { Refused, RefusedTo } from "../contract/refused.ts";
import type { HooksOfAll } from "../hooks/hooks.ts";
import type { Alarms } from "../lib/alarm.ts";
import type { Memory } from "../lib/memory.ts";
import type { Instant } from "../lib/time.ts";
import type { AskedOfPolicy } from "../policy/policy.ts";
import type { Stopped } from "../session/context.ts";
import type { SessionEngine } from "../session/engine.ts";
import type { Departure } from "../session/sessions.ts";
import type { Directory } from "./directory.ts";
import type { Trace } from "./trace.ts";
import type { Traffic } from "./traffic.ts";

/** What all drivers share: one object a process, or one a virtual world. */
export interface Core {
  /** The time of the input being processed. Set by whoever brings an input in; reading it costs nothing. */
  now: Instant;
  /** Reads the clock into `now`; called where an input enters the core. */
  tick(): void;
  readonly engine: SessionEngine;
  /** Who is here, and who has a session. */
  readonly directory: Directory;
  readonly alarms: Alarms;
  readonly counters: CoreCounters;
  readonly traffic: Traffic;
  readonly random: (length: number) => Uint8Array;
  note(gateway: string, note: Note, about?: { readonly peer?: string; readonly client?: string }): void;
  /** While one runs. */
  trace: Trace | undefined;
  /** Writes down what was refused to whom. */
  refused(to: RefusedTo, refused: Refused): void;
  /** Connected and disconnected clients, for `$SYS` and whoever else wants to know. */
  readonly events: CoreEvents;
  /** The bus and the store accept messages. */
  healthy(): boolean;
  /** What peers make this process hold. */
  readonly memory: Memory;
  /** What operators have plugged in; undefined where there is nothing. */
  hooks?: HooksOfAll | undefined;
  /** While a rule is for logins, or for what rights are asked about. */
  follower?: DoorFollower | undefined;
}

/** What rules are told of who comes to a door. */
export interface DoorFollower {
  /** The chain has spoken: about one who is let in, or why not. */
  authenticated(who: Comer, refusal: Refusal | undefined, superuser: boolean): void;
  /** A CONNECT, or what stands for it, was refused. */
  refused(who: Comer, refusal: Refusal): void;
  /**
   * A message at QoS 2 was not taken. `full`: more wait for their release than its client may have (MQTT 5 §3.3.4).
   * `duplicate`: it does not say that it comes again, and another one waits for its release under its id (§4.3.3).
   */
  untaken(identity: Identity, message: Message, why: "full" | "duplicate"): void;
  /** It sleeps, until then at the latest; undefined: it is awake again. */
  rested(identity: Identity, until: Instant | undefined): void;
  /** `by`: which rule, or that none speaks about it. Undefined: nobody wants to know. */
  readonly authorized: ((asked: AskedOfPolicy, allowed: boolean, by: () => string) => void) | undefined;
}

/** Who is at the door: as it calls itself. */
export interface Comer {
  readonly gateway: string;
  readonly listener: string;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly address: string;
  readonly port: number;
}

export interface CoreCounters {
  readonly messagesReceived: [Counter, Counter, Counter];
  readonly messagesRefused: Counter;
  readonly messagesNoSubscribers: Counter;
  readonly connects: Counter;
  readonly connectsRefused: Counter;
  readonly disconnects: Counter;
  readonly bytesReceived: Counter;
  readonly bytesSent: Counter;
  readonly channelFailures: Counter;
  readonly throttled: Counter;
  readonly held: Counter;
  readonly unprovenDropped: Counter;
  readonly memoryEnded: Counter;
  readonly memoryRefused: Counter;
  readonly unprovenDisplaced: Counter;
}

export const newCoreCounters = (counter: (name: string, help: string) => Counter): CoreCounters => ({
  messagesReceived: [
    counter("messages_qos0_received", "QoS 0 messages that clients published"),
    counter("messages_qos1_received", "QoS 1 messages that clients published"),
    counter("messages_qos2_received", "QoS 2 messages that clients published"),
  ],
  messagesRefused: counter("messages_refused", "Messages refused by policy or limits"),
  messagesNoSubscribers: counter("messages_no_subscribers", "Messages that matched no subscription"),
  connects: counter("clients_connected", "Clients accepted"),
  connectsRefused: counter("clients_refused", "Connection requests refused"),
  disconnects: counter("clients_disconnected", "Clients that ended or were lost"),
  bytesReceived: counter("bytes_received", "Bytes read from devices"),
  bytesSent: counter("bytes_sent", "Bytes handed to transports"),
  channelFailures: counter("channel_failures", "Channels closed because of a bug in the gateway"),
  throttled: counter(
    "clients_throttled",
    "Times that reading from a client was suspended because of its rate",
  ),
  unprovenDisplaced: counter(
    "unproven_displaced",
    "Datagram peers with an unproven address that went for the sake of newcomers",
  ),
  unprovenDropped: counter(
    "datagrams_unproven_dropped",
    "Datagrams not sent because their address had proven nothing and had sent too little itself",
  ),
  memoryEnded: counter(
    "memory_ended",
    "Connections ended and queues dropped because they held most when memory was used up",
  ),
  memoryRefused: counter(
    "memory_refused",
    "Parts of bodies and messages at QoS 0 that a gateway did not keep because memory was used up",
  ),
  held: counter("clients_held", "Times that a client read too slowly and deliveries were held back"),
});

/** A client that comes or goes. */
export interface ClientEvent extends Comer {
  readonly protocol: string;
  readonly mountpoint: string;
  readonly at: Instant;
}

/** How a client came. */
export interface Arrival {
  readonly cleanStart: boolean;
  readonly sessionPresent: boolean;
  /** In seconds; 0 for none. */
  readonly keepAlive: number;
  /** How long its session outlives the connection, as granted, in seconds. */
  readonly expiry: number;
  /** What an MQTT client has said in its CONNECT (MQTT 5 §3.1.2.11). */
  readonly properties: object | undefined;
  /** Asks the system when it is asked. */
  readonly loop: { readonly local: string | undefined };
}

/** How a client left, and what it said beside (MQTT 5 §3.14.2.2). */
export interface Leaving {
  readonly how: Departure;
  /** Why the core has ended it. */
  readonly stopped: Stopped | undefined;
  readonly said: object | undefined;
}

export interface CoreEvents {
  connected?(event: ClientEvent, how: Arrival): void;
  disconnected?(event: ClientEvent, reason: string, leaving: Leaving): void;
}
