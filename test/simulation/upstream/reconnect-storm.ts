/**
 * What happens when many sessions lose their servers at once: gateways with the product's own connect budget, servers with
 * the product's own circuits, and a cluster that lets in so many a second. Only the network and the servers are made up.
 */
import { Deadlines } from "#core/drive/deadlines.ts";
import { CallbackAlarm } from "#core/lib/alarm.ts";
import { after, type Duration, type Instant, milliseconds, seconds } from "#core/lib/time.ts";
import { ConnectBudget } from "#core/upstream/connect-budget.ts";
import { mulberry32 } from "../../support/random.ts";

export interface Storm {
  readonly gateways: number;
  readonly sessionsOfGateway: number;
  readonly servers: number;
  /** Connections that one server lets in a second; what comes faster waits, up to `queue`, and is refused beyond. */
  readonly serverRate: number;
  readonly serverQueue: number;
  /** From CONNECT to CONNACK of a server that is idle. */
  readonly latency: Duration;
  readonly budget: { readonly rate: number; readonly parallel: number };
  readonly backOff: { readonly first: Duration; readonly longest: Duration };
  readonly connackTimeout: Duration;
  /** How long no server answers at all. */
  readonly outage: Duration;
  /** Which sessions lose their server: all, or those of one of so many servers. */
  readonly lost: "all" | "one-server";
  readonly seed: number;
}

export interface Outcome {
  /** From the end of the outage until so many of the lost sessions are back, in seconds. */
  readonly half: number;
  readonly most: number;
  readonly all: number;
  /** Connections begun for each session that came back. */
  readonly attempts: number;
  /** Most connections that all gateways began in one second. */
  readonly peak: number;
  /** Refused or given up because servers had too much to do. */
  readonly failures: number;
}

/** One server: a line of who waits to be let in. */
class FakeServer {
  readonly #storm: Storm;
  /** When the last of those that wait is let in. */
  #busyUntil = 0;

  constructor(storm: Storm) {
    this.#storm = storm;
  }

  /** How long CONNACK takes; undefined: refused at once. */
  connect(now: Instant): Duration | undefined {
    const { serverRate, serverQueue, latency } = this.#storm;
    const begins = Math.max(this.#busyUntil, now);
    if (begins - now > (serverQueue / serverRate) * 1000) return undefined;
    this.#busyUntil = begins + 1000 / serverRate;
    return milliseconds(this.#busyUntil - now + latency);
  }
}

export function run(storm: Storm): Outcome {
  const random = mulberry32(storm.seed);
  const deadlines = new Deadlines(0 as Instant);
  const servers = Array.from({ length: storm.servers }, () => new FakeServer(storm));
  const share = storm.lost === "all" ? 1 : 1 / storm.servers;
  const lost = Math.round(storm.sessionsOfGateway * share) * storm.gateways;
  const begun = new Map<number, number>();
  const back: number[] = [];
  let attempts = 0;
  let failures = 0;
  let now = 0 as Instant;
  const later = (wait: number, then: () => void): void =>
    deadlines.arm(new CallbackAlarm(then), after(now, milliseconds(Math.max(1, Math.ceil(wait)))));

  for (let gateway = 0; gateway < storm.gateways; gateway++) {
    const budget = new ConnectBudget(storm.budget, deadlines);
    for (let session = 0; session < lost / storm.gateways; session++) {
      let tries = 0;
      const rest = (): void => {
        const bound = Math.min(storm.backOff.longest, storm.backOff.first * 2 ** Math.min(tries++, 30));
        later(random() * bound, () => budget.apply(applicant, now));
      };
      const failed = (wait: number): void =>
        later(wait, () => {
          failures++;
          budget.done(now);
          rest();
        });
      const applicant = {
        gone: false,
        go: (at: Instant) => {
          attempts++;
          const second = Math.floor(at / 1000);
          begun.set(second, (begun.get(second) ?? 0) + 1);
          if (at < storm.outage) {
            // Nothing listens: refused at once.
            failed(storm.latency);
            return;
          }
          const server = servers[Math.floor(random() * servers.length)]!;
          const takes = server.connect(at);
          if (takes === undefined) failed(storm.latency);
          else if (takes > storm.connackTimeout) failed(storm.connackTimeout);
          else {
            later(takes, () => {
              budget.done(now);
              back.push((now - storm.outage) / 1000);
            });
          }
        },
      };
      rest();
    }
  }
  for (let due = deadlines.next(); due !== Number.POSITIVE_INFINITY; due = deadlines.next()) {
    now = due;
    deadlines.advance(now);
  }
  const at = (part: number): number => back[Math.min(back.length - 1, Math.floor(back.length * part))] ?? 0;
  return {
    half: at(0.5),
    most: at(0.99),
    all: at(1),
    attempts: attempts / Math.max(1, back.length),
    peak: Math.max(...begun.values()),
    failures,
  };
}

export const STORM: Storm = {
  gateways: 2,
  sessionsOfGateway: 5_000,
  servers: 2,
  serverRate: 1_000,
  serverQueue: 1_000,
  latency: milliseconds(5),
  budget: { rate: 1_000, parallel: 500 },
  backOff: { first: seconds(1), longest: seconds(120) },
  connackTimeout: seconds(10),
  outage: milliseconds(0),
  lost: "all",
  seed: 1,
};
