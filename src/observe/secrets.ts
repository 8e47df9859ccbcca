const SECRET = /pass(word|code|phrase)|secret|psk|token|authorization|credential|private.?key/i;
const HIDDEN = "[hidden]";
/** Deeper values are cut off: a log line is for people. */
const DEPTH_MAX = 6;

/** A copy fit for a log: values under names of secrets are hidden, bytes become their number. */
export function withoutSecrets(value: unknown, depth = 0): unknown {
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof Error) return value;
  if (depth === DEPTH_MAX) return "…";
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, depth + 1));
  const copy: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) {
    copy[name] = SECRET.test(name) && item !== undefined ? HIDDEN : withoutSecrets(item, depth + 1);
  }
  return copy;
}
