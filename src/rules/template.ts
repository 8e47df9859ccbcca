import { WEIGHT_MAX } from "./sql/bounds.ts";
import { asText, fromJson, isArray, isMap, member, RuleFailure, toJson, type Value } from "./value.ts";

/** A template that is none, and where that shows. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
}

/** The way to a value; empty: the whole. */
type Path = readonly (string | number)[];
type Part = string | { readonly path: Path };

const NAME = /^(?:[^.[\]{}]+)$/;

/**
 * A text with places for values: `${name}`, `${a.b}`, `${a[1]}`, and `${.}` for the whole as JSON. What is missing is
 * the text `undefined`.
 */
export class Template {
  readonly text: string;
  readonly #parts: readonly Part[];

  /** Throws `TemplateError`. */
  constructor(text: string) {
    this.text = text;
    this.#parts = parse(text);
  }

  /** Nothing has to be filled in. */
  get isConstant(): boolean {
    return this.#parts.every((part) => typeof part === "string");
  }

  /** Throws `RuleFailure` where the text would be too long. */
  fill(values: Value): string {
    const find = finding(values);
    let filled = "";
    for (const part of this.#parts) {
      filled += typeof part === "string" ? part : asText(find(part.path));
      if (filled.length > WEIGHT_MAX)
        throw new RuleFailure(`a template may be filled to ${WEIGHT_MAX} characters`);
    }
    return filled;
  }

  /** As `fill`, but octets alone stay octets. */
  content(values: Value): string | Uint8Array {
    const value = this.#parts.length === 1 ? this.value(values) : undefined;
    return value instanceof Uint8Array ? value : this.fill(values);
  }

  /** The value itself where there is one place and nothing else, and else the text. */
  value(values: Value): Value {
    const only = this.#parts.length === 1 ? this.#parts[0] : undefined;
    return only === undefined || typeof only === "string" ? this.fill(values) : finding(values)(only.path);
  }

  /** The text between the places, and the values that belong there: for who binds them. */
  get between(): { readonly texts: readonly string[]; bind(values: Value): readonly Value[] } {
    const texts: string[] = [""];
    const paths: Path[] = [];
    for (const part of this.#parts) {
      if (typeof part === "string") texts[texts.length - 1] += part;
      else {
        paths.push(part.path);
        texts.push("");
      }
    }
    return { texts, bind: (values) => paths.map(finding(values)) };
  }
}

function parse(text: string): readonly Part[] {
  const parts: Part[] = [];
  let from = 0;
  for (;;) {
    const start = text.indexOf("${", from);
    if (start < 0) break;
    const end = text.indexOf("}", start);
    if (end < 0)
      throw new TemplateError(`column ${start + 1}: \`\${\` begins here and does not end: expected }`);
    if (start > from) parts.push(text.slice(from, start));
    parts.push({ path: pathOf(text.slice(start + 2, end), start) });
    from = end + 1;
  }
  if (from < text.length || parts.length === 0) parts.push(text.slice(from));
  return parts;
}

function pathOf(written: string, start: number): Path {
  const inner = written.trim().replace(/^\./, "");
  if (inner === "") return [];
  const path: (string | number)[] = [];
  for (const step of inner.split(".")) {
    const [name, ...places] = step.split("[");
    if (!NAME.test(name!)) throw unreadable(written, start);
    path.push(name!.replace(/^'(.*)'$/, "$1"));
    for (const place of places) {
      if (!/^-?[1-9]\d*\]$/.test(place)) throw unreadable(written, start);
      path.push(Number(place.slice(0, -1)));
    }
  }
  return path;
}

const unreadable = (written: string, start: number): TemplateError =>
  new TemplateError(
    `column ${start + 1}: \`\${${written}}\` is no place for a value: expected a name, as in \${a.b}`,
  );

/** A payload is text until somebody asks for a member of it, and is read once then. */
function finding(values: Value): (path: Path) => Value {
  let payload: { readonly json: Value } | undefined;
  return (path) => {
    let value = values;
    for (let index = 0; index < path.length; index++) {
      const step = path[index]!;
      if (typeof value === "string" && index === 1 && path[0] === "payload") {
        payload ??= { json: parsed(value) };
        value = payload.json;
      }
      value = typeof step === "number" ? place(value, step) : member(value, step);
    }
    return value;
  };
}

function parsed(text: string): Value {
  try {
    return fromJson(text);
  } catch {
    return undefined;
  }
}

const place = (list: Value, at: number): Value =>
  isArray(list) ? list[at > 0 ? at - 1 : list.length + at] : undefined;

/** Of a map of templates, which headers are: the texts that they make. */
export function textsOf(
  settings: Readonly<Record<string, string>>,
): (values: Value) => Record<string, string> {
  const templates = Object.entries(settings).map(([name, text]) => [name, new Template(text)] as const);
  return (values) => Object.fromEntries(templates.map(([name, template]) => [name, template.fill(values)]));
}

/** Fills the texts in a value, whatever it is. */
export type Filled = (values: Value) => Value;

/** For settings that are a text, or a map of such: each text is a template. */
export function templatesIn(setting: unknown): Filled {
  if (typeof setting === "string") {
    const template = new Template(setting);
    return template.isConstant ? () => setting : (values) => template.value(values);
  }
  if (Array.isArray(setting)) {
    const items = setting.map(templatesIn);
    return (values) => items.map((item) => item(values));
  }
  if (!isMap(setting as Value)) return () => setting as Value;
  const members = Object.entries(setting as object).map(([key, each]) => ({
    key: new Template(key),
    of: templatesIn(each),
  }));
  return (values) =>
    Object.fromEntries(members.map(({ key, of }) => [key.fill(values), of(values)])) as Value;
}

/** A number that a template has made. */
export function wholeFrom(what: string, value: Value, most: number): number {
  const number = typeof value === "string" && /^\d{1,10}$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && Number.isInteger(number) && number >= 0 && number <= most) return number;
  throw new RuleFailure(`${what} must be a whole number from 0 to ${most}, not ${toJson(value)}`);
}
