/** Rows of a trace, and what follows from one input: its cause, where it is drawn, what became of it. */

export interface TraceRow {
  readonly number: number;
  readonly cause: number;
  readonly at: number;
  readonly kind:
    | "frame"
    | "stray"
    | "message"
    | "routed"
    | "delivery"
    | "step"
    | "state"
    | "timer"
    | "closed"
    | "refusal"
    | "skipped";
  readonly text: string;
  readonly channel?: number;
  readonly gateway?: string;
  readonly listener?: string;
  readonly address?: string;
  readonly port?: number;
  readonly clients?: readonly string[];
  readonly client?: string;
  readonly from?: "device" | "gateway";
  readonly name?: string;
  readonly summary?: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly bytes?: string;
  readonly length?: number;
  readonly masked?: boolean;
  readonly exchange?: string;
  readonly expects?: boolean;
  readonly again?: number;
  readonly topic?: string;
  readonly qos?: number;
  readonly publisher?: string;
  readonly payload?: string;
  readonly matched?: boolean;
  readonly given?: number;
  readonly waits?: number;
  readonly dropped?: number;
  readonly state?: "given" | "waits" | "done" | "again" | "dead" | "dropped";
  readonly why?: string;
  readonly asleep?: boolean;
  readonly waited?: number;
  readonly what?: string;
  readonly asked?: string;
  readonly answer?: string;
  readonly was?: string;
  readonly is?: string;
  readonly reason?: string;
  readonly refusal?: string;
  readonly by?: string;
  readonly count?: number;
}

/** What follows from one input. */
export interface Cause {
  readonly number: number;
  readonly rows: readonly TraceRow[];
  /** Channel of the device whose input it was, where that is on the left of the picture. */
  readonly origin: number | undefined;
  readonly trouble: boolean;
}

const isTrouble = (row: TraceRow): boolean =>
  row.kind === "refusal" ||
  row.kind === "skipped" ||
  (row.again ?? 0) > 0 ||
  row.state === "dead" ||
  row.state === "dropped" ||
  row.state === "again" ||
  (row.kind === "stray" && row.why !== undefined) ||
  (row.kind === "routed" && (row.dropped ?? 0) > 0);

export function causesOf(rows: readonly TraceRow[]): ReadonlyMap<number, Cause> {
  const groups = new Map<number, TraceRow[]>();
  for (const row of rows) {
    const group = groups.get(row.cause);
    if (group === undefined) groups.set(row.cause, [row]);
    else group.push(row);
  }
  return new Map([...groups].map(([number, group]) => [number, causeOf(number, group)]));
}

function causeOf(number: number, rows: readonly TraceRow[]): Cause {
  const first = rows[0]!;
  const publishes = rows.some(({ kind }) => kind === "message");
  const origin = publishes && first.kind === "frame" && first.from === "device" ? first.channel : undefined;
  return { number, rows, origin, trouble: rows.some(isTrouble) };
}

/** On which side of the bus a row stands: who has set it off is at the left, who is given something at the right. */
export function sideOf(row: TraceRow, cause: Cause): "left" | "right" {
  if (cause.origin === undefined) return "right";
  if (row.kind === "delivery") return "right";
  if (row.channel === undefined) return "left";
  if (row.channel !== cause.origin) return "right";
  // A client that gets what it has sent: its own exchange is that of the first frame.
  const first = cause.rows[0]!;
  return row.kind !== "frame" || row.exchange === undefined || row.exchange === first.exchange
    ? "left"
    : "right";
}

/** No answer to a frame that asks for one, so far: the node cannot know which of both was lost. */
export function unanswered(row: TraceRow, cause: Cause): boolean {
  if (row.kind !== "frame" || row.expects !== true || row.from !== "gateway") return false;
  return !cause.rows.some(
    (other) =>
      other.kind === "frame" &&
      other.from === "device" &&
      other.channel === row.channel &&
      other.number > row.number &&
      (row.exchange === undefined || other.exchange === row.exchange),
  );
}

/** What became of a cause, in a few words. */
export function outcomeOf({ rows }: Cause): string {
  const last = new Map<string, string>();
  for (const { kind, gateway, client, topic, state } of rows)
    if (kind === "delivery") last.set(`${gateway} ${client} ${topic}`, state ?? "");
  if (last.size > 0) {
    const sums = new Map<string, number>();
    for (const state of last.values()) sums.set(state, (sums.get(state) ?? 0) + 1);
    return [...sums].map(([state, sum]) => `${sum} ${state}`).join(", ");
  }
  const refused = rows.find(({ kind }) => kind === "refusal");
  if (refused !== undefined) return `refused: ${refused.refusal}`;
  const step = rows.find(({ kind }) => kind === "step");
  if (step !== undefined) {
    // What is decided later is told in a frame, and is no step any more.
    const later = rows.find(
      ({ kind, from, number }) => kind === "frame" && from === "gateway" && number > step.number,
    );
    const decided = step.answer === "pending" && later !== undefined;
    return `${step.what}: ${decided ? `answered by ${later.name}` : step.answer}`;
  }
  const routed = rows.find(({ kind }) => kind === "routed");
  if (routed !== undefined) return routed.matched === true ? "matched" : "nobody is subscribed";
  const changed = rows.findLast(({ kind }) => kind === "state");
  return changed === undefined ? "" : `is ${changed.is}`;
}
