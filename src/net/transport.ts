/** What a transport offers the runtimes of `src/drive`; the implementations beside this file own the sockets. */

import type { Socket } from "node:net";
import type { PeerCertificate } from "node:tls";
import type { Datagram, DatagramAssociation, DatagramPath } from "../contract/endpoint.ts";
import type { Peer, Transport } from "../contract/peer.ts";
import type { Duration } from "../lib/time.ts";
import type { SecureDatagrams } from "./dtls-options.ts";
import type { ProxyVersion } from "./proxy-header.ts";

/** Why a listener could not be opened, in one line with the fix; the CLI prints it and exits. */
export class ListenError extends Error {
  override name = "ListenError";
  /** Stable code of the operator error table, for example `port-in-use`. */
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** One accepted connection: TCP, TLS or a WebSocket, after TLS, PROXY protocol and upgrade are done. */
export interface StreamConnection {
  readonly peer: Peer;
  /** The address and port of ours that the peer has reached, asked of the system. */
  readonly local?: string | undefined;
  /**
   * Hands bytes to the kernel or queues them. The bytes must not change until `written` is called (it may be
   * called before `write` returns). False once more than the high-water mark is queued: stop until `drained`.
   */
  write(bytes: Uint8Array, written?: () => void): boolean;
  /** Bytes queued in this process and not yet taken by the kernel. */
  readonly backlog: number;
  pauseReading(): void;
  resumeReading(): void;
  /**
   * Sends what is queued, then the end of the stream; destroys the socket if the peer lingers. `parted`: the peer reads
   * no more, so nothing has to be waited for.
   */
  end(parted?: boolean): void;
  /** Ends at once, dropping what is queued. */
  destroy(): void;
}

/** The runtime's side of a connection. */
export interface StreamReceiver {
  received(bytes: Uint8Array): void;
  /** So many bytes have come of a message that is not whole. */
  gathering?(bytes: number): void;
  /** Everything queued has been taken by the kernel after `write` returned false. */
  drained(): void;
  /** It has broken: nothing that is written arrives. What came before that may still have to be received. */
  lost?(): void;
  /** The peer sends no more, and may still read: whoever has this connection ends it when that is due. */
  ended(): void;
  /** Called exactly once. `error` when it was not an orderly end. */
  closed(error?: string): void;
}

/** Undefined refuses the connection: it is destroyed at once. */
export type AcceptStream = (connection: StreamConnection) => StreamReceiver | undefined;

export interface Listening {
  readonly transport: Transport;
  readonly address: string;
  readonly port: number;
  /** Of a secure datagram listener: for metrics. */
  readonly secure?: { readonly associations: number; readonly handshakes: number; readonly lost: number };
  /** Of a datagram listener: many datagrams a system call, or one. */
  readonly batched?: boolean;
  /** Of a stream listener: its connections are accepted, and those of plain TCP read and written, by `epoll/`. */
  readonly epoll?: boolean;
  /** Stops accepting; connections already accepted are left alone. */
  close(): Promise<void>;
}

export interface OutgoingDatagram {
  /** Never changed after it was handed over. */
  readonly bytes: Uint8Array;
  readonly address: string;
  readonly port: number;
  /** By which something came from there: the answer leaves from the address that was spoken to. */
  readonly path?: DatagramPath | undefined;
  /** Of a secure listener: with whose keys, and so to which address. */
  readonly association?: DatagramAssociation | undefined;
}

/** One bound UDP socket. Datagrams come and go in batches. */
export interface DatagramSocket extends Listening {
  send(batch: readonly OutgoingDatagram[]): void;
  /** Datagrams handed to `send` and not yet taken by the kernel. */
  readonly backlog: number;
}
export type ReceiveDatagrams = (batch: readonly Datagram[]) => void;

/** Asked for the pre-shared key of an identity; a rejected promise means that it cannot be asked. */
export type AskForKey = (identity: string) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

export interface TlsOptions {
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly keyPassphrase?: string | undefined;
  readonly ca?: string | undefined;
  /** Ask the client for a certificate, or insist on a valid one. */
  readonly clientCertificate: "none" | "request" | "require";
  /** What of a client's certificate becomes `Peer.identity`. */
  readonly identity: "cn" | "dn" | "fingerprint" | "san-dns" | "san-email" | "san-uri" | "san-ip" | "none";
  /** File of `identity:key-in-hex` lines for TLS-PSK. */
  readonly pskFile?: string | undefined;
  /** Somebody shall be asked for the keys that are in no file. */
  readonly keysFromAuthentication?: boolean | undefined;
  /** Whom. */
  readonly keys?: { readonly presharedKey: AskForKey } | undefined;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  readonly ciphers?: string | undefined;
  /** How often the files are looked at for changes; 5 s when absent. */
  readonly reloadInterval?: Duration | undefined;
}

/** Clients whom the transport has refused, because of their certificates. */
export interface TurnAway {
  /** See `Endpoint.turnAway`; absent: they are ended at once. */
  readonly words?: ((first: Uint8Array, why: string) => Uint8Array | undefined) | undefined;
  /** There was one. */
  refused(peer: Peer, why: string): void;
}

export interface StreamListenerOptions {
  readonly turnAway?: TurnAway;
  /** Connections that may wait, unread, until `roomIn` has room for them. */
  readonly waiting?: number;
  /** How long until one more connection may be taken. */
  readonly roomIn?: () => Duration;
  readonly transport: "tcp" | "tls" | "ws" | "wss";
  /** `gateway:listener`, where somebody is asked for its keys. */
  readonly name?: string;
  readonly bind: string;
  readonly port: number;
  readonly backlog: number;
  /** Queued bytes above which `write` returns false. */
  readonly highWaterMark: number;
  /** How long an ended connection may linger before it is destroyed. */
  readonly linger: Duration;
  readonly noDelay: boolean;
  /** Connections by system calls, where this system and this installation can. */
  readonly epoll?: boolean | undefined;
  readonly proxyProtocol: boolean;
  /** Time allowed for PROXY header, TLS handshake and WebSocket upgrade together. */
  readonly handshakeTimeout: Duration;
  /** Connections that may be in that handshake at a time; 1,000 when absent. */
  readonly handshakes?: number | undefined;
  readonly tls?: TlsOptions | undefined;
  readonly websocket?:
    | {
        /** Paths accepted; `*` matches one segment. */
        readonly paths: readonly string[];
        readonly subprotocols: readonly string[];
        readonly subprotocolRequired: boolean;
        readonly frames: "binary" | "mirror";
        readonly messageSizeMax: number;
        /** Accepted Origin headers; empty accepts all. */
        readonly origins: readonly string[];
        /** Path prefixes of SockJS, whose clients may do without WebSocket. */
        readonly sockjs?: readonly string[] | undefined;
      }
    | undefined;
}

/** Why a connection to somebody else could not be made. */
export type DialFailure =
  | "name-not-found" // the host has no address, or the resolver does not answer
  | "address-not-available" // the local address is none of this machine's, or of another family
  | "connection-refused" // there is nobody at the port
  | "unreachable" // no way to any of the addresses, or it broke off
  | "timeout"
  | "tls-failed" // certificate, key or protocol do not fit
  | "websocket-refused"; // the HTTP server does not upgrade

export class DialError extends Error {
  override name = "DialError";
  readonly failure: DialFailure;
  constructor(failure: DialFailure, message: string) {
    super(message);
    this.failure = failure;
  }
}

export interface DialTlsOptions {
  /** Files in PEM: our certificate and its key, and who may have signed the server's (else the system's list). */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly keyPassphrase?: string | undefined;
  readonly ca?: string | undefined;
  /** Check that the server's certificate is valid and bears its name. */
  readonly verify: boolean;
  /** Name that is asked for (SNI) and that the certificate must bear; the host's where it has one. */
  readonly serverName?: string | undefined;
  /** Application protocols to choose from (ALPN, RFC 7301), the best first. */
  readonly alpn?: readonly string[] | undefined;
  readonly psk?: { readonly identity: string; readonly key: Uint8Array } | undefined;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  readonly ciphers?: string | undefined;
}

/** A connection to somebody else. */
export interface DialOptions {
  readonly transport: "tcp" | "tls" | "ws" | "wss";
  /** Name or address; a name may have several addresses, which are tried until one answers. */
  readonly host: string;
  readonly port: number;
  /** Address of this machine that the connection comes from. */
  readonly localAddress?: string | undefined;
  /** Say with a header for whom each connection is made (PROXY protocol), before TLS and all else. */
  readonly proxyProtocol?: ProxyVersion | undefined;
  /** For all of it: look-up, connection, TLS handshake, WebSocket upgrade. */
  readonly timeout: Duration;
  readonly highWaterMark: number;
  readonly linger: Duration;
  readonly noDelay: boolean;
  readonly tls?: DialTlsOptions | undefined;
  readonly websocket?:
    | {
        readonly path: string;
        readonly subprotocols: readonly string[];
        readonly messageSizeMax: number;
        readonly headers?: Readonly<Record<string, string>> | undefined;
      }
    | undefined;
}

/** A connection that is being made. */
export interface Dialling {
  /** Gives it up; nothing is reported any more. Without effect on one that has been made. */
  cancel(): void;
}

export interface DatagramListenerOptions {
  readonly transport: "udp" | "dtls";
  /** Keys and terms of `dtls`. */
  readonly secure?: SecureDatagrams | undefined;
  readonly bind: string;
  readonly port: number;
  /** Kernel receive buffer in bytes; what the kernel grants is logged. */
  readonly receiveBuffer: number;
  readonly sendBuffer: number;
  readonly reuseAddress: boolean;
  /** Several processes may bind the port; the system spreads senders among them. */
  readonly reusePort?: boolean | undefined;
  /** A socket that is bound to it already and stays bound when the listener closes: this worker's share of the port. */
  readonly descriptor?: number | undefined;
  /** Multicast groups to join, as `group` or `group%interface-address`. */
  readonly multicast: readonly string[];
  readonly broadcast: boolean;
  /** Many datagrams a system call, where this system and this installation can. */
  readonly batches?: boolean | undefined;
}

/** Datagrams to one place, of which nobody says whether they arrive. */
export interface DatagramSender {
  /** Rejects with what the system says. */
  send(text: string): Promise<void>;
  close(): void;
}

export type ServerCertificate = PeerCertificate;

/** A socket that is not connected, for a library that connects it by itself. */
export type RawSocket = Socket;
