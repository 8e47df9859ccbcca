import { getSystemErrorName } from "node:util";
import type { Datagram } from "../../contract/endpoint.ts";
import type { Note } from "../../contract/note.ts";
import type { Descriptor } from "../system/descriptor.ts";
import { EAGAIN, EBADF, EINTR, EINVAL, ENOTSOCK, MSG_DONTWAIT, MSG_NOSIGNAL } from "../system/linux.ts";
import type { SystemCalls, Watching } from "../system/system-calls.ts";
import type { DatagramSocket, OutgoingDatagram, ReceiveDatagrams } from "../transport.ts";
import { SHARE, takeTurn } from "../turn.ts";
import { BATCH, type Received, type Sending } from "./messages.ts";
import { type Path, Paths } from "./paths.ts";

/** Batches that are read before others have their turn. */
const ROUNDS = 4;
/** A datagram may be worked on for a millisecond: it may be a message to a thousand clients. Below this part of a share, more of them are read at once. */
const QUICK = SHARE / 4;

/** What all sockets of a thread share. */
export interface Batches {
  readonly calls: SystemCalls;
  readonly received: Received;
  readonly sending: Sending;
}

/** A UDP socket by `recvmmsg` and `sendmmsg`: many datagrams a call, each answered from the address it was sent to. */
export class BatchSocket implements DatagramSocket {
  readonly transport = "udp";
  readonly batched = true;
  readonly address: string;
  readonly port: number;
  readonly #batches: Batches;
  readonly #descriptor: Descriptor;
  readonly #receive: ReceiveDatagrams;
  readonly #note: (note: Note) => void;
  readonly #paths = new Paths();
  readonly #watching: Watching;
  /** What the kernel had no room for. */
  #waiting: OutgoingDatagram[] = [];
  #failed = 0;
  #closed = false;

  constructor(
    batches: Batches,
    descriptor: Descriptor,
    receive: ReceiveDatagrams,
    note: (note: Note) => void,
  ) {
    const { address, port } = descriptor.name();
    this.address = address;
    this.port = port;
    this.#batches = batches;
    this.#descriptor = descriptor;
    this.#receive = receive;
    this.#note = note;
    this.#watching = batches.calls.watch(descriptor.number, this.#turn);
  }

  readonly #turn = (): void => {
    if (this.#waiting.length > 0) this.#sendWaiting();
    const until = performance.now() + SHARE;
    for (let round = 0, began = until - SHARE; round < ROUNDS && !this.#closed; round++) {
      if (!this.#read()) return;
      const now = performance.now();
      this.#adapt(now - began);
      if (now >= until) return;
      began = now;
    }
  };

  /** As many as one call reads. */
  #most = BATCH;

  /** A full batch took so long. */
  #adapt(milliseconds: number): void {
    if (milliseconds > SHARE) this.#most = Math.max(1, this.#most >> 1);
    else if (milliseconds < QUICK) this.#most = Math.min(BATCH, this.#most << 1);
  }

  #batch: readonly Datagram[] = [];
  readonly #hand = (): void => this.#receive(this.#batch);

  /** One batch. False when there is no more, for now. */
  #read(): boolean {
    const { calls, received } = this.#batches;
    const { number } = this.#descriptor;
    const most = this.#most;
    const count = calls.recvmmsg(number, received.headers, most, MSG_DONTWAIT, null);
    if (count < 0) {
      this.#notRead(calls.error());
      return false;
    }
    const batch: Datagram[] = [];
    this.#batch = batch;
    for (let index = 0; index < count; index++) {
      if (!received.read(index)) continue;
      const path = this.#paths.of(received.arrived);
      batch.push({ bytes: received.contentOf(index), address: path.address, port: path.port, path });
    }
    if (batch.length > 0) takeTurn(this.#hand);
    return count === most;
  }

  #notRead(error: number): void {
    if (error === EAGAIN || error === EINTR) return;
    this.#note({ level: "warn", event: "udp-error", detail: { problem: getSystemErrorName(-error) } });
    // It would be ready for ever.
    if (error === EBADF || error === ENOTSOCK) this.#watching.close();
  }

  send(batch: readonly OutgoingDatagram[]): void {
    // A channel's last words may come after the socket is closed.
    if (this.#closed) return;
    if (this.#waiting.length > 0) {
      for (const datagram of batch) this.#waiting.push(datagram);
      return;
    }
    const sent = this.#transmit(batch);
    if (sent === batch.length) return;
    this.#waiting = batch.slice(sent);
    this.#watching.start({ readable: true, writable: true });
  }

  #sendWaiting(): void {
    const sent = this.#transmit(this.#waiting);
    this.#waiting = this.#waiting.slice(sent);
    if (this.#waiting.length === 0) this.#watching.start({ readable: true });
  }

  /** How many of them need nothing more: they are on their way, or lost. */
  #transmit(batch: readonly OutgoingDatagram[]): number {
    const { calls, sending } = this.#batches;
    let at = 0;
    let ownAddress = true;
    while (at < batch.length) {
      const count = this.#fill(batch, at, ownAddress);
      const sent =
        count === 0
          ? 0
          : calls.sendmmsg(this.#descriptor.number, sending.headers, count, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent > 0) {
        at += sent;
        ownAddress = true;
        continue;
      }
      const error = count === 0 ? EINVAL : calls.error();
      if (error === EAGAIN) return at;
      if (error === EINTR) continue;
      if (ownAddress && count > 0 && this.#pathOf(batch[at]!)?.local !== undefined) {
        // The address it came to is ours no more, or none to send from: then from whichever the system takes.
        ownAddress = false;
        continue;
      }
      // Lost like any datagram may be: no route, too long for the network, refused by a firewall.
      this.#failed++;
      at++;
      ownAddress = true;
    }
    return at;
  }

  #fill(batch: readonly OutgoingDatagram[], from: number, ownAddress: boolean): number {
    const { sending } = this.#batches;
    sending.clear();
    let count = 0;
    for (let index = from; index < batch.length; index++, count++) {
      const datagram = batch[index]!;
      const path = this.#pathOf(datagram);
      // Those behind one that cannot be sent are for the next batch.
      if (path === undefined || !sending.put(count, datagram, path, this.#descriptor.six, ownAddress)) break;
    }
    return count;
  }

  #pathOf({ path, address, port }: OutgoingDatagram): Path | undefined {
    if (path !== undefined && path.port === port && path.address === address) return path as Path;
    return this.#paths.to(address);
  }

  get backlog(): number {
    return this.#waiting.length;
  }

  /** Datagrams that the kernel did not take. */
  get failed(): number {
    return this.#failed;
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#waiting = [];
      this.#watching.close();
      this.#descriptor.close();
    }
    return new Promise((resolve) => setImmediate(resolve));
  }
}
