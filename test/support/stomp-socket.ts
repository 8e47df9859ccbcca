/** A raw STOMP client on a real TCP, TLS or WebSocket connection: octets out, frames in. */
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { FrameReader, frame, type ServerFrame } from "./stomp-frames.ts";

const TIMEOUT = 30_000;

export class StompSocket {
  readonly socket: Socket;
  readonly reader = new FrameReader();
  /** The other side has ended the connection, and how. */
  ended: "end" | "reset" | undefined = undefined;
  readonly #frames: ServerFrame[] = [];
  #changed: (() => void) | undefined = undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes) => {
      this.#frames.push(...this.reader.push(bytes));
      this.#changed?.();
    });
    socket.on("error", () => this.#end("reset"));
    socket.on("end", () => this.#end("end"));
    socket.on("close", () => this.#end("reset"));
  }

  static async open(port: number, secure = false): Promise<StompSocket> {
    const socket = secure
      ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false })
      : connectTcp(port, "127.0.0.1");
    await once(socket, secure ? "secureConnect" : "connect");
    return new StompSocket(socket);
  }

  static async connected(port: number, headers: Record<string, string> = {}): Promise<StompSocket> {
    const client = await StompSocket.open(port);
    client.say("CONNECT", { "accept-version": "1.2", host: "isthmus", ...headers });
    const answer = await client.next();
    if (answer.command !== "CONNECTED") throw new Error(`not connected: ${JSON.stringify(answer)}`);
    return client;
  }

  say(command: string, headers: Record<string, string> = {}, body: string | Uint8Array = ""): void {
    this.raw(frame(command, headers, body));
  }

  raw(bytes: string | Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The next frame; fails when none comes. */
  async next(): Promise<ServerFrame> {
    await this.#until(() => this.#frames.length > 0, "no frame from the gateway");
    return this.#frames.shift() as ServerFrame;
  }

  async take(count: number): Promise<ServerFrame[]> {
    await this.#until(() => this.#frames.length >= count, `fewer than ${count} frames`);
    return this.#frames.splice(0, count);
  }

  /** Waits until the gateway ends the connection. */
  async end(): Promise<"end" | "reset"> {
    await this.#until(() => this.ended !== undefined, "the gateway does not close");
    return this.ended ?? "reset";
  }

  async #until(done: () => boolean, problem: string): Promise<void> {
    const deadline = Date.now() + TIMEOUT;
    while (!done()) {
      if (this.ended !== undefined) throw new Error(`${problem}: the connection is over (${this.ended})`);
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(problem);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #end(how: "end" | "reset"): void {
    this.ended ??= how;
    this.#changed?.();
  }
}
