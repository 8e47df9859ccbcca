import type { Socket } from "node:net";
import type { Note } from "../contract/note.ts";
import type { Peer } from "../contract/peer.ts";
import { plainAddress } from "./address.ts";
import { type Arrival, ArrivalHall, readProxyHeader } from "./arrival.ts";
import { Farewell, forbidden } from "./farewell.ts";
import { offerSocket } from "./tcp.ts";
import { TlsLayer } from "./tls.ts";
import {
  type AcceptStream,
  ListenError,
  type StreamConnection,
  type StreamListenerOptions,
  type StreamReceiver,
} from "./transport.ts";
import { WebSocketUpgrade } from "./websocket-upgrade.ts";

/** Connections in the middle of a handshake, when the options do not say. */
const HANDSHAKES_MAX = 1000;

/** What lies between accept and the runtime: nothing on plain TCP, else PROXY header, TLS, WebSocket in turn. */
export class StreamLayers {
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
  accepted(socket: Socket, underWay: Arrival["underWay"]): void {
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
