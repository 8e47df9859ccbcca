/** A server of MQTT whose every connection is talked to in the same way. */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";

export class TalkingServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly port: number;

  private constructor(server: Server, talk: (socket: Socket) => void) {
    this.#server = server;
    this.port = (server.address() as { port: number }).port;
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {}).once("close", () => this.#sockets.delete(socket));
      talk(socket);
    });
  }

  static async start(talk: (socket: Socket) => void): Promise<TalkingServer> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new TalkingServer(server, talk);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
