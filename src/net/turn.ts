/**
 * A turn: all that is read in one go from the sockets that are ready. What is to be done behind it, such as writing what
 * was collected, is done at its end; outside of one, when the event loop has come round.
 */
let within = false;
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
    within = false;
    const now = due;
    due = [];
    for (const run of now) run();
  }
}
