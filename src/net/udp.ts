import { createSocket, type Socket, type SocketOptions } from "node:dgram";
import { networkInterfaces } from "node:os";
import type { Datagram } from "../contract/endpoint.ts";
import type { Note } from "../contract/note.ts";
import { addressKey } from "../lib/address-key.ts";
import { bindAny, membershipOf } from "./address.ts";
import { bindError } from "./listen-errors.ts";
import { plainBytes } from "./plain-bytes.ts";
import {
  type DatagramListenerOptions,
  type DatagramSocket,
  ListenError,
  type OutgoingDatagram,
  type ReceiveDatagrams,
} from "./transport.ts";
import { Zones } from "./zones.ts";

type Lookup = NonNullable<SocketOptions["lookup"]>;

// Addresses are literals here. Answering at once spares each datagram a turn through the resolver (15 to 20 %
// of the cost of sending). On an IPv6 socket, IPv4 is reached in its mapped form.
const literal4: Lookup = (address, _options, callback) => callback(null, address, 4);
const literal6 =
  (zones: Zones): Lookup =>
  (address, _options, callback) =>
    callback(null, zones.reach(address), 6);

interface Bound {
  readonly socket: Socket;
  readonly zones: Zones;
}

class UdpSocket implements DatagramSocket {
  readonly transport = "udp";
  readonly batched = false;
  readonly address: string;
  readonly port: number;
  readonly #socket: Socket;
  readonly #receive: ReceiveDatagrams;
  #batch: Datagram[] = [];
  #backlog = 0;
  #failed = 0;
  #closed = false;

  constructor({ socket, zones }: Bound, receive: ReceiveDatagrams) {
    const bound = socket.address();
    this.address = bound.address;
    this.port = bound.port;
    this.#socket = socket;
    this.#receive = receive;
    socket.on("message", (bytes, sender) => {
      // Port 0 can be forged but never answered.
      if (sender.port === 0) return;
      const batch = this.#batch;
      batch.push({ bytes: plainBytes(bytes), address: zones.learn(sender.address), port: sender.port });
      if (batch.length === 1) setImmediate(this.#hand);
    });
  }

  /** All that one turn of the event loop has read goes to the runtime at once. */
  readonly #hand = (): void => {
    const batch = this.#batch;
    this.#batch = [];
    if (!this.#closed) this.#receive(batch);
  };

  send(batch: readonly OutgoingDatagram[]): void {
    // A channel's last words may come after the socket is closed.
    if (this.#closed) return;
    for (const datagram of batch) {
      this.#backlog++;
      this.#socket.send(datagram.bytes, datagram.port, datagram.address, this.#sent);
    }
  }

  readonly #sent = (error: Error | null): void => {
    this.#backlog--;
    // Lost like any datagram may be: no route, too long for the network, refused by a firewall.
    if (error !== null) this.#failed++;
  };

  get backlog(): number {
    return this.#backlog;
  }

  /** Datagrams that the kernel did not take. */
  get failed(): number {
    return this.#failed;
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }
}

function bind(options: DatagramListenerOptions, address: string): Promise<Bound> {
  const zones = new Zones();
  const six = address.includes(":");
  const socket = createSocket({
    type: six ? "udp6" : "udp4",
    lookup: six ? literal6(zones) : literal4,
    reuseAddr: options.reuseAddress,
  });
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      socket.close();
      reject(error);
    };
    socket.once("error", fail);
    socket.bind({ port: options.port, address }, () => {
      socket.off("error", fail);
      resolve({ socket, zones });
    });
  });
}

/** Linux reports twice what it grants, the second half being its own bookkeeping (socket(7)). */
const GRANTED_SHARE = process.platform === "linux" ? 0.5 : 1;

/** More than any system grants; `unlimited` asks for that. */
const KERNEL_BUFFER_MAX = 2 ** 30;

/** Asks for kernel buffers, and for half as much where the system refuses instead of granting less. */
function enlarge(bytes: number, set: (bytes: number) => void, get: () => number): number {
  for (let size = Math.min(bytes, KERNEL_BUFFER_MAX); size >= 4096; size = Math.floor(size / 2)) {
    try {
      set(size);
      break;
    } catch {}
  }
  return get() * GRANTED_SHARE;
}

