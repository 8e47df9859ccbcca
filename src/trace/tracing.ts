import type { Gate } from "../bus/gate.ts";
import type { Core } from "../door/core.ts";
import { CallbackAlarm } from "../lib/alarm.ts";
import { after, seconds } from "../lib/time.ts";
import type { SessionContext } from "../session/context.ts";
import type { Recording } from "./recording.ts";
import { Recordings } from "./recordings.ts";
import type { Dissectors } from "./traced-channel.ts";
import { Tracer } from "./tracer.ts";

/** Where a trace is attached. */
export interface Traced {
  readonly core: Core;
  readonly gate: Gate;
  readonly sessions: SessionContext;
  readonly dissectors: Dissectors;
  /** Milliseconds since the epoch, as finely as there are. */
  now(): number;
}

/** How often it is looked whether a recording's time is over. */
const BEAT = seconds(1);

/** Attaches the tracer when the first recording begins, and detaches it when the last one has ended. */
export class Tracing {
  readonly recordings: Recordings;
  readonly #parts: Traced;
  readonly #tracer: Tracer;
  readonly #beat: CallbackAlarm;

  constructor(parts: Traced) {
    this.#parts = parts;
    this.#tracer = new Tracer(() => parts.now(), parts.dissectors);
    this.recordings = new Recordings(
      () => parts.now(),
      (running) => this.#run(running),
    );
    this.#beat = new CallbackAlarm((now) => {
      this.recordings.expire();
      if (this.recordings.running.length > 0) parts.core.alarms.arm(this.#beat, after(now, BEAT));
    });
  }

  #run(running: readonly Recording[]): void {
    this.#tracer.recordings = running;
    const attached = this.#parts.core.trace !== undefined;
    if (running.length > 0 && !attached) this.#attach();
    else if (running.length === 0 && attached) this.#detach();
  }

  #attach(): void {
    const { core, gate, sessions } = this.#parts;
    const tracer = this.#tracer;
    tracer.before = gate.inspection;
    gate.inspection = tracer;
    sessions.watch = tracer;
    core.trace = tracer;
    core.alarms.arm(this.#beat, after(core.now, BEAT));
  }

  #detach(): void {
    const { core, gate, sessions } = this.#parts;
    const tracer = this.#tracer;
    if (gate.inspection === tracer) gate.inspection = tracer.before;
    sessions.watch = undefined;
    core.trace = undefined;
    core.alarms.disarm(this.#beat);
    tracer.rest();
  }
}
