import { type Alarms, CallbackAlarm } from "../lib/alarm.ts";
import { Ring } from "../lib/ring.ts";
import { after, between, type Instant, milliseconds } from "../lib/time.ts";

/** A connection that waits for its turn. */
export interface Applicant {
  /** It does not want to be connected any more. */
  readonly gone: boolean;
  go(now: Instant): void;
}

export interface BudgetLimits {
  /** Connections begun a second. */
  readonly rate: number;
  /** Connections between their beginning and CONNACK. */
  readonly parallel: number;
}

/** A burst of so many seconds' worth may begin at once. */
const BURST = 0.1;

/** How fast servers are connected to, over all of them: after an outage everybody comes back at once. */
export class ConnectBudget {
  readonly #limits: BudgetLimits;
  readonly #alarms: Alarms;
  readonly #line = new Ring<Applicant>();
  readonly #alarm: CallbackAlarm;
  #tokens: number;
  #filledAt = 0 as Instant;
  #running = 0;
  #serving = false;

  constructor(limits: BudgetLimits, alarms: Alarms) {
    this.#limits = limits;
    this.#alarms = alarms;
    this.#tokens = this.#burst;
    this.#alarm = new CallbackAlarm((due) => this.#serve(due));
  }

  get waiting(): number {
    return this.#line.length;
  }

  get running(): number {
    return this.#running;
  }

  /** `go` is called when it is its turn, perhaps at once; then `done` is due once. */
  apply(applicant: Applicant, now: Instant): void {
    this.#line.push(applicant);
    this.#serve(now);
  }

  done(now: Instant): void {
    this.#running--;
    this.#serve(now);
  }

  get #burst(): number {
    return Math.max(1, this.#limits.rate * BURST);
  }

  #serve(now: Instant): void {
    // What goes may be done at once: the loop below comes to the next.
    if (this.#serving) return;
    this.#serving = true;
    this.#fill(now);
    this.#letGo(now);
    this.#serving = false;
  }

  #letGo(now: Instant): void {
    while (this.#line.length > 0 && this.#running < this.#limits.parallel) {
      if (this.#line.peek()?.gone === true) {
        this.#line.shift();
        continue;
      }
      if (this.#tokens < 1) {
        const wait = Math.ceil(((1 - this.#tokens) / this.#limits.rate) * 1000);
        if (!this.#alarm.armed) this.#alarms.arm(this.#alarm, after(now, milliseconds(wait)));
        return;
      }
      this.#tokens--;
      this.#running++;
      this.#line.shift()?.go(now);
    }
  }

  #fill(now: Instant): void {
    const { rate } = this.#limits;
    const came = rate === Number.POSITIVE_INFINITY ? rate : (between(this.#filledAt, now) / 1000) * rate;
    this.#tokens = Math.min(this.#burst, this.#tokens + came);
    this.#filledAt = now;
  }
}
