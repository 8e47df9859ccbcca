import { createServer, isIP, type Server, Socket } from "node:net";
import type { Note } from "../contract/note.ts";
import type { Peer } from "../contract/peer.ts";
import {
  A_TURN,
  A_TURN_OF_HANDSHAKES,
  AcceptLine,
  HANDSHAKES_UNDER_WAY,
  UNDER_WAY_MS,
} from "./accept-line.ts";
import { ANY_ADDRESS, ANY_IPV4, lacksIpv6, plainAddress } from "./address.ts";
import { type Arrival, ArrivalHall, readProxyHeader } from "./arrival.ts";
import { type Descriptors, descriptors as ofProcess } from "./descriptors.ts";
import type { EpollConnection } from "./epoll/connection.ts";
import { Farewell, forbidden } from "./farewell.ts";
import { bindError } from "./listen-errors.ts";
import { highWaterMarkOf, offerSocket, socketOptions } from "./tcp.ts";
import { TlsLayer } from "./tls.ts";
import {
  type AcceptStream,
  ListenError,
  type Listening,
  type StreamConnection,
  type StreamListenerOptions,
  type StreamReceiver,
} from "./transport.ts";
import { bindAny } from "./udp.ts";
import { WebSocketUpgrade } from "./websocket-upgrade.ts";

/** Connections that may wait for their turn, when the options do not say. */
const WAITING_MAX = 16_384;
/** Connections in the middle of a handshake, when the options do not say. */
const HANDSHAKES_MAX = 1000;

