import type { Parcel } from "../bus/errand.ts";
import type { Refusal } from "../contract/answers.ts";
import type { HookMessage } from "../hooks/plugin.ts";
import type { Instant } from "../lib/time.ts";
import { textOf, type Value } from "../rules/value.ts";

/** Packets as MQTT names them; what other protocols do to the same end counts as that. */
export const PACKET_TYPES = ["Connect", "Publish", "Subscribe", "Unsubscribe", "Disconnect"] as const;
export type PacketType = (typeof PACKET_TYPES)[number];

/** Whose packet it is. */
export interface Sender {
  readonly gateway: string;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly address: string;
}

/** What a pipeline is run for. */
export interface Packet {
  readonly type: PacketType;
  readonly sender: Sender;
  /** Of CONNECT. */
  readonly password?: Uint8Array | undefined;
  /** Of PUBLISH. */
  readonly message?: HookMessage;
  /** The topic of PUBLISH, the filter of SUBSCRIBE and UNSUBSCRIBE. */
  readonly topic?: string;
  readonly qos?: number;
  /** Of DISCONNECT. */
  readonly reason?: string;
}

/** A packet on its way, and what filters tell those behind them: by keys that the configuration names. */
export class Context {
  readonly packet: Packet;
  readonly now: Instant;
  readonly keys = new Map<string, Value>();
  readonly parcels: Parcel[] = [];

  constructor(packet: Packet, now: Instant) {
    this.packet = packet;
    this.now = now;
  }

  /** What it is. */
  get fields(): { readonly [name: string]: Value } {
    const { type, sender, message, topic, qos, reason } = this.packet;
    return {
      ...{ event: type, clientid: sender.clientId, username: sender.username, gateway: sender.gateway },
      ...{ peerhost: sender.address, topic, qos, reason, timestamp: this.now },
      ...(message === undefined ? {} : { payload: textOf(message.payload), retain: message.retain }),
    };
  }

  /** What templates of sinks may name: keys first. */
  get values(): { readonly [name: string]: Value } {
    return { ...this.fields, ...Object.fromEntries(this.keys) };
  }
}

/** Why a filter does not let pass: a name that the flow may go on by, and what the client hears where it does not. */
export interface Failed {
  readonly result: string;
  readonly refusal: Refusal;
  readonly reason: string;
}

export interface Filter {
  /** Undefined: what is next in the flow is asked. */
  handle(context: Context): Failed | undefined;
}
