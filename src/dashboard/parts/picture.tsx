/**
 * The sequence picture: five lanes, one row of fixed height for each thing that happened. It is a list whose items are
 * sentences; arrows are decoration. Only rows in view are drawn.
 */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Cause, outcomeOf, type TraceRow } from "../lib/causes.ts";
import { clock } from "../lib/format.ts";
import { length } from "../lib/quantities.ts";
import { plain } from "../lib/visible.ts";
import { Button, Text } from "./basic.tsx";
import { Drawer } from "./drawer.tsx";
import { Icon } from "./icons.tsx";
import { Lanes } from "./lanes.tsx";

const ROWS = { wide: 30, phone: 56 };
/** Below it each row is its sentence, in several lines. */
const narrow = matchMedia("(max-width: 767px)");
const AHEAD = 10;
/** From so many causes on each is one line, until it is opened. */
const FOLD = 10;
/** A pause that is worth a line. */
const PAUSE_MS = 1_000;

type Item =
  | { readonly is: "row"; readonly row: TraceRow; readonly cause: Cause; readonly since: number | undefined }
  | { readonly is: "cause"; readonly cause: Cause; readonly open: boolean }
  | { readonly is: "pause"; readonly length: number; readonly key: string };

function itemsOf(
  rows: readonly TraceRow[],
  causes: ReadonlyMap<number, Cause>,
  folded: boolean,
  open: ReadonlySet<number>,
): readonly Item[] {
  const items: Item[] = [];
  const begun = new Set<number>();
  let last: TraceRow | undefined;
  for (const row of rows) {
    const cause = causes.get(row.cause);
    if (cause === undefined) continue;
    if (
      last !== undefined &&
      row.at - last.at > PAUSE_MS &&
      (!folded || !begun.has(row.cause) || open.has(row.cause))
    )
      items.push({ is: "pause", length: row.at - last.at, key: `p${row.number}` });
    if (folded && !begun.has(row.cause)) {
      begun.add(row.cause);
      items.push({ is: "cause", cause, open: open.has(row.cause) });
    }
    if (!folded || open.has(row.cause)) {
      items.push({
        is: "row",
        row,
        cause,
        since: last === undefined || folded !== false ? undefined : row.at - last.at,
      });
      last = row;
    } else last ??= row;
    if (folded) last = row;
  }
  return items;
}

interface PictureProps {
  readonly rows: readonly TraceRow[];
  readonly causes: ReadonlyMap<number, Cause>;
  readonly live: boolean;
}

