/** Scripted LwM2M devices on a real UDP socket each, for gateways that run on the real clock. */
import { once } from "node:events";
import { DgramAsPromised, type SocketAsPromised } from "dgram-as-promised";
import { textsOf } from "./coap-bytes.ts";
import { Lwm2mDevice } from "./lwm2m-device.ts";
import { until } from "./store-process.ts";
import { type DatagramNetwork, VirtualDevice } from "./world.ts";

const LOCATION_PATH = 8;

/** What a device needs of the virtual network, over a socket. */
class SocketNetwork {
  readonly #socket: SocketAsPromised;
  readonly #gateway: number;
  #receive: (bytes: Uint8Array) => void = () => {};

  constructor(socket: SocketAsPromised, gateway: number) {
    this.#socket = socket;
    this.#gateway = gateway;
    socket.socket.on("message", (bytes: Buffer) => this.#receive(bytes));
  }

  deliver(bytes: Uint8Array): void {
    this.#socket.socket.send(bytes, this.#gateway, "127.0.0.1");
  }

  attach(_address: string, _port: number, receive: (bytes: Uint8Array) => void): void {
    this.#receive = receive;
  }

  detach(): void {
    this.#receive = () => {};
  }

  device(port: number, address: string): VirtualDevice {
    return new VirtualDevice(this as unknown as DatagramNetwork, address, port);
  }
}

export class SocketDevice {
  readonly device: Lwm2mDevice;
  readonly #socket: SocketAsPromised;

  private constructor(device: Lwm2mDevice, socket: SocketAsPromised) {
    this.device = device;
    this.#socket = socket;
  }

  /** A device that has registered at a gateway's port. */
  static async register(
    gateway: number,
    ep: string,
    query: readonly string[],
    links: string,
  ): Promise<SocketDevice> {
    const socket = DgramAsPromised.createSocket("udp4");
    await socket.bind(0, "127.0.0.1");
    const network = new SocketNetwork(socket, gateway) as unknown as DatagramNetwork;
    const device = new Lwm2mDevice(network, ep, socket.socket.address().port, "127.0.0.1");
    device.send("0.02", "rd", [`ep=${ep}`, ...query], links, 40);
    const created = () => device.answers.find(({ code }) => code === "2.01");
    await until(() => created() !== undefined, `${ep} was not registered`);
    device.location = textsOf(created()!, LOCATION_PATH).join("/");
    return new SocketDevice(device, socket);
  }

  async close(): Promise<void> {
    const closed = once(this.#socket.socket, "close");
    this.#socket.socket.close();
    await closed;
  }
}
