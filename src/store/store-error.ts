/** Why the store cannot be used, in one line with the fix; `code` stands in the operator's table of errors. */
export class StoreError extends Error {
  override name = "StoreError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }

  /** Names what the system or LMDB reports. */
  static of(error: unknown, folder: string): StoreError {
    if (error instanceof StoreError) return error;
    const { message } = error as Error;
    const code = codeOf(message) ?? (error as NodeJS.ErrnoException).code;
    if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
      return new StoreError(
        "data-folder-unusable",
        `the data folder ${folder} cannot be written (${code}); change its owner, or name another with --data`,
      );
    }
    if ((code === "ENOENT" || code === "ENOTDIR") && (error as NodeJS.ErrnoException).syscall === "mkdir") {
      return new StoreError(
        "data-folder-unusable",
        `the data folder ${folder} cannot be made (${code}); name another with --data`,
      );
    }
    if (
      code === "ENOSPC" ||
      code === "EDQUOT" ||
      code === "EFBIG" ||
      /no space|MDB_MAP_FULL/i.test(message)
    ) {
      return new StoreError(
        "disk-full",
        `no space left for ${folder}; free some, or name another folder with --data`,
      );
    }
    return new StoreError(
      "store-failed",
      `the store in ${folder} cannot be read or written: ${message}${/input.output/i.test(message) ? " (is the disk full, or broken?)" : ""}`,
    );
  }
}

/** What LMDB says in words alone. */
function codeOf(message: string): string | undefined {
  if (/permission denied/i.test(message)) return "EACCES";
  return /read-only file system/i.test(message) ? "EROFS" : undefined;
}
