/** The one way to ask anything outside this process: bounded in time, number and patience. */
import { after, type Instant, ZERO } from "../lib/time.ts";
import type { AuthenticateHost } from "./kind.ts";
import type { OutsideSettings } from "./outside-settings.ts";

export type PatienceSettings = Pick<OutsideSettings, "timeout" | "concurrent" | "waiting" | "breaker">;

/** `busy`: too many wait. `gone`: whoever asked is not there any more. `away`: it could not be asked. */
export type Asked<Value> = { readonly value: Value } | "busy" | "gone" | "away";

/** The same trouble is noted again after this many milliseconds. */
const NOTE_AGAIN = 10_000;

/** Ends a wait; says whether the turn has come. */
type Turn = (come: boolean) => void;

export class Patience {
  readonly name: string;
  readonly #settings: PatienceSettings;
  readonly #host: Pick<AuthenticateHost, "now" | "note">;
  readonly #secrets: readonly string[];
  readonly #line = new Set<Turn>();
  #running = 0;
  /** Circuit breaker: failures in a row, and until when nobody is asked after too many. */
  #failures = 0;
  #closedUntil: Instant = ZERO as number as Instant;
  #noted = { problem: "", at: Number.NEGATIVE_INFINITY };

  /** `secrets`: what no note may show, should the source's own words hold it. */
  constructor(
    name: string,
    settings: PatienceSettings,
    host: Pick<AuthenticateHost, "now" | "note">,
    secrets: readonly (string | undefined)[] = [],
  ) {
    this.name = name;
    this.#settings = settings;
    this.#host = host;
    this.#secrets = secrets.filter((secret): secret is string => secret !== undefined && secret !== "");
  }

  /** What would come of asking now, without asking: the source is left alone, or too many wait. */
  get refusal(): "away" | "busy" | undefined {
    if (this.#host.now() < this.#closedUntil) return "away";
    const { concurrent, waiting } = this.#settings;
    return this.#running >= concurrent && this.#line.size >= waiting ? "busy" : undefined;
  }

  async ask<Value>(
    run: (signal: AbortSignal) => Promise<Value>,
    gone?: { readonly closed: boolean },
  ): Promise<Asked<Value>> {
    const refusal = this.refusal;
    if (refusal !== undefined) return refusal;
    if (!(await this.#turn())) return "busy";
    const { timeout } = this.#settings;
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), timeout);
    try {
      if (gone?.closed === true) return "gone";
      // Whoever waited for his turn may find the source given up meanwhile.
      if (this.#host.now() < this.#closedUntil) return "away";
      const value = await inTime(run(patience.signal), patience.signal);
      this.#answered();
      return { value };
    } catch (error) {
      this.#failed(patience.signal.aborted ? `no answer within ${timeout} ms` : error);
      return "away";
    } finally {
      clearTimeout(timer);
      this.#next();
    }
  }

  #turn(): true | Promise<boolean> {
    if (this.#running < this.#settings.concurrent) {
      this.#running++;
      return true;
    }
    return new Promise((resolve) => {
      const turn: Turn = (come) => {
        this.#line.delete(turn);
        clearTimeout(tooLate);
        resolve(come);
      };
      const tooLate = setTimeout(turn, this.#settings.timeout, false);
      this.#line.add(turn);
    });
  }

  /** The place goes to the next in line, or becomes free. */
  #next(): void {
    const next = this.#line.values().next();
    if (next.done === true) this.#running--;
    else next.value(true);
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
