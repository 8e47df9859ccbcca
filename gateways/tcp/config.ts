/** What an operator can set for devices on plain TCP; listeners, mountpoint, rules and rates are the core's. */
import { type Static, Type } from "@sinclair/typebox";
import type { QoS } from "#core/bus/message.ts";
import { durationSetting } from "#core/lib/setting.ts";

const strict = { additionalProperties: false } as const;
const text = (description: string, fallback: string) => Type.String({ description, default: fallback });
const qos = (description: string, fallback: 0 | 1) =>
  Type.Unsafe<QoS>({ type: "integer", enum: [0, 1], description, default: fallback });

const Framing = Type.Object(
  {
    kind: Type.Unsafe<"line" | "delimiter" | "fixed" | "length">({
      type: "string",
      enum: ["line", "delimiter", "fixed", "length"],
      description:
        "Where a frame ends: `line` at LF (a CR before it is left out), `delimiter` at these octets, `fixed` after `size` " +
        "octets, `length` where a field of the frame says.",
      default: "line",
    }),
    delimiter: Type.String({
      description:
        "`delimiter`: its octets in hexadecimal. Empty frames between two delimiters are passed over.",
      default: "00",
      pattern: "^([0-9a-fA-F]{2}){1,16}$",
    }),
    size: Type.Integer({
      description: "`fixed`: octets of each frame.",
      default: 16,
      minimum: 1,
      maximum: 1_048_576,
    }),
    offset: Type.Integer({
      description: "`length`: octets before the length field.",
      default: 0,
      minimum: 0,
      maximum: 1024,
    }),
    octets: Type.Unsafe<1 | 2 | 4>({
      type: "integer",
      enum: [1, 2, 4],
      description: "`length`: octets of the length field.",
      default: 2,
    }),
    order: Type.Unsafe<"big" | "little">({
      type: "string",
      enum: ["big", "little"],
      description: "`length`: which octet of the length field comes first.",
      default: "big",
    }),
    adjustment: Type.Integer({
      description:
        "`length`: added to the field's value to get the octets after the field: negative where it counts the head too, " +
        "positive where a checksum follows that it does not count.",
      default: 0,
      minimum: -4096,
      maximum: 4096,
    }),
    strip: Type.Boolean({
      description:
        "`delimiter` and `length`: publish the frame without its delimiter or without its head, and put it back on the " +
        "way down. Otherwise whole frames go both ways. A head with octets before the length field cannot be put back.",
      default: true,
    }),
  },
  { ...strict, default: {}, description: "How the stream is cut into frames." },
);

const Identity = Type.Object(
  {
    over: Type.Unsafe<"text" | "hex">({
      type: "string",
      enum: ["text", "hex"],
      description:
        "What the pattern is matched against: the first frame as text, or its octets in lower-case hexadecimal.",
      default: "text",
    }),
    pattern: text(
      "Regular expression (RE2 syntax) that finds the device in its first frame; a first frame without a match ends the " +
        "connection. Empty: everybody is known by the templates alone.",
      "",
    ),
    clientId: text(
      // biome-ignore lint/suspicious/noTemplateCurlyInString: these are the placeholders of the configuration
      "Client id: text with ${name} and ${1} (groups of the pattern), %a (address), %p (port), %i (identity that TLS has proven).",
      "%a:%p",
    ),
    username: text("User name, with the same placeholders. Empty for none.", ""),
    password: text("Password, with the same placeholders. Empty for none.", ""),
    publish: Type.Boolean({ description: "Publish the first frame too.", default: true }),
  },
  { ...strict, default: {}, description: "Who a device is." },
);

const RawListener = Type.Object(
  {
    listener: Type.String({ description: "Name of the listener, as under `listeners`.", minLength: 1 }),
    framing: Framing,
    identity: Identity,
    payload: Type.Unsafe<"binary" | "hex" | "json">({
      type: "string",
      enum: ["binary", "hex", "json"],
      description:
        'Payload of messages: the frame\'s octets, their hexadecimal digits, or JSON: {"clientid", "ts", "hex"} up, and one ' +
        "of `hex`, `base64`, `text` down.",
      default: "binary",
    }),
  },
  strict,
);
/** As loaded. */
export type RawListener = Static<typeof RawListener>;

export const tcpSchema = Type.Object(
  {
    upTopic: text(
      "Topic of what a device sends. Placeholders: %c client id, %u user name, %e endpoint name (the client id), %a address.",
      "tcp/%c/up",
    ),
    dnTopic: text(
      "Topic whose messages a device gets, with the same placeholders. Empty for none.",
      "tcp/%c/dn",
    ),
    upQos: qos("QoS of what a device sends.", 0),
    upRetain: Type.Boolean({
      description: "Keep a device's last message for later subscribers.",
      default: false,
    }),
    dnQos: qos("QoS at which a device's topic is subscribed; a device acknowledges nothing.", 1),
    sessionExpiry: durationSetting({
      description: "How long messages wait for a device that is away; 0 for not at all.",
      default: "0s",
    }),
    idleTimeout: durationSetting({
      description: "Silence after which a device without a keep-alive of its own is lost.",
      default: "5m",
      minimum: "1s",
    }),
    pendingPublishes: Type.Integer({
      description: "Messages of one device that may wait for the store or a broker; then reading pauses.",
      default: 100,
      minimum: 1,
      maximum: 65_535,
    }),
    raw: Type.Array(RawListener, {
      default: [],
      description:
        "Listeners whose devices speak no framing of ours; all others speak the protocol of README.md.",
    }),
  },
  { ...strict, default: {}, description: "Devices on plain TCP: a small framed protocol, or raw frames." },
);
/** As loaded: durations in milliseconds. */
export type TcpConfig = Static<typeof tcpSchema>;
