/** A device's network of real sockets: one for each address that the NAT before it gives it. */
import { createSocket, type Socket } from "node:dgram";
import type { Duration } from "#core/lib/time.ts";
import { type DeviceNetwork, type DeviceOptions, DtlsDevice } from "./dtls-device.ts";

export class UdpNetwork implements DeviceNetwork {
  readonly #to: number;
  readonly #sockets = new Map<number, Socket>();

  constructor(to: number) {
    this.#to = to;
  }

  attach(_address: string, port: number, hear: (bytes: Uint8Array) => void): void {
    const socket = createSocket("udp4");
    socket.on("message", (bytes) => hear(new Uint8Array(bytes)));
    // Whatever the port is called here, the system gives a free one.
    this.#sockets.set(port, socket);
  }

  detach(_address: string, port: number): void {
    this.#sockets.get(port)?.close();
    this.#sockets.delete(port);
  }

  send(bytes: Uint8Array, _address: string, port: number): void {
    this.#sockets.get(port)?.send(bytes, this.#to, "127.0.0.1");
  }

  later(wait: Duration, run: () => void): () => void {
    const timer = setTimeout(run, wait).unref();
    return () => clearTimeout(timer);
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }
}

export async function until(what: string, condition: () => boolean, patience = 30_000): Promise<void> {
  const end = Date.now() + patience;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A device that has shaken hands over a real socket. */
export async function dial(port: number, options: DeviceOptions = {}) {
  const network = new UdpNetwork(port);
  const device = new DtlsDevice(network, options);
  device.connect();
  await until("an association", () => device.state === "open");
  let moves = 0;
  return {
    device,
    /** Sends and waits for what comes back. */
    async ask(bytes: Uint8Array): Promise<Uint8Array> {
      const before = device.received.length;
      device.sendBytes(device.record(bytes));
      await until("an answer", () => device.received.length > before);
      return device.received.at(-1)!;
    },
    /** The NAT forgets it, and gives it another port for its next datagram. */
    move(): void {
      device.move("127.0.0.1", ++moves);
    },
    close: () => network.close(),
  };
}
