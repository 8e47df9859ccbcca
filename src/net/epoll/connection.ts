import { getSystemErrorName } from "node:util";
import type { Peer } from "../../contract/peer.ts";
import { placeName } from "../address.ts";
import { type Expiring, sweep } from "../sweep.ts";
import { nameOfSocket } from "../system/descriptor.ts";
import { EAGAIN, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from "../system/linux.ts";
import type { SocketLimits } from "../tcp.ts";
import type { AcceptStream, StreamConnection, StreamReceiver } from "../transport.ts";
import { atEndOfTurn } from "../turn.ts";
import type { EpollSet } from "./set.ts";
import { EpollSocket } from "./socket.ts";

interface Queued {
  bytes: Uint8Array;
  readonly written: (() => void) | undefined;
}

const NOTHING: readonly Queued[] = [];

/** A TCP connection by system calls, with as little as it needs while it is idle. */
export class EpollConnection extends EpollSocket implements StreamConnection, Expiring {
  expiresAt = 0;
  readonly #limits: SocketLimits;
  #receiver: StreamReceiver | undefined;
  /** What the kernel has not taken yet. */
  #queue: Queued[] | undefined;
  #backlog = 0;
  /** `write` has returned false, and `drained` is owed. */
  #congested = false;
  #paused = false;
  /** This side has said that it ends: what still arrives is dropped. */
  #ending = false;
  /** The peer's stream has ended. */
  #ended = false;
  /** Ours has. */
  #shut = false;
  /** Nothing is written any more; what came before, the kernel still has. */
  #lost = false;
  #error: string | undefined;

  constructor(set: EpollSet, descriptor: number, peer: Peer, limits: SocketLimits) {
    super(set, descriptor, peer);
    this.#limits = limits;
  }

  /** Offers it to the runtime; one that it refuses is destroyed. Nothing is read before. */
  offer(accept: AcceptStream): void {
    const receiver = accept(this);
    if (receiver === undefined) {
      this.destroy();
      return;
    }
    this.#receiver = receiver;
    this.#watch();
  }

  get local(): string | undefined {
    if (this.destroyed) return undefined;
    const { address, port } = nameOfSocket(this.set.calls, this.descriptor);
    return placeName(address, port);
  }

  get backlog(): number {
    return this.#backlog;
  }

  write(bytes: Uint8Array, written?: () => void): boolean {
    if (this.destroyed || this.#ending || this.#lost || this.#error !== undefined) {
      if (written !== undefined) atEndOfTurn(written);
      return true;
    }
    let rest = bytes;
    if (this.#queue === undefined) {
      const sent = this.send(bytes);
      if (sent === bytes.length) {
        written?.();
        return true;
      }
      if (sent < 0) {
        if (written !== undefined) atEndOfTurn(written);
        this.#broken(-sent);
        return true;
      }
      rest = bytes.subarray(sent);
      this.#queue = [];
    }
    this.#queue.push({ bytes: rest, written });
    this.#backlog += rest.length;
    this.#watch();
    if (this.#backlog <= this.#limits.highWaterMark) return true;
    this.#congested = true;
    return false;
  }

  pauseReading(): void {
    // Only what comes then is a reason to ask the system for anything.
    this.#paused = true;
  }

  resumeReading(): void {
    this.#paused = false;
    this.#watch();
  }

  end(parted = false): void {
    if (this.#ending || this.destroyed) return;
    if (parted && this.#queue === undefined) {
      this.destroy();
      return;
    }
    this.#ending = true;
    this.#boundEnd();
    // A paused one would never see the peer's end of stream.
    this.#paused = false;
    if (this.#queue === undefined) this.#shutDown();
    this.#watch();
  }

  destroy(): void {
    this.#ending = true;
    // What nobody has read would make a reset of its end (RFC 1122 §4.2.2.13): who is refused sees an end.
    if (this.#receiver === undefined && !this.destroyed) this.receive();
    this.#close();
  }

  expired(): void {
    this.destroy();
  }

  ready(events: number): void {
    if ((events & EPOLLOUT) !== 0) this.#flush();
    if ((events & ~EPOLLOUT) === 0 || this.destroyed) return;
    if (!this.#paused) this.#read();
    // Nobody is there any more, whether somebody wants to read or not.
    else if ((events & (EPOLLHUP | EPOLLERR)) !== 0 && !this.#lost) this.#giveUp();
    else this.#watch();
  }

  #read(): void {
    const { reads } = this.set;
    for (let read = 0; read < reads && !this.#paused && !this.destroyed; read++) {
      const length = this.receive();
      if (length > 0) {
        if (!this.#ending) this.#receiver?.received(this.set.received(length));
        if (!this.set.isFull(length)) return;
        continue;
      }
      if (length === 0) this.#peerEnded();
      else if (length !== -EAGAIN) this.#failed(-length);
      return;
    }
  }

  #peerEnded(): void {
    // Both have ended; or it was told once, and the socket has nothing more to say.
    if (this.#shut || this.#ended || this.#lost) {
      this.#close();
      return;
    }
    this.#ended = true;
    this.#watch();
    this.#boundEnd();
    this.#receiver?.ended();
  }

  #flush(): void {
    const queue = this.#queue;
    // Whoever was told of the last flush has thrown before the system could be told: it would be ready for ever.
    if (queue === undefined) {
      this.#watch();
      return;
    }
    let done = 0;
    for (const queued of queue) {
      const sent = this.send(queued.bytes);
      if (sent < 0) {
        this.#broken(-sent);
        return;
      }
      this.#backlog -= sent;
      queued.bytes = queued.bytes.subarray(sent);
      if (queued.bytes.length > 0) break;
      done++;
    }
    const taken = queue.splice(0, done);
    if (queue.length === 0) this.#queue = undefined;
    this.#tellWritten(taken);
    if (this.#queue === undefined && this.#congested && !this.destroyed) {
      this.#congested = false;
      this.#receiver?.drained();
    }
    if (this.#queue === undefined && this.#ending && !this.#shut) this.#shutDown();
    this.#watch();
  }

  #shutDown(): void {
    if (this.destroyed) return;
    this.#shut = true;
    this.endStream();
    if (this.#ended) this.#close();
  }

  /** Nothing may keep half a connection: from the first end of stream on, its time is measured. */
  #boundEnd(): void {
    if (this.expiresAt !== 0 || this.destroyed) return;
    this.expiresAt = performance.now() + this.#limits.linger;
    sweep.add(this);
  }

  /** A read has failed: the kernel has nothing more. */
  #failed(error: number): void {
    if (!this.#lost) {
      this.#broken(error);
      return;
    }
    this.#error ??= getSystemErrorName(-error);
    this.#close();
  }

  /** Not now: whoever writes is in the middle of something. */
  #broken(error: number): void {
    if (this.#error !== undefined) return;
    this.#error = getSystemErrorName(-error);
    atEndOfTurn(() => this.#giveUp());
  }

  /**
   * A reset takes what was to be written, and leaves to be read what has come (Linux: tcp_reset, tcp_recvmsg). A little is handed
   * on at once, whether somebody wants to read or not; the rest of more waits in the kernel until reading goes on.
   */
  #giveUp(): void {
    if (this.destroyed || this.#lost) return;
    this.#lost = true;
    this.#congested = false;
    this.#tellWritten(this.#dropQueue());
    this.#receiver?.lost?.();
    while (!this.destroyed) {
      const length = this.receive();
      if (length <= 0) {
        if (length < 0 && length !== -EAGAIN) this.#error ??= getSystemErrorName(length);
        this.#close();
        return;
      }
      if (!this.#ending) this.#receiver?.received(this.set.received(length));
      if (this.set.isFull(length)) break;
    }
    this.#watch();
  }

  #close(): void {
    if (this.destroyed) return;
    this.closeDescriptor();
    if (this.expiresAt !== 0) sweep.delete(this);
    const dropped = this.#dropQueue();
    // Not now: whoever closes it may be in the middle of something, such as accepting it.
    atEndOfTurn(() => this.#tellClosed(dropped));
  }

  #dropQueue(): readonly Queued[] {
    const dropped = this.#queue ?? NOTHING;
    this.#queue = undefined;
    this.#backlog = 0;
    return dropped;
  }

  #tellWritten(queue: readonly Queued[]): void {
    for (const { written } of queue) written?.();
  }

  #tellClosed(dropped: readonly Queued[]): void {
    this.#tellWritten(dropped);
    const receiver = this.#receiver;
    this.#receiver = undefined;
    receiver?.closed(this.#error);
  }

  #watch(): void {
    // It would be ready for ever: the system tells that it has broken, whatever it is watched for.
    if (this.#lost && this.#paused) {
      this.unwatch();
      return;
    }
    const events = (this.#paused || this.#ended ? 0 : EPOLLIN) | (this.#queue === undefined ? 0 : EPOLLOUT);
    const error = this.watch(events);
    // The system has no memory, or a limit of what is watched (fs.epoll.max_user_watches).
    if (error === 0) return;
    if (this.#lost) this.#close();
    else this.#broken(error);
  }
}
