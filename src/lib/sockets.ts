import type { Framing } from "./frames.ts";
import { type Breakable, guarded } from "./guarded.ts";

/** How long a server is waited for when we say goodbye, in milliseconds. */
const GOODBYE = 1_000;

/** What of a socket is needed here. */
interface Endable extends Breakable {
  once(event: "close", heard: () => void): unknown;
}

/** Sockets of a library that takes them from us: guarded, and ended with whose they are whatever their server does. */
export class Sockets<Socket extends Endable> {
  readonly #open: () => Socket;
  readonly #framing: Framing;
  readonly #sockets = new Set<Endable>();

  /** `framing`: how the protocol divides what comes. */
  constructor(open: () => Socket, framing: Framing) {
    this.#open = open;
    this.#framing = framing;
  }

  make(): Socket {
    return this.adopt(this.#open());
  }

  adopt<Adopted extends Endable>(socket: Adopted): Adopted {
    guarded(socket, this.#framing);
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    return socket;
  }

  /** When they are closed in order, or that takes too long. */
  async endedBy(closing: Promise<unknown> | undefined): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, GOODBYE);
    });
    await Promise.race([closing?.catch(() => {}), tooLate]);
    clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroy();
  }
}
