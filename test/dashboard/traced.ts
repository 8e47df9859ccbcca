/** What the page's main thread does, by Chromium's own trace: processor time, in which what others take is not. */
import type { Browser, BrowserContext, Page } from "playwright-core";

/** Of the trace format of Chromium: what one thread did from `ts` on, for `tdur` microseconds of processor time. */
interface Traced {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly tdur?: number;
  readonly args: { readonly name?: string };
}

export const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

/** Milliseconds of each task while `run` runs; with `until` only of those before the page has set that mark. */
export async function tasksOf(
  browser: Browser,
  page: Page,
  run: () => Promise<unknown>,
  until?: string,
): Promise<readonly number[]> {
  await browser.startTracing(page, { categories: ["toplevel", "blink.user_timing"] });
  await run();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: Traced[] };
  const of = ({ pid, tid }: Traced): string => `${pid} ${tid}`;
  const threads = new Set(traceEvents.filter(({ args }) => args.name === "CrRendererMain").map(of));
  const mark = until === undefined ? undefined : traceEvents.find(({ name }) => name === until);
  if (until !== undefined && mark === undefined) throw new Error(`the page has set no mark ${until}`);
  return traceEvents
    .filter((event) => event.name.endsWith("RunTask") && threads.has(of(event)))
    .filter((event) => mark === undefined || (of(event) === of(mark) && event.ts < mark.ts))
    .map(({ tdur = 0 }) => tdur / 1_000);
}

/** A page for which nothing is kept from before. */
export async function uncached(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  await devtools.send("Network.enable");
  await devtools.send("Network.setCacheDisabled", { cacheDisabled: true });
  return page;
}
