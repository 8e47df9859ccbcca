/** What a gateway remembers of a session: a value, or for as long as its client is connected who makes it. */
interface LiveMemo {
  toJSON(): unknown;
}

const isLive = (memo: unknown): memo is LiveMemo =>
  typeof memo === "object" && memo !== null && "toJSON" in memo && typeof memo.toJSON === "function";

/** The value, made now if need be. */
export const valueOfMemo = (memo: unknown): unknown => (isLive(memo) ? memo.toJSON() : memo);
