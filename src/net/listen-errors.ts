import { placeName } from "./address.ts";
import { ListenError } from "./transport.ts";

/** Turns what the system says when an address cannot be bound into one line with the fix. */
export function bindError(error: unknown, address: string, port: number): ListenError {
  const where = placeName(address, port);
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case "EADDRINUSE":
      return new ListenError(
        "port-in-use",
        `${where} is in use by another program: stop that program, or configure another port`,
      );
    case "EACCES":
    case "EPERM":
      return new ListenError(
        "permission-denied",
        `not allowed to listen on ${where}: ports below 1024 need privileges, choose a higher port`,
      );
    case "EADDRNOTAVAIL":
    case "EAFNOSUPPORT":
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EINVAL":
      return new ListenError(
        "address-not-available",
        `${where} is not an address of this machine: bind to one of its addresses, or to "::" for all`,
      );
    default:
      return new ListenError("listen-failed", `cannot listen on ${where}: ${message}`);
  }
}
