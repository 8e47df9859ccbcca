import { createServer, type Server, type Socket } from "node:net";
import type { Note } from "../contract/note.ts";
import type { Peer } from "../contract/peer.ts";
import { A_TURN, A_TURN_OF_HANDSHAKES, AcceptLine } from "./accept-line.ts";
import { ANY_ADDRESS, ANY_IPV4, lacksIpv6, plainAddress } from "./address.ts";
import { type Arrival, ArrivalHall, readProxyHeader } from "./arrival.ts";
import { type Descriptors, descriptors as ofProcess } from "./descriptors.ts";
import { Farewell, forbidden } from "./farewell.ts";
import { bindError } from "./listen-errors.ts";
import { offerSocket, socketOptions } from "./tcp.ts";
import { TlsLayer } from "./tls.ts";
import {
  type AcceptStream,
  ListenError,
  type Listening,
  type StreamConnection,
  type StreamListenerOptions,
  type StreamReceiver,
} from "./transport.ts";
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
  const line = new AcceptLine(
    { places: waiting, patience, roomIn, aTurn: handshakes ? A_TURN_OF_HANDSHAKES : A_TURN },
    (socket) => layers.accepted(socket),
    note,
  );
  // Nothing is read from a socket before somebody listens to it: a thousand that wait hold nothing.
  const server = createServer({ ...socketOptions(options), pauseOnConnect: true });
  server.on("connection", (socket) => {
    if (descriptors.admits(descriptorOf(socket))) {
      line.offer(socket);
      return;
    }
    socket.on("error", () => {}).destroy();
    note({ level: "warn", event: "file-descriptors-short", detail: { fix: descriptors.fix } });
  });
  try {
    await listenAny(server, options);
  } catch (error) {
    layers.close();
    throw bindError(error, options.bind, options.port);
  }
  server.on("error", (error) =>
    note({ level: "warn", event: "accept-failed", detail: { problem: error.message } }),
  );
  const bound = server.address() as { address: string; port: number };
  return {
    transport: options.transport,
    address: bound.address,
    port: bound.port,
    close: () => {
      line.close();
      layers.close();
      // Its callback would wait for the last connection; the port is free after one turn of the loop.
      server.close();
      return new Promise((resolve) => setImmediate(resolve));
    },
  };
}

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

  accepted(socket: Socket): void {
    this.#receive(socket);
    // Whoever takes it listens by now.
    socket.resume();
  }

  #receive(socket: Socket): void {
    const { transport, proxyProtocol } = this.#options;
    if (transport === "tcp" && !proxyProtocol) this.#offerPlain(socket);
    else {
      const arrival = this.#hall.enter(socket, transport);
      if (arrival === undefined) return;
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
        (socket) => this.#secured(arrival, socket),
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
