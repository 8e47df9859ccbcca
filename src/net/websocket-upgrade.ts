import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { Socket } from "node:net";
import { WebSocketServer } from "ws";
import type { Peer } from "../contract/peer.ts";
import { timerLength } from "../lib/timer-length.ts";
import type { Arrival } from "./arrival.ts";
import { SockJsServer } from "./sockjs-server.ts";
import type { SocketLimits } from "./tcp.ts";
import type { AcceptStream } from "./transport.ts";
import { offerWebSocket } from "./websocket.ts";
import {
  agreedSubprotocol,
  refuseHandshake,
  requestPath,
  type WebSocketOptions,
} from "./websocket-handshake.ts";

const HEADER_BYTES_MAX = 8192;

/** Answers HTTP upgrades, and SockJS, on sockets that others have accepted; others are told to upgrade. */
export class WebSocketUpgrade {
  readonly #options: WebSocketOptions;
  readonly #limits: SocketLimits;
  readonly #accept: AcceptStream;
  readonly #http: Server;
  readonly #sockjs: SockJsServer;
  readonly #websockets: WebSocketServer;
  readonly #arrivals = new WeakMap<Socket, Arrival>();

  constructor(options: WebSocketOptions, limits: SocketLimits, accept: AcceptStream) {
    this.#options = { ...options, origins: options.origins.map((origin) => origin.toLowerCase()) };
    this.#limits = limits;
    this.#accept = accept;
    this.#sockjs = new SockJsServer(options, limits, accept);
    this.#http = createServer({ maxHeaderSize: HEADER_BYTES_MAX }, (request, response) => {
      const arrival = this.#arrivals.get(request.socket);
      const path = requestPath(request);
      if (arrival === undefined) tellToUpgrade(response);
      else if (!this.#sockjs.serve(request, response, path, arrival)) {
        tellToUpgrade(response, () => arrival.fail("websocket-refused", "it asks for no upgrade"));
      }
    });
    this.#http.on("upgrade", (request, socket, head) => this.#upgrade(request, socket as Socket, head));
    this.#websockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.messageSizeMax,
      closeTimeout: timerLength(limits.linger),
      handleProtocols: (offered) => agreedSubprotocol(options, offered) ?? false,
    } as ConstructorParameters<typeof WebSocketServer>[0]);
  }

  /** `socket`: that of the arrival, or the TLS socket over it. */
  serve(arrival: Arrival, socket: Socket): void {
    this.#arrivals.set(socket, arrival);
    this.#http.emit("connection", socket);
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const arrival = this.#arrivals.get(socket);
    if (arrival === undefined) {
      socket.destroy();
      return;
    }
    const refusal = refuseHandshake(request, this.#options);
    if (refusal !== undefined) {
      const { status, problem } = refusal;
      const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: text/plain\r\n`;
      socket.on("error", () => {});
      socket.end(`${head}Content-Length: ${problem.length}\r\n\r\n${problem}`, () => {
        arrival.fail("websocket-refused", problem);
      });
      return;
    }
    this.#websockets.handleUpgrade(request, socket, head, (websocket) => {
      arrival.leave();
      const { transport, address, port, identity } = arrival;
      const subprotocol = websocket.protocol === "" ? undefined : websocket.protocol;
      const peer: Peer = { transport, address, port, identity, path: requestPath(request), subprotocol };
      offerWebSocket(websocket, socket, peer, this.#limits, this.#options.frames, this.#accept);
    });
  }
}

function tellToUpgrade(response: ServerResponse, told = (): void => {}): void {
  const body = "This is a WebSocket listener.\n";
  response.writeHead(426, { connection: "close", upgrade: "websocket", "content-type": "text/plain" });
  response.end(body, told);
}
