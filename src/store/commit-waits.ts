import { CommitWait, type StoreRecord } from "../session/store.ts";

/** Runs a function once what it waits for is settled. */
export class Callback extends CommitWait {
  readonly settled: (failure: Error | undefined) => void;

  constructor(run: (failure: Error | undefined) => void) {
    super();
    this.settled = run;
  }
}

/** Lets somebody wait for a record as it is, or will be, written. */
export function waitFor(record: StoreRecord, wait: CommitWait): void {
  if (record.committing) {
    // The commit that runs has taken an earlier value.
    record.nextWaits ??= [];
    add(record.nextWaits, wait);
  } else {
    record.waits ??= [];
    add(record.waits, wait);
  }
}

function add(waits: CommitWait[], wait: CommitWait): void {
  if (waits.at(-1) === wait) return;
  waits.push(wait);
  wait.left++;
}

/** What these waited for is safe, or need not be any more; or it could not be made so, which each hears once. */
export function settle(waits: readonly CommitWait[] | undefined, failure: Error | undefined): void {
  if (waits === undefined) return;
  for (const wait of waits) {
    if (wait.left === 0) continue;
    wait.left = failure === undefined ? wait.left - 1 : 0;
    if (wait.left === 0) wait.settled(failure);
  }
}
