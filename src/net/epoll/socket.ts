import type { Peer } from "../../contract/peer.ts";
import { EAGAIN, EINTR, MSG_DONTWAIT, MSG_NOSIGNAL, SHUT_WR } from "../system/linux.ts";
import type { EpollSet, Watched } from "./set.ts";

const CLOSED = -1;
/** Nothing is told of it: it is not in the set. */
const UNWATCHED = -1;

/** A connected socket's descriptor, and for what it is watched. */
export abstract class EpollSocket implements Watched {
  readonly peer: Peer;
  protected readonly set: EpollSet;
  protected descriptor: number;
  #watchedFor = UNWATCHED;

  constructor(set: EpollSet, descriptor: number, peer: Peer) {
    this.set = set;
    this.descriptor = descriptor;
    this.peer = peer;
  }

  abstract ready(events: number): void;

  get remoteAddress(): string {
    return this.peer.address;
  }

  get destroyed(): boolean {
    return this.descriptor === CLOSED;
  }

  /** 0, or errno when the system cannot watch it. */
  protected watch(events: number): number {
    if (this.destroyed || events === this.#watchedFor) return 0;
    const error =
      this.#watchedFor === UNWATCHED
        ? this.set.add(this.descriptor, events, this)
        : this.set.change(this.descriptor, events);
    if (error === 0) this.#watchedFor = events;
    return error;
  }

  protected unwatch(): void {
    if (this.#watchedFor === UNWATCHED) return;
    this.#watchedFor = UNWATCHED;
    this.set.remove(this.descriptor);
  }

  /** How many bytes there were, 0 at the end of the stream; else -errno, and -EAGAIN when there are none for now. */
  protected receive(): number {
    for (;;) {
      const length = this.set.receive(this.descriptor, MSG_DONTWAIT);
      if (length >= 0) return length;
      const error = this.set.calls.error();
      if (error !== EINTR) return -error;
    }
  }

  /** How many bytes the kernel has taken; else -errno. */
  protected send(bytes: Uint8Array): number {
    for (;;) {
      const sent = this.set.calls.send(this.descriptor, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent >= 0) return sent;
      const error = this.set.calls.error();
      if (error === EAGAIN) return 0;
      if (error !== EINTR) return -error;
    }
  }

  protected endStream(): void {
    this.set.calls.shutdown(this.descriptor, SHUT_WR);
  }

  protected closeDescriptor(): void {
    this.unwatch();
    this.set.calls.close(this.descriptor);
    this.descriptor = CLOSED;
  }
}
