/** The configuration in force, and reading it again. */
import { Type } from "@sinclair/typebox";
import { listQuery, pageOf, pageOfArray } from "../lists.ts";
import { Refused } from "../problem.ts";
import { route } from "../route.ts";

const Setting = Type.Object({
  key: Type.String(),
  value: Type.Optional(Type.Unknown({ description: "Secrets are hidden; absent where nothing is set." })),
  default: Type.Optional(Type.Unknown()),
  meaning: Type.String(),
  takes: Type.String({ description: "What it takes, in words." }),
  origin: Type.String({ description: "default, a line of the file, an environment variable, or a flag." }),
  live: Type.Boolean({ description: "A change takes effect while running; else at a restart." }),
});

export const configRoutes = [
  route({
    method: "GET",
    path: "/config",
    role: "viewer",
    tag: "config",
    summary: "Every key of the configuration with its value, its meaning, and where the value comes from",
    query: Type.Object({
      ...listQuery,
      key: Type.Optional(
        Type.String({ maxLength: 256, description: "Only keys and meanings with this text: log.level." }),
      ),
      changed: Type.Optional(Type.Boolean({ description: "Only what is not as by default." })),
    }),
    answer: pageOf(Setting),
    example: { query: { key: "api.port" } },
    handle: ({ ports, query }) => {
      const { key = "", changed = false, ...page } = query;
      const wanted = key.toLowerCase();
      const rows = ports.config
        .settings()
        .filter(
          (row) =>
            (row.key.toLowerCase().includes(wanted) || row.meaning.toLowerCase().includes(wanted)) &&
            (!changed || row.origin !== "default"),
        );
      return pageOfArray(rows, page);
    },
  }),
  route({
    method: "POST",
    path: "/config/reload",
    role: "administrator",
    tag: "config",
    summary: "Read the configuration again, as SIGHUP does: what may change while running takes effect",
    answer: Type.Object({
      changed: Type.Array(Type.String(), { description: "Keys that have taken effect." }),
      restart: Type.Array(Type.String(), {
        description: "Keys that take effect at a restart, of the gateway or listener where they are its own.",
      }),
    }),
    example: {},
    handle: async ({ ports, changed }) => {
      const outcome = await ports.config.reload();
      if ("problem" in outcome) throw new Refused("conflict", outcome.problem);
      changed({ object: "config", after: outcome });
      return outcome;
    },
  }),
];
