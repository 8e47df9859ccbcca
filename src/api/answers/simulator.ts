/** A simulated fleet: what is wished, and how it is doing. */
import { type Static, Type } from "@sinclair/typebox";
import { choice } from "../../settings/kinds.ts";
import { PROTOCOLS, SCENARIOS } from "../../sim/options.ts";
import { count, time } from "./parts.ts";

const DEVICES_MAX = 1_000;
const HOUR = 3_600;

export const FleetWish = Type.Object({
  scenario: choice(SCENARIOS, { description: "What the devices are." }),
  devices: Type.Optional(
    Type.Integer({ minimum: 1, maximum: DEVICES_MAX, default: 100, description: "How many there are." }),
  ),
  loss: Type.Optional(
    Type.Number({
      ...{ minimum: 0, maximum: 30, default: 0 },
      description: "Percent of the datagrams that the network loses, each way.",
    }),
  ),
  duration: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: HOUR,
      default: 600,
      description: "Seconds until it ends by itself.",
    }),
  ),
  interval: Type.Optional(
    Type.Number({
      ...{ minimum: 0.5, maximum: HOUR, default: 5 },
      description: "Seconds between two readings of a device, on average.",
    }),
  ),
});

const Status = Type.Object({
  seconds: count("Since it began."),
  fleet: Type.Record(
    Type.String({ enum: [...PROTOCOLS] }),
    Type.Object({ devices: count("That there are."), connected: count("That are in.") }),
  ),
  readings: count("Readings that devices have said."),
  heard: count("Messages that the applications have heard."),
  commands: count("Commands that applications have given."),
  obeyed: count("Commands that have reached a device."),
  refused: count("Times that a device was refused."),
  unanswered: count("Times that a device gave up waiting for an answer."),
  lost: count("Datagrams that the simulated network has lost."),
  repeated: count("Datagrams that devices have sent again."),
  moved: count("Times that a device got another address."),
});

export const Fleet = Type.Object({
  running: Type.Boolean(),
  offered: Type.Boolean({ description: "Whether one may be started (`api.simulator`)." }),
  why: Type.Optional(Type.String({ description: "Why it is not offered." })),
  failure: Type.Optional(Type.String({ description: "Why the last one has ended before its time." })),
  wish: Type.Optional(FleetWish),
  startedAt: Type.Optional(time("When it began.")),
  until: Type.Optional(time("When it ends by itself.")),
  status: Type.Optional(Status),
});
export type Fleet = Static<typeof Fleet>;
