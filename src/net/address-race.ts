import type { Socket } from "node:net";

/** RFC 8305 §5, Connection Attempt Delay, in milliseconds. */
const ATTEMPT_DELAY = 250;

/** How often an address is tried again from another local port. */
const PORTS_TRIED_MAX = 64;

/** Somebody else has the local port that was chosen: listens there, or has a connection from it to the same place. */
const portIsTaken = ({ code, syscall }: NodeJS.ErrnoException): boolean =>
  code === "EADDRINUSE" || (code === "EADDRNOTAVAIL" && syscall === "connect");

/** The families in turn, beginning with that of the first address (RFC 8305 §4). */
export function interleave(addresses: readonly string[]): string[] {
  const isSix = (address: string) => address.includes(":");
  const firstIsSix = isSix(addresses[0] ?? "");
  const first = addresses.filter((address) => isSix(address) === firstIsSix);
  const others = addresses.filter((address) => isSix(address) !== firstIsSix);
  const length = Math.max(first.length, others.length);
  return Array.from({ length }, (_, index) => [first[index], others[index]])
    .flat()
    .filter((address) => address !== undefined);
}

/**
 * Tries addresses one after the other, the next one when the last has failed or has not answered for a while, and
 * keeps the first connection that is made.
 */
export class AddressRace {
  readonly #connect: (address: string) => Socket;
  readonly #won: (socket: Socket) => void;
  readonly #lost: (problems: readonly NodeJS.ErrnoException[]) => void;
  readonly #left: string[];
  readonly #running = new Set<Socket>();
  readonly #problems: NodeJS.ErrnoException[] = [];
  #timer: NodeJS.Timeout | undefined;
  #portsLeft: number;

  /** `choosesPorts`: `connect` takes another local port each time. */
  constructor(
    addresses: readonly string[],
    connect: (address: string) => Socket,
    won: (socket: Socket) => void,
    lost: (problems: readonly NodeJS.ErrnoException[]) => void,
    choosesPorts = false,
  ) {
    this.#portsLeft = choosesPorts ? PORTS_TRIED_MAX : 0;
    this.#left = [...addresses];
    this.#connect = connect;
    this.#won = won;
    this.#lost = lost;
    this.#next();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#left.length = 0;
    for (const socket of this.#running) socket.destroy();
    this.#running.clear();
  }

  #next(): void {
    clearTimeout(this.#timer);
    const address = this.#left.shift();
    if (address === undefined) {
      if (this.#running.size === 0) this.#lost(this.#problems);
      return;
    }
    const socket = this.#connect(address);
    this.#running.add(socket);
    // A loser's error may come when the race is over; it stays unheard.
    socket.on("error", (error) => this.#failed(socket, address, error));
    socket.once("connect", () => this.#finish(socket));
    if (this.#left.length > 0) this.#timer = setTimeout(() => this.#next(), ATTEMPT_DELAY);
  }

  #failed(socket: Socket, address: string, problem: Error): void {
    if (!this.#running.delete(socket)) return;
    if (portIsTaken(problem) && this.#portsLeft-- > 0) this.#left.unshift(address);
    else this.#problems.push(problem);
    this.#next();
  }

  #finish(socket: Socket): void {
    if (!this.#running.delete(socket)) return;
    this.stop();
    this.#won(socket);
  }
}
