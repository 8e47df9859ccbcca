/**
 * As much of a Pulsar broker as a connector needs: producers of its WebSocket API, as documented (pulsar.apache.org,
 * "WebSocket API"). It is no proof of what Pulsar does.
 */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";

export interface PulsarMessage {
  readonly payload: string;
  readonly key?: string;
  readonly properties: Record<string, string>;
  readonly context: string;
}

export class PulsarServer {
  /** What each topic has, by the path behind /producer/. */
  readonly topics = new Map<string, PulsarMessage[]>();
  /** Paths of producers that have connected, and with which token. */
  readonly producers: string[] = [];
  readonly tokens: (string | undefined)[] = [];
  /** HTTP status in place of an upgrade. */
  status = 101;
  /** In place of keeping it; "close": with 1009, as what is too large. */
  refuse: (message: PulsarMessage) => object | "close" | undefined = () => undefined;
  /** Nothing is answered. */
  slow = false;
  /** Producers that are connected. */
  open = 0;
  port = 0;
  readonly #sockets = new Set<Duplex>();
  readonly #web = new WebSocketServer({ noServer: true });
  #server: Server | undefined = undefined;

  async start(): Promise<this> {
    const server = createServer((_, response) => response.writeHead(404).end());
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
    });
    server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
    this.port = (server.address() as { port: number }).port;
    this.#server = server;
    return this;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** As if it were killed. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const [, path] = /^\/ws\/v2\/producer\/(persistent\/[^/]+\/[^/]+\/[^/]+)$/.exec(request.url ?? "") ?? [];
    const status = path === undefined ? 404 : this.status;
    if (path === undefined || status !== 101) {
      socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
      return;
    }
    this.producers.push(path);
    this.tokens.push(request.headers.authorization);
    this.#web.handleUpgrade(request, socket, head, (web) => {
      this.open++;
      web.on("close", () => {
        this.open--;
      });
      web.on("error", () => {});
      web.on("message", (data) => {
        const message = JSON.parse(String(data)) as PulsarMessage;
        if (this.slow) return;
        const refused = this.refuse(message);
        if (refused === "close") return web.close(1009);
        if (refused !== undefined) return web.send(JSON.stringify({ context: message.context, ...refused }));
        this.topics.set(path, [...(this.topics.get(path) ?? []), message]);
        web.send(JSON.stringify({ result: "ok", messageId: "CAAQAw==", context: message.context }));
      });
    });
  }
}
