/** Inbound QoS 2 packet ids between their PUBLISH and their PUBREL (method B, MQTT 5 §4.3.3). */
export class InboundIds {
  readonly #known = new Set<number>();
  /** Read back from a store, and not seen since. */
  #restored: Set<number> | undefined = undefined;

  get ids(): readonly number[] {
    return [...this.#known];
  }

  /**
   * `repeated`: the packet says that it is a repetition (DUP). An id read back from a store may have been released
   * just before the crash, so there a packet that is no repetition is a new message.
   */
  accept(packetId: number, repeated: boolean, limit: number): "new" | "duplicate" | "full" {
    if (this.#known.has(packetId)) {
      return !repeated && this.#restored?.delete(packetId) === true ? "new" : "duplicate";
    }
    // Those read back may have been released long ago: they must not keep their client out.
    if (this.#known.size - (this.#restored?.size ?? 0) >= limit) return "full";
    this.#known.add(packetId);
    return "new";
  }

  release(packetId: number): boolean {
    this.#restored?.delete(packetId);
    return this.#known.delete(packetId);
  }

  restore(packetId: number): void {
    this.#known.add(packetId);
    this.#restored ??= new Set();
    this.#restored.add(packetId);
  }
}
