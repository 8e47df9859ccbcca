import type { Client } from "../contract/client.ts";
import type { BusClient } from "../door/bus-client.ts";
import { Alarm } from "../lib/alarm.ts";

/** Who is on a channel. A part of its loop and no object of its own: there is one for each connection. */
export abstract class ChannelClients extends Alarm {
  /** The usual one client; further ones of a channel that has several. */
  protected client: BusClient | undefined = undefined;
  #others: Set<BusClient> | undefined = undefined;

  join(client: BusClient): void {
    if (this.client === undefined) {
      this.client = client;
    } else {
      this.#others ??= new Set();
      this.#others.add(client);
    }
  }

  part(client: BusClient): void {
    if (this.client === client) {
      const next = this.#others?.values().next().value;
      this.client = next;
      if (next !== undefined) this.#others?.delete(next);
    } else {
      this.#others?.delete(client);
    }
  }

  clients(): BusClient[] {
    if (this.client === undefined) return [];
    return this.#others === undefined ? [this.client] : [this.client, ...this.#others];
  }

  clientOf(handle: Client): BusClient | undefined {
    if (this.client === handle) return this.client;
    return this.#others?.has(handle as BusClient) === true ? (handle as BusClient) : undefined;
  }

  protected get clientCount(): number {
    return this.client === undefined ? 0 : 1 + (this.#others?.size ?? 0);
  }
}
