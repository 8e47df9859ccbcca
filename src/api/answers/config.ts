/** The configuration in force, and what changes of it do. */
import { type Static, Type } from "@sinclair/typebox";
import { choice } from "../../settings/kinds.ts";

export const Setting = Type.Object({
  key: Type.String(),
  value: Type.Optional(Type.Unknown({ description: "Secrets are hidden; absent where nothing is set." })),
  default: Type.Optional(Type.Unknown()),
  meaning: Type.String(),
  takes: Type.String({ description: "What it takes, in words." }),
  origin: Type.String({
    description: "default, a line of the file, api (changed here), an environment variable, or a flag.",
  }),
  live: Type.Boolean({ description: "A change takes effect while running; else at a restart." }),
  pending: Type.Boolean({ description: "It was changed, and waits for a restart." }),
});
export type Setting = Static<typeof Setting>;

export const OverlayRow = Type.Object({
  key: Type.String(),
  value: Type.Optional(Type.Unknown({ description: "Secrets are hidden." })),
  beneath: Type.Optional(Type.Unknown({ description: "What it is when all changes are taken back." })),
  pending: Type.Boolean({ description: "Waits for a restart." }),
});
export type OverlayRow = Static<typeof OverlayRow>;

/** What a change does to one key. */
export const KeyChange = Type.Object({
  key: Type.String(),
  before: Type.Optional(Type.Unknown({ description: "Secrets are hidden; absent where nothing was." })),
  after: Type.Optional(Type.Unknown()),
  effect: choice(["live", "listener", "gateway", "restart"], {
    description:
      "live: at once. listener: the listener is closed and opened, and its clients connect again. gateway: the gateway is stopped and started, and its clients connect again. restart: when the process is started again.",
  }),
  of: Type.Optional(Type.String({ description: "The listener or gateway: mqtt.tcp, mqtt." })),
});
export type KeyChange = Static<typeof KeyChange>;

export const Changed = Type.Object({
  tried: Type.Boolean({ description: "Nothing was done: dryRun." }),
  changes: Type.Array(KeyChange, { description: "Keys whose value is another one." }),
  warnings: Type.Array(Type.String(), { description: "What is allowed and unwise, and was not before." }),
});
export type Changed = Static<typeof Changed>;

export const Reloaded = Type.Object({
  changed: Type.Array(Type.String(), { description: "Keys that have taken effect." }),
  restart: Type.Array(Type.String(), {
    description: "Keys that take effect at a restart, of the gateway or listener where they are its own.",
  }),
});
export type Reloaded = Static<typeof Reloaded>;
