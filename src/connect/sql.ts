/** What connectors of databases that speak SQL have in common. */
import { ActionError } from "../rules/action.ts";
import { Template } from "../rules/template.ts";
import { isArray, isMap, toJson, type Value, type ValueMap } from "../rules/value.ts";
import { text } from "../settings/kinds.ts";
import type { ConnectHost, Item, Row } from "./connector.ts";
import {
  actionSchema,
  type RowsUse,
  rowsProperty,
  rowsUse,
  secretText,
  serverProperties,
  tlsProperties,
} from "./settings.ts";
import { within } from "./within.ts";

/** Where the server is, and who signs in. */
export const databaseProperties = (usual: { port: number; user: string; database: string }) => ({
  ...serverProperties(usual.port),
  user: text({ description: "Who signs in.", default: usual.user }),
  password: secretText("Its password", { default: "" }),
  database: text({ description: "Database.", default: usual.database }),
  ...tlsProperties,
});

export const statementAction = <Kind extends string>(kind: Kind) =>
  actionSchema(kind, {
    does: "Run a statement.",
    own: {
      sql: text({
        description:
          "Statement with places for values, without quotes: insert into t values (${id}, ${payload.x}). Values are bound.",
        minLength: 1,
      }),
      rows: rowsProperty,
    },
    description: "A statement for each output.",
  });

/** One of a pool; one that comes when nobody waits for it any more is given back. */
export async function takenFrom<Connection extends { release(): void }>(
  signal: AbortSignal,
  connecting: Promise<Connection>,
): Promise<Connection> {
  try {
    return await within(signal, connecting);
  } catch (error) {
    connecting.then(
      (late) => late.release(),
      () => {},
    );
    throw error;
  }
}

/** All of them, or none. One statement is a transaction of its own. */
export async function inTransaction(
  items: readonly Item[],
  run: (item: Item) => Promise<void>,
  say: (word: "BEGIN" | "COMMIT" | "ROLLBACK") => Promise<unknown>,
): Promise<void> {
  if (items.length === 1) return run(items[0]!);
  await say("BEGIN");
  try {
    for (const item of items) await run(item);
  } catch (error) {
    await say("ROLLBACK");
    throw error;
  }
  await say("COMMIT");
}

/** A statement of one output, as an item carries it. */
export interface Statement {
  readonly sql: string;
  readonly values: readonly Value[];
}

export const statementOf = ({ parameters }: Item): Statement => parameters as unknown as Statement;

/** What statements have given whose rows are of interest; told when they are committed. */
export class FoundRows {
  readonly #found: (readonly [Item, readonly Row[]])[] = [];

  add(item: Item, rows: unknown): void {
    if (item.parameters["rows"] !== undefined && Array.isArray(rows)) this.#found.push([item, rows as Row[]]);
  }

  tell({ found }: Pick<ConnectHost, "found">): void {
    for (const [item, rows] of this.#found) found?.(item, rows);
  }
}

/** What the drivers take: neither writes a bigint or plain octets as they should be. */
export const parametersOf = ({ values }: Statement): (string | number | boolean | Buffer | null)[] =>
  values.map((value) =>
    typeof value === "bigint"
      ? value.toString()
      : value instanceof Uint8Array
        ? Buffer.from(value)
        : (value as string | number | boolean | null),
  );

/** The statements of an action's outputs; `mark` as for `boundStatement`. */
export function compileStatement(
  { sql, rows }: { readonly sql: string; readonly rows: RowsUse },
  mark: (place: number) => string,
): (output: Value) => Statement & ValueMap {
  const statement = boundStatement(sql, mark);
  return (output) => ({ sql: statement.sql, values: statement.bind(output), ...rowsUse(rows) });
}

interface BoundStatement {
  readonly sql: string;
  bind(output: Value): readonly Value[];
}

/**
 * A statement with places, whose values are bound by the server and never become part of the text: no value can change
 * what is done. `mark` names the nth place, from 1. Throws `TemplateError` and `ActionError`.
 */
export function boundStatement(text: string, mark: (place: number) => string): BoundStatement {
  const { texts, bind } = new Template(text).between;
  refuseQuotes(texts);
  const sql = texts.map((part, index) => (index === 0 ? part : mark(index) + part)).join("");
  if (sql.trim() === "") throw new ActionError("a statement is needed");
  return { sql, bind: (output) => bind(output).map(bindable) };
}

/** A place within quotes would be text, not a value. */
function refuseQuotes(texts: readonly string[]): void {
  let quote: string | undefined;
  for (let index = 0; index < texts.length - 1; index++) {
    for (const character of texts[index]!) {
      if (quote === undefined && (character === "'" || character === '"')) quote = character;
      else if (character === quote) quote = undefined;
    }
    if (quote !== undefined)
      throw new ActionError(
        `places for values stand without quotes: expected \${...} for ${quote}\${...}${quote}`,
      );
  }
}

/** What is missing is NULL, and what has members is JSON. */
const bindable = (value: Value): Value =>
  value === undefined ? null : isMap(value) || isArray(value) ? toJson(value) : value;
