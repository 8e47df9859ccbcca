import { topicMatches } from "../bus/topic.ts";
import { AddressSet } from "../policy/addresses.ts";
import type { TraceRow } from "./rows.ts";

/** What a trace follows. A cause is recorded when each condition that is given holds for some row of it. */
export interface TraceFilter {
  /** Client id, in whatever gateway. */
  readonly client?: string | undefined;
  /** Topics on the bus that match this filter. */
  readonly topic?: string | undefined;
  /** An IP address or a CIDR range. */
  readonly address?: string | undefined;
  readonly gateway?: string | undefined;
}

type Condition = (row: TraceRow) => boolean;

/** Made ready to be asked: bits of the conditions that a row meets. */
export class Conditions {
  readonly #conditions: readonly Condition[];

  constructor({ client, topic, address, gateway }: TraceFilter) {
    const conditions: Condition[] = [];
    if (client !== undefined) conditions.push((row) => concernsClient(row, client));
    if (topic !== undefined) conditions.push((row) => concernsTopic(row, topic));
    if (address !== undefined) {
      const addresses = new AddressSet([address]);
      conditions.push((row) => "address" in row && addresses.has(row.address));
    }
    if (gateway !== undefined) conditions.push((row) => concernsGateway(row, gateway));
    this.#conditions = conditions;
  }

  /** The bits that stand for all conditions met. */
  get all(): number {
    return (1 << this.#conditions.length) - 1;
  }

  met(row: TraceRow): number {
    let met = 0;
    for (let index = 0; index < this.#conditions.length; index++) {
      if (this.#conditions[index]!(row)) met |= 1 << index;
    }
    return met;
  }
}

function concernsClient(row: TraceRow, client: string): boolean {
  switch (row.kind) {
    case "frame":
    case "state":
    case "timer":
    case "closed":
      return row.clients.includes(client);
    case "step":
    case "delivery":
    case "refusal":
      return row.client === client;
    case "message":
      return row.publisher.slice(row.publisher.indexOf(":") + 1) === client;
    default:
      return false;
  }
}

function concernsTopic(row: TraceRow, filter: string): boolean {
  switch (row.kind) {
    case "message":
    case "routed":
    case "delivery":
      return topicMatches(filter, row.topic);
    case "refusal":
    case "step":
      return row.asked !== undefined && (row.asked === filter || topicMatches(filter, row.asked));
    default:
      return false;
  }
}

function concernsGateway(row: TraceRow, gateway: string): boolean {
  if (row.kind === "message") return row.publisher.startsWith(`${gateway}:`);
  return "gateway" in row && row.gateway === gateway;
}
