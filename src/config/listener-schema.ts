/** Settings of one listener; the same for every gateway, though a UDP one reads no WebSocket keys. */
import { type Static, Type } from "@sinclair/typebox";
import { countSetting, durationSetting, sizeSetting } from "../lib/setting.ts";
import { choice, flag, integer, SECRET, text, texts } from "../settings/kinds.ts";

const Limits = Type.Object(
  {
    connections: countSetting({ description: "Connections, or devices on UDP, at once.", default: 100_000 }),
    unproven: countSetting({
      description:
        "Devices on UDP at once whose address is not proven, and so may be forged. Above it, and where `connections` " +
        "is reached, one that was not heard lately goes when another comes; a sleeper is found again.",
      default: 90_000,
    }),
    unprovenOfNetwork: countSetting({
      description: "The same for those of one network, /24 of IPv4 or /64 of IPv6.",
      default: 50_000,
    }),
    connectionRate: countSetting({
      description: "New connections a second; more wait (tcp.waiting), and are refused beyond that.",
      default: 5_000,
    }),
    messageRate: countSetting({
      description:
        "Messages a second that one client may publish; reading is slowed down, or the message refused.",
      default: "unlimited",
    }),
    byteRate: sizeSetting({
      description: "Bytes of payload a second that one client may publish; as for messageRate.",
      default: "unlimited",
    }),
    packetSize: sizeSetting({
      description: "Largest packet or datagram that a client may send; announced where the protocol can.",
      default: "2MB",
    }),
    topicLevels: countSetting({ description: "Levels of a topic or filter at most.", default: 128 }),
    subscriptions: countSetting({ description: "Subscriptions of one client at most.", default: 10_000 }),
    connectTimeout: durationSetting({
      description:
        "Streams: time from the connection to the whole packet that logs in (CONNECT, or CoAP's CSM).",
      default: "15s",
    }),
    stallTimeout: durationSetting({
      description:
        "Streams: how long a client may read nothing of what waits for it before it is disconnected.",
      default: "2m",
    }),
  },
  { description: "Limits of this listener. Counts and sizes may be unlimited." },
);

/** TLS keys with no default of their own: a listener sets what differs from the general `tls`. */
const tlsKeys = {
  cert: Type.Optional(text({ description: "PEM file of the server certificate and its chain." })),
  key: Type.Optional(text({ description: "PEM file of its private key." })),
  keyPassphrase: Type.Optional(text({ description: "Passphrase of the key file.", [SECRET]: true })),
  ca: Type.Optional(text({ description: "PEM file of the authorities that sign client certificates." })),
  pskFile: Type.Optional(
    text({
      description: "File with one identity:key-in-hexadecimal a line: pre-shared keys of TLS and DTLS.",
    }),
  ),
  ciphers: Type.Optional(text({ description: "OpenSSL cipher list, for TLS; dtls.suites is for DTLS." })),
  reloadInterval: Type.Optional(
    durationSetting({ description: "How often the files are looked at for changes; 5s when absent." }),
  ),
};
const keysText =
  "TLS: ask the authentication chain for pre-shared keys that are in no file, by identity; dtls.keysFromAuthentication is for DTLS.";
const CLIENT_CERTIFICATE = ["none", "request", "require"] as const;
const clientCertificateText = "Ask clients for a certificate: none, request, or require a valid one.";
const IDENTITY = ["cn", "dn", "fingerprint", "san-dns", "san-email", "san-uri", "san-ip", "none"] as const;
const identityText =
  "What of a client certificate is its proven name: common name, distinguished name, SHA-256 of the certificate in hexadecimal, or its first alternative name of a kind.";
const TLS_VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;
const minVersionText = "Oldest TLS version; DTLS is 1.2.";

/** General TLS settings. */
export const Tls = Type.Object(
  {
    ...tlsKeys,
    clientCertificate: choice(CLIENT_CERTIFICATE, { description: clientCertificateText, default: "none" }),
    identity: choice(IDENTITY, { description: identityText, default: "cn" }),
    minVersion: choice(TLS_VERSIONS, { description: minVersionText, default: "TLSv1.2" }),
    keysFromAuthentication: flag({ description: keysText, default: false }),
  },
  {
    description:
      "Keys and certificates of all secure listeners, TLS and DTLS. They open as soon as cert and key, or pskFile, are set, or with keysFromAuthentication.",
  },
);
export type TlsConfig = Static<typeof Tls>;

const ListenerTls = Type.Object(
  {
    ...tlsKeys,
    clientCertificate: Type.Optional(choice(CLIENT_CERTIFICATE, { description: clientCertificateText })),
    identity: Type.Optional(choice(IDENTITY, { description: identityText })),
    minVersion: Type.Optional(choice(TLS_VERSIONS, { description: minVersionText })),
    keysFromAuthentication: Type.Optional(flag({ description: keysText })),
  },
  { description: "What differs from the general tls settings." },
);

