/**
 * The sequence picture: five lanes, one row of fixed height for each thing that happened. It is a list whose items are
 * sentences; arrows are decoration. Only rows in view are drawn.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { change } from "../lib/address.ts";
import { type Cause, outcomeOf, sideOf, type TraceRow, unanswered } from "../lib/causes.ts";
import { clock } from "../lib/format.ts";
import { length } from "../lib/quantities.ts";
import { plain } from "../lib/visible.ts";
import { Button, Gateway, Text } from "./basic.tsx";
import { Icon, type IconName } from "./icons.tsx";
import { Value } from "./value.tsx";

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
          <div class="lanes">
            <b>device</b>
            <b>its channel</b>
            <b>bus</b>
            <b>channel</b>
            <b>device</b>
          </div>
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
        aria-label={`${clock(row.at, { fraction: true })}, cause ${row.cause}: ${plain(row.text)}`}
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
        <span class="cause">{row.cause === 0 ? "" : row.cause}</span>
        <time>
          {since === undefined || since > PAUSE_MS ? clock(row.at, { fraction: true }) : `+${length(since)}`}
        </time>
        <Lanes row={row} cause={cause} />
        <span class="sentence">
          <Text text={row.text} most={200} />
        </span>
      </button>
    </li>
  );
}

// ---- what stands on the lanes

interface Drawn {
  /** Lanes 0 to 4 that it spans. */
  readonly from: number;
  readonly to: number;
  /** Towards which end; neither for what happens on one lane. */
  readonly arrow: "right" | "left" | "none";
  readonly style: "frame" | "step" | "point";
  readonly icon?: IconName;
  readonly level?: "bad" | "warning" | "ok" | "asleep";
  readonly label: ComponentChildren;
}

const WAITS: Readonly<Record<string, string>> = {
  away: "the client is away",
  "no-credit": "it takes nothing now",
  transport: "the transport takes no more",
  "credit-used": "as many as it takes are out",
  order: "others wait before it",
};
const DROPS: Readonly<Record<string, string>> = {
  full: "queue full",
  expired: "expired",
  away: "QoS 0, and it is away",
  deleted: "deleted by an operator",
};

function drawn(row: TraceRow, cause: Cause): Drawn {
  const left = sideOf(row, cause) === "left";
  const [device, channel] = left ? [0, 1] : [4, 3];
  const at = (place: number, rest: Omit<Drawn, "from" | "to" | "arrow" | "style">): Drawn => ({
    from: place,
    to: place,
    arrow: "none",
    style: "point",
    ...rest,
  });
  switch (row.kind) {
    case "frame": {
      const inward = row.from === "device";
      const lost = unanswered(row, cause);
      return {
        from: Math.min(device, channel),
        to: Math.max(device, channel),
        arrow: inward === left ? "right" : "left",
        style: "frame",
        ...((row.again ?? 0) > 0 ? { icon: "again", level: "warning" } : lost ? { level: "warning" } : {}),
        label: (
          <>
            <b>{row.name}</b> <Text text={row.summary} most={38} />
            {(row.again ?? 0) > 0 ? ` again ${row.again}` : ""}
            {lost ? " ? no answer" : ""}
          </>
        ),
      };
    }
    case "message":
      return {
        from: 1,
        to: 2,
        arrow: "right",
        style: "step",
        icon: "topic",
        label: (
          <>
            <Text text={row.topic} most={34} /> QoS {row.qos}
          </>
        ),
      };
    case "routed":
      return at(2, {
        icon: row.matched === true ? "done" : "lost",
        ...(row.matched === true ? {} : { level: "warning" }),
        label:
          row.matched === true
            ? [
                row.given ? `${row.given} given` : "",
                row.waits ? `${row.waits} wait` : "",
                row.dropped ? `${row.dropped} dropped` : "",
              ]
                .filter(Boolean)
                .join(", ") || "matched"
            : "nobody is subscribed",
      });
    case "delivery":
      return delivery(row);
    case "step":
      return {
        from: Math.min(channel, 2),
        to: Math.max(channel, 2),
        arrow: left ? "right" : "left",
        style: "step",
        label: (
          <>
            {row.what} <Text text={row.asked} most={24} />: {row.answer}
          </>
        ),
      };
    case "state":
      return at(device, {
        icon: row.is === "asleep" || row.is === "sleeping" ? "asleep" : "awake",
        level: row.is === "asleep" ? "asleep" : "ok",
        label: `is ${row.is}, was ${row.was}`,
      });
    case "timer":
      return at(channel, { icon: "timer", label: "timer" });
    case "closed":
      return at(channel, {
        icon: "away",
        label: (
          <>
            gone: <Text text={row.reason} most={30} mono={false} />
          </>
        ),
      });
    case "refusal":
      return at(channel, {
        icon: "refused",
        level: "bad",
        label: (
          <>
            {row.what} refused, {row.refusal}: <Text text={row.by} most={60} mono={false} />
          </>
        ),
      });
    case "stray":
      return {
        from: 0,
        to: 1,
        arrow: row.from === "gateway" ? "left" : "right",
        style: "frame",
        level: "warning",
        label: (
          <>
            <b>{row.name}</b> <Text text={row.why ?? row.summary} most={40} mono={false} />
          </>
        ),
      };
    default:
      return at(2, { icon: "lost", level: "warning", label: `${row.count} more were not looked at` });
  }
}

