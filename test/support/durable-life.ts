/** Sessions and bus over a store, without gateways: a process's life, which a crash ends and the next one goes on from. */
import { EmbeddedBus } from "#core/bus/embedded.ts";
import { Gate } from "#core/bus/gate.ts";
import { Message, type MessageOptions } from "#core/bus/message.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { Deadlines } from "#core/drive/deadlines.ts";
import { after, type Duration, FOREVER, type Instant, seconds } from "#core/lib/time.ts";
import type { Occupant } from "#core/session/context.ts";
import { newSessionCounters } from "#core/session/counters.ts";
import { DurableState } from "#core/session/durable-state.ts";
import { Restoration, type Restored } from "#core/session/restore.ts";
import type { Session } from "#core/session/session.ts";
import { type Opened, Sessions } from "#core/session/sessions.ts";
import { GroupCommit } from "#core/store/group-commit.ts";
import type { MemoryEngine } from "./memory-engine.ts";

export class Life {
  readonly deadlines: Deadlines;
  readonly sessions: Sessions;
  readonly bus: EmbeddedBus;
  readonly gate: Gate;
  readonly store: GroupCommit;
  readonly restored: Restored;
  now: Instant;
  readonly #due: (() => void)[] = [];

  constructor(engine: MemoryEngine, now: number, queueMax = 100) {
    this.now = now as Instant;
    const clock = { now: () => this.now };
    this.deadlines = new Deadlines(this.now);
    this.store = new GroupCommit(engine, {
      window: 2,
      patience: 5,
      retry: 1000,
      now: () => this.now,
      later: (run) => this.#due.push(run),
      onFailure: () => {},
    });
    const state = new DurableState(this.store, clock);
    this.bus = new EmbeddedBus(
      {
        retained: { messages: 100, payloadSize: 1000, bytes: 100_000 },
        shareStrategy: "round_robin",
        shareStrategies: {},
        routeCache: 100,
      },
      clock,
      Math.random,
      state,
    );
    this.gate = new Gate(this.bus, {
      alarms: this.deadlines,
      delayed: { messages: 100, bytes: 1 << 24 },
      journal: state,
      unheard: { value: 0 },
    });
    const options = {
      queue: { messages: queueMax, bytes: 1 << 20, drop: "oldest" as const },
      queueQos0: true,
      inboundMax: 10,
      failuresMax: 3,
    };
    const context = { options, clock, counters: newSessionCounters(), gate: this.gate, journal: state };
    this.sessions = new Sessions(this.gate, this.deadlines, context, {
      expiryMax: FOREVER,
      sessions: 1000,
      replayMax: 1000,
      otherUser: "refuse",
    });
    this.restored = new Restoration(this.store, state, this.sessions, this.bus, clock).run();
  }

  /** Ends windows and retry times that run. */
  elapse(): void {
    for (const run of this.#due.splice(0)) run();
  }

  async commit(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.store.whenCommitted(() => resolve());
      this.elapse();
      this.elapse();
    });
  }

  advance(by: Duration): void {
    this.now = after(this.now, by);
    this.deadlines.advance(this.now);
  }

  open(clientId: string, expiry: number = seconds(600), cleanStart = false): Session {
    const how = { proven: undefined, cleanStart, expiry: expiry as Duration };
    return (this.sessions.open({ gateway: "mqtt", clientId, ...how }) as Opened).session;
  }

  connect(session: Session, credit = 10): Delivery[] {
    const got: Delivery[] = [];
    const occupant: Occupant = { held: false, deliver: (delivery) => got.push(delivery), evict: () => {} };
    this.sessions.occupy(session, occupant, credit);
    return got;
  }

  publish(
    topic: string,
    payload: string,
    { qos = 1, retain = false, expiry, properties }: MessageOptions = {},
  ) {
    const bytes = new TextEncoder().encode(payload);
    const message = new Message(topic, bytes, qos, retain, this.now, properties, expiry);
    this.gate.publish(message, undefined, "system");
  }
}
