import { ActionError } from "../rules/action.ts";
import { Template } from "../rules/template.ts";
import { isArray, isMap, toJson, type Value } from "../rules/value.ts";

export interface BoundStatement {
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
