/** Passes connections on to a server at this machine, and can be away, slow, or end TLS in front of it. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createSecureServer, type TlsOptions } from "node:tls";

export class TcpRelay {
  port = 0;
  readonly #to: number;
  readonly #secured: TlsOptions | undefined;
  readonly #sockets = new Set<Socket>();
  /** From the server: what it answers comes over them. */
  readonly #answering = new Set<Socket>();
  #held = false;
  #server: Server | undefined = undefined;

  /** `secured`: what comes is TLS, and goes on without it. */
  constructor(to: number, secured?: TlsOptions) {
    this.#to = to;
    this.#secured = secured;
  }

  async start(): Promise<this> {
    const join = (near: Socket): void => this.#join(near);
    const server = this.#secured === undefined ? createServer(join) : createSecureServer(this.#secured, join);
    await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
    this.port = (server.address() as { port: number }).port;
    this.#server = server;
    return this;
  }

  #join(near: Socket): void {
    const far = connect(this.#to, "127.0.0.1");
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    near.pipe(far);
    this.#answering.add(far);
    far.once("close", () => this.#answering.delete(far));
    if (!this.#held) far.pipe(near);
  }

  /** No answer comes through. */
  hold(): void {
    this.#held = true;
    for (const far of this.#answering) far.unpipe().pause();
  }

  /** Answers come again; those to connections that waited for them are cut. */
  release(): void {
    this.#held = false;
    for (const far of this.#answering) far.destroy();
  }

  /** Cuts all connections, and takes no more. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
