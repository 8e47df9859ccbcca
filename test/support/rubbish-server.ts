/** A server that lets everybody connect, and answers what nobody can read. */
import { createServer, type Socket } from "node:net";
import type { Manners } from "./greetings.ts";
import { mulberry32 } from "./random.ts";

/** What it answers with, once it has greeted where it shall; an endless answer is noise that begins as a proper one. */
export const RUBBISH = ["silence", "close", "noise", "zeros", "endless", "endless-zeros"] as const;
export type Rubbish = (typeof RUBBISH)[number];

const CHUNK = 64 * 1024;
const SHORT = 4_096;
const NOTHING = Buffer.alloc(0);

export class RubbishServer {
  readonly sockets = new Set<Socket>();
  /** Connections that came. */
  came = 0;
  /** Octets that one of them took, at most: what lies in the system's buffers counts. */
  most = 0;
  port = 0;
  readonly #kind: Rubbish;
  readonly #manners: Manners | undefined;
  readonly #noise: Buffer;
  readonly #server = createServer((socket) => this.#serve(socket));

  constructor(kind: Rubbish, manners: Manners | undefined, seed: number) {
    this.#kind = kind;
    this.#manners = manners;
    const random = mulberry32(seed);
    this.#noise = Buffer.from(Array.from({ length: CHUNK }, () => Math.floor(random() * 256)));
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(this.port, "127.0.0.1", resolve));
    this.port = (this.#server.address() as { port: number }).port;
    return this;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  #serve(socket: Socket): void {
    this.came++;
    this.sockets.add(socket);
    socket.on("error", () => {}).on("close", () => this.sockets.delete(socket));
    if (this.#manners === undefined) {
      socket.resume();
      this.#answer(socket);
      return;
    }
    let turn = 0;
    const next = (heard: Buffer | undefined): void => {
      const said = this.#manners!.greet(heard, turn++);
      if (said !== undefined) {
        if (said.length > 0) socket.write(said);
        return;
      }
      socket.off("data", next).resume();
      this.#answer(socket);
    };
    socket.on("data", next);
    next(undefined);
  }

  #answer(socket: Socket): void {
    const kind = this.#kind;
    if (kind === "silence") return;
    if (kind === "close") socket.destroy();
    else {
      const { before = NOTHING, endless = NOTHING } = this.#manners ?? {};
      socket.write(kind === "endless" ? endless : before);
      const octets = kind.endsWith("zeros") ? Buffer.alloc(CHUNK) : this.#noise;
      if (kind.startsWith("endless")) this.#endless(socket, octets);
      else socket.write(octets.subarray(0, SHORT));
    }
  }

  #endless(socket: Socket, octets: Buffer): void {
    let given = 0;
    const more = (): void => {
      if (socket.destroyed) return;
      socket.write(octets, () => {
        given += octets.length;
        this.most = Math.max(this.most, given);
        // A turn for others: all of them are in one process.
        setImmediate(more);
      });
    };
    more();
  }
}
