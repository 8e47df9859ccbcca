import type { IncomingMessage } from "node:http";
import type { StreamListenerOptions } from "./transport.ts";

export type WebSocketOptions = NonNullable<StreamListenerOptions["websocket"]>;

export interface HandshakeRefusal {
  readonly status: 400 | 403 | 404;
  readonly problem: string;
}

const segments = (path: string): string[] => path.split("/");

/** `*` in a pattern stands for exactly one segment. */
export function pathMatches(pattern: string, path: string): boolean {
  const [wanted, given] = [segments(pattern), segments(path)];
  return (
    wanted.length === given.length &&
    wanted.every((segment, index) => segment === given[index] || (segment === "*" && given[index] !== ""))
  );
}

/** SockJS's own transport, and WebSocket without its framing. */
function sockJsPatterns(prefix: string): string[] {
  const base = prefix.replace(/\/+$/, "");
  return [`${base}/*/*/websocket`, `${base}/websocket`];
}

export const requestPath = (request: IncomingMessage): string => (request.url ?? "").split("?", 1)[0] ?? "";

const offeredSubprotocols = (request: IncomingMessage): string[] =>
  (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());

/** The best subprotocol that the client offers too. */
export const agreedSubprotocol = (
  options: WebSocketOptions,
  offered: Iterable<string>,
): string | undefined => {
  const names = new Set(offered);
  return options.subprotocols.find((name) => names.has(name));
};

/** What is wrong with an upgrade request; undefined when nothing is. */
export function refuseHandshake(
  request: IncomingMessage,
  options: WebSocketOptions,
): HandshakeRefusal | undefined {
  const path = requestPath(request);
  const paths = [...options.paths, ...(options.sockjs ?? []).flatMap(sockJsPatterns)];
  if (!paths.some((pattern) => pathMatches(pattern, path))) {
    return { status: 404, problem: "no WebSocket at this path" };
  }
  // Only browsers send an origin, and only they have to be kept from acting for somebody else (RFC 6455 §10.2).
  const { origin } = request.headers;
  if (origin !== undefined && options.origins.length > 0 && !options.origins.includes(origin.toLowerCase())) {
    return { status: 403, problem: "origin not allowed" };
  }
  if (options.subprotocolRequired && agreedSubprotocol(options, offeredSubprotocols(request)) === undefined) {
    return { status: 400, problem: `subprotocol missing, one of: ${options.subprotocols.join(", ")}` };
  }
  return undefined;
}
