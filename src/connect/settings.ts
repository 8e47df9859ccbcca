/** Settings that all connectors have. */
import { type Static, type TProperties, type TString, Type } from "@sinclair/typebox";
import { countSetting, durationSetting, sizeSetting } from "../lib/setting.ts";
import { choice, flag, integer, SECRET, text } from "../settings/kinds.ts";
import type { ConnectHost } from "./connector.ts";

/** A secret in place, or where it is (`secretOf`). */
export const secretText = (description: string, more: Omit<Parameters<typeof text>[0], "description"> = {}) =>
  text({
    description: `${description}; file:<path> or env:<name> says where it is.`,
    ...more,
    [SECRET]: true,
  });

/** Of a server that has one place. */
export const serverProperties = (port: number) => ({
  host: text({ description: "Host name or address.", default: "127.0.0.1" }),
  port: integer(1, 65_535, { description: "Port.", default: port }),
});

export const signInProperties = {
  username: text({ description: "Who signs in. Empty: nobody.", default: "" }),
  password: secretText("Its password", { default: "" }),
};

/** One of several servers: host:port, an IPv6 address in brackets. */
export const hostAndPort = Type.String({ pattern: "^[^:/\\s]+:\\d{1,5}$|^\\[[0-9A-Fa-f:.]+\\]:\\d{1,5}$" });

const ca = Type.Optional(
  text({ description: "PEM file of the authorities that sign the server's certificate." }),
);

/** What we show a server that asks who we are. */
const ownCertificate = {
  cert: Type.Optional(text({ description: "PEM file of our certificate, for a server that asks for one." })),
  key: Type.Optional(text({ description: "PEM file of its private key." })),
};

/** Of connectors whose library speaks TLS by itself. */
export const tlsProperties = {
  tls: flag({
    description: "Speak TLS: the server's certificate must be valid and bear its name.",
    default: false,
  }),
  ca,
  ...ownCertificate,
};

/** Of connectors whose URL says that it is TLS. */
export const certificateProperties = {
  ca,
  ...ownCertificate,
  verify: flag({ description: "Check that its certificate is valid and bears its name.", default: true }),
};

/** Files of certificates and keys, as the configuration names them, or what is in them. */
export interface TlsFiles<Content> {
  readonly ca?: Content;
  readonly cert?: Content;
  readonly key?: Content;
}

/** What is in them. Throws where one cannot be read, or a certificate has no key. */
export function filesOf(
  { ca, cert, key }: TlsFiles<string>,
  { readFile }: Pick<ConnectHost, "readFile">,
): TlsFiles<Buffer> {
  if ((cert === undefined) !== (key === undefined)) throw new Error("cert and key belong together");
  const named = Object.entries({ ca, cert, key }).filter(([, path]) => path !== undefined);
  return Object.fromEntries(named.map(([name, path]) => [name, Buffer.from(readFile(path!))]));
}

/** What such a library is told; undefined for no TLS. */
export const tlsOf = (
  config: TlsFiles<string> & { readonly tls: boolean },
  host: Pick<ConnectHost, "readFile">,
): TlsFiles<Buffer> | undefined => (config.tls ? filesOf(config, host) : undefined);

