/** The dashboard's files, as `npm run build` has made them: one page for all its addresses, and what that loads. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { INSTALLATION } from "../settings/installation.ts";

const DASHBOARD_FOLDER = join(INSTALLATION, "dist", "dashboard");

/** First parts of the addresses of pages; everything else stays the API's. */
export const PAGES = [
  ...["clients", "refusals", "translation", "topics"],
  ...["messages", "lwm2m", "firmware"],
  ...["gateways", "upstream", "rules", "connectors", "alarms", "bans"],
  ...["changes", "config", "logins", "access", "about", "more"],
  ...["login", "setup"],
] as const;

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Where the page has the path below which a proxy serves it. */
const BASE = /\{\{base\}\}/g;

/** Names carry a digest of what is in the file: what a browser has once it need never ask for again. */
const FOR_EVER = "public, max-age=31536000, immutable";

const NOT_BUILT =
  "The dashboard is not built. In the folder of Isthmus, run: npm run build\nThe API works without it: /api/v1/openapi.json\n";

interface Asset {
  readonly type: string;
  readonly plain: Buffer;
  /** By content coding, the smallest first. */
  readonly packed: readonly (readonly [coding: "br" | "gzip", body: Buffer])[];
}

interface Files {
  readonly page: string;
  readonly assets: ReadonlyMap<string, Asset>;
}

function read(folder: string): Files | undefined {
  const page = join(folder, "index.html");
  if (!existsSync(page)) return undefined;
  const assets = new Map<string, Asset>();
  const below = join(folder, "assets");
  for (const name of readdirSync(below)) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const path = join(below, name);
    const packed = (["br", "gzip"] as const).flatMap((coding) => {
      const file = `${path}.${coding === "br" ? "br" : "gz"}`;
      return existsSync(file) ? [[coding, readFileSync(file)] as const] : [];
    });
    assets.set(name, { type, plain: readFileSync(path), packed });
  }
  return { page: readFileSync(page, "utf8"), assets };
}

/** Files are read when somebody first asks for them. */
export function serveDashboard(server: FastifyInstance, basePath: string, folder = DASHBOARD_FOLDER): void {
  let files: Files | undefined;
  const load = (): Files | undefined => {
    files ??= read(folder);
    return files;
  };
  const base = basePath === "/" ? "" : basePath;
  const page = (_request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const found = load();
    if (found === undefined) return reply.code(503).type("text/plain; charset=utf-8").send(NOT_BUILT);
    return reply.type("text/html; charset=utf-8").send(found.page.replaceAll(BASE, base));
  };
  server.get("/", page);
  for (const name of PAGES) {
    server.get(`/${name}`, page);
    server.get(`/${name}/*`, page);
  }
  server.get<{ Params: { name: string } }>("/assets/:name", (request, reply) => {
    const asset = load()?.assets.get(request.params.name);
    if (asset === undefined) return reply.callNotFound();
    reply.headers({ "cache-control": FOR_EVER, vary: "accept-encoding" }).type(asset.type);
    const accepted = request.headers["accept-encoding"]?.toString() ?? "";
    const packed = asset.packed.find(([coding]) =>
      new RegExp(`\\b${coding}\\b(?!\\s*;\\s*q=0(\\.0*)?\\s*(,|$))`).test(accepted),
    );
    if (packed === undefined) return reply.send(asset.plain);
    return reply.header("content-encoding", packed[0]).send(packed[1]);
  });
}
