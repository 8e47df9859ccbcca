import { Socket } from "node:net";
import type { Note } from "../contract/note.ts";
import {
  A_TURN,
  A_TURN_OF_HANDSHAKES,
  AcceptLine,
  HANDSHAKES_UNDER_WAY,
  UNDER_WAY_MS,
} from "./accept-line.ts";
import { type Bound, bindStream, ignoreError } from "./bind-stream.ts";
import { type Descriptors, descriptors as ofProcess } from "./descriptors.ts";
import type { EpollConnection } from "./epoll/connection.ts";
import { bindError } from "./listen-errors.ts";
import { StreamLayers } from "./stream-layers.ts";
import type { AcceptStream, Listening, StreamListenerOptions } from "./transport.ts";

/** Connections that may wait for their turn, when the options do not say. */
const WAITING_MAX = 16_384;

/** Opens a listener for connections; `::` serves both IPv6 and IPv4. Throws `ListenError`. */
export async function listenStream(
  options: StreamListenerOptions,
  accept: AcceptStream,
  note: (note: Note) => void = () => {},
  descriptors: Descriptors = ofProcess,
): Promise<Listening> {
  const layers = new StreamLayers(options, accept, note);
  const { waiting = WAITING_MAX, handshakeTimeout: patience, roomIn } = options;
  const handshakes = options.transport === "tls" || options.transport === "wss";
  const line = new AcceptLine<Socket | EpollConnection>(
    handshakes
      ? { places: waiting, patience, roomIn, aTurn: A_TURN_OF_HANDSHAKES, parallel: HANDSHAKES_UNDER_WAY }
      : { places: waiting, patience, roomIn, aTurn: A_TURN },
    (socket) => {
      if (!(socket instanceof Socket)) {
        socket.offer(accept);
        return;
      }
      socket.off("error", ignoreError);
      layers.accepted(socket, handshakes ? new UnderWay(socket, line) : undefined);
      // Whoever takes it listens by now.
      socket.resume();
    },
    note,
  );
  const admits = (descriptor: number): boolean => {
    if (descriptors.admits(descriptor)) return true;
    note({ level: "warn", event: "file-descriptors-short", detail: { fix: descriptors.fix } });
    return false;
  };
  let bound: Bound;
  try {
    bound = await bindStream(options, { admits, offer: (socket) => line.offer(socket), note });
  } catch (error) {
    layers.close();
    throw bindError(error, options.bind, options.port);
  }
  const { epoll, address, port } = bound;
  return {
    transport: options.transport,
    epoll,
    address,
    port,
    close: () => {
      line.close();
      layers.close();
      // The port is free after one turn of the loop.
      bound.close();
      return new Promise((resolve) => setImmediate(resolve));
    },
  };
}

/** A place among the handshakes that are worked on, until it is over, or its client lets us wait. */
class UnderWay {
  readonly #line: Pick<AcceptLine<never>, "done">;
  readonly #timer: NodeJS.Timeout;
  #isOver = false;

  constructor(socket: Socket, line: Pick<AcceptLine<never>, "done">) {
    this.#line = line;
    this.#timer = setTimeout(() => this.over(), UNDER_WAY_MS).unref();
    socket.once("close", () => this.over());
  }

  over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#line.done();
  }
}
