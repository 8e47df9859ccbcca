/** A simulated fleet, for who has no devices at hand yet. */

import { Fleet, FleetWish } from "../answers/simulator.ts";
import type { SimulatorState, SimulatorWish } from "../ports.ts";
import { Refused } from "../problem.ts";
import { Answer, route } from "../route.ts";
import { timeText } from "../schemas.ts";

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
    answer: Fleet,
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
    body: FleetWish,
    status: 202,
    answer: Fleet,
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
