import { FrameWatch, type Framing } from "./frames.ts";

/** A server has answered what nobody can read, or without an end. */
export class UnreadableAnswer extends Error {
  override readonly name = "UnreadableAnswer";
}

/** What of a socket is needed here. */
export interface Breakable {
  readonly bytesWritten?: number;
  readonly readableLength?: number;
  emit(event: string | symbol, ...rest: unknown[]): boolean;
  destroy(error?: Error): unknown;
}

/** Also at its end some look for what is left. */
const READING: ReadonlySet<string | symbol> = new Set(["data", "readable", "close"]);

/** What a server may answer before it is asked for more, in octets: more than any does that takes messages. */
export const ANSWER_MAX = 64 * 1024 * 1024;

/**
 * Libraries that read from a socket may throw there on what nobody can read, or keep whatever comes until their time-out.
 * Then the socket breaks with an error, which they know how to take, instead of the process. `framing` is how the
 * protocol divides what comes, for libraries that trust that.
 */
export function guarded<Socket extends Breakable>(socket: Socket, framing?: Framing): Socket {
  const emit = socket.emit.bind(socket);
  const problem = problemWith(socket, framing && new FrameWatch(framing));
  let broken = false;
  const end = (error: Error): boolean => {
    broken = true;
    socket.destroy(error);
    return true;
  };
  socket.emit = (event, ...rest) => {
    if (!READING.has(event)) return emit(event, ...rest);
    if (broken && event !== "close") return true;
    try {
      const says = event === "close" ? undefined : problem(rest[0]);
      return says === undefined ? emit(event, ...rest) : end(new UnreadableAnswer(says));
    } catch (error) {
      const { message } = error as Error;
      return end(new UnreadableAnswer(`what it answers cannot be read: ${message}`));
    }
  };
  return socket;
}

/** Of each chunk that comes, or of what has come and waits to be read. */
function problemWith(socket: Breakable, frames: FrameWatch | undefined) {
  let asked: number | undefined;
  let answered = 0;
  return (chunk: unknown): string | undefined => {
    if (socket.bytesWritten !== asked) answered = 0;
    asked = socket.bytesWritten;
    if (chunk instanceof Uint8Array) answered += chunk.length;
    if (Math.max(answered, socket.readableLength ?? 0) > ANSWER_MAX) return "it answers without an end";
    if (frames !== undefined && chunk instanceof Buffer && !frames.passes(chunk))
      return "what it answers is not in its protocol";
    return undefined;
  };
}
