import { Type } from "@sinclair/typebox";
import { choice } from "../../settings/kinds.ts";
import { Node } from "../answers/node.ts";
import { PROBLEMS } from "../problem.ts";
import { route } from "../route.ts";
import { timeText } from "../schemas.ts";

const WorkerRow = Type.Object({
  number: Type.Integer(),
  state: choice(["starting", "up", "waiting", "stopped"], {
    description: "waiting: it has ended, and is started again after a pause.",
  }),
  pid: Type.Optional(Type.Integer()),
  restarts: Type.Integer({ description: "How often it was started again." }),
  api: Type.Optional(Type.String({ description: "Base address of its HTTP port." })),
});

export const nodeRoutes = [
  route({
    method: "GET",
    path: "/node",
    role: "viewer",
    tag: "node",
    summary: "What this node is, and its most important numbers",
    answer: Node,
    example: {},
    handle: ({ ports }) => {
      const { name, version, startedAt } = ports.node;
      const now = ports.now();
      return {
        name,
        version,
        startedAt: timeText(startedAt),
        uptime: Math.floor((now - startedAt) / 1000),
        time: timeText(now),
        platform: `${process.platform} ${process.arch}`,
        runtime: process.version,
        pid: process.pid,
        numbers: ports.node.numbers(),
      };
    },
  }),
  route({
    method: "GET",
    path: "/workers",
    role: "viewer",
    tag: "node",
    summary: "The workers that share the ports of devices (node.workers); none where one process has them",
    answer: Type.Array(WorkerRow),
    example: {},
    handle: ({ ports }) => ports.node.workers(),
  }),
  route({
    method: "GET",
    path: "/problems",
    role: "anybody",
    tag: "node",
    summary: "Every kind of problem that an answer can name, with its status and meaning",
    answer: Type.Array(Type.Object({ code: Type.String(), status: Type.Integer(), meaning: Type.String() })),
    example: {},
    handle: () => Object.entries(PROBLEMS).map(([code, [status, meaning]]) => ({ code, status, meaning })),
  }),
];
