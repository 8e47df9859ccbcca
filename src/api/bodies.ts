/** Bodies of requests: how they are read, and that they count as memory while they are held. */
import type { FastifyInstance } from "fastify";
import { csvRecords } from "../lib/csv.ts";
import type { ApiPorts } from "./ports.ts";
import { Refused, wrongField } from "./problem.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Escapes of JSON that are whole: a backslash of its own, and both halves of a character. */
const WHOLE = /\\\\|\\u[dD][89a-bA-B][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}/g;
const HALF = /\\u[dD][89a-fA-F]/;

/** What cannot be said in UTF-8 would be another topic, name or text than the one that was asked for (RFC 8259 §8). */
function textOf(body: Uint8Array): string | Refused {
  try {
    const text = utf8.decode(body);
    if (!HALF.test(text) || !HALF.test(text.replace(WHOLE, ""))) return text;
    return new Refused("malformed-json", "a text in the body holds half a surrogate pair");
  } catch {
    return new Refused("malformed-json", "the body is not UTF-8");
  }
}

/** None of these names is in most bodies, however it is escaped. */
const SUSPECT = /proto|\\u00/;

/** Where a body has a name that would reach into what all objects share, as a JSON pointer. */
function inheritedMember(body: unknown): string | undefined {
  const left: (readonly [value: unknown, pointer: string])[] = [[body, ""]];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [value, pointer] = next;
    if (typeof value !== "object" || value === null) continue;
    for (const [name, inner] of Object.entries(value)) {
      const reaches = name === "constructor" && Object.hasOwn(Object(inner) as object, "prototype");
      if (name === "__proto__" || reaches) return `${pointer}/${name}`;
      left.push([inner, `${pointer}/${name}`]);
    }
  }
  return undefined;
}

function refusalOf(field: string): Refused {
  const error = { in: "body" as const, field, detail: "is not known here", fix: "give it another name" };
  return new Refused("invalid-request", `body ${field}: ${error.detail}`, { errors: [error] });
}

/** JSON, and texts for those routes that say so; a request without a body may still name a media type. */
export function readBodies(server: FastifyInstance): void {
  const parse = server.getDefaultJsonParser("ignore", "ignore");
  server.removeContentTypeParser("application/json");
  // A merge patch is JSON under a name of its own (RFC 7396 §4).
  server.addContentTypeParser(
    ["application/json", "application/merge-patch+json"],
    { parseAs: "buffer" },
    (request, body, done) => {
      const text = textOf(body as Buffer);
      if (text === "") done(null, undefined);
      else if (text instanceof Refused) done(text);
      else
        parse(request, text, (error, found) => {
          const field = error === null && SUSPECT.test(text) ? inheritedMember(found) : undefined;
          if (field === undefined) done(error, found);
          else done(refusalOf(field));
        });
    },
  );
  server.removeContentTypeParser("text/plain");
  // Rows by the names in the first one, as a list of objects would have them in JSON.
  server.addContentTypeParser("text/csv", { parseAs: "buffer" }, (_request, body, done) => {
    const text = textOf(body as Buffer);
    const rows = typeof text === "string" ? csvRecords(text) : text;
    if (typeof rows !== "string") done(rows instanceof Refused ? rows : null, rows);
    else done(wrongField({ in: "body", field: "", detail: rows }));
  });
}

/** Bodies are read as they are: one that grows when it is unpacked would be weighed as what it is not (RFC 9110 §15.5.16). */
export function refuseCodings(server: FastifyInstance): void {
  server.addHook("preParsing", async ({ headers }, _reply, payload) => {
    const coding = headers["content-encoding"] ?? "";
    const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"]) > 0;
    if (!hasBody || coding === "" || coding.toLowerCase() === "identity") return payload;
    const error = {
      ...{ in: "header" as const, field: "content-encoding", value: coding.slice(0, 100) },
      ...{ detail: "is not read here", fix: "send the body as it is, without Content-Encoding" },
    };
    throw new Refused(
      "unsupported-media-type",
      `Content-Encoding ${error.value} ${error.detail}: ${error.fix}`,
      { errors: [error] },
      { "accept-encoding": "identity" },
    );
  });
}

/** A body is held from its head on, which says how long it is, until it has been answered. */
export function weighBodies(server: FastifyInstance, memory: ApiPorts["memory"], bodyMax: number): void {
  server.addHook("preParsing", async ({ headers }, reply, payload) => {
    const length = Number(
      headers["content-length"] ?? (headers["transfer-encoding"] === undefined ? 0 : bodyMax),
    );
    if (!(length > 0)) return payload;
    if (memory.refuses) throw new Refused("unavailable", "memory is used up (isthmus_memory_bytes)");
    const bytes = Math.min(length, bodyMax);
    memory.held += bytes;
    reply.raw.once("close", () => {
      memory.held -= bytes;
    });
    return payload;
  });
}
