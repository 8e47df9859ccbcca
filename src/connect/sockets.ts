import type { Framing } from "../lib/frames.ts";
import type { RawSocket } from "../net/transport.ts";
import type { ConnectHost } from "./connector.ts";
import { guarded } from "./guarded.ts";
import { within } from "./within.ts";

/** How long a server is waited for when we say goodbye, in milliseconds. */
const GOODBYE = 1_000;

/** Sockets of a library that takes them from us: guarded, and ended with their connector whatever their server does. */
export class Sockets {
  readonly #host: Pick<ConnectHost, "socket">;
  readonly #framing: Framing;
  readonly #open = new Set<RawSocket>();

  /** `framing`: how the protocol divides what comes. */
  constructor(host: Pick<ConnectHost, "socket">, framing: Framing) {
    this.#host = host;
    this.#framing = framing;
  }

  make(): RawSocket {
    return this.adopt(this.#host.socket());
  }

  adopt<Adopted extends RawSocket>(socket: Adopted): Adopted {
    guarded(socket, this.#framing);
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    return socket;
  }

  /** When they are closed in order, or that takes too long. */
  async endedBy(closing: Promise<unknown> | undefined): Promise<void> {
    if (closing !== undefined) await within(AbortSignal.timeout(GOODBYE), closing).catch(() => {});
    for (const socket of this.#open) socket.destroy();
  }
}
