import { unlinkSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join, relative } from "node:path";

/** Longest path of a Unix socket on all systems, in bytes. */
const SOCKET_PATH_MAX = 100;

/**
 * Holds a data folder for one process. The lock is a socket that the process listens on: the system closes it
 * when the process ends, however it ends, so no lock is ever stale for longer than a connection attempt.
 */
export class FolderLock {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Undefined when another living process holds the folder. */
  static async take(folder: string): Promise<FolderLock | undefined> {
    const path = socketPath(folder);
    for (let attempt = 0; attempt < 2; attempt++) {
      const server = await listen(path);
      if (server !== undefined) return new FolderLock(server);
      if (await answers(path)) return undefined;
      try {
        unlinkSync(path);
      } catch {
        // Another process that starts at this moment has removed it: the second attempt decides.
      }
    }
    return undefined;
  }

  release(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

function socketPath(folder: string): string {
  if (process.platform === "win32") return `\\\\.\\pipe\\isthmus-${folder.replaceAll(/[^\w]/g, "-")}`;
  const absolute = join(folder, "lock");
  const short = relative(process.cwd(), absolute);
  return absolute.length > SOCKET_PATH_MAX && short.length < absolute.length ? short : absolute;
}

function listen(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen(path, () => resolve(server));
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
