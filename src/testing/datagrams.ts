/** Datagrams of the virtual world, and the devices that send them. */
import type { Datagram } from "../contract/endpoint.ts";
import type { DatagramRuntime } from "../drive/datagram-runtime.ts";
import { addressKey } from "../lib/address-key.ts";
import type { OutgoingDatagram } from "../net/transport.ts";
import type { World } from "./world.ts";

/** A network in front of one datagram listener. `deliver` may be replaced to lose, delay or reorder. */
export class DatagramNetwork {
  readonly transport = "udp" as const;
  readonly backlog = 0;
  readonly runtime: DatagramRuntime;
  /** What the gateway sent to each `address:port`, unless a device is attached there. */
  readonly sent = new Map<string, Uint8Array[]>();
  /** Replaceable: what happens to a datagram of the gateway on its way. */
  toDevice: (datagram: OutgoingDatagram) => void = (datagram) => this.arrive(datagram);
  readonly #world: World;
  readonly #devices = new Map<string, (bytes: Uint8Array) => void>();

  constructor(world: World, runtime: DatagramRuntime) {
    this.#world = world;
    this.runtime = runtime;
  }

  /** From a device to the gateway, at once. */
  send(batch: readonly OutgoingDatagram[]): void {
    for (const datagram of batch) this.toDevice(datagram);
  }

  deliver(bytes: Uint8Array, address: string, port: number): void {
    this.deliverAll([{ bytes, address, port }]);
  }

  /** From a device to a group that the listener has joined. */
  deliverToGroup(bytes: Uint8Array, address: string, port: number): void {
    const path = { address, port, key: addressKey(address, port), toGroup: true };
    this.deliverAll([{ bytes, address, port, path }]);
  }

  deliverAll(batch: readonly Datagram[]): void {
    this.runtime.receive(batch);
    this.#world.settle();
  }

  /** Hands a datagram of the gateway to whoever is at its address. */
  arrive(datagram: OutgoingDatagram): void {
    const key = `${datagram.address}:${datagram.port}`;
    const device = this.#devices.get(key);
    if (device !== undefined) {
      device(datagram.bytes);
      return;
    }
    const box = this.sent.get(key);
    if (box === undefined) this.sent.set(key, [datagram.bytes]);
    else box.push(datagram.bytes);
  }

  attach(address: string, port: number, receive: (bytes: Uint8Array) => void): void {
    this.#devices.set(`${address}:${port}`, receive);
  }

  detach(address: string, port: number): void {
    this.#devices.delete(`${address}:${port}`);
  }

  device(port = 10_000, address = "10.0.0.1"): VirtualDevice {
    return new VirtualDevice(this, address, port);
  }
}

/** A sender on the virtual network; `move` gives it another address. */
export class VirtualDevice {
  address: string;
  port: number;
  readonly #network: DatagramNetwork;

  constructor(network: DatagramNetwork, address: string, port: number) {
    this.#network = network;
    this.address = address;
    this.port = port;
  }

  send(bytes: Uint8Array): void {
    this.#network.deliver(bytes, this.address, this.port);
  }

  sendToGroup(bytes: Uint8Array): void {
    this.#network.deliverToGroup(bytes, this.address, this.port);
  }

  /** What the gateway has sent to the present address since the last call. */
  take(): Uint8Array[] {
    const key = `${this.address}:${this.port}`;
    const taken = this.#network.sent.get(key) ?? [];
    this.#network.sent.delete(key);
    return taken;
  }

  move(port: number, address = this.address): void {
    this.port = port;
    this.address = address;
  }
}
