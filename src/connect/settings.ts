/** Settings that all connectors have. */
import { type Static, Type } from "@sinclair/typebox";
import { countSetting, durationSetting, sizeSetting } from "../lib/setting.ts";
import { choice, flag, integer, text } from "../settings/kinds.ts";
import type { ConnectHost } from "./connector.ts";

/** Of connectors whose library speaks TLS by itself. */
export const tlsProperties = {
  tls: flag({ description: "Speak TLS.", default: false }),
  ca: Type.Optional(text({ description: "PEM file of the authorities that sign the server's certificate." })),
};

/** What such a library is told; undefined for no TLS. */
export function tlsOf(
  { tls, ca }: { readonly tls: boolean; readonly ca?: string },
  { readFile }: Pick<ConnectHost, "readFile">,
): { readonly ca?: Buffer } | undefined {
  if (!tls) return undefined;
  return ca === undefined ? {} : { ca: Buffer.from(readFile(ca)) };
}

export const connectorProperties = (batch: number) => ({
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

/** Keys that all actions have that lead to a connector. */
export const actionProperties = {
  connector: text({ description: "Name of the connector that it leads to.", minLength: 1 }),
};
