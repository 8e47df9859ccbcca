/** Parts of requests and answers that several routes have. */
import { Type } from "@sinclair/typebox";
import { choice, qos } from "../settings/kinds.ts";
import { wrongField } from "./problem.ts";

export const timeText = (at: number): string => new Date(at).toISOString();

export const qosSchema = (description: string) => qos({ description, default: 0 });

/** How a payload is written in JSON. */
export const encoding = choice(["text", "base64"], {
  description: "How the payload is written: text is UTF-8.",
  default: "text",
});

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

/** Throws `Refused` when a text is no base64 (RFC 4648 §4). */
export function bytesOf(text: string, as: string | undefined, field: string): Uint8Array {
  if (as !== "base64") return Buffer.from(text, "utf8");
  if (BASE64.test(text)) return Buffer.from(text, "base64");
  throw wrongField({
    in: "body",
    field,
    value: text.slice(0, 100),
    detail: "is no base64",
    fix: "letters, digits, + and / (RFC 4648 §4), or encoding text",
  });
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** As text where the bytes are UTF-8, else in base64. */
export function payloadOf(bytes: Uint8Array): {
  readonly payload: string;
  readonly encoding: "text" | "base64";
} {
  try {
    return { payload: decoder.decode(bytes), encoding: "text" };
  } catch {
    return { payload: Buffer.from(bytes).toString("base64"), encoding: "base64" };
  }
}

/** Stands in paths for an id that no path can carry, which the query then names. */
const BY_QUERY = "-";

/** A parameter of a path, and the query that takes its place where the path says `-`. */
export const named = (name: string, description: string) => ({
  params: Type.Object({
    [name]: Type.String({
      minLength: 1,
      description: `${description} Percent-encoded; \`-\` for one that no path can carry (\`..\`), which the query then names.`,
    }),
  }),
  query: { [name]: Type.Optional(Type.String({ description: `${description} Where the path says \`-\`.` })) },
});

/** Which one is meant. */
export function nameIn(name: string, path: unknown, query: unknown): string {
  const inPath = (path as Readonly<Record<string, string>>)[name]!;
  const inQuery = (query as Readonly<Record<string, string | undefined>> | undefined)?.[name];
  if (inQuery === undefined) return inPath;
  if (inPath === BY_QUERY) return inQuery;
  throw wrongField({
    in: "query",
    field: name,
    value: inQuery,
    detail: "is given, and the path names one as well",
    fix: `write ${BY_QUERY} in the path`,
  });
}
