/**
 * A turn: all that is read in one go from the sockets that are ready. What is to be done behind it, such as writing what
 * was collected, is done at its end; outside of one, when the event loop has come round.
 */
let within = false;
/** What one of them puts off is done in the same turn. */
let due: (() => void)[] = [];

/** How long in one round of the loop is worked on one of the things that come in numbers, in milliseconds: all the others wait. */
export const SHARE = 5;

export function atEndOfTurn(run: () => void): void {
  if (within) due.push(run);
  else later(run);
}

/** What was put off outside of a turn. */
let put: (() => void)[] = [];
let scheduled = false;

function later(run: () => void): void {
  put.push(run);
  if (scheduled) return;
  scheduled = true;
  setImmediate(runPut);
}

/** A thousand connections may have ended at once. */
function runPut(): void {
  const until = performance.now() + SHARE;
  const all = put;
  let at = 0;
  put = [];
  try {
    do all[at++]!();
    while (at < all.length && performance.now() < until);
  } finally {
    // Also where one has thrown, which is nothing to the others.
    put = at < all.length ? [...all.slice(at), ...put] : put;
    scheduled = put.length > 0;
    if (scheduled) setImmediate(runPut);
  }
}

export function takeTurn(turn: () => void): void {
  within = true;
  try {
    turn();
  } finally {
    endTurn();
  }
}

function endTurn(): void {
  const all = due;
  let at = 0;
  try {
    while (at < all.length) all[at++]!();
  } finally {
    within = false;
    due = [];
    // One has thrown, which is nothing to the others.
    for (const run of all.slice(at)) later(run);
  }
}

/** What reads from sockets by itself, and takes a turn whenever it is asked to. */
type Reader = () => void;
const readers = new Set<Reader>();

/** Returns what ends it. */
export function joinTurns(reader: Reader): () => void {
  readers.add(reader);
  return () => readers.delete(reader);
}

/** How long sockets of Node may be served in one round of the loop before the others are let in, in milliseconds. */
const ROUND = 5;
/** When the first of them was served in this round. */
let begun: number | undefined;

/**
 * Comes first in what Node calls for a socket of its own. libuv serves all that it has found ready in one go: five
 * thousand TLS clients that come or leave at once would stop everybody else for as long as all of them take.
 */
export function letOthersIn(): void {
  if (within || readers.size === 0) return;
  const now = performance.now();
  if (begun === undefined) {
    begun = now;
    setImmediate(endRound);
  } else if (now - begun >= ROUND) {
    for (const reader of readers) takeTurnOf(reader);
    begun = performance.now();
  }
}

function endRound(): void {
  begun = undefined;
}

/** What is wrong with one of them is nothing to who has let it in. */
function takeTurnOf(reader: Reader): void {
  try {
    reader();
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}