function delivery(row: TraceRow): Drawn {
  const towards = { from: 2, to: 3, style: "step" } as const;
  const who = <Text text={row.client} most={22} />;
  switch (row.state) {
    case "given":
      return {
        ...towards,
        arrow: "right",
        label: (
          <>
            to {who}
            {row.waited === undefined ? "" : `, waited ${length(row.waited)}`}
          </>
        ),
      };
    case "waits":
      return {
        ...towards,
        from: 3,
        arrow: "none",
        style: "point",
        icon: "waiting",
        level: "asleep",
        label: (
          <>
            {who} waits: {row.asleep === true ? "asleep" : (WAITS[row.why ?? ""] ?? row.why)}
          </>
        ),
      };
    case "done":
      return { ...towards, arrow: "left", icon: "done", level: "ok", label: <>done by {who}</> };
    case "again":
      return { ...towards, arrow: "left", icon: "again", level: "warning", label: <>{who} gave it back</> };
    case "dead":
      return { ...towards, arrow: "left", icon: "lost", level: "bad", label: <>{who}: given up</> };
    default:
      return {
        ...towards,
        from: 3,
        arrow: "none",
        style: "point",
        icon: "lost",
        level: "bad",
        label: (
          <>
            {who}: dropped, {DROPS[row.why ?? ""] ?? row.why}
          </>
        ),
      };
  }
}

function Lanes({ row, cause }: { readonly row: TraceRow; readonly cause: Cause }) {
  const { from, to, arrow, style, icon, level, label } = drawn(row, cause);
  const name =
    row.clients?.[0] ?? row.client ?? (row.address === undefined ? undefined : `${row.address}:${row.port}`);
  return (
    <span class="lanes" aria-hidden="true">
      <i />
      <i />
      <i />
      <i />
      <i />
      <span class={`drawn ${style} ${arrow} from-${from} to-${to} ${level ?? ""}`}>
        <span class="label">
          {icon === undefined ? null : <Icon name={icon} />}
          <span>{label}</span>
        </span>
      </span>
      {row.kind === "frame" && row.gateway !== undefined ? (
        <Who side={from === 0 ? "at-left" : "at-right"} gateway={row.gateway} name={name} />
      ) : null}
    </span>
  );
}

/** The name of the gateway next to the lane at which it ends, so that it is never what is cut. */
function Who({
  side,
  gateway,
  name,
}: {
  readonly side: "at-left" | "at-right";
  readonly gateway: string;
  readonly name: string | undefined;
}) {
  const text = <Text text={name} most={14} mono={false} />;
  return (
    <span class={`who ${side}`}>
      {side === "at-left" ? text : null} <Gateway name={gateway} /> {side === "at-left" ? null : text}
    </span>
  );
}

// ---- the row that is chosen

interface DrawerProps {
  readonly row: TraceRow;
  readonly cause: Cause | undefined;
  choose(row: TraceRow | undefined): void;
}

const HIDDEN = new Set(["text", "bytes", "fields", "payload", "number", "kind", "at", "cause"]);

function Drawer({ row, cause, choose }: DrawerProps) {
  const rows = cause?.rows ?? [];
  const index = rows.findIndex(({ number }) => number === row.number);
  const rest = Object.fromEntries(Object.entries(row).filter(([name]) => !HIDDEN.has(name)));
  return (
    <aside class="drawer part" aria-label="the chosen row">
      <header>
        <h2>
          {row.kind} <span class="second">cause {row.cause}</span>
        </h2>
        <div class="actions">
          <Button
            small
            label="the row before, of this cause"
            at="["
            disabled={index <= 0}
            onClick={() => choose(rows[index - 1])}
          >
            before
          </Button>
          <Button
            small
            label="the next row of this cause"
            at="]"
            disabled={index + 1 >= rows.length}
            onClick={() => choose(rows[index + 1])}
          >
            next
          </Button>
          <Button small onClick={() => change({ cause: row.cause })}>
            only this cause
          </Button>
          <Button small icon="close" label="close" at="Escape" onClick={() => choose(undefined)} />
        </div>
      </header>
      <p>
        <Text text={row.text} />
      </p>
      <Button
        small
        icon="copy"
        onClick={() =>
          void navigator.clipboard?.writeText(`${clock(row.at, { fraction: true })}  ${row.text}`)
        }
      >
        copy as text
      </Button>
      {row.fields === undefined ? null : (
        <>
          <h3>Fields{row.masked === true ? ", secrets masked" : ""}</h3>
          <Value value={row.fields} />
        </>
      )}
      <h3>About it</h3>
      <Value value={rest} />
      {row.bytes === undefined ? null : (
        <>
          <h3>Bytes ({row.length})</h3>
          <Hex hex={row.bytes} />
        </>
      )}
      {row.payload === undefined ? null : (
        <>
          <h3>Payload ({row.length})</h3>
          <Hex hex={row.payload} />
        </>
      )}
    </aside>
  );
}

const LINE = 8;
const LINES = 64;

/** Octets in lines of eight, with what they are as ASCII. */
function Hex({ hex }: { readonly hex: string }) {
  const octets = hex.match(/../g) ?? [];
  const lines = Array.from({ length: Math.min(LINES, Math.ceil(octets.length / LINE)) }, (_, index) =>
    octets.slice(index * LINE, index * LINE + LINE),
  );
  return (
    <pre class="hex">
      {lines.map((line, index) => {
        const ascii = line.map((octet) => {
          const code = Number.parseInt(octet, 16);
          return code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : ".";
        });
        return `${(index * LINE).toString(16).padStart(4, "0")}  ${line.join(" ").padEnd(LINE * 3 - 1)}  ${ascii.join("")}\n`;
      })}
      {octets.length > LINES * LINE ? `… ${octets.length - LINES * LINE} more` : ""}
    </pre>
  );
}
