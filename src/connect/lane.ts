import type { Delivery } from "../contract/delivery.ts";
import type { Ring } from "../lib/ring.ts";
import type { Item } from "./connector.ts";

/** An item on its way, and the delivery that is settled when the sink has it. */
export interface Entry {
  readonly delivery: Delivery;
  readonly item: Item;
}

/** A row of batches, one after the other. */
export interface Lane {
  /** Its own, or one that all lanes share. */
  readonly waiting: Ring<Entry>;
  busy: boolean;
}

/** The next batch. */
export function takeBatch(
  waiting: Ring<Entry>,
  { messages, bytes }: { readonly messages: number; readonly bytes: number },
): Entry[] {
  const batch: Entry[] = [];
  let size = 0;
  for (let next = waiting.peek(); next !== undefined && batch.length < messages; next = waiting.peek()) {
    size += next.delivery.message.payload.length;
    if (batch.length > 0 && size > bytes) break;
    batch.push(waiting.shift()!);
  }
  return batch;
}

/** FNV-1a: which lane a client has. */
export function laneOf(client: string, lanes: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < client.length; index++)
    hash = Math.imul(hash ^ client.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % lanes;
}
