/** Settings of secure datagram listeners, beside their files, which are those of the tls section. */
import { type Static, Type } from "@sinclair/typebox";
import { countSetting, durationSetting, sizeSetting } from "../lib/setting.ts";
import { choice, flag, integer, SECRET, text, texts } from "../settings/kinds.ts";

const ConnectionId = Type.Object(
  {
    length: integer(0, 20, {
      description:
        "Octets of the connection id that devices send us, so that they are known from a new address without a handshake; 0 offers none.",
      default: 6,
    }),
    draft: flag({
      description: "Also by extension number 53 and the record layout of drafts (mbedTLS before 3.3).",
      default: false,
    }),
    padTo: integer(1, 256, {
      description: "Pad what is sent under a connection id to a multiple of so many octets.",
      default: 1,
    }),
  },
  { description: "Connection ids (RFC 9146)." },
);

const Retransmission = Type.Object(
  {
    first: durationSetting({
      description: "First wait for an answer; it doubles. 9s suits narrow-band networks (RFC 7925 §11).",
      default: "1s",
      minimum: "50ms",
    }),
    longest: durationSetting({ description: "Longest wait.", default: "60s", minimum: "50ms" }),
    repetitions: integer(0, 20, {
      description: "How often a flight is sent again before the handshake is given up.",
      default: 5,
    }),
  },
  { description: "Handshake flights that are not answered." },
);

const Resumption = Type.Object(
  {
    ids: flag({ description: "By session id: the gateway keeps the session.", default: true }),
    tickets: flag({ description: "By ticket (RFC 5077): the device keeps it, sealed.", default: true }),
    lifetime: durationSetting({
      description: "How long a session can be resumed.",
      default: "1d",
      maximum: "7d",
    }),
  },
  { description: "Shorter handshakes for devices that have made one before." },
);

const Limits = Type.Object(
  {
    associations: integer(1, 10_000_000, {
      description: "Associations of one listener; beyond it the one that was idle for longest ends.",
      default: 100_000,
    }),
    handshakes: integer(1, 1_000_000, {
      description:
        "Handshakes in progress; beyond it the address that has most of them gives its oldest up, or the newcomer is dropped.",
      default: 1_000,
    }),
    handshakesPerAddress: countSetting({
      description: "Handshakes that one address may begin in a second; many devices may share one.",
      default: 50,
    }),
    handshakeMessage: sizeSetting({
      description: "Largest handshake message; it holds the device's certificates.",
      default: "16KB",
      minimum: "1KB",
      maximum: "1MB",
    }),
    idle: durationSetting({
      description: "An association that carries nothing for this long ends.",
      default: "30d",
    }),
    sessions: integer(0, 10_000_000, { description: "Sessions that can be resumed by id.", default: 10_000 }),
    memory: sizeSetting({
      description:
        "What associations and handshakes of all secure datagram listeners may take together, as estimated (3 KB an association); beyond it those go that were idle for longest.",
      default: "1GB",
      minimum: "1MB",
    }),
  },
  { description: "Limits of each secure datagram listener." },
);

export const Dtls = Type.Object(
  {
    suites: texts({
      description:
        "Cipher suites by their registered names without TLS_, best first; empty for all with authenticated encryption. Those with CBC are used only when they are named here.",
      default: [],
    }),
    extendedMasterSecret: choice(["prefer", "require"], {
      description: "RFC 7627: require refuses devices without it, of which there are some.",
      default: "prefer",
    }),
    clientKeys: Type.Optional(
      text({
        description:
          "File with one identity:key a line, the raw public key (SubjectPublicKeyInfo) in base64 or hexadecimal.",
      }),
    ),
    keysFromAuthentication: flag({
      description:
        "Ask the authentication chain for keys that are in no file: pre-shared keys by identity, and whose a raw public key is.",
      default: false,
    }),
    certificates: Type.Array(
      Type.Object({
        cert: text({ description: "PEM file of the certificate and its chain." }),
        key: text({ description: "PEM file of its private key." }),
        keyPassphrase: Type.Optional(text({ description: "Passphrase of the key file.", [SECRET]: true })),
      }),
      {
        description:
          "Further certificates beside that of the tls section: a device gets the one that fits the server name and the suites it asks for.",
        default: [],
      },
    ),
    rawPublicKey: flag({
      description: "Show the gateway's key as a raw public key to devices that ask for that (RFC 7250).",
      default: true,
    }),
    identityHint: Type.Optional(
      text({
        description: "PSK identity hint. Some devices break at one: leave it out unless yours need it.",
      }),
    ),
    connectionId: ConnectionId,
    retransmission: Retransmission,
    handshakeTimeout: durationSetting({
      description: "Time from the proven address to the end of the handshake.",
      default: "60s",
      minimum: "1s",
    }),
    datagramSize: integer(256, 16_384, {
      description: "Octets of a datagram with handshake messages; longer ones are cut.",
      default: 1_200,
    }),
    recordSize: integer(64, 16_384, {
      description: "Largest content of a record that is accepted; announced by RFC 8449.",
      default: 16_384,
    }),
    resumption: Resumption,
    limits: Limits,
    keyFile: Type.Optional(
      text({
        description:
          "File with the key that seals what is kept, made with mode 0600 when it is not there; dtls.key in dataFolder when absent.",
      }),
    ),
    keyLog: Type.Optional(
      text({
        description:
          "File for master secrets in the format that Wireshark reads. With it, everything that is sent can be read: for debugging only.",
      }),
    ),
    keep: Type.Unsafe<boolean | "auto">({
      enum: ["auto", true, false],
      description:
        "Keep associations over a restart or a crash, so that devices need no new handshake; auto: where the store is embedded.",
      default: "auto",
    }),
  },
  {
    description:
      "DTLS 1.2 of all dtls listeners. They open as soon as the tls section has cert and key, key alone, or pskFile, or with keysFromAuthentication.",
  },
);
export type DtlsConfig = Static<typeof Dtls>;
