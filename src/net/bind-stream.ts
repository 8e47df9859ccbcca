import { createServer, isIP, type Server, Socket } from "node:net";
import type { Note } from "../contract/note.ts";
import type { Peer } from "../contract/peer.ts";
import { bindAny, plainAddress } from "./address.ts";
import type { EpollConnection } from "./epoll/connection.ts";
import { highWaterMarkOf, socketOptions } from "./tcp.ts";
import type { StreamListenerOptions } from "./transport.ts";

/** A socket that listens. */
export interface Bound {
  readonly epoll: boolean;
  readonly address: string;
  readonly port: number;
  close(): void;
}

export interface Newcomers {
  /** Whether there is a file descriptor for it; one that is not admitted is closed. */
  admits(descriptor: number): boolean;
  offer(socket: Socket | EpollConnection): void;
  note(note: Note): void;
}

/** What is told of a socket while it waits and nobody has it: whoever takes it sees by itself that it is broken. */
export function ignoreError(): void {}

/** Throws what the system says. */
export const bindStream = async (options: StreamListenerOptions, newcomers: Newcomers): Promise<Bound> =>
  (await listenEpoll(options, newcomers)) ?? (await listenByNode(options, newcomers));

async function listenByNode(options: StreamListenerOptions, newcomers: Newcomers): Promise<Bound> {
  // Nothing is read from a socket before somebody listens to it: a thousand that wait hold nothing.
  const server = createServer({ ...socketOptions(options), pauseOnConnect: true });
  server.on("connection", (socket) => {
    socket.on("error", ignoreError);
    if (newcomers.admits(descriptorOf(socket))) newcomers.offer(socket);
    else socket.destroy();
  });
  await bindAny(options.bind, (address) => listen(server, options, address));
  server.on("error", (error) =>
    newcomers.note({ level: "warn", event: "accept-failed", detail: { problem: error.message } }),
  );
  const { address, port } = server.address() as { address: string; port: number };
  // The callback of close would wait for the last connection.
  return { epoll: false, address, port, close: () => server.close() };
}

/** Undefined where it is not to be had, or not wanted. */
async function listenEpoll(options: StreamListenerOptions, newcomers: Newcomers): Promise<Bound | undefined> {
  if (options.epoll === false || isIP(plainAddress(options.bind)) === 0) return undefined;
  const { epollSet } = await import("./epoll/self-test.ts");
  const set = epollSet();
  if (set instanceof Error) {
    newcomers.note({ level: "debug", event: "tcp-without-epoll", detail: { why: set.message } });
    return undefined;
  }
  const { EpollListener } = await import("./epoll/listener.ts");
  const { EpollConnection } = await import("./epoll/connection.ts");
  const plain = options.transport === "tcp" && !options.proxyProtocol;
  const listener = await bindAny(options.bind, (address) =>
    EpollListener.open(set, address, options, {
      note: newcomers.note,
      accepted: (descriptor, { address, port }) => {
        if (!newcomers.admits(descriptor)) set.calls.close(descriptor);
        else if (plain) {
          const peer: Peer = { transport: "tcp", address, port };
          newcomers.offer(new EpollConnection(set, descriptor, peer, options));
        } else {
          const socket = nodeSocket(descriptor, options);
          if (socket instanceof Socket) newcomers.offer(socket);
          else {
            set.calls.close(descriptor);
            newcomers.note({ level: "warn", event: "accept-failed", detail: { problem: socket.message } });
          }
        }
      },
    }),
  );
  const { address, port } = listener;
  return { epoll: true, address, port, close: () => listener.close() };
}

/** For those who need a socket of Node: TLS and HTTP. Nothing is read from it before somebody wants it. */
function nodeSocket(fd: number, { highWaterMark }: StreamListenerOptions): Socket | Error {
  const stream = { highWaterMark: highWaterMarkOf(highWaterMark), manualStart: true };
  try {
    return new Socket({ fd, ...stream }).pause().on("error", ignoreError);
  } catch (error) {
    return error as Error;
  }
}

/** Node names it in no other place; where there is none, as on Windows, it limits nothing. */
const descriptorOf = (socket: Socket): number =>
  (socket as { _handle?: { fd?: number } | null })._handle?.fd ?? -1;

function listen(server: Server, options: StreamListenerOptions, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: options.port, host, backlog: options.backlog }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
