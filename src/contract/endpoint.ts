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

/** The way a datagram came, and so the way back. Only the transport knows more of it. */
export interface DatagramPath {
  readonly address: string;
  readonly port: number;
  /** Address and port in one (`addressKey`), made once. */
  readonly key: string;
  /** It was sent to a multicast or broadcast address: many others have heard it too (RFC 7252 §8). */
  readonly toGroup: boolean;
}

export interface Datagram {
  readonly bytes: Uint8Array;
  readonly address: string;
  readonly port: number;
  /** Undefined where the transport does not know it. */
  readonly path?: DatagramPath | undefined;
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
      /** It leaves after a random time of at most so long (RFC 7252 §8.2), if it is wanted then. */
      readonly leisure?: { readonly most: Duration; wanted(): boolean };
      /** Why the answer is a refusal, which is written down. */
      readonly turnedAway?: string;
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
  /**
   * Streams: what a client is told whom the transport has refused, because of its certificate: in the protocol's own
   * words, from the first octets that it sends. Undefined while they are too few; empty where there is nothing to say.
   * It is ended then, and no channel is opened for it. Absent: it is ended at once.
   */
  turnAway?(first: Uint8Array, why: string): Uint8Array | undefined;
  /** Datagram listeners: something to send on a beat (MQTT-SN ADVERTISE). `undefined`: skip this beat. */
  readonly beacon?: { readonly period: Duration; bytes(): Uint8Array | undefined } | undefined;
}