export function Picture({ rows, causes, live }: PictureProps) {
  const [wanted, setWanted] = useState<boolean | undefined>(undefined);
  const folded = wanted ?? new Set(rows.map(({ cause }) => cause)).size > FOLD;
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  const [chosen, setChosen] = useState<number | undefined>(undefined);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const items = useMemo(() => itemsOf(rows, causes, folded, open), [rows, causes, folded, open]);
  const [phone, setPhone] = useState(narrow.matches);
  const ROW = phone ? ROWS.phone : ROWS.wide;
  useEffect(() => {
    const changed = (): void => setPhone(narrow.matches);
    narrow.addEventListener("change", changed);
    return () => narrow.removeEventListener("change", changed);
  }, []);
  useLayoutEffect(() => {
    // Stays at the end only while the end is in view.
    if (live && atEnd.current && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [items.length, live]);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const watch = new ResizeObserver(() => setHeight(element.clientHeight));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  const first = Math.max(0, Math.floor(top / ROW) - AHEAD);
  const shown = items.slice(first, first + Math.ceil(height / ROW) + 2 * AHEAD);
  const row = rows.find(({ number }) => number === chosen);
  const choose = (next: TraceRow | undefined): void => setChosen(next?.number);
  return (
    <div class="translation">
      <div class="picture">
        <div class="lanes-head" aria-hidden="true">
          <span>cause</span>
          <span>time</span>
          {folded && open.size === 0 ? null : (
            <div class="lanes">
              <b>device</b>
              <b>its channel</b>
              <b>bus</b>
              <b>channel</b>
              <b>device</b>
            </div>
          )}
        </div>
        <div
          class="rows"
          ref={box}
          onScroll={({ currentTarget }) => {
            setTop(currentTarget.scrollTop);
            atEnd.current =
              currentTarget.scrollTop + currentTarget.clientHeight > currentTarget.scrollHeight - ROW;
          }}
        >
          <ol style={{ height: `${items.length * ROW}px` }} aria-label="what happened, in its order">
            {shown.map((item, index) => (
              <Line
                key={
                  item.is === "row"
                    ? item.row.number
                    : item.is === "cause"
                      ? `c${item.cause.number}`
                      : item.key
                }
                item={item}
                top={(first + index) * ROW}
                chosen={item.is === "row" && item.row.number === chosen}
                dimmed={
                  row !== undefined &&
                  item.is !== "pause" &&
                  (item.is === "row" ? item.row.cause : item.cause.number) !== row.cause
                }
                choose={choose}
                toggle={(number) => {
                  const next = new Set(open);
                  if (!next.delete(number)) next.add(number);
                  setOpen(next);
                }}
              />
            ))}
          </ol>
        </div>
        <div class="table-foot">
          <Button small pressed={folded} onClick={() => setWanted(!folded)}>
            one line a cause
          </Button>
        </div>
      </div>
      {row === undefined ? null : <Drawer row={row} cause={causes.get(row.cause)} choose={choose} />}
    </div>
  );
}

interface LineProps {
  readonly item: Item;
  readonly top: number;
  readonly chosen: boolean;
  readonly dimmed: boolean;
  choose(row: TraceRow): void;
  toggle(cause: number): void;
}

const TINTS = 6;

function Line({ item, top, chosen, dimmed, choose, toggle }: LineProps) {
  const style = { top: `${top}px` };
  if (item.is === "pause") {
    return (
      <li class="pause" style={style}>
        <span>{length(item.length)}</span>
      </li>
    );
  }
  const { cause } = item;
  const tint = `tint-${cause.number % TINTS}`;
  const classes = `line ${tint} ${chosen ? "chosen" : ""} ${dimmed ? "dimmed" : ""}`;
  if (item.is === "cause") {
    const begin = cause.rows[0]!;
    const end = cause.rows.at(-1)!;
    return (
      <li class={`${classes} ${cause.trouble ? "trouble" : ""}`} style={style}>
        <button type="button" class="fold" aria-expanded={item.open} onClick={() => toggle(cause.number)}>
          <span class="cause">{cause.number}</span>
          <time>{clock(begin.at, { fraction: true })}</time>
          <span class={`chevron ${item.open ? "open" : ""}`}>
            <Icon name="chevron" />
          </span>
          <span class="said">
            <Text text={begin.text} most={110} />
          </span>
          <span class="outcome">
            {cause.trouble ? <Icon name="alarm" /> : null}
            {outcomeOf(cause)} <span class="second">{length(end.at - begin.at)}</span>
          </span>
        </button>
      </li>
    );
  }
  const { row, since } = item;
  return (
    <li class={classes} style={style}>
      <button
        type="button"
        class="happened"
        data-trace-row={row.number}
        aria-pressed={chosen}
        onClick={() => choose(row)}
        onKeyDown={(event) => {
          const step =
            event.key === "ArrowDown" || event.key === "j"
              ? 1
              : event.key === "ArrowUp" || event.key === "k"
                ? -1
                : 0;
          if (step === 0) return;
          event.preventDefault();
          event.stopPropagation();
          const all = [...(event.currentTarget.closest("ol")?.querySelectorAll<HTMLElement>("button") ?? [])];
          all[all.indexOf(event.currentTarget) + step]?.focus();
        }}
      >
        {/* All else is seen, and not heard. */}
        <span class="unseen">{`${clock(row.at, { fraction: true })}, cause ${row.cause}: ${plain(row.text)}`}</span>
        <span class="cause" aria-hidden="true">
          {row.cause === 0 ? "" : row.cause}
        </span>
        <time aria-hidden="true">
          {since === undefined || since > PAUSE_MS ? clock(row.at, { fraction: true }) : `+${length(since)}`}
        </time>
        <Lanes row={row} cause={cause} />
        <span class="sentence" aria-hidden="true">
          <Text text={row.text} most={200} />
        </span>
      </button>
    </li>
  );
}
