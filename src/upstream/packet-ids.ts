const ID_MAX = 65_535;

/**
 * Packet ids of one session towards its server. Those of QoS 2 messages are the device's own, so that device and server
 * agree on them without us; ours are taken from the top, where devices that count upwards do not come.
 */
export class PacketIds {
  #used: Set<number> | undefined = undefined;
  #next = ID_MAX;

  has(id: number): boolean {
    return this.#used?.has(id) === true;
  }

  /** Undefined when all are in use. */
  take(): number | undefined {
    this.#used ??= new Set();
    if (this.#used.size >= ID_MAX) return undefined;
    while (this.#used.has(this.#next)) this.#step();
    const id = this.#next;
    this.#step();
    this.#used.add(id);
    return id;
  }

  /** A device's own; false while we use it ourselves. */
  claim(id: number): boolean {
    this.#used ??= new Set();
    if (this.#used.has(id)) return false;
    this.#used.add(id);
    return true;
  }

  free(id: number): void {
    this.#used?.delete(id);
  }

  clear(): void {
    this.#used = undefined;
  }

  #step(): void {
    this.#next = this.#next === 1 ? ID_MAX : this.#next - 1;
  }
}
