import { type Static, type TProperties, Type } from "@sinclair/typebox";
import { durationSetting, sizeSetting } from "#core/lib/setting.ts";

const duration = (description: string, byDefault: string, minimum = "0s", maximum = "forever") =>
  durationSetting({ description, default: byDefault, minimum, maximum });
const size = (description: string, byDefault: string, minimum = "16B", maximum = "1GB") =>
  sizeSetting({ description, default: byDefault, minimum, maximum });
const count = (description: string, byDefault: number, minimum = 0, maximum = 100_000_000) =>
  Type.Integer({ description, default: byDefault, minimum, maximum });
const group = <Properties extends TProperties>(description: string, properties: Properties) =>
  Type.Object(properties, { description, default: {}, additionalProperties: false });

/**
 * Limits and timings of the stack on one listener; the CoAP and the LwM2M gateway have them under `stack` in
 * their configuration. Names are those of RFC 7252 §4.8 where there is one.
 */
export const StackSettings = group("Message layer, block-wise transfer and limits of CoAP itself.", {
  ackTimeout: duration("ACK_TIMEOUT: first wait for an acknowledgement (RFC 7252 §4.8).", "2s", "50ms", "1m"),
  ackRandomFactor: Type.Number({
    description: "ACK_RANDOM_FACTOR: the first wait is stretched by a random factor from 1 to this.",
    default: 1.5,
    minimum: 1,
    maximum: 10,
  }),
  maxRetransmit: count("MAX_RETRANSMIT: how often a CON is sent again (RFC 7252 §4.8).", 4, 0, 20),
  maxLatency: duration(
    "MAX_LATENCY: the most that a datagram may take through the network (RFC 7252 §4.8.2). Message ids, and peers, are remembered for twice that and the time of all retransmissions.",
    "100s",
    "100ms",
    "1h",
  ),
  nstart: count("NSTART: our unacknowledged CONs per peer (RFC 7252 §4.7).", 1, 1, 64),
  processingDelay: duration(
    "After this long without an answer a CON request gets an empty ACK.",
    "1s",
    "10ms",
  ),
  leisure: duration(
    "DEFAULT_LEISURE: a request to a multicast group is answered after a random time of at most this (RFC 7252 §8.2); only `/.well-known/core` is.",
    "5s",
    "0s",
    "5m",
  ),
  exchanges: group("Remembered message ids, for duplicates (RFC 7252 §4.5).", {
    perPeer: count("Most exchanges remembered of one peer; the oldest is forgotten first.", 64, 1),
    total: count("Most exchanges remembered of all peers of a listener.", 150_000, 16),
    bytes: size("Most bytes of answers kept for replay, all peers of a listener.", "64MB", "1KB"),
  }),
  blockwise: group("Block-wise transfer (RFC 7959).", {
    maxBlockSize: Type.Integer({
      description: "Largest block on UDP and DTLS, in bytes; rounded down to a power of two.",
      default: 1024,
      minimum: 16,
      maximum: 1024,
    }),
    maxBodySize: size("Largest body put together of blocks; above it 4.13.", "4MB"),
    perPeer: size("Bytes of unfinished and kept bodies of one peer; above it 4.13.", "8MB"),
    total: size("Bytes of unfinished and kept bodies of all peers of a listener.", "256MB"),
    transfers: count("Unfinished or kept bodies of one peer at a time; the oldest gives way.", 8, 1, 1024),
    lifetime: duration("How long an idle transfer is kept.", "247s", "1s"),
  }),
  observe: group("Observation (RFC 7641).", {
    perPeer: count("Most observations of one peer; above it the answer has no Observe option.", 256),
    total: count("Most observations on a listener.", 100_000),
    unproven: count(
      "Most observations of peers whose addresses have not been proven, on a listener; the oldest gives way.",
      1000,
    ),
    silence: duration(
      "A peer on UDP or DTLS that observes and was not heard for this long gets a ping; if it does not answer, its observations end.",
      "2m",
      "1s",
    ),
    queue: count("Notifications that may wait behind one in flight; then the oldest is dropped.", 100, 1),
    confirmEvery: count("A notification is sent as CON at least after this many NON ones.", 100, 1),
    confirmInterval: duration("And at least this long after the last CON (RFC 7641 §4.5).", "1d", "1s"),
  }),
  ask: group("Our own requests to a peer.", {
    timeout: duration("From the first transmission of a request to its whole response.", "93s", "1s"),
    perPeer: count("Requests to one peer that may wait or be under way.", 64, 1, 10_000),
  }),
  amplification: Type.Union([Type.Literal("off"), Type.Literal("large-only"), Type.Literal("always")], {
    description:
      "Answers to UDP addresses that have not proven to be real: `off` sends them; `large-only` sends no more than three times what came from there (RFC 9175 §2.4), and holds larger answers back until pings or an Echo have proven the address; `always` asks every new address for an Echo.",
    default: "large-only",
  }),
  echoLifetime: duration("How long an Echo value is good (RFC 9175 §2.3).", "60s", "1s"),
  maxMessageSize: size(
    "Largest message over TCP, TLS and WebSocket, announced in CSM (RFC 8323 §5.3.1); the listener's packetSize bounds it too.",
    "1MB",
    "1152B",
    "64MB",
  ),
  idleTimeout: duration(
    "A stream without any message gets a Ping after this long, and is closed after as long again.",
    "5m",
    "1s",
  ),
});
export type StackSettings = Static<typeof StackSettings>;
