/**
 * Local ports for connections from one address to one server, chosen here. The system looks for a free one by trying, and
 * where half of its range is taken (a quarter, for a given local address) each connection costs it 2 ms of tries.
 */
import { readFileSync } from "node:fs";

/** What Linux has by default, but for the last thousand. */
const USUAL = { first: 32_768, last: 59_999 };

export class LocalPorts {
  readonly #first: number;
  /** 1 where a port is taken by us, or was found to be by somebody else and is tried again later. */
  readonly #taken: Uint8Array;
  #next: number;

  constructor({ first, last } = systemRange(), start = Math.random()) {
    this.#first = first;
    this.#taken = new Uint8Array(last - first + 1);
    this.#next = Math.floor(start * this.#taken.length);
  }

  /** In turn, so that one that was given back rests for as long as it can; undefined when all are taken. */
  take(): number | undefined {
    let at = this.#taken.indexOf(0, this.#next);
    if (at < 0) at = this.#taken.indexOf(0);
    if (at < 0) return undefined;
    this.#taken[at] = 1;
    this.#next = (at + 1) % this.#taken.length;
    return this.#first + at;
  }

  giveBack(port: number): void {
    this.#taken[port - this.#first] = 0;
  }
}

/** Ports that are bound here the system gives to no other connection of the machine: the last ones stay for those. */
const leftTo = (count: number): number => Math.min(1000, Math.floor(count / 10));

/** As the system would choose: what an operator widens is wider here, too. */
function systemRange(): { readonly first: number; readonly last: number } {
  try {
    const [first, last] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "latin1")
      .trim()
      .split(/\s+/)
      .map(Number) as [number, number];
    return first > 0 && last >= first ? { first, last: last - leftTo(last - first + 1) } : USUAL;
  } catch {
    return USUAL;
  }
}
