import { DialError, type DialFailure } from "./transport.ts";

/** What the system says when a connection cannot be made. */
function failureOf({ code }: NodeJS.ErrnoException): DialFailure {
  switch (code) {
    case "ECONNREFUSED":
      return "connection-refused";
    case "EADDRNOTAVAIL":
    // No port of the local address is free.
    case "EADDRINUSE":
    case "EINVAL":
      return "address-not-available";
    case "ENOTFOUND":
    case "ENODATA":
    case "EAI_AGAIN":
    case "EAI_FAIL":
    case "EAI_NODATA":
    case "EAI_NONAME":
      return "name-not-found";
    default:
      return "unreachable";
  }
}

/** One error for all addresses that were tried: the first tells what it was, the text tells all. */
export function connectError(place: string, problems: readonly NodeJS.ErrnoException[]): DialError {
  const first = problems[0];
  const failure = first === undefined ? "name-not-found" : failureOf(first);
  const texts = problems.map(({ message }) => message);
  return new DialError(failure, `${place}: ${texts.length > 0 ? texts.join("; ") : "no usable address"}`);
}
