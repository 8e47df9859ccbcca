/** Something worth counting and perhaps logging. Never with a secret in it. */
export interface Note {
  readonly level: "debug" | "info" | "warn";
  /** Kebab-case and few: a label of the metric `isthmus_notes_total`. */
  readonly event: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** A number that the observer reads when it is asked; the hot path only adds to it. */
export interface Counter {
  value: number;
}
