/** What lists have in common: pages by cursor, sorting, and the columns that are wanted. */

import { type TSchema, Type } from "@sinclair/typebox";
import type { Page } from "./answers/parts.ts";
import { wrongField } from "./problem.ts";

const LIMIT_MAX = 1_000;
export const LIMIT = 100;

export const listQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: LIMIT_MAX, default: LIMIT, description: "Rows of a page at most." }),
  ),
  cursor: Type.Optional(
    Type.String({ maxLength: 512, description: "Where the page begins: `next` of the page before." }),
  ),
  columns: Type.Optional(
    Type.String({
      maxLength: 1_024,
      pattern: "^[A-Za-z0-9_.]+(,[A-Za-z0-9_.]+)*$",
      description:
        "Names of the fields that are wanted, with commas between; fields of fields with full stops. Absent: all.",
    }),
  ),
};

/** `sort=due` or `sort=-due`: ascending or descending. */
export const sortQuery = (fields: readonly string[]) =>
  Type.Optional(
    Type.String({
      enum: fields.flatMap((field) => [field, `-${field}`]),
      description: "The field by which the list is sorted; a minus before it turns the order round.",
    }),
  );

export const pageOf = (item: TSchema): TSchema =>
  Type.Object({
    items: Type.Array(item),
    next: Type.Optional(Type.String({ description: "Cursor of the next page; absent on the last one." })),
    count: Type.Optional(Type.Integer({ description: "How many rows all pages have, where that is known." })),
  });

export interface PageQuery {
  readonly limit?: number;
  readonly cursor?: string;
  readonly columns?: string;
  readonly sort?: string;
}

const encode = (position: string | number): string =>
  Buffer.from(JSON.stringify(position)).toString("base64url");

export function decodeCursor(cursor: string | undefined): string | number | undefined {
  if (cursor === undefined) return undefined;
  try {
    const position: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    if (typeof position === "string" || typeof position === "number") return position;
  } catch {
    // As below.
  }
  throw wrongField({
    in: "query",
    field: "cursor",
    value: cursor,
    detail: "is no cursor of this list",
    fix: "take `next` of the page before",
  });
}
export const encodeCursor = encode;

type Comparable = string | number | boolean | undefined;

/** Ascending; what is absent comes last. */
export function compareValues(a: Comparable, b: Comparable): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return a < b ? -1 : 1;
}

/** A page of a short list, which is put together whole each time. */
export function pageOfArray<Item extends object>(all: readonly Item[], query: PageQuery): Page<Item> {
  const { limit = LIMIT, cursor, sort, columns } = query;
  const from = decodeCursor(cursor) ?? 0;
  if (typeof from !== "number")
    throw wrongField({ in: "query", field: "cursor", value: cursor, detail: "is no cursor of this list" });
  const items = sort === undefined ? all : sorted(all, sort);
  const page = items.slice(from, from + limit);
  const end = from + page.length;
  return {
    items: narrowed(page, columns),
    count: all.length,
    ...(end < items.length ? { next: encode(end) } : {}),
  };
}

/** A page of what can be walked and never stands still: as far as the limit, and whether there was more. */
export function pageOfWalk<Item extends object>(
  walk: Iterator<Item>,
  query: PageQuery,
  position: (item: Item) => string | number,
): Page<Item> {
  const { limit = LIMIT, columns } = query;
  const items: Item[] = [];
  for (let next = walk.next(); next.done !== true; next = walk.next()) {
    if (items.length === limit)
      return { items: narrowed(items, columns), next: encode(position(items.at(-1)!)) };
    items.push(next.value);
  }
  return { items: narrowed(items, columns) };
}

function sorted<Item extends object>(items: readonly Item[], sort: string): readonly Item[] {
  const descending = sort.startsWith("-");
  const field = descending ? sort.slice(1) : sort;
  const order = descending ? -1 : 1;
  const fieldOf = (item: Item): Comparable => (item as Record<string, Comparable>)[field];
  return [...items].sort((a, b) => order * compareValues(fieldOf(a), fieldOf(b)));
}

/** Only the fields that are wanted. */
export function narrowed<Item extends object>(
  items: readonly Item[],
  columns: string | undefined,
): readonly Item[] {
  if (columns === undefined) return items;
  const paths = columns.split(",").map((column) => column.split("."));
  return items.map((item) => {
    const found: Record<string, unknown> = {};
    for (const path of paths) copyPath(item as Record<string, unknown>, found, path);
    return found as Item;
  });
}

function copyPath(
  from: Record<string, unknown>,
  to: Record<string, unknown>,
  [step, ...rest]: readonly string[],
): void {
  if (step === undefined || !Object.hasOwn(from, step)) return;
  const value = from[step];
  if (rest.length === 0) to[step] = value;
  else if (typeof value === "object" && value !== null) {
    const inner = Object.hasOwn(to, step) ? to[step] : {};
    to[step] = inner;
    copyPath(value as Record<string, unknown>, inner as Record<string, unknown>, rest);
  }
}
