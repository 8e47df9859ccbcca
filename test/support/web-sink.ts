/** An HTTP service of a test: it keeps what it was sent, and answers as it is told. */
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface WebRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export class WebSink {
  readonly requests: WebRequest[] = [];
  /** How requests are answered from now on; those for the health of the service are not asked about. */
  answer: (request: WebRequest, response: ServerResponse) => void = (_, response) => response.end();
  #server: Server | undefined = undefined;
  port = 0;

  async start(): Promise<this> {
    const server = createServer((incoming, response) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk) => chunks.push(chunk));
      incoming.on("end", () => {
        if (incoming.method === "HEAD") {
          response.end();
          return;
        }
        const request = {
          method: incoming.method ?? "",
          path: incoming.url ?? "",
          headers: incoming.headers,
          body: Buffer.concat(chunks).toString(),
        };
        this.requests.push(request);
        this.answer(request, response);
      });
    });
    await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get bodies(): string[] {
    return this.requests.map(({ body }) => body);
  }

  /** As if it were killed: connections break. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }
}
