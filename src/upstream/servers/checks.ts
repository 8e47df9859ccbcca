import { type Alarms, CallbackAlarm } from "../../lib/alarm.ts";
import { after, type Clock, milliseconds } from "../../lib/time.ts";
import type { Member } from "./member.ts";
import { Probe, type ProbeSettings } from "./probe.ts";
import type { HealthSettings } from "./settings.ts";

export interface ChecksHost {
  readonly alarms: Alarms;
  readonly clock: Clock;
  readonly random: () => number;
  /** A server has become well, or is well no more. */
  changed(member: Member, well: boolean): void;
}

/** Asks one server now and then how it is. */
export class Checks {
  readonly #member: Member;
  readonly #health: HealthSettings;
  readonly #probe: ProbeSettings;
  readonly #host: ChecksHost;
  readonly #alarm = new CallbackAlarm(() => this.#ask());
  #running: Probe | undefined = undefined;
  #stopped = false;

  constructor(member: Member, health: HealthSettings, probe: ProbeSettings, host: ChecksHost) {
    this.#member = member;
    this.#health = health;
    this.#probe = probe;
    this.#host = host;
    this.#next(host.random());
  }

  stop(): void {
    this.#stopped = true;
    this.#host.alarms.disarm(this.#alarm);
    this.#running?.cancel();
  }

  /** Not all at the same time: a tenth of the interval is chance, and the first comes anywhere within it. */
  #next(share: number): void {
    const wait = milliseconds(this.#health.interval * share);
    this.#host.alarms.arm(this.#alarm, after(this.#host.clock.now(), wait));
  }

  #ask(): void {
    const { alarms, clock } = this.#host;
    this.#running = new Probe(this.#member.dial, this.#probe, alarms, clock.now(), (problem) =>
      this.#answered(problem),
    );
  }

  #answered(problem: string | undefined): void {
    this.#running = undefined;
    if (this.#stopped) return;
    const { circuit } = this.#member;
    const now = this.#host.clock.now();
    const changed = problem === undefined ? circuit.succeeded(now, true) : circuit.failed(now, problem);
    if (changed) this.#host.changed(this.#member, problem === undefined);
    this.#next(0.9 + 0.1 * this.#host.random());
  }
}
