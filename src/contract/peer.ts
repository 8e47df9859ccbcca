/** How a device reaches us. */
export type Transport = "tcp" | "tls" | "ws" | "wss" | "udp" | "dtls";

export const isStream = (transport: Transport): boolean => transport !== "udp" && transport !== "dtls";

/** What a verified certificate says of its holder. */
export interface ClientCertificate {
  readonly commonName: string | undefined;
  /** The distinguished name as RFC 4514 writes it. */
  readonly subject: string | undefined;
  /** SHA-256 of the certificate, in hexadecimal. */
  readonly fingerprint: string;
  /** Subject alternative names, as `dns`, `email`, `uri` and `ip`; the first of each kind. */
  readonly alternativeNames: Readonly<Record<string, string>>;
}

export interface Peer {
  readonly transport: Transport;
  /** IP address without zone, IPv4-mapped IPv6 shown as IPv4. Behind PROXY protocol: the real client's. */
  readonly address: string;
  readonly port: number;
  /** Set when several devices share one address: the wireless node id behind a forwarder, in hexadecimal. */
  readonly node?: string | undefined;
  /** What the transport has proven: certificate CN or DN, PSK identity. */
  readonly identity?: string | undefined;
  /** The client's certificate, where it has shown one that was verified. */
  readonly certificate?: ClientCertificate | undefined;
  /** WebSocket: the request path. */
  readonly path?: string | undefined;
  /** The application protocol that was agreed: WebSocket's subprotocol, or by ALPN in TLS. */
  readonly subprotocol?: string | undefined;
}
