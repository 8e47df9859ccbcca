import type { Counter, Note } from "../contract/note.ts";
import type { Alarms } from "../lib/alarm.ts";
import type { Memory } from "../lib/memory.ts";
import { between, type Clock, type Duration, type Instant } from "../lib/time.ts";
import type { FlushSchedule } from "../net/merged-output.ts";
import type { ConnectBudget } from "./connect-budget.ts";
import type { Deafness } from "./deafness.ts";
import type { UpstreamOptions } from "./options.ts";
import type { Server, ServerChoice } from "./server-choice.ts";

/** What all connections of this process to servers share. */
export interface UpstreamContext {
  readonly options: UpstreamOptions;
  readonly choice: ServerChoice;
  readonly alarms: Alarms;
  readonly clock: Clock;
  /** Reads the clock: called where an input enters from a server. */
  readonly tick: () => void;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly budget: ConnectBudget;
  readonly schedule: FlushSchedule;
  /** Runs something after the input that runs. */
  readonly defer: (run: () => void) => void;
  readonly counters: UpstreamCounters;
  readonly versions: KnownVersions;
  readonly outage: Outage;
  readonly deafness: Deafness;
  readonly note: (note: Note, client?: string) => void;
  /** The account of what is held. */
  readonly memory?: Memory;
}

/** Which protocol version a server was found to speak. */
export class KnownVersions {
  readonly #known = new WeakMap<Server, 4 | 5>();

  /** Undefined: not known yet, so 5 is tried first. */
  of(server: Server): 4 | 5 | undefined {
    if (server.version === "3.1.1") return 4;
    if (server.version === "5.0") return 5;
    return this.#known.get(server);
  }

  learn(server: Server, version: 4 | 5): void {
    this.#known.set(server, version);
  }
}

/** Since when no server lets anybody in. */
export class Outage {
  since: Instant | undefined = undefined;
  up = 0;

  connected(): void {
    this.up++;
    this.since = undefined;
  }

  disconnected(): void {
    this.up--;
  }

  failed(now: Instant): void {
    if (this.up === 0) this.since ??= now;
  }

  /** It lasts longer than that. */
  isOver(grace: Duration, now: Instant): boolean {
    return this.since !== undefined && between(this.since, now) >= grace;
  }
}

export interface UpstreamCounters {
  readonly connects: Counter;
  readonly failures: Counter;
  readonly denied: Counter;
  readonly cuts: Counter;
  readonly takeovers: Counter;
  readonly redirects: Counter;
  readonly sessionsLost: Counter;
  readonly deaf: Counter;
  readonly overshoots: Counter;
  readonly repeats: Counter;
  readonly unasked: Counter;
  readonly droppedQos0: Counter;
  readonly refused: Counter;
  readonly unfit: Counter;
  readonly resent: Counter;
  readonly lowered: Counter;
  readonly dead: Counter;
  readonly expired: Counter;
  readonly published: readonly [Counter, Counter, Counter];
  readonly delivered: readonly [Counter, Counter, Counter];
  readonly lookups: Counter;
}

export const newUpstreamCounters = (
  counter: (name: string, help: string) => Counter = () => ({ value: 0 }),
): UpstreamCounters => ({
  connects: counter("upstream_connects", "Connections that a server let in"),
  failures: counter("upstream_failures", "Connections to a server that came to nothing"),
  denied: counter("upstream_denied", "Clients that a server refused"),
  cuts: counter("upstream_cuts", "Connections to a server that broke"),
  takeovers: counter("upstream_takeovers", "Sessions that another connection has taken at the server"),
  redirects: counter("upstream_redirects", "Times that a server named another one"),
  sessionsLost: counter("upstream_sessions_lost", "Sessions that a server did not have any more"),
  deaf: counter(
    "upstream_deaf",
    "Sessions that a server had and sent nothing any more: connected anew, and made anew where that did not help",
  ),
  overshoots: counter(
    "upstream_overshoots",
    "Messages that a server sent beyond the Receive Maximum of the connection",
  ),
  repeats: counter("upstream_repeats", "Messages that a server sent again and the device had already"),
  unasked: counter(
    "upstream_unasked",
    "Messages of $ topics that a server sent for a filter that begins with a wildcard, and no device was handed",
  ),
  droppedQos0: counter("upstream_dropped_qos0", "QoS 0 messages dropped because a buffer was full"),
  refused: counter("upstream_refused", "Publishes refused because a buffer was full or no server was there"),
  unfit: counter(
    "upstream_unfit",
    "Publishes refused because a server closes the connection over them: by its profile, or because it did so again and again",
  ),
  resent: counter("upstream_resent", "Publishes sent again because a connection broke"),
  lowered: counter(
    "upstream_lowered",
    "Publishes sent at a lower QoS, because the server knows no higher one",
  ),
  dead: counter("upstream_dead", "Messages that a device could not take, acknowledged all the same"),
  expired: counter("upstream_expired", "Messages that expired while they waited here"),
  published: [
    counter("upstream_published_qos0", "QoS 0 messages sent to servers"),
    counter("upstream_published_qos1", "QoS 1 messages sent to servers"),
    counter("upstream_published_qos2", "QoS 2 messages sent to servers"),
  ],
  delivered: [
    counter("upstream_delivered_qos0", "QoS 0 messages of servers handed to devices"),
    counter("upstream_delivered_qos1", "QoS 1 messages of servers handed to devices"),
    counter("upstream_delivered_qos2", "QoS 2 messages of servers handed to devices"),
  ],
  lookups: counter("upstream_lookups", "Look-ups of retained messages at servers"),
});
