/** A simulated fleet, for who has no devices at hand yet. */

import { Type } from "@sinclair/typebox";
import { choice } from "../../settings/kinds.ts";
import { PROTOCOLS, SCENARIOS } from "../../sim/options.ts";
import { count, time } from "../answers/parts.ts";
import type { SimulatorState, SimulatorWish } from "../ports.ts";
import { Refused } from "../problem.ts";
import { Answer, route } from "../route.ts";
import { timeText } from "../schemas.ts";

const DEVICES_MAX = 1_000;
const HOUR = 3_600;

const Wish = Type.Object({
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

const State = Type.Object({
  running: Type.Boolean(),
  offered: Type.Boolean({ description: "Whether one may be started (`api.simulator`)." }),
  why: Type.Optional(Type.String({ description: "Why it is not offered." })),
  failure: Type.Optional(Type.String({ description: "Why the last one has ended before its time." })),
  wish: Type.Optional(Wish),
  startedAt: Type.Optional(time("When it began.")),
  until: Type.Optional(time("When it ends by itself.")),
  status: Type.Optional(Status),
});

function shown({ startedAt, until, status, ...rest }: SimulatorState) {
  const { scenario: _, devices: __, ...numbers } = status ?? ({} as Partial<NonNullable<typeof status>>);
  return {
    ...rest,
    ...(startedAt === undefined ? {} : { startedAt: timeText(startedAt) }),
    ...(until === undefined ? {} : { until: timeText(until) }),
    ...(status === undefined ? {} : { status: numbers }),
  };
}

export const simulatorRoutes = [
  route({
    method: "GET",
    path: "/simulator",
    role: "viewer",
    tag: "simulator",
    summary: "The simulated fleet: whether one runs, how it is doing, and whether one may be started",
    answer: State,
    example: {},
    handle: ({ ports }) => shown(ports.simulator.state),
  }),
  route({
    method: "POST",
    path: "/simulator",
    role: "operator",
    tag: "simulator",
    summary: "Start a simulated fleet against this node's own listeners",
    description:
      "Sleeping MQTT-SN sensors, CoAP devices that observe, LwM2M devices, and applications that listen to them by MQTT and STOMP. Their ids begin with `sim-`, and all of it is gone when it ends. With `api.simulator: when-empty` only where no other client is.",
    body: Wish,
    status: 202,
    answer: State,
    refusals: [
      { code: "invalid-request", body: { scenario: "cold-chain", devices: 1_001 } },
      { code: "invalid-request", body: { scenario: "space-station" } },
    ],
    handle: ({ body, ports, changed }) => {
      const wish = { devices: 100, loss: 0, duration: 600, interval: 5, ...body } as SimulatorWish;
      const why = ports.simulator.start(wish);
      if (why !== undefined) throw new Refused("conflict", why);
      changed({ object: "simulator", after: wish });
      return new Answer(202, shown(ports.simulator.state));
    },
  }),
  route({
    method: "DELETE",
    path: "/simulator",
    role: "operator",
    tag: "simulator",
    summary: "End the simulated fleet; answered when it is gone, with its sessions and retained messages",
    refusals: [{ code: "not-found" }],
    handle: async ({ ports, changed }) => {
      if (!(await ports.simulator.stop())) throw new Refused("not-found", "no simulated fleet runs");
      changed({ object: "simulator" });
    },
  }),
];
