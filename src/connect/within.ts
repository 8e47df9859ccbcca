import { SinkFailure } from "./connector.ts";

/** What is asked; or, when the time is up, a failure that heals: nobody waits for the answer any more. */
export async function within<Result>(signal: AbortSignal, asked: Promise<Result>): Promise<Result> {
  let stop = (): void => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(new SinkFailure("it does not answer in time", true));
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([asked, stopped]);
  } finally {
    signal.removeEventListener("abort", stop);
    asked.catch(() => {});
    stopped.catch(() => {});
  }
}
