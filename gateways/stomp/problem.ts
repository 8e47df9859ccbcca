import type { Refusal } from "#core/contract/answers.ts";

/** Why a frame cannot be processed: an ERROR frame, after which the connection closes (STOMP 1.2 ERROR). */
export interface Problem {
  /** Short, for the header `message`. */
  readonly message: string;
  /** Longer, for the body. */
  readonly detail: string;
}

/** What became of a frame: processed, to be answered later, or a reason for ERROR. */
export type Outcome = typeof DONE | typeof DEFERRED | Problem;
export const DONE = "done";
export const DEFERRED = "deferred";

export const problem = (message: string, detail = sentence(message)): Problem => ({ message, detail });

/** Some clients show nothing but the body. */
const sentence = (message: string): string => `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;

export const missing = (header: string, command: string): Problem =>
  problem(`missing header ${header}`, `${command} needs the header ${header}.`);

/** What the core refuses, in words. */
export function refused(refusal: Refusal, what: string): Problem {
  switch (refusal) {
    case "unauthenticated":
      return problem("access refused", `${what}: wrong or missing login or passcode.`);
    case "forbidden":
      return problem("access refused", `${what}: this client may not do that.`);
    case "banned":
      return problem("access refused", `${what}: this client is banned.`);
    case "malformed":
      return problem("malformed name", `${what}: the name is not valid.`);
    case "congested":
      return problem("too busy", `${what}: a limit is reached; try again later.`);
    case "quota":
      return problem("limit reached", `${what}: over a limit of this client.`);
    case "too-large":
      return problem("too large", `${what}: over the size limit.`);
    case "unavailable":
      return problem("not available", `${what}: the server cannot do it now.`);
  }
}
