/**
 * Inbound QoS 2 packet ids between their PUBLISH and their PUBREL (method B, MQTT 5 §4.3.3). A PUBLISH under a known
 * id is the same message, with or without DUP, on whatever connection and after a crash [MQTT-4.3.3-10]: the id is
 * free when PUBCOMP has been sent, and that waits until its release is safe.
 */
export class InboundIds {
  readonly #known = new Set<number>();

  get ids(): readonly number[] {
    return [...this.#known];
  }

  get size(): number {
    return this.#known.size;
  }

  accept(packetId: number, limit: number): "new" | "duplicate" | "full" {
    if (this.#known.has(packetId)) return "duplicate";
    if (this.#known.size >= limit) return "full";
    this.#known.add(packetId);
    return "new";
  }

  release(packetId: number): boolean {
    return this.#known.delete(packetId);
  }
}
