/** What comes of bytes that are no request, or never a whole one: Node gives them up, and they are answered as all others are. */
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { PROBLEM_JSON, type Problem, problem } from "./problem.ts";

/** Node says `Parse Error: Invalid header token`. */
const reasonOf = ({ message }: Error): string =>
  message.replace(/^Parse Error:? ?/, "") || "it makes no sense";

export function problemOf(error: NodeJS.ErrnoException): Problem {
  if (error.code === "HPE_HEADER_OVERFLOW")
    return problem("header-too-large", "address and headers together are longer than 16 KB");
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT")
    return problem("too-slow", "the request was not whole in time");
  return problem("malformed-http", `what came cannot be read as HTTP/1.1: ${reasonOf(error)}`);
}

/** There is no request, so there is nothing but the connection to answer on. */
export function answerUnreadable(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  headers: Readonly<Record<string, string>>,
): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  if (socket.writable) {
    const found = problemOf(error);
    const body = JSON.stringify(found);
    const lines = Object.entries({
      ...headers,
      "content-type": PROBLEM_JSON,
      "content-length": String(Buffer.byteLength(body)),
      connection: "close",
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`HTTP/1.1 ${found.status} ${STATUS_CODES[found.status]}\r\n${lines.join("")}\r\n${body}`);
  }
  socket.destroy();
}
