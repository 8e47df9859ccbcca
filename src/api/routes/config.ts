/** The configuration in force, changing it, and reading it again. */

import { Type } from "@sinclair/typebox";
import { Changed, OverlayRow, Reloaded, Setting } from "../answers/config.ts";
import { CHANGE_NOTE, changeConfig, changeQuery } from "../change-config.ts";
import { listQuery, pageOf, pageOfArray } from "../lists.ts";
import { Refused } from "../problem.ts";
import { Answer, route } from "../route.ts";

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
      return new Answer(200, pageOfArray(rows, page), { etag: ports.config.version });
    },
  }),
  route({
    method: "GET",
    path: "/config/overlay",
    role: "viewer",
    tag: "config",
    summary: "What was changed over the API: each key with its value, and what it is without the change",
    query: Type.Object(listQuery),
    answer: pageOf(OverlayRow),
    example: {},
    handle: async ({ ports, query }) => {
      const rows = await ports.config.overlay();
      return new Answer(200, pageOfArray(rows, query), { etag: ports.config.version });
    },
  }),
  route({
    method: "PATCH",
    path: "/config",
    role: "administrator",
    tag: "config",
    summary: "Change the configuration while it runs, or try what a change would do",
    description: `The body is a JSON merge patch (RFC 7396) of keys as they stand in isthmus.yaml; null takes back what was changed here. ${CHANGE_NOTE} Secrets are given as references, \`file:<path>\` or \`env:<name>\`, where the key takes these, and else not at all. What the environment or a flag sets is not changed here.`,
    query: changeQuery,
    body: Type.Record(Type.String({ maxLength: 64 }), Type.Unknown(), {
      description: 'Sections and keys: {"log": {"level": "debug"}}.',
    }),
    answer: Changed,
    example: { query: { dryRun: true }, body: { log: { level: "debug" } } },
    refusals: [
      { code: "invalid-request", body: { log: { level: "loud" } } },
      { code: "invalid-request", body: { lgo: { level: "info" } } },
      { code: "invalid-request", body: { dataFolder: "/tmp/elsewhere" } },
      { code: "invalid-request", body: { tls: { keyPassphrase: "x" } } },
    ],
    handle: (asked) => changeConfig(asked, { patch: asked.body }, asked.query),
  }),
  route({
    method: "DELETE",
    path: "/config/{key}",
    role: "administrator",
    tag: "config",
    summary: "Take back what was changed over the API: one key, or all that is in a section",
    params: Type.Object({
      key: Type.String({ minLength: 1, maxLength: 512, description: "As log.level." }),
    }),
    query: changeQuery,
    answer: Changed,
    refusals: [{ code: "not-found", path: { key: "log.level" } }],
    handle: (asked) => changeConfig(asked, { unset: asked.path.key.split(".") }, asked.query),
  }),
  route({
    method: "POST",
    path: "/config/reload",
    role: "administrator",
    tag: "config",
    summary: "Read the configuration again, as SIGHUP does: what may change while running takes effect",
    answer: Reloaded,
    example: {},
    handle: async ({ ports, changed }) => {
      const outcome = await ports.config.reload();
      if ("problem" in outcome) throw new Refused("conflict", outcome.problem);
      changed({ object: "config", after: outcome });
      return outcome;
    },
  }),
];
