import { connect, type Socket } from "node:net";
import { milliseconds } from "#core/lib/time.ts";
import type {
  DatagramListenerOptions,
  StreamConnection,
  StreamListenerOptions,
} from "#core/net/transport.ts";

export const streamOptions = (changes: Partial<StreamListenerOptions> = {}): StreamListenerOptions => ({
  transport: "tcp",
  bind: "127.0.0.1",
  port: 0,
  backlog: 128,
  highWaterMark: 65_536,
  linger: milliseconds(500),
  noDelay: true,
  proxyProtocol: false,
  handshakeTimeout: milliseconds(500),
  ...changes,
});

export const datagramOptions = (changes: Partial<DatagramListenerOptions> = {}): DatagramListenerOptions => ({
  transport: "udp",
  bind: "127.0.0.1",
  port: 0,
  receiveBuffer: 65_536,
  sendBuffer: 65_536,
  reuseAddress: false,
  multicast: [],
  broadcast: false,
  ...changes,
});

/** One side of a connection as the runtime sees it: everything that happened to it, and promises for it. */
export class Recorder {
  readonly connections: StreamConnection[] = [];
  readonly chunks: Uint8Array[] = [];
  readonly closes: (string | undefined)[] = [];
  drains = 0;
  /** Bytes of a message that was not whole, as they were told last. */
  gathered = 0;
  /** Pause reading once so many chunks have come. */
  pauseAfter = 0;
  #waiting: { until: () => boolean; done: () => void }[] = [];

  readonly accept = (connection: StreamConnection) => {
    this.connections.push(connection);
    this.#changed();
    return {
      received: (bytes: Uint8Array) => {
        if (Buffer.isBuffer(bytes)) throw new TypeError("`slice` of what is received must be a copy");
        this.chunks.push(Buffer.from(bytes));
        if (this.chunks.length === this.pauseAfter) connection.pauseReading();
        this.#changed();
      },
      drained: () => {
        this.drains++;
        this.#changed();
      },
      gathering: (bytes: number) => {
        this.gathered = bytes;
        this.#changed();
      },
      ended: () => connection.end(),
      closed: (error?: string) => {
        this.closes.push(error);
        this.#changed();
      },
    };
  };

  get connection(): StreamConnection {
    return this.connections[0] as StreamConnection;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  /** Resolves as soon as the condition holds; it is looked at after every event. */
  when(until: () => boolean): Promise<void> {
    if (until()) return Promise.resolve();
    return new Promise((done) => this.#waiting.push({ until, done }));
  }

  #changed(): void {
    this.#waiting = this.#waiting.filter(({ until, done }) => {
      if (!until()) return true;
      done();
      return false;
    });
  }
}

/** Counts what happens in each turn of the event loop, until it is stopped. */
export function countTurns(): { add(count: number): void; most(): number } {
  let [now, most] = [0, 0];
  const next = (): void => {
    now = 0;
    timer = setImmediate(next);
  };
  let timer = setImmediate(next);
  return {
    add: (count) => {
      now += count;
      most = Math.max(most, now);
    },
    most: () => {
      clearImmediate(timer);
      return most;
    },
  };
}

export const dial = (port: number, host = "127.0.0.1"): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host }, () => resolve(socket));
    socket.once("error", reject);
  });

export const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => (socket.destroyed ? resolve() : socket.once("close", () => resolve())));
