/** Our own bug: the runtime closes the channel in which it happens, counts it and lives on. */
export class InternalError extends Error {
  override name = "InternalError";
}

export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new InternalError(what);
}

/** Marks a place that the type checker proves unreachable. */
export function unreachable(value: never): never {
  throw new InternalError(`unreachable: ${String(value)}`);
}
