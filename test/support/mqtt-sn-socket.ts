/** A raw MQTT-SN client on a real UDP socket, with `dgram-as-promised`: octets out, octets in. */
import { DgramAsPromised, type SocketAsPromised } from "dgram-as-promised";

const TIMEOUT = 30_000;

export class SnSocket {
  readonly #socket: SocketAsPromised;
  readonly #gateway: number;
  readonly #inbox: string[] = [];
  #arrived: (() => void) | undefined;

  private constructor(socket: SocketAsPromised, gateway: number) {
    this.#socket = socket;
    this.#gateway = gateway;
    socket.socket.on("message", (bytes: Buffer) => {
      this.#inbox.push(bytes.toString("hex"));
      this.#arrived?.();
    });
  }

  /** A socket on a port of its own. */
  static async open(gateway: number, address = "127.0.0.1"): Promise<SnSocket> {
    const socket = DgramAsPromised.createSocket("udp4");
    await socket.bind(0, address);
    return new SnSocket(socket, gateway);
  }

  async send(hex: string): Promise<void> {
    await this.#socket.send(Buffer.from(hex.replaceAll(" ", ""), "hex"), this.#gateway, "127.0.0.1");
  }

  /** The next datagram in hexadecimal; fails when none comes. */
  async next(): Promise<string> {
    const deadline = Date.now() + TIMEOUT;
    while (this.#inbox.length === 0) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error("no answer from the gateway");
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#arrived = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#inbox.shift() as string;
  }

  async ask(hex: string): Promise<string> {
    await this.send(hex);
    return this.next();
  }

  /** What has come and was not read. */
  get unread(): number {
    return this.#inbox.length;
  }

  async close(): Promise<void> {
    await this.#socket.close();
  }
}

/** Hexadecimal of text, and of a message with its length in front. */
export const hexOf = (text: string): string => Buffer.from(text).toString("hex");
export const message = (body: string): string => {
  const octets = body.replaceAll(" ", "");
  return `${(octets.length / 2 + 1).toString(16).padStart(2, "0")}${octets}`;
};
