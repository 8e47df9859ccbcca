/** Devices of all five gateways before three RabbitMQ nodes, which take half a minute to start: `npm run test:rabbitmq`. */
import { startRabbitmq } from "../support/clusters.ts";
import { lacks } from "../support/programs.ts";
import { rowsOf } from "./rows.ts";

const kind = {
  profile: "rabbitmq",
  missing: lacks("rabbitmq-server", "redis-server"),
  speaks: "3.1.1",
  maximumQoS: 1,
  shared: false,
  retainedAt: "node",
  dots: "dots/a/b",
  showsSystem: true,
  inFlight: 10,
  nameAlone: false,
} as const;

rowsOf({
  ...kind,
  name: "rabbitmq with quorum queues",
  start: () => startRabbitmq(true),
  keepsSessions: true,
});
rowsOf({
  ...kind,
  name: "rabbitmq with classic queues",
  start: () => startRabbitmq(false),
  keepsSessions: false,
});
