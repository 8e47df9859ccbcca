/** What can go wrong for an operator. A test holds this table against the README beside this file. */
export const OPERATOR_ERRORS = {
  "bad-configuration": "A value in the configuration is unknown, missing or not allowed.",
  "port-in-use": "Another program listens on a port of the configuration.",
  "permission-denied": "The system does not allow to listen on a port.",
  "address-not-available": "A listener is bound to an address that this machine does not have.",
  "listen-failed": "A listener could not be opened for another reason.",
  "upstream-unreachable":
    "No server of the cluster lets the gateway in, and the configuration wants one (`required`).",
  "certificate-missing": "A certificate, key or PSK file is not named, or does not exist.",
  "certificate-unreadable": "A certificate, key or PSK file may not be read.",
  "certificate-invalid": "A certificate or key is not PEM, or the passphrase of the key is wrong.",
  "certificate-mismatch": "A key does not belong to its certificate.",
  "psk-file-invalid": "A line of the PSK file is not identity:key.",
  "file-missing": "A file or folder that the configuration names does not exist.",
  "disk-full": "The disk under the data folder is full.",
  "data-folder-unusable": "The data folder cannot be created, read or written.",
  "too-many-open-files": "The system's limit of open files and connections is reached.",
  "store-in-use": "Another process uses the data folder.",
  "store-full": "The store has reached its configured size.",
  "store-format": "The data folder was written by a version with another format.",
  "store-failed": "What is kept on disk cannot be read or written.",
  "store-kind": "The data folder holds a store of another kind than the one that is asked for.",
  "store-empty": "The data folder holds no store.",
  "store-not-empty": "The data folder of an import holds records already.",
  "store-import": "The file of an import is no export, or damaged.",
  "api-unreachable": "No gateway answers at the address of the API.",
  "api-refused": "The gateway refuses what a command asks for.",
  "nobody-listens": "Nobody listens where `sim` was sent.",
  "accounts-file": "The file of users and keys, or of given keys, cannot be used.",
  "node-too-old": "This version of Node cannot run Isthmus.",
  "internal-error": "A bug in Isthmus.",
} as const;
export type OperatorErrorCode = keyof typeof OPERATOR_ERRORS;

export const EXIT = {
  /** Stopped as asked. */
  ok: 0,
  /** An error of the table above. */
  operator: 1,
  /** The command line was wrong. */
  usage: 2,
  /** Stopped by force: the time for an orderly stop was over, or a second signal came. */
  forced: 3,
  /** Asked, and not answered yet. */
  waiting: 4,
  /** A bug in Isthmus. */
  internal: 70,
} as const;

export interface OperatorError {
  readonly code: OperatorErrorCode;
  /** One for each problem; each says what to do. */
  readonly lines: readonly string[];
  readonly exit: number;
}

const ACCESS_FIX = "give the user that runs the gateway access, or name another folder with --data";
/** Errors of the system that reach the command line as they are. */
const SYSTEM_ERRORS: ReadonlyMap<string, readonly [OperatorErrorCode, fix: string]> = new Map([
  ["EADDRINUSE", ["port-in-use", "stop the other program, or configure another port"]],
  ["EADDRNOTAVAIL", ["address-not-available", "bind to an address of this machine"]],
  ["ENOENT", ["file-missing", "create it, or correct its path in the configuration"]],
  ["ENOSPC", ["disk-full", "free some space, or name another folder with --data"]],
  ["EDQUOT", ["disk-full", "raise the quota, or name another folder with --data"]],
  ["EROFS", ["data-folder-unusable", "name a writable folder with --data"]],
  ["EACCES", ["data-folder-unusable", ACCESS_FIX]],
  ["EPERM", ["data-folder-unusable", ACCESS_FIX]],
  ["ENOTDIR", ["data-folder-unusable", "name a folder with --data"]],
  ["EMFILE", ["too-many-open-files", "raise the limit of open files (ulimit -n)"]],
  ["ENFILE", ["too-many-open-files", "raise the limit of open files of the system (fs.file-max)"]],
]);

const isKnown = (code: unknown): code is OperatorErrorCode =>
  typeof code === "string" && Object.hasOwn(OPERATOR_ERRORS, code);

/** Sorts whatever was thrown into the table. Errors that are in it carry their `code`, whoever throws them. */
export function describeError(error: unknown): OperatorError {
  const { code, message, stack, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  if (isKnown(code) && code !== "internal-error") {
    const lines = String(message)
      .split("\n")
      .map((line) => `${code}: ${line}`);
    return { code, lines, exit: EXIT.operator };
  }
  const privileged = code === "EACCES" && syscall === "listen";
  const system = privileged
    ? (["permission-denied", "choose a port above 1023"] as const)
    : SYSTEM_ERRORS.get(code ?? "");
  if (system !== undefined) {
    const [known, fix] = system;
    return { code: known, lines: [`${known}: ${message}: ${fix}`], exit: EXIT.operator };
  }
  const trace = (stack ?? String(error)).split("\n");
  return {
    code: "internal-error",
    lines: ["internal-error: please report this:", ...trace],
    exit: EXIT.internal,
  };
}
