/** What all clients of a simulation share: the network between them and the gateway, time, luck, and the counters. */
import { seconds } from "../lib/time.ts";
import { Dialler } from "../net/dial.ts";
import type { DatagramSocket, StreamConnection, StreamReceiver } from "../net/transport.ts";
import { listenUdp } from "../net/udp.ts";
import { Counts } from "./counts.ts";
import { Luck } from "./luck.ts";
import type { ProtocolName, SimulationOptions } from "./options.ts";
import { Timers } from "./timers.ts";

/** Enough for what waits for one device. */
const DEVICE_BUFFER = 32 * 1024;
const DIAL_TIMEOUT = seconds(10);

export type FieldOptions = Omit<SimulationOptions, "scenario" | "devices">;

export class Field {
  readonly options: FieldOptions;
  readonly timers = new Timers();
  readonly counts = new Counts();
  readonly luck: Luck;
  /** Where the gateway is, by its address. */
  readonly address: string;
  /** Of what it says last, while it ends, a device waits no longer for answers. */
  ending = false;

  constructor(options: FieldOptions, address: string) {
    this.options = options;
    this.address = address;
    this.luck = new Luck(options.seed);
  }

  port(protocol: ProtocolName): number {
    const port = this.options.ports[protocol];
    if (port === undefined) throw new Error(`no port for ${protocol}`);
    return port;
  }

  dial(port: number, receiver: (connection: StreamConnection) => StreamReceiver): Promise<StreamConnection> {
    const dialler = new Dialler({
      ...{ transport: "tcp", host: this.options.host, port, timeout: DIAL_TIMEOUT },
      ...{ highWaterMark: 1024 * 1024, linger: seconds(1), noDelay: true },
    });
    return new Promise((resolve, reject) => {
      dialler.dial((connection) => {
        resolve(connection);
        return receiver(connection);
      }, reject);
    });
  }
}

/**
 * A device's way to the gateway: a socket of its own, a network that loses datagrams, and a NAT that gives it another
 * address now and then without telling it.
 */
export class Link {
  readonly #field: Field;
  readonly #port: number;
  readonly #received: (bytes: Uint8Array) => void;
  #socket: DatagramSocket | undefined = undefined;
  #closed = false;

  private constructor(field: Field, port: number, received: (bytes: Uint8Array) => void) {
    this.#field = field;
    this.#port = port;
    this.#received = received;
  }

  static async open(field: Field, port: number, received: (bytes: Uint8Array) => void): Promise<Link> {
    const link = new Link(field, port, received);
    link.#socket = await link.#bind();
    link.#age();
    return link;
  }

  send(bytes: Uint8Array): void {
    const { luck, options, counts, address } = this.#field;
    if (luck.chance(options.loss)) counts.one("lost");
    else this.#socket?.send([{ bytes: bytes.slice(), address, port: this.#port }]);
  }

  close(): void {
    this.#closed = true;
    void this.#socket?.close();
  }

  #bind(): Promise<DatagramSocket> {
    const { address, luck, options, counts } = this.#field;
    return listenUdp(
      {
        ...{ transport: "udp", bind: address.includes(":") ? "::" : "0.0.0.0", port: 0 },
        ...{ receiveBuffer: DEVICE_BUFFER, sendBuffer: DEVICE_BUFFER },
        ...{ reuseAddress: false, multicast: [], broadcast: false },
      },
      (batch) => {
        for (const { bytes } of batch) {
          if (this.#closed) return;
          if (luck.chance(options.loss)) counts.one("lost");
          else this.#received(bytes);
        }
      },
    );
  }

  /** The NAT forgets the device, which goes on behind another port. */
  #age(): void {
    const { natLife } = this.#field.options;
    if (natLife === undefined) return;
    this.#field.timers.after(this.#field.luck.until(natLife), () => void this.#move().catch(() => {}));
  }

  async #move(): Promise<void> {
    const fresh = await this.#bind();
    if (this.#closed) {
      await fresh.close();
      return;
    }
    const former = this.#socket;
    this.#socket = fresh;
    this.#field.counts.one("moved");
    this.#age();
    await former?.close();
  }
}
