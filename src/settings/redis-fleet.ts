/** Settings of whatever asks a Redis server that is one of several. */
import { Type } from "@sinclair/typebox";
import { HOST_AND_PORT } from "../lib/redis.ts";
import { text } from "./kinds.ts";

const places = (description: string) =>
  Type.Array(Type.String({ pattern: HOST_AND_PORT }), { description, default: [] });

export const redisFleetProperties = {
  sentinels: places("host:port of sentinels: they say where the server is, instead of host and port."),
  sentinelName: text({ description: "What the sentinels call the server.", default: "mymaster" }),
  cluster: places("host:port of some nodes of a cluster, instead of host, port and database."),
};
