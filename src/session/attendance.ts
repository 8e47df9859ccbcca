import { sharedPrefix } from "../bus/topic.ts";
import type { Will } from "../contract/client.ts";
import type { Identity } from "../contract/identity.ts";
import type { Shown } from "../contract/peer.ts";
import type { Memory } from "../lib/memory.ts";
import type { Duration, Instant } from "../lib/time.ts";
import { sessionKey } from "./context.ts";
import { InboundIds } from "./inbound.ts";
import { valueOfMemo } from "./memo.ts";
import type { Outgoing } from "./outgoing.ts";
import { Subscriptions } from "./subscriptions.ts";

/** A will without its texts. */
const WILL = 200;

const weightOfWill = (will: Will | undefined): number =>
  will === undefined ? 0 : WILL + will.topic.length + will.payload.length;

/**
 * What stays on this machine of a client's session, whoever runs its queue: its name, its will, its expiry, a mirror of
 * its subscriptions, the inbound QoS 2 ids, the mountpoint, and what the gateway remembers of it.
 */
export class Attendance {
  readonly key: string;
  readonly gateway: string;
  readonly clientId: string;
  /** These, and with them what else it holds beside its queue. */
  readonly subscriptions: Subscriptions;
  /** Prefix of this client's topics on the bus; removed again on delivery. */
  mountpoint = "";
  /** How long the session outlives its connection; above zero it is durable. */
  expiry: Duration;
  /**
   * Its client has no connection that could break, and counts as connected until then, whatever becomes of this
   * process: the session is durable for as long.
   */
  expectedUntil: Instant | undefined = undefined;
  username: string | undefined = undefined;
  /** Whose it is: who was proven when it was made (`Identity.proven`). Nobody else resumes it. */
  proven: string | undefined = undefined;
  /** As its client came last; what rules are asked about while it is away. Undefined: older than that was kept. */
  identity: Identity | undefined = undefined;
  /** Read back from a store that did not know yet whose it is. */
  unclaimed = false;
  /** The most that has ever shown that its client exists. */
  shown: Shown = "proof";
  /** What the client shares with others on the bus, if it does. */
  owner: object | undefined = undefined;
  /** Messages that were dropped or given up on the way to its client, since this process began. */
  lost = 0;
  /** When its client left, or will have left if nothing is heard of it; undefined while it is connected. */
  leftAt: Instant | undefined = undefined;
  #memo: unknown = undefined;
  #will: Will | undefined = undefined;
  /** Made at the first use: most devices never publish at QoS 2. */
  #inbound: InboundIds | undefined = undefined;

  constructor(gateway: string, clientId: string, expiry: Duration, memory?: Memory) {
    this.subscriptions = new Subscriptions(memory);
    this.gateway = gateway;
    this.clientId = clientId;
    this.key = sessionKey(gateway, clientId);
    this.expiry = expiry;
  }

  /** Deliveries that wait here, their bytes, and those handed out and not settled; 0 where the queue is elsewhere. */
  get queued(): number {
    return 0;
  }

  /** What waits in this process; undefined while nothing ever has. */
  get queue():
    | { readonly length: number; readonly bytes: number; fits(weight: number): boolean }
    | undefined {
    return undefined;
  }

  get queuedBytes(): number {
    return this.queue?.bytes ?? 0;
  }

  get unsettled(): number {
    return 0;
  }

  /** What waits here, next first: a look, and nothing is taken. */
  waiting(): Iterable<Outgoing> {
    return [];
  }

  get will(): Will | undefined {
    return this.#will;
  }

  set will(will: Will | undefined) {
    const more = weightOfWill(will) - weightOfWill(this.#will);
    this.#will = will;
    if (more !== 0) this.subscriptions.weigh(more);
  }

  belongsTo(proven: string | undefined): boolean {
    return this.unclaimed || this.proven === proven;
  }

  get durable(): boolean {
    return this.expiry > 0 || this.expectedUntil !== undefined;
  }

  /** State of the gateway that lives as long as the session: a value, or while connected who makes it (`toJSON`). */
  get memo(): unknown {
    return valueOfMemo(this.#memo);
  }

  set memo(memo: unknown) {
    this.#memo = memo;
  }

  get inboundIds(): readonly number[] {
    return this.#inbound?.ids ?? [];
  }

  get inboundCount(): number {
    return this.#inbound?.size ?? 0;
  }

  /** The packet id of a QoS 2 publish, of which at most `limit` wait for their release. */
  takeInbound(packetId: number, limit: number): "new" | "duplicate" | "full" {
    this.#inbound ??= new InboundIds();
    return this.#inbound.accept(packetId, limit);
  }

  /** False when the id was not known. */
  dropInbound(packetId: number): boolean {
    return this.#inbound?.release(packetId) === true;
  }

  /** A filter as it stands on the bus: the mountpoint goes inside a shared subscription's prefix. */
  mounted(filter: string): string {
    const { mountpoint } = this;
    if (mountpoint === "") return filter;
    const prefix = sharedPrefix(filter);
    return prefix + mountpoint + filter.slice(prefix.length);
  }

  /** A bus topic as this client knows it. */
  unmounted(topic: string): string {
    return topic.startsWith(this.mountpoint) ? topic.slice(this.mountpoint.length) : topic;
  }
}
