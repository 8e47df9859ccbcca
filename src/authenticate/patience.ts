/** The one way to ask anything outside this process: bounded in time, number and patience. */
import { FairLine } from "../lib/fair-line.ts";
import { after, type Instant, ZERO } from "../lib/time.ts";
import { ANYBODY, type AskedBy } from "./asked-by.ts";
import type { AuthenticateHost } from "./kind.ts";
import type { OutsideSettings } from "./outside-settings.ts";

export type PatienceSettings = Pick<OutsideSettings, "timeout" | "concurrent" | "waiting" | "breaker">;

/** `busy`: too many wait. `gone`: whoever asked is not there any more. `away`: it could not be asked. */
export type Asked<Value> = { readonly value: Value } | "busy" | "gone" | "away";

/** The same trouble is noted again after this many milliseconds. */
const NOTE_AGAIN = 10_000;

type Host = Pick<AuthenticateHost, "now" | "note" | "pace">;

interface Waiting {
  /** Ends the wait; says whether the turn has come. */
  readonly called: (turn: boolean) => void;
  /** It has waited for too long, and is nobody any more. */
  left: boolean;
}

export class Patience {
  readonly name: string;
  readonly #settings: PatienceSettings;
  readonly #host: Host;
  readonly #secrets: readonly string[];
  readonly #line = new FairLine<Waiting>();
  #running = 0;
  /** Circuit breaker: failures in a row, and until when nobody is asked after too many. */
  #failures = 0;
  #closedUntil: Instant = ZERO as number as Instant;
  #noted = { problem: "", at: Number.NEGATIVE_INFINITY };

  /** `secrets`: what no note may show, should the source's own words hold it. */
  constructor(
    name: string,
    settings: PatienceSettings,
    host: Host,
    secrets: readonly (string | undefined)[] = [],
  ) {
    this.name = name;
    this.#settings = settings;
    this.#host = host;
    this.#secrets = secrets.filter((secret): secret is string => secret !== undefined && secret !== "");
  }

  /** The source is left alone for now. */
  get away(): boolean {
    return this.#host.now() < this.#closedUntil;
  }

  async ask<Value>(
    run: (signal: AbortSignal) => Promise<Value>,
    by: AskedBy = ANYBODY,
  ): Promise<Asked<Value>> {
    if (this.away) return "away";
    if (!(await this.#turn(by))) return "busy";
    await this.#host.pace?.questions.turn();
    const { timeout } = this.#settings;
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), timeout);
    try {
      if (by.applicant?.closed === true) return "gone";
      // Whoever waited for his turn may find the source given up meanwhile.
      if (this.away) return "away";
      const value = await inTime(run(patience.signal), patience.signal);
      this.#answered();
      await this.#host.pace?.answers.turn();
      return { value };
    } catch (error) {
      this.#failed(patience.signal.aborted ? `no answer within ${timeout} ms` : error);
      return "away";
    } finally {
      clearTimeout(timer);
      this.#next();
    }
  }

  #turn({ address, name }: AskedBy): boolean | Promise<boolean> {
    const { concurrent, waiting, timeout } = this.#settings;
    if (this.#running < concurrent) {
      this.#running++;
      return true;
    }
    if (this.#line.length >= waiting) {
      const other = this.#line.makeRoomFor(address);
      if (other === undefined) return false;
      other.called(false);
    }
    return new Promise((resolve) => {
      const here: Waiting = {
        left: false,
        called(turn) {
          clearTimeout(tooLate);
          here.left = true;
          resolve(turn);
        },
      };
      const tooLate = setTimeout(here.called, timeout, false);
      this.#line.push(address, name, here);
    });
  }

  /** The place goes to the next in line that still waits, or becomes free. */
  #next(): void {
    for (let next = this.#line.shift(); next !== undefined; next = this.#line.shift()) {
      if (next.left) continue;
      next.called(true);
      return;
    }
    this.#running--;
  }

  #answered(): void {
    if (this.#failures >= this.#settings.breaker.failures) this.#host.note(this.name, "answers again");
    this.#failures = 0;
  }

  #failed(error: unknown): void {
    const now = this.#host.now();
    const { failures, pause } = this.#settings.breaker;
    if (++this.#failures >= failures) this.#closedUntil = after(now, pause);
    this.#note(wordsOf(error), now);
  }

  /** A source that is away fails everybody: one line says so, and again from time to time. */
  #note(words: string, now: Instant): void {
    let problem = words;
    for (const secret of this.#secrets) problem = problem.replaceAll(secret, "(hidden)");
    if (problem === this.#noted.problem && now - this.#noted.at < NOTE_AGAIN) return;
    this.#noted = { problem, at: now };
    this.#host.note(this.name, problem);
  }
}

/** A library that forgets its promise must not hold anybody for ever. */
function inTime<Value>(asked: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const tooLate = () => reject(new Error("no answer in time"));
    if (signal.aborted) tooLate();
    signal.addEventListener("abort", tooLate, { once: true });
    asked.then(resolve, reject).finally(() => signal.removeEventListener("abort", tooLate));
  });
}

const WORDS_MAX = 300;

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error).slice(0, WORDS_MAX);
  const { code, cause } = error as Error & { readonly code?: unknown };
  const words = error.message !== "" ? error.message : String(code ?? error.name);
  const deeper = cause instanceof Error && cause.message !== "" ? `: ${cause.message}` : "";
  return `${words}${deeper}`.slice(0, WORDS_MAX);
}
