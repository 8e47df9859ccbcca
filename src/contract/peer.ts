/** How a device reaches us. */
export type Transport = "tcp" | "tls" | "ws" | "wss" | "udp" | "dtls";

export const isStream = (transport: Transport): boolean => transport !== "udp" && transport !== "dtls";

/**
 * What shows that a peer is there, and was not made up by forged datagrams. `proof`: its address was proven, or it came
 * over a stream; `talk`: it has sent more than one datagram; `nothing` else.
 */
export type Shown = "nothing" | "talk" | "proof";

export interface Peer {
  readonly transport: Transport;
  /** IP address without zone, IPv4-mapped IPv6 shown as IPv4. Behind PROXY protocol: the real client's. */
  readonly address: string;
  readonly port: number;
  /** Set when several devices share one address: the wireless node id behind a forwarder, in hexadecimal. */
  readonly node?: string | undefined;
  /** What the transport has proven: a name of the certificate (`tls.identity`), PSK identity. */
  readonly identity?: string | undefined;
  /** The most that it has shown so far; absent where nobody can be made up. */
  readonly shown?: Shown | undefined;
  /** A datagram's sender that has not proven its present address. */
  readonly forgeable?: boolean | undefined;
  /** WebSocket: the request path. */
  readonly path?: string | undefined;
  /** The application protocol that was agreed: WebSocket's subprotocol, or by ALPN in TLS. */
  readonly subprotocol?: string | undefined;
}
