/** Flags of Node for a machine with 512 MB: see docs/running.md. */
export const SMALL_MACHINE = ["--max-semi-space-size=2", "--max-old-space-size=192"];
