import { renameSync, unlinkSync } from "node:fs";
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
      if ((await answers(path)) || !(await putAway(path))) return undefined;
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
    // Of this process alone, also where it is a worker whose ports are its supervisor's.
    server.listen({ path, exclusive: true }, () => resolve(server));
  });
}

/** Removes a lock whose process has ended. False: another process, which starts at this moment, took it meanwhile. */
async function putAway(path: string): Promise<boolean> {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    // Another process has put it away: the second attempt decides.
    return true;
  }
  if (await answers(aside)) {
    renameSync(aside, path);
    return false;
  }
  unlinkSync(aside);
  return true;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // A process that is too busy to answer lives all the same.
    socket.once("error", ({ code }: NodeJS.ErrnoException) =>
      resolve(code !== "ECONNREFUSED" && code !== "ENOENT"),
    );
  });
}