type Buffered = Pick<
  Socket,
  "setRecvBufferSize" | "getRecvBufferSize" | "setSendBufferSize" | "getSendBufferSize"
>;

function enlargeBuffers(
  socket: Buffered,
  { receiveBuffer, sendBuffer }: DatagramListenerOptions,
  note: (note: Note) => void,
): void {
  const granted = {
    receiveBuffer: enlarge(
      receiveBuffer,
      (n) => socket.setRecvBufferSize(n),
      () => socket.getRecvBufferSize(),
    ),
    sendBuffer: enlarge(
      sendBuffer,
      (n) => socket.setSendBufferSize(n),
      () => socket.getSendBufferSize(),
    ),
  };
  if (granted.receiveBuffer < receiveBuffer || granted.sendBuffer < sendBuffer) {
    const fix = "raise net.core.rmem_max and net.core.wmem_max";
    note({ level: "info", event: "udp-buffer-reduced", detail: { asked: receiveBuffer, ...granted, fix } });
  }
}

function configure(socket: Socket, options: DatagramListenerOptions): void {
  if (options.broadcast) socket.setBroadcast(true);
  for (const entry of options.multicast) {
    const { group, by } = membershipOf(entry);
    socket.addMembership(group, by === undefined ? undefined : interfaceOf(by, group.includes(":")));
  }
}

/** As Node wants it: for IPv6 the name, as the zone of any address; for IPv4 an address. */
function interfaceOf(by: string, six: boolean): string {
  if (six) return by.includes("%") ? by : `::%${by}`;
  const own = networkInterfaces()[by]?.find(({ family }) => family === "IPv4");
  return own?.address ?? by;
}

/**
 * Binds a UDP socket; `::` serves both IPv6 and IPv4. It reads and writes many datagrams a system call where that can be
 * had, else as Node does it. Throws `ListenError`.
 */
export async function listenUdp(
  options: DatagramListenerOptions,
  receive: ReceiveDatagrams,
  note: (note: Note) => void = () => {},
): Promise<DatagramSocket> {
  let socket: DatagramSocket | undefined;
  try {
    socket = await listenBatches(options, receive, note);
    // Node learned the option with version 23.
    if (socket === undefined && options.reusePort !== true && options.descriptor === undefined)
      socket = await listenSingly(options, receive, note);
  } catch (error) {
    throw bindError(error, options.bind, options.port);
  }
  if (socket !== undefined) return socket;
  const where = addressKey(options.bind, options.port);
  const need = "Linux with glibc, the optional package koffi, and udp.batches: true";
  throw new ListenError("listen-failed", `cannot listen on ${where}: udp.reusePort needs ${need}`);
}

/** Undefined where batches are not to be had, or not wanted. */
async function listenBatches(
  options: DatagramListenerOptions,
  receive: ReceiveDatagrams,
  note: (note: Note) => void,
): Promise<DatagramSocket | undefined> {
  if (options.batches === false) return undefined;
  const { batches } = await import("./batch/self-test.ts");
  const found = batches();
  if (found instanceof Error) {
    note({ level: "debug", event: "udp-unbatched", detail: { why: found.message } });
    return undefined;
  }
  const { bindBatches } = await import("./batch/bind.ts");
  const { BatchSocket } = await import("./batch/socket.ts");
  const { Descriptor } = await import("./system/descriptor.ts");
  const descriptor =
    options.descriptor === undefined
      ? await bindAny(options.bind, (address) => bindBatches(found.calls, options, address))
      : Descriptor.duplicate(found.calls, options.descriptor);
  try {
    enlargeBuffers(descriptor, options, note);
    return new BatchSocket(found, descriptor, receive, note);
  } catch (error) {
    descriptor.close();
    throw error;
  }
}

async function listenSingly(
  options: DatagramListenerOptions,
  receive: ReceiveDatagrams,
  note: (note: Note) => void,
): Promise<DatagramSocket> {
  const bound = await bindAny(options.bind, (address) => bind(options, address));
  try {
    configure(bound.socket, options);
  } catch (error) {
    bound.socket.close();
    throw error;
  }
  enlargeBuffers(bound.socket, options, note);
  bound.socket.on("error", (error) =>
    note({ level: "warn", event: "udp-error", detail: { problem: error.message } }),
  );
  return new UdpSocket(bound, receive);
}
