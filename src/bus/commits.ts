/** What the gate and the sessions need to know of a store: whether what they told it is safe. */

/** What is answered once it is safe. */
export type Committed = "accepted" | "no-subscribers" | "unsubscribed" | 0 | 1 | 2;

/** Who asked for something, and hears under its ticket what became of it. */
export interface Asker {
  /** It is not there any more: nothing is said to it. */
  readonly closed: boolean;
  /** Who it is, where that is known. */
  readonly identity?: object;
  answered(ticket: number, answer: Committed | "unavailable" | "quota"): void;
}

/** Group commit: it grows `writes`, and answers when they are safe. */
export interface Commits {
  /** Grows with each write that an acknowledgement may have to wait for. */
  readonly writes: number;
  /** The last commit failed: what would have to be kept is refused before it has any effect. */
  readonly failing?: boolean;
  /** Answers once all writes since that count are committed, or `unavailable` when they could not be. */
  await(asker: Asker, ticket: number, accepted: Committed, since: number): void;
  /** Runs once all writes so far are committed, or one of them could not be. */
  whenCommitted(run: (failed: boolean) => void): void;
  /** Runs once all writes so far are committed; commits that fail are tried again. */
  whenSafe(run: () => void): void;
}
