/** Gateways and their listeners: how they are, start and stop, open and close. */

import { Type } from "@sinclair/typebox";
import type { Done } from "../../operate/done.ts";
import type { ListenerStatus } from "../../operate/gateways.ts";
import { Gateway, Listener } from "../answers/gateways.ts";
import { Refused } from "../problem.ts";
import { type Asked, route } from "../route.ts";
import { carriedOut } from "./clients.ts";

const params = Type.Object({ gateway: Type.String({ maxLength: 64, description: "Name of the gateway." }) });
const listenerParams = Type.Object({
  gateway: Type.String({ maxLength: 64, description: "Name of the gateway." }),
  listener: Type.String({ maxLength: 64, description: "Name of the listener." }),
});
const none = { path: { gateway: "none" } };

function found({ ports, path }: Asked<{ gateway: string }>) {
  const gateway = ports.operator.gateways.get(path.gateway);
  if (gateway === undefined) {
    const names = ports.operator.gateways.list().map(({ name }) => name);
    throw new Refused("not-found", `gateways are: ${names.join(", ")}`);
  }
  return gateway;
}

const ORDERS = {
  start: "Start a gateway, with the options that the configuration has now",
  stop: "Stop a gateway: its listeners close, its clients hear goodbye, sessions stay by their expiry",
  restart: "Stop and start a gateway: options that a reload cannot change take effect",
} as const;

const orderRoutes = (Object.keys(ORDERS) as (keyof typeof ORDERS)[]).map((order) =>
  route({
    method: "POST",
    path: `/gateways/{gateway}/${order}`,
    role: "operator",
    tag: "gateways",
    summary: ORDERS[order],
    params,
    answer: Gateway,
    refusals: [{ code: "not-found", ...none }],
    handle: async (asked) => {
      const { name, running } = found(asked);
      carriedOut(await asked.ports.operator.gateways[order](name));
      const after = found(asked);
      asked.changed({ object: `gateway ${name}`, before: { running }, after: { running: after.running } });
      return after;
    },
  }),
);

const LISTENER_ORDERS = {
  open: "Open a listener, also one that the configuration leaves closed",
  close: "Close a listener; its clients hear goodbye",
} as const;

const listenerOrderRoutes = (Object.keys(LISTENER_ORDERS) as (keyof typeof LISTENER_ORDERS)[]).map((order) =>
  route({
    method: "POST",
    path: `/gateways/{gateway}/listeners/{listener}/${order}`,
    role: "operator",
    tag: "gateways",
    summary: LISTENER_ORDERS[order],
    params: listenerParams,
    answer: Listener,
    refusals: [{ code: "not-found", path: { gateway: "mqtt", listener: "none" } }],
    handle: async ({ ports, path: { gateway, listener }, changed }) => {
      const { gateways } = ports.operator;
      const done: Done =
        order === "open"
          ? await gateways.openListener(gateway, listener)
          : await gateways.closeListener(gateway, listener);
      carriedOut(done);
      changed({ object: `listener ${gateway}.${listener}`, after: { open: order === "open" } });
      return gateways
        .listeners()
        .find((one): one is ListenerStatus => one.gateway === gateway && one.name === listener);
    },
  }),
);

export const gatewayRoutes = [
  route({
    method: "GET",
    path: "/gateways",
    role: "viewer",
    tag: "gateways",
    summary: "All gateways with their listeners",
    answer: Type.Array(Gateway),
    example: {},
    handle: ({ ports }) => ports.operator.gateways.list(),
  }),
  route({
    method: "GET",
    path: "/gateways/{gateway}",
    role: "viewer",
    tag: "gateways",
    summary: "One gateway with its listeners",
    params,
    answer: Gateway,
    example: { path: { gateway: "mqtt" } },
    refusals: [{ code: "not-found", ...none }],
    handle: (asked) => found(asked),
  }),
  route({
    method: "GET",
    path: "/listeners",
    role: "viewer",
    tag: "gateways",
    summary: "Listeners of all gateways",
    answer: Type.Array(Listener),
    example: {},
    handle: ({ ports }) => ports.operator.gateways.listeners(),
  }),
  ...orderRoutes,
  ...listenerOrderRoutes,
];
