/** The one way to ask anything outside this process about a login: bounded in time, number and patience. */
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import { after, type Instant, ZERO } from "../lib/time.ts";
import { type Applicant, type AuthenticatorAnswer, IGNORED } from "../policy/authentication.ts";
import type { AuthenticateHost, OpenedAuthenticator } from "./kind.ts";
import { KnownLogins } from "./known-logins.ts";
import type { OutsideSettings } from "./outside-settings.ts";

/** A source as its own file knows it. A rejected promise means: it could not be asked. */
export interface Source {
  ask(request: Credentials, peer: Peer, signal: AbortSignal): Promise<AuthenticatorAnswer>;
  close?(): void;
}

/** The same trouble is noted again after this many milliseconds. */
const NOTE_AGAIN = 10_000;
const BUSY: AuthenticatorAnswer = { answer: "busy" };
const UNAVAILABLE: AuthenticatorAnswer = { answer: "unavailable" };

/** Ends a wait; says whether the turn has come. */
type Turn = (come: boolean) => void;

export class Outside implements OpenedAuthenticator {
  readonly name: string;
  readonly #settings: OutsideSettings;
  readonly #host: AuthenticateHost;
  readonly #source: Source;
  readonly #secrets: readonly string[];
  readonly #known: KnownLogins | undefined;
  readonly #line = new Set<Turn>();
  #running = 0;
  /** Circuit breaker: failures in a row, and until when nobody is asked after too many. */
  #failures = 0;
  #closedUntil: Instant = ZERO as number as Instant;
  #noted = { problem: "", at: Number.NEGATIVE_INFINITY };

  /** `secrets`: what no note may show, should the source's own words hold it. */
  constructor(
    name: string,
    settings: OutsideSettings,
    host: AuthenticateHost,
    source: Source,
    secrets: readonly (string | undefined)[] = [],
  ) {
    this.name = name;
    this.#settings = settings;
    this.#host = host;
    this.#source = source;
    this.#secrets = secrets.filter((secret): secret is string => secret !== undefined && secret !== "");
    this.#known = settings.onError === "allow-known" ? new KnownLogins(settings.known) : undefined;
  }

  authenticate(
    request: Credentials,
    peer: Peer,
    now: Instant,
    applicant?: Applicant,
  ): AuthenticatorAnswer | Promise<AuthenticatorAnswer> {
    if (now < this.#closedUntil) return this.#withoutSource(request, peer, now);
    const { concurrent, waiting } = this.#settings;
    if (this.#running >= concurrent && this.#line.size >= waiting) return this.#counted("busy", BUSY);
    // What a channel passes is good until it reads on.
    const { password } = request;
    const own = password === undefined ? request : { ...request, password: password.slice() };
    return this.#ask(own, peer, applicant);
  }

  close(): void {
    this.#source.close?.();
  }

  async #ask(
    request: Credentials,
    peer: Peer,
    applicant: Applicant | undefined,
  ): Promise<AuthenticatorAnswer> {
    if (!(await this.#turn())) return this.#counted("busy", BUSY);
    // Whoever waited for his turn may find the source given up meanwhile.
    const now = this.#host.now();
    const { timeout } = this.#settings;
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), timeout);
    try {
      if (applicant?.closed === true) return BUSY;
      if (now < this.#closedUntil) return this.#withoutSource(request, peer, now);
      const answer = await inTime(this.#source.ask(request, peer, patience.signal), patience.signal);
      return this.#answered(request, peer, answer);
    } catch (error) {
      return this.#failed(request, peer, patience.signal.aborted ? `no answer within ${timeout} ms` : error);
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

  #answered(request: Credentials, peer: Peer, answer: AuthenticatorAnswer): AuthenticatorAnswer {
    if (this.#failures >= this.#settings.breaker.failures) this.#host.note(this.name, "answers again");
    this.#failures = 0;
    if (answer.answer === "accepted") this.#known?.remember(request, peer, answer, this.#host.now());
    else if (answer.answer !== "busy") this.#known?.forget(request, peer);
    return this.#counted(answer.answer === "unavailable" ? "failed" : answer.answer, answer);
  }

  #failed(request: Credentials, peer: Peer, error: unknown): AuthenticatorAnswer {
    const now = this.#host.now();
    const { failures, pause } = this.#settings.breaker;
    if (++this.#failures >= failures) this.#closedUntil = after(now, pause);
    this.#note(wordsOf(error), now);
    return this.#withoutSource(request, peer, now);
  }

  #withoutSource(request: Credentials, peer: Peer, now: Instant): AuthenticatorAnswer {
    const { onError } = this.#settings;
    if (onError === "next") return this.#counted("failed", IGNORED);
    return this.#counted("failed", this.#known?.find(request, peer, now) ?? UNAVAILABLE);
  }

  #counted(
    result: Parameters<AuthenticateHost["count"]>[1],
    answer: AuthenticatorAnswer,
  ): AuthenticatorAnswer {
    this.#host.count(this.name, result);
    return answer;
  }

  /** A source that is away fails every login: one line says so, and again from time to time. */
  #note(words: string, now: Instant): void {
    let problem = words;
    for (const secret of this.#secrets) problem = problem.replaceAll(secret, "(hidden)");
    if (problem === this.#noted.problem && now - this.#noted.at < NOTE_AGAIN) return;
    this.#noted = { problem, at: now };
    this.#host.note(this.name, problem);
  }
}

/** A library that forgets its promise must not hold a login for ever. */
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