const Tcp = Type.Object(
  {
    backlog: integer(1, 65_535, { description: "Connections waiting to be accepted.", default: 4_096 }),
    waiting: integer(0, 1_000_000, {
      description:
        "Connections of a burst that may wait, unread, for limits.connectionRate, as long as handshakeTimeout; what is above is refused.",
      default: 16_384,
    }),
    noDelay: flag({ description: "Send small packets at once (TCP_NODELAY).", default: true }),
    epoll: flag({
      description:
        "Watch all connections together, and read and write by system calls of our own, where the system is Linux with glibc and the optional package koffi is installed; elsewhere as Node does it.",
      default: true,
    }),
    highWaterMark: sizeSetting({
      description: "Bytes queued for one slow reader before it gets no further messages.",
      default: "64KB",
    }),
    linger: durationSetting({
      description: "How long an ended connection may take to read the rest.",
      default: "5s",
    }),
    handshakeTimeout: durationSetting({
      description: "Time for PROXY header, TLS handshake and WebSocket upgrade together.",
      default: "10s",
    }),
    handshakes: integer(1, 1_000_000, {
      description:
        "Connections that may be in that handshake at a time; beyond it the oldest of the address that has most makes room.",
      default: 1_000,
    }),
    proxyProtocol: flag({
      description:
        "Expect the PROXY protocol, version 1 or 2, from a load balancer in front. Never open such a port to others.",
      default: false,
    }),
  },
  { description: "tcp, tls, ws, wss only." },
);

const WebSocket = Type.Object(
  {
    paths: texts({ description: "Request paths; * stands for one segment.", default: ["/"] }),
    origins: texts({ description: "Accepted Origin headers; empty accepts all.", default: [] }),
  },
  { description: "ws and wss only." },
);

const Udp = Type.Object(
  {
    receiveBuffer: sizeSetting({
      description: "Kernel receive buffer; the system may grant less, which is logged.",
      default: "4MB",
    }),
    sendBuffer: sizeSetting({ description: "Kernel send buffer.", default: "1MB" }),
    reuseAddress: flag({ description: "SO_REUSEADDR.", default: false }),
    reusePort: flag({
      description:
        "SO_REUSEPORT: several processes open the port, and the system spreads senders among them; needs `batches`.",
      default: false,
    }),
    multicast: texts({
      description:
        "Multicast groups to join: group, group%address-of-an-interface, or group%name-of-an-interface.",
      default: [],
    }),
    broadcast: flag({ description: "Allow sending to broadcast addresses.", default: false }),
    batches: flag({
      description:
        "Take and give many datagrams a system call, where the system is Linux with glibc and the optional package koffi is installed; elsewhere one by one.",
      default: true,
    }),
    beaconTo: Type.Array(
      Type.Object({
        address: text({ description: "Broadcast or multicast address." }),
        port: integer(1, 65_535, { description: "UDP port." }),
      }),
      { description: "Where a gateway that announces itself (MQTT-SN) sends its beacon.", default: [] },
    ),
    backlogMax: integer(1, 10_000_000, {
      description: "Datagrams that may wait for the kernel; further ones are dropped and counted.",
      default: 65_536,
    }),
    roaming: choice(["anywhere", "same-host", "never"], {
      description:
        "Whether a device that says who it is is followed to a new address: to any, only to a new port, or not at all. " +
        "A sleeping MQTT-SN device says no more than its client id, so with `anywhere` its messages go to whoever knows " +
        "that; behind a NAT that changes addresses it is needed all the same.",
      default: "anywhere",
    }),
  },
  { description: "udp and dtls only." },
);

/** One listener. `transport` and `port` have defaults only for the listeners that a gateway brings along. */
export const Listener = Type.Object(
  {
    enable: Type.Unsafe<boolean | "auto">({
      enum: ["auto", true, false],
      description: "auto: tls, wss and dtls open when they have certificates or keys, all others always.",
      default: "auto",
    }),
    transport: choice(["tcp", "tls", "ws", "wss", "udp", "dtls"], { description: "How devices reach it." }),
    bind: text({
      description: "IP address to listen on. 0.0.0.0: all of IPv4; '::': all of IPv6 and IPv4.",
      default: "0.0.0.0",
    }),
    port: integer(0, 65_535, { description: "Port; 0 takes a free one." }),
    mountpoint: Type.Optional(text({ description: "Instead of the gateway's mountpoint." })),
    authenticate: flag({ description: "false lets everybody in without asking the chain.", default: true }),
    chain: Type.Optional(
      text({
        description:
          "A name in authentication.chains: who comes by this listener is asked about there, instead of where its gateway's clients are.",
        minLength: 1,
      }),
    ),
    accessRules: texts({
      description:
        "allow or deny with an address, a CIDR range or all; the first that matches decides. With an allow in the list, what matches nothing is refused.",
      default: [],
    }),
    limits: Limits,
    tls: ListenerTls,
    tcp: Tcp,
    websocket: WebSocket,
    udp: Udp,
  },
  { description: "A listener." },
);
export type ListenerConfig = Static<typeof Listener>;
