import { Type } from "@sinclair/typebox";
import { route } from "../route.ts";

const Family = Type.Object({
  name: Type.String(),
  help: Type.String(),
  type: Type.String({ description: "counter, gauge, histogram or summary." }),
  values: Type.Array(
    Type.Object({
      labels: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()])),
      value: Type.Number(),
    }),
  ),
});

export const metricsRoutes = [
  route({
    method: "GET",
    path: "/metrics",
    role: "viewer",
    tag: "metrics",
    summary: "The numbers of /metrics as JSON",
    query: Type.Object({
      name: Type.Optional(
        Type.String({ maxLength: 256, description: "Only families whose name begins so: isthmus_sessions." }),
      ),
    }),
    answer: Type.Array(Family),
    example: { query: { name: "isthmus_sessions" } },
    handle: async ({ ports, query: { name = "" } }) => {
      const families = await ports.metrics.families();
      return families.filter((family) => family.name.startsWith(name));
    },
  }),
];
