/** A place in a SQL text, counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export function placeOf(text: string, at: number): Place {
  const before = text.slice(0, at);
  const line = before.split("\n").length;
  return { line, column: at - (before.lastIndexOf("\n") + 1) + 1 };
}

/** A SQL text that is none, with the place where that shows and what would have been right. */
export class SqlError extends Error {
  override readonly name = "SqlError";
  readonly place: Place;

  constructor(text: string, at: number, says: string) {
    const place = placeOf(text, Math.min(at, text.length));
    super(`line ${place.line}, column ${place.column}: ${says}`);
    this.place = place;
  }
}
