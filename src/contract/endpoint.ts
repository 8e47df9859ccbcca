import type { Duration, Instant } from "../lib/time.ts";
import type { Refusal } from "./answers.ts";
import type { Channel, ChannelHost } from "./channel.ts";
import type { Peer } from "./peer.ts";

/** DTLS: keys shared with one peer. It stays the same wherever that peer moves to. */
export interface DatagramAssociation {
  readonly id: number;
  /** What the handshake has proven. */
  readonly identity: string | undefined;
}

export interface Datagram {
  readonly bytes: Uint8Array;
  readonly address: string;
  readonly port: number;
  /** Of a secure listener: whose it is, whatever the address. */
  readonly association?: DatagramAssociation | undefined;
}

/** Where a datagram belongs. */
export type Route =
  /** The sender's own channel, opened if there is none. `claim`: the device that the datagram says it is. */
  | { readonly to: "channel"; readonly claim?: string | undefined; readonly node?: string | undefined }
  /** No channel: an answer straight back, for senders of whom nothing shall be remembered. */
  | {
      readonly to: "sender";
      readonly bytes: Uint8Array /** And to the beacon's addresses. */;
      readonly broadcast?: boolean;
    }
  /** With `refusal` it is written down as one. */
  | { readonly to: "nobody"; readonly why: string; readonly refusal?: Refusal };

/** One listener's shared part. */
export interface Endpoint {
  /** Datagram listeners only. `known`: the sender's address has a channel. Cheap and without side effects. */
  route?(datagram: Datagram, known: boolean, now: Instant): Route;
  /**
   * Datagrams: how many times the bytes that came from an address it may be sent until it is proven (RFC 9175 §2.4
   * says three times); undefined for no bound.
   */
  readonly unprovenFactor?: number | undefined;
  open(peer: Peer, host: ChannelHost, now: Instant): Channel;
  /** Datagram listeners: something to send on a beat (MQTT-SN ADVERTISE). `undefined`: skip this beat. */
  readonly beacon?: { readonly period: Duration; bytes(): Uint8Array | undefined } | undefined;
}
