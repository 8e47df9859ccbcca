/**
 * A turn: all that is read in one go from the sockets that are ready. What is to be done behind it, such as writing what
 * was collected, is done at its end; outside of one, when the event loop has come round.
 */
let within = false;
/** What one of them puts off is done in the same turn. */
let due: (() => void)[] = [];

export function atEndOfTurn(run: () => void): void {
  if (within) due.push(run);
  else setImmediate(run);
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
    for (const run of all.slice(at)) setImmediate(run);
  }
}
