/** Tables: real ones on the desktop, cards of a few lines on a phone; sorted and paged by the node. */
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { address, change } from "../lib/address.ts";
import { toHeading } from "../lib/heading.ts";
import { Button } from "./basic.tsx";
import { Icon } from "./icons.tsx";

export interface Column<Row> {
  readonly name: string;
  readonly title: string;
  /** Name by which the node sorts. */
  readonly sort?: string;
  readonly numeric?: boolean;
  /** Where it stands on a phone: first line, in a corner, or nowhere; or with its title before it, as numbers have. */
  readonly phone?: "title" | "no" | "corner" | "label";
  cell(row: Row): ComponentChildren;
}

interface TableProps<Row> {
  readonly caption: string;
  readonly class?: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  keyOf(row: Row): string;
  readonly sort?: string;
  onSort?(sort: string): void;
  onOpen?(row: Row): void;
  readonly selected?: ReadonlySet<string>;
  onSelect?(key: string, on: boolean): void;
  /** How many there are in all, where that is known. */
  readonly count?: number;
}

const NEXT = ["ArrowDown", "j", "]"];
const BEFORE = ["ArrowUp", "k", "["];

export function Table<Row>(props: TableProps<Row>) {
  const { caption, columns, rows, keyOf, onOpen, selected, onSelect, count } = props;
  const body = useRef<HTMLTableSectionElement>(null);
  const rowsOf = (): HTMLElement[] => [...(body.current?.children ?? [])] as HTMLElement[];
  const move = (from: HTMLElement, step: number): void => {
    const all = rowsOf();
    all[all.indexOf(from) + step]?.focus();
  };
  const focus = useFocus(rowsOf);
  return (
    <div class={`table ${props.class ?? ""}`}>
      <table aria-rowcount={count === undefined ? -1 : count + 1}>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {selected === undefined ? null : (
              <th scope="col">
                <span class="unseen">selected</span>
              </th>
            )}
            {columns.map((column) => (
              <Head key={column.name} column={column} {...props} />
            ))}
          </tr>
        </thead>
        <tbody ref={body} {...focus}>
          {rows.map((row, index) => {
            const key = keyOf(row);
            return (
              <tr
                key={key}
                class={onOpen === undefined ? undefined : "opens"}
                tabIndex={onOpen === undefined ? undefined : index === 0 ? 0 : -1}
                aria-rowindex={index + 2}
                aria-selected={selected?.has(key)}
                data-row
                onClick={(event) => {
                  if ((event.target as HTMLElement).closest("a,button,input,label,select") !== null) return;
                  if (document.getSelection()?.isCollapsed === false) return;
                  onOpen?.(row);
                }}
                onKeyDown={(event) => {
                  if (event.target !== event.currentTarget) return;
                  if (event.key === "Enter") onOpen?.(row);
                  else if (event.key === " " && onSelect !== undefined) onSelect(key, !selected?.has(key));
                  else if (NEXT.includes(event.key)) move(event.currentTarget, 1);
                  else if (BEFORE.includes(event.key)) move(event.currentTarget, -1);
                  else return;
                  event.preventDefault();
                  event.stopPropagation();
                }}
              >
                {selected === undefined ? null : (
                  <td class="tick">
                    <label>
                      <span class="unseen">select row {index + 1}</span>
                      <input
                        type="checkbox"
                        checked={selected.has(key)}
                        onChange={({ currentTarget }) => onSelect?.(key, currentTarget.checked)}
                      />
                    </label>
                  </td>
                )}
                {columns.map(({ name, title, numeric, phone, cell }) => (
                  <td
                    key={name}
                    data-title={title}
                    class={`${numeric === true ? "numeric" : ""} ${phone === undefined ? "" : `phone-${phone}`}`}
                  >
                    {cell(row)}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

const CONTROLS = "a[href],button,input,select";

/** A row that goes leaves its focus to the one that takes its place; of a table that goes, it goes to the heading. */
function useFocus(rowsOf: () => readonly HTMLElement[]) {
  const had = useRef<{ readonly element: HTMLElement; readonly place: number } | undefined>(undefined);
  useLayoutEffect(() => {
    if (had.current === undefined || had.current.element.isConnected) return;
    const rows = rowsOf();
    const row = rows[Math.min(had.current.place, rows.length - 1)];
    had.current = undefined;
    if (document.activeElement === document.body)
      (row?.hasAttribute("tabindex") ? row : row?.querySelector<HTMLElement>(CONTROLS))?.focus();
  });
  useLayoutEffect(
    () => () => {
      if (had.current !== undefined) queueMicrotask(toHeading);
    },
    [],
  );
  return {
    onFocusIn({ target }: FocusEvent): void {
      const element = target as HTMLElement;
      had.current = { element, place: rowsOf().findIndex((row) => row.contains(element)) };
    },
    onFocusOut({ target }: FocusEvent): void {
      // Not for what is being taken away.
      queueMicrotask(() => {
        if (had.current?.element === target && had.current.element.isConnected) had.current = undefined;
      });
    },
  };
}

function Head<Row>({ column, sort, onSort }: TableProps<Row> & { readonly column: Column<Row> }) {
  const { title, numeric, phone, sort: by } = column;
  const style = `${numeric === true ? "numeric" : ""} ${phone === "no" ? "phone-no" : ""}`;
  if (by === undefined || onSort === undefined) {
    return (
      <th scope="col" class={style}>
        {title}
      </th>
    );
  }
  const at = sort === by ? "ascending" : sort === `-${by}` ? "descending" : undefined;
  return (
    <th scope="col" class={style} aria-sort={at ?? "none"}>
      <button type="button" class="sort" onClick={() => onSort(at === "descending" ? by : `-${by}`)}>
        {title}
        {at === undefined ? null : <Icon name={at === "ascending" ? "up" : "down"} />}
      </button>
    </th>
  );
}

/** Where somebody is in a list that the node pages: the cursor in the address, and those of the pages before it. */
export function usePages() {
  const cursor = address.value.query.get("cursor") ?? undefined;
  // A link that is shared has none, and begins where it points.
  const [before, setBefore] = useState<readonly string[]>([]);
  return {
    cursor,
    before,
    turn(pages: readonly string[], to: string | undefined): void {
      setBefore(pages);
      change({ cursor: to });
    },
    /** It is another list now: from its beginning. */
    restart(changes: Parameters<typeof change>[0] = {}): void {
      setBefore([]);
      change({ ...changes, cursor: undefined });
    },
  };
}

interface PagerProps {
  readonly shown: number;
  readonly count?: number;
  readonly next?: string;
  readonly pages: ReturnType<typeof usePages>;
}

export const Pager = ({ shown, count, next, pages: { before, cursor, turn } }: PagerProps) => (
  <nav class="pager" aria-label="pages of this list">
    <span class="second">
      {shown.toLocaleString("en-US")}
      {count === undefined ? "" : ` of ${count.toLocaleString("en-US")}`}
      {before.length === 0 ? "" : `, page ${before.length + 1}`}
    </span>
    <Button
      small
      disabled={before.length === 0}
      onClick={() => {
        const last = before.at(-1);
        turn(before.slice(0, -1), last === "" ? undefined : last);
      }}
    >
      Previous
    </Button>
    <Button small disabled={next === undefined} onClick={() => turn([...before, cursor ?? ""], next)}>
      Next
    </Button>
  </nav>
);