/** What all connectors have; `batch`: messages of one, where nothing else is said. */
export const connectorProperties = (batch: number) => ({
  enable: flag({
    description: "Give the sink what waits for it. false: everything waits.",
    default: true,
  }),
  timeout: durationSetting({
    description: "How long the sink may take to acknowledge a batch; then it is given it again.",
    default: "30s",
    minimum: "10ms",
    maximum: "1h",
  }),
  concurrency: integer(1, 256, {
    description: "Batches that are under way at the same time, and connections where each needs one.",
    default: 8,
  }),
  order: choice(["client", "all", "none"], {
    description:
      "client: what comes of one client is given in its order, one batch after the other. all: everything is. none: whatever is next goes where there is room.",
    default: "client",
  }),
  batch: Type.Object(
    {
      messages: integer(1, 10_000, { description: "Messages of a batch at most.", default: batch }),
      bytes: sizeSetting({ description: "Their size at most.", default: "1MB", minimum: "1KB" }),
      time: durationSetting({
        description: "How long the first of a batch waits for others. 0: what is there goes at once.",
        default: 0,
        maximum: "1m",
      }),
    },
    { description: "What is given to the sink at once." },
  ),
  retry: Type.Object(
    {
      first: durationSetting({
        description: "Longest pause before the second try.",
        default: "500ms",
        minimum: "1ms",
      }),
      longest: durationSetting({ description: "Longest pause ever; it doubles up to there.", default: "1m" }),
      attempts: countSetting({
        description: "Tries of one message before it is dead-lettered. unlimited: until the sink has it.",
        default: "unlimited",
        minimum: 1,
      }),
    },
    {
      description:
        "What can heal is tried again, after a pause by chance; what cannot is dead-lettered at once.",
    },
  ),
  queue: Type.Object(
    {
      messages: countSetting({
        description: "Messages that wait for this sink at most.",
        default: 1_000_000,
      }),
      bytes: sizeSetting({ description: "Their memory at most.", default: "256MB" }),
      full: choice(["drop-oldest", "drop-newest", "refuse"], {
        description:
          "What happens at the limit. refuse: what clients publish at QoS 1 and 2 to a topic of such a rule is refused as over quota, and what cannot be refused is dropped as the newest.",
        default: "drop-oldest",
      }),
      expiry: durationSetting({
        description: "How long a message may wait until it is of no use any more.",
        default: "forever",
        minimum: "1s",
      }),
    },
    { description: "What waits for the sink: a durable session, kept on disk as those of clients are." },
  ),
  health: durationSetting({
    description: "How often a sink that nothing is given to is asked whether it is there.",
    default: "15s",
    minimum: "100ms",
  }),
  deadLetter: text({
    description:
      "Topic where what the sink will never take is published as JSON, with the reason; ${connector} and ${rule} are filled in. Empty: it is only counted.",
    default: "$dead-letter/${connector}/${rule}",
  }),
  ready: flag({ description: "/ready says no while this sink is away.", default: false }),
});

const Common = Type.Object(connectorProperties(1));
export type CommonSettings = Static<typeof Common>;

interface Described<Own> {
  /** The keys that no other kind has. */
  readonly own: Own;
  readonly description: string;
}

/** What a kind of connector is configured by. */
export const connectorSchema = <Kind extends string, Own extends TProperties>(
  kind: Kind,
  { is, batch, own, description }: Described<Own> & { readonly is: string; readonly batch: number },
) =>
  Type.Object(
    { kind: Type.Literal(kind, { description: is }), ...connectorProperties(batch), ...own },
    { description },
  );

/** What a rule's action that leads to it is configured by. */
export const actionSchema = <Kind extends string, Own extends TProperties>(
  kind: Kind,
  { does, own, description }: Described<Own> & { readonly does: string },
) =>
  Type.Object(
    {
      kind: Type.Literal(kind, { description: does }),
      connector: text({ description: "Name of the connector that it leads to.", minLength: 1 }),
      ...own,
    },
    { description },
  );

/** What is sent. */
export const contentText = (usual: string) =>
  text({ description: "A template; ${.} is the whole output as JSON.", default: usual });

/** Templates by name, as headers are. */
export const templateMap = (description: string, names: TString = Type.String()) =>
  Type.Record(names, text({ description: "A template." }), { description, default: {} });

/** What is done with the rows that a statement gives. */
export const rowsProperty = choice(["ignore", "subscribe", "deliver", "retained"], {
  description:
    "What is done with what it gives, for the client of the event. subscribe: the client is subscribed to the topic of each row, with its qos. deliver: each row is a message for this client alone, where it is subscribed to its topic: topic, payload, qos, msgid. retained: the same for retained messages of which the bus has none.",
  default: "ignore",
});
export type RowsUse = Static<typeof rowsProperty>;

/** In an item: absent where rows are of no interest. */
export const rowsUse = (rows: RowsUse) => (rows === "ignore" ? {} : { rows });
