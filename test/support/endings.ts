/** What a test has begun and never ends itself: worlds and stores, which are ended behind it and asked what is left. */

export interface Begun {
  /** What is left that should not be, in words. */
  end(): readonly string[] | Promise<readonly string[]>;
}

const begun: Begun[] = [];
let running = false;

/** A test runs from now on: what is begun outside of one belongs to several. */
export function testBegins(): void {
  running = true;
  begun.length = 0;
}

export function endsWithTest(what: Begun): void {
  if (running) begun.push(what);
}

/** How much has begun so far, for `endSince`. */
export const begunSoFar = (): number => begun.length;

/** Ends at once what began since then and can be: a property begins hundreds of worlds. */
export function endSince(place: number): void {
  const left: string[] = [];
  const later: Begun[] = [];
  for (const what of begun.splice(place)) {
    const remains = what.end();
    if (remains instanceof Promise) later.push({ end: () => remains });
    else left.push(...remains);
  }
  begun.push(...later);
  complain(left);
}

export async function testEnds(passed: boolean): Promise<void> {
  running = false;
  const left: string[] = [];
  // What failed may leave anything behind.
  if (passed) for (const what of begun) left.push(...(await what.end()));
  begun.length = 0;
  complain(left);
}

function complain(left: readonly string[]): void {
  if (left.length > 0) throw new Error(`left behind: ${[...new Set(left)].join("; ")}`);
}
