/** The driver of Cassandra, loaded when it is used, its sockets in our hands. */
import type { Framing } from "../lib/frames.ts";
import { ANSWER_MAX, UnreadableAnswer } from "../lib/guarded.ts";
import type { RawSocket } from "../net/transport.ts";

export type CassandraLibrary = typeof import("cassandra-driver");

/** Native protocol v3 to v5 §2: version with the bit of answers, flags, stream, opcode, and the body's length. */
export const CQL_FRAMES: Framing = {
  head: 9,
  lengthOf(head) {
    const [version, length] = [head[0]! & 0x7f, head.readInt32BE(5)];
    const fits = head[0]! >= 0x80 && version >= 3 && version <= 6 && length >= 0 && length <= ANSWER_MAX;
    return fits ? 9 + length : undefined;
  },
};

/** What of the driver reads from a server. */
interface Connection {
  readonly netClient: RawSocket;
  readonly protocol: NodeJS.EventEmitter;
  readonly parser: NodeJS.EventEmitter;
  readonly options: { readonly adopt?: (socket: RawSocket) => RawSocket };
  open(callback: unknown): void;
  bindSocketListeners(): void;
}

/** Those that are called with what has been read. */
const HEARING = ["handleResult", "handleRow", "freeStreamId", "handleNodeEvent"] as const;
type Hearing = Record<(typeof HEARING)[number], (...heard: unknown[]) => unknown>;

let loading: Promise<CassandraLibrary> | undefined;

/**
 * An answer whose body is none reaches its asker as the error of reading it (TypeError, RangeError), which looks as if
 * the values that were asked with were no good: the connection ends by it, too.
 *
 * Version 4.10 lets streams fail that nobody listens to where it cannot read an answer, which would end the process.
 * Here the connection ends by it, which the driver knows how to take. Each socket is shown to `adopt` of the options.
 */
export function loadCassandra(): Promise<CassandraLibrary> {
  loading ??= load();
  return loading;
}

async function load(): Promise<CassandraLibrary> {
  const { default: library } = (await import("cassandra-driver")) as unknown as { default: CassandraLibrary };
  // What it does not export has no types either.
  const path: string = "cassandra-driver/lib/connection.js";
  const { default: Inner } = (await import(path)) as {
    default: { readonly prototype: Connection & Hearing };
  };
  const { prototype } = Inner;
  const { open, bindSocketListeners } = prototype;
  prototype.open = function (callback) {
    open.call(this, callback);
    // It listens for one error while it connects; a socket may have another.
    this.netClient.on("error", () => {});
    this.options.adopt?.(this.netClient);
  };
  prototype.bindSocketListeners = function () {
    bindSocketListeners.call(this);
    for (const stream of [this.protocol, this.parser]) stream.on("error", (error) => end(this, error));
  };
  const { handleResult } = prototype;
  prototype.handleResult = function (this: Connection, ...heard) {
    const fault = unreadable(heard[1], heard[2], library);
    return fault === undefined ? handleResult.apply(this, heard) : end(this, fault);
  };
  for (const name of HEARING) {
    const usual = prototype[name];
    prototype[name] = function (this: Connection, ...heard) {
      try {
        return usual.apply(this, heard);
      } catch (error) {
        end(this, error as Error);
        return undefined;
      }
    };
  }
  return library;
}

/** Why its answer is none: what a node refuses is a `ResponseError`, anything else comes of reading. */
function unreadable(fault: unknown, result: unknown, { errors }: CassandraLibrary): Error | undefined {
  if (fault instanceof Error) return fault instanceof errors.ResponseError ? undefined : fault;
  // For a result of a kind that it does not know it throws nothing at all, and takes that for a fault.
  const isNone = typeof result === "object" && result !== null && "error" in result;
  return isNone ? new Error("a result of no kind") : undefined;
}

function end({ netClient }: Connection, { message }: Error): void {
  netClient.destroy(new UnreadableAnswer(`what it answers cannot be read: ${message}`));
}
