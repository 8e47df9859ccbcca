/** Settings of hooks: other people's modules that are asked and told what clients do. */
import { type Static, Type } from "@sinclair/typebox";
import { durationSetting } from "../lib/setting.ts";
import { choice, integer, NAME_PATTERN, text, texts } from "../settings/kinds.ts";

const HookModule = Type.Object({
  name: text({ description: "For logs and metrics; no two hooks have the same.", pattern: NAME_PATTERN }),
  module: text({
    description:
      "File that is imported, or the name of an installed package. A relative path begins with a dot and counts from the working directory.",
  }),
  gateways: Type.Optional(
    texts({ description: "Gateways whose clients it is asked about, such as mqtt or coap; absent: all." }),
  ),
  onError: choice(["refuse", "pass"], {
    description:
      "What becomes of what it is asked about when it throws, gives what makes no sense or takes too long. refuse: it is refused as unavailable. pass: it goes on as if the hook were not there.",
    default: "refuse",
  }),
  timeLimit: durationSetting({
    description: "How long an answer that comes later (a promise) may take.",
    default: "1s",
    minimum: "1ms",
  }),
  options: Type.Record(Type.String(), Type.Unknown(), {
    description: "Handed to the module as it is.",
    default: {},
  }),
});

export const HooksSchema = Type.Object(
  {
    modules: Type.Array(HookModule, {
      description: "Hooks in the order they are asked; each gets what the one before made of it.",
      default: [],
    }),
    queue: integer(1, 1_000_000, {
      description:
        "What one client asks for and hooks are told of it that may wait while a hook thinks; more is refused as congested, or not told. At half of it nothing more is read from a stream.",
      default: 1_000,
    }),
    waiting: integer(1, 100_000_000, {
      description: "The same, of all clients together.",
      default: 100_000,
    }),
    linger: durationSetting({
      description:
        "How long what a client sent before it said goodbye, or was lost, may still wait for hooks; what then waits is not published.",
      default: "10s",
    }),
  },
  {
    description: "Modules of one's own that inspect, change and refuse what clients do, and are told of it.",
  },
);

export type HooksConfig = Static<typeof HooksSchema>;