/** Opens a listener for connections; `::` serves both IPv6 and IPv4. Throws `ListenError`. */
export async function listenStream(
  options: StreamListenerOptions,
  accept: AcceptStream,
  note: (note: Note) => void = () => {},
  descriptors: Descriptors = ofProcess,
): Promise<Listening> {
  const layers = new Layers(options, accept, note);
  const { waiting = WAITING_MAX, handshakeTimeout: patience, roomIn } = options;
  const handshakes = options.transport === "tls" || options.transport === "wss";
  const line = new AcceptLine<Socket | EpollConnection>(
    handshakes
      ? { places: waiting, patience, roomIn, aTurn: A_TURN_OF_HANDSHAKES, parallel: HANDSHAKES_UNDER_WAY }
      : { places: waiting, patience, roomIn, aTurn: A_TURN },
    (socket) => layers.accepted(socket, handshakes ? new UnderWay(socket as Socket, line) : undefined),
    note,
  );
  const admits = (descriptor: number): boolean => {
    if (descriptors.admits(descriptor)) return true;
    note({ level: "warn", event: "file-descriptors-short", detail: { fix: descriptors.fix } });
    return false;
  };
  const newcomers: Newcomers = { admits, offer: (socket) => line.offer(socket), note };
  let byEpoll: Bound | undefined;
  let bound: Bound;
  try {
    byEpoll = await listenEpoll(options, newcomers);
    bound = byEpoll ?? (await listenByNode(options, newcomers));
  } catch (error) {
    layers.close();
    throw bindError(error, options.bind, options.port);
  }
  return {
    transport: options.transport,
    epoll: byEpoll !== undefined,
    address: bound.address,
    port: bound.port,
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

interface Bound {
  readonly address: string;
  readonly port: number;
  close(): void;
}

interface Newcomers {
  /** Whether there is a file descriptor for it; one that is not admitted is closed. */
  admits(descriptor: number): boolean;
  offer(socket: Socket | EpollConnection): void;
  note(note: Note): void;
}

async function listenByNode(options: StreamListenerOptions, newcomers: Newcomers): Promise<Bound> {
  // Nothing is read from a socket before somebody listens to it: a thousand that wait hold nothing.
  const server = createServer({ ...socketOptions(options), pauseOnConnect: true });
  server.on("connection", (socket) => {
    socket.on("error", ignore);
    if (newcomers.admits(descriptorOf(socket))) newcomers.offer(socket);
    else socket.destroy();
  });
  await listenAny(server, options);
  server.on("error", (error) =>
    newcomers.note({ level: "warn", event: "accept-failed", detail: { problem: error.message } }),
  );
  const { address, port } = server.address() as { address: string; port: number };
  // The callback of close would wait for the last connection.
  return { address, port, close: () => server.close() };
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
  return bindAny(options.bind, (address) =>
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
}

/** For those who need a socket of Node: TLS and HTTP. Nothing is read from it before somebody wants it. */
function nodeSocket(fd: number, { highWaterMark }: StreamListenerOptions): Socket | Error {
  const stream = { highWaterMark: highWaterMarkOf(highWaterMark), manualStart: true };
  try {
    return new Socket({ fd, ...stream }).pause().on("error", ignore);
  } catch (error) {
    return error as Error;
  }
}

function ignore(): void {}

/** What lies between accept and the runtime: nothing on plain TCP, else PROXY header, TLS, WebSocket in turn. */
class Layers {
  readonly #options: StreamListenerOptions;
  readonly #accept: AcceptStream;
  readonly #hall: ArrivalHall;
  readonly #tls: TlsLayer | undefined;
  readonly #upgrade: WebSocketUpgrade | undefined;

  constructor(options: StreamListenerOptions, accept: AcceptStream, note: (note: Note) => void) {
    const { transport, tls, websocket } = options;
    this.#options = options;
    this.#accept = accept;
    this.#hall = new ArrivalHall(options.handshakes ?? HANDSHAKES_MAX, options.handshakeTimeout, note);
    if (transport === "ws" || transport === "wss") {
      if (websocket === undefined)
        throw new ListenError("listen-failed", `${transport} without WebSocket options`);
      this.#upgrade = new WebSocketUpgrade(websocket, options, accept);
    }
    if (transport === "tls" || transport === "wss") {
      if (tls === undefined) {
        throw new ListenError(
          "certificate-missing",
          `${transport} needs a certificate: set tls.cert and tls.key`,
        );
      }
      this.#tls = new TlsLayer(tls, note);
    }
  }

  /** `underWay`: a handshake, which is to be told when it is over. */
  accepted(socket: Socket | EpollConnection, underWay?: UnderWay): void {
    if (!(socket instanceof Socket)) {
      socket.offer(this.#accept);
      return;
    }
    socket.off("error", ignore);
    this.#receive(socket, underWay);
    // Whoever takes it listens by now.
    socket.resume();
  }

  #receive(socket: Socket, underWay: UnderWay | undefined): void {
    const { transport, proxyProtocol } = this.#options;
    if (transport === "tcp" && !proxyProtocol) this.#offerPlain(socket);
    else {
      const arrival = this.#hall.enter(socket, transport);
      if (arrival === undefined) return;
      arrival.underWay = underWay;
      if (proxyProtocol) readProxyHeader(arrival, this.#introduced);
      else this.#introduced(arrival);
    }
  }

  close(): void {
    this.#tls?.close();
    this.#hall.clear();
  }

  #offerPlain(socket: Socket): void {
    // Undefined when the peer is already gone.
    const address = socket.remoteAddress;
    if (address === undefined) {
      socket.destroy();
      return;
    }
    const peer: Peer = { transport: "tcp", address: plainAddress(address), port: socket.remotePort ?? 0 };
    offerSocket(socket, peer, this.#options, this.#accept);
  }

  /** The client's address is known. */
  readonly #introduced = (arrival: Arrival): void => {
    if (this.#tls === undefined) this.#secured(arrival, arrival.socket);
    else
      this.#tls.secure(
        arrival,
        (socket) => {
          arrival.underWay?.over();
          this.#secured(arrival, socket);
        },
        (socket, problem) => this.#refused(arrival, socket, problem),
      );
  };

  /** It hears why in its protocol, while its place among the arrivals, and the time for them, bound what that costs. */
  #refused(arrival: Arrival, socket: Socket, problem: string): void {
    const { transport, address, port } = arrival;
    const peer: Peer = { transport, address, port };
    const why = `the client certificate is refused: ${problem}`;
    const { words, refused } = this.#options.turnAway ?? {};
    arrival.note("tls-handshake-failed", problem);
    refused?.(peer, why);
    const speaks = this.#upgrade === undefined ? words : forbidden;
    if (speaks === undefined) {
      arrival.leave();
      socket.destroy();
      return;
    }
    const farewell = (connection: StreamConnection): StreamReceiver =>
      new Farewell(
        connection,
        (first) => speaks(first, why),
        () => arrival.leave(),
      );
    offerSocket(socket, peer, this.#options, farewell);
  }

  #secured(arrival: Arrival, socket: Socket): void {
    if (this.#upgrade !== undefined) {
      this.#upgrade.serve(arrival, socket);
      return;
    }
    arrival.leave();
    const { transport, address, port, identity } = arrival;
    offerSocket(socket, { transport, address, port, identity }, this.#options, this.#accept);
  }
}

/** Node names it in no other place; where there is none, as on Windows, it limits nothing. */
const descriptorOf = (socket: Socket): number =>
  (socket as { _handle?: { fd?: number } | null })._handle?.fd ?? -1;

async function listenAny(server: Server, options: StreamListenerOptions): Promise<void> {
  try {
    await listen(server, options, options.bind);
  } catch (error) {
    if (options.bind === ANY_ADDRESS && lacksIpv6(error)) return listen(server, options, ANY_IPV4);
    throw error;
  }
}

function listen(server: Server, options: StreamListenerOptions, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: options.port, host, backlog: options.backlog }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
