import { type SystemCalls, systemCalls } from "../batch/system-calls.ts";
import { EpollSet } from "./set.ts";

let made: EpollSet | Error | undefined;

/** The set of this thread. An error says why there is none. */
export function epollSet(): EpollSet | Error {
  made ??= makeSet(systemCalls());
  return made;
}

function makeSet(calls: SystemCalls | Error): EpollSet | Error {
  if (calls instanceof Error) return calls;
  try {
    return new EpollSet(calls);
  } catch (error) {
    return error as Error;
  }
}
