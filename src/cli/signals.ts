import type { Duration } from "../lib/time.ts";
import { timerLength } from "../lib/timer-length.ts";
import { formatDuration } from "../lib/units.ts";
import { describeError, EXIT } from "./errors.ts";

/** A gateway that is up. */
export interface RunningGateway {
  /** Tells clients, finishes work in flight, closes. May take for ever: whoever calls bounds it. */
  stop(): Promise<void>;
  /** How long `stop` may take. */
  readonly stopTimeout: Duration;
  /** On SIGHUP: reads again what may change at run time. Without it SIGHUP stops. */
  reload?(): void;
  /** Resolves with the error after which going on makes no sense, for example a full disk. */
  readonly failed?: Promise<unknown>;
}

export type SignalName = "SIGINT" | "SIGTERM" | "SIGHUP";

/** Where signals come from: `process`, or a test. */
export interface SignalSource {
  on(signal: SignalName, listener: (signal: SignalName) => void): unknown;
  off(signal: SignalName, listener: (signal: SignalName) => void): unknown;
}

/** A SIGHUP that comes while the gateway starts does not end it: it is read again when it is up. */
export async function startAndReload<Running extends RunningGateway>(
  start: () => Promise<Running>,
  source: SignalSource,
): Promise<Running> {
  let asked = false;
  const ask = (): void => {
    asked = true;
  };
  source.on("SIGHUP", ask);
  try {
    const running = await start();
    if (asked) running.reload?.();
    return running;
  } finally {
    source.off("SIGHUP", ask);
  }
}

const SIGNALS: readonly SignalName[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Runs until a signal or a failure ends it, and then stops it in bounded time. Resolves to the exit code. */
export async function runUntilStopped(
  running: RunningGateway,
  source: SignalSource,
  say: (line: string) => void,
): Promise<number> {
  const signals = new Signals(running, source);
  try {
    const end = await Promise.race([signals.next(), failureOf(running)]);
    let exit: number = EXIT.ok;
    if (typeof end !== "string") {
      const { lines, exit: code } = describeError(end.error);
      for (const line of lines) say(line);
      exit = code;
    } else say(`${end}: stopping, at most ${formatDuration(running.stopTimeout)}; once more to stop at once`);
    const forced = await stopInTime(running, signals);
    if (forced === undefined) return exit;
    say(forced);
    return exit === EXIT.ok ? EXIT.forced : exit;
  } finally {
    signals.close();
  }
}

/** Undefined when it has stopped in an orderly way, else why not. */
async function stopInTime(running: RunningGateway, signals: Signals): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve("not stopped in time: ending now"), timerLength(running.stopTimeout));
  });
  const again = signals.next().then((signal) => `${signal}: ending now`);
  try {
    return await Promise.race([running.stop().then(() => undefined), late, again]);
  } catch (error) {
    return `could not stop in an orderly way: ${describeError(error).lines.join("\n")}`;
  } finally {
    clearTimeout(timer);
  }
}

const failureOf = async (running: RunningGateway): Promise<{ readonly error: unknown }> => {
  if (running.failed === undefined) return new Promise(() => {});
  return { error: await running.failed };
};

/** Stop signals one after the other; a SIGHUP reloads where that is possible. */
class Signals {
  readonly #running: RunningGateway;
  readonly #source: SignalSource;
  #resolve: ((signal: SignalName) => void) | undefined;

  constructor(running: RunningGateway, source: SignalSource) {
    this.#running = running;
    this.#source = source;
    for (const signal of SIGNALS) source.on(signal, this.#came);
  }

  next(): Promise<SignalName> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  close(): void {
    for (const signal of SIGNALS) this.#source.off(signal, this.#came);
  }

  readonly #came = (signal: SignalName): void => {
    if (signal === "SIGHUP" && this.#running.reload !== undefined) this.#running.reload();
    else this.#resolve?.(signal);
  };
}
