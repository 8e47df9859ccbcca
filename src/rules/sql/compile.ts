import { put } from "../../lib/own-member.ts";
import { FUNCTIONS } from "../functions/functions.ts";
import {
  described,
  isArray,
  isMap,
  member,
  putAt,
  RuleFailure,
  type Value,
  type ValueMap,
} from "../value.ts";
import { beginRun, bounded, charge, withinLanguage } from "./bounds.ts";
import { nearestFunction } from "./nearest-function.ts";
import { isTrue, OPERATORS } from "./operators.ts";
import { parse } from "./parse.ts";
import { SqlError } from "./sql-error.ts";
import type { Each, Expression, Selected, Source } from "./syntax.ts";

/** What a statement is run on. */
export interface Fields {
  /** The time of the event, in milliseconds. */
  readonly now: number;
  /** Undefined where the event has no such field. */
  field(name: string): Value;
  /** What `*` stands for. */
  all(): ValueMap;
  /** The payload as JSON. Throws `RuleFailure` where it is none. */
  json(): Value;
}

/** A statement as it is run: what it selects of an event. */
export interface Query {
  readonly from: readonly Source[];
  /** The outputs: none when the conditions say no. Throws `RuleFailure`. */
  run(fields: Fields): readonly Value[];
}

const NO_OUTPUT: readonly Value[] = [];
/** What one event may be made into. */
const OUTPUTS_MAX = 10_000;

/** Where an expression finds its values while a statement runs. */
interface Scope {
  readonly fields: Fields;
  /** What has been selected so far, by its place; `NOT_YET` where nobody has asked for it. */
  readonly selected: (Value | typeof NOT_YET)[];
  element: Value;
  /** What is done with an element, as `selected`. */
  readonly done: (Value | typeof NOT_YET)[];
}

const NOT_YET = Symbol("not yet");
type Run = (scope: Scope) => Value;
/** What names stand for where an expression is. */
type Names = (name: string) => Run | undefined;

/** Compiles a statement to closures. Throws `SqlError`. */
export function compile(text: string): Query {
  const statement = parse(text);
  const compiler = new Compiler(text);
  const selected = new Selection(compiler, statement.selected, "selected", () => undefined);
  const where = statement.where && compiler.run(statement.where, selected.names);
  const columns = Math.max(statement.selected.length, statement.each?.doing?.length ?? 0);
  const outputs = statement.each === undefined ? undefined : forEach(compiler, statement.each, selected);
  return {
    from: statement.from,
    run: (fields) =>
      withinLanguage(() => {
        beginRun();
        const scope: Scope = { fields, selected: selected.fresh(), element: undefined, done: [] };
        if (where !== undefined && !isTrue(where(scope))) return NO_OUTPUT;
        const made = outputs === undefined ? [selected.output(scope)] : outputs(scope);
        if (compiler.composes || columns > FEW) bounded(made);
        return made;
      }),
  };
}

/** So many fields of an event are no more than the event a few times. */
const FEW = 16;

function forEach(compiler: Compiler, each: Each, selected: Selection): (scope: Scope) => readonly Value[] {
  const list = compiler.run(each.list, selected.names);
  const names: Names = (name) => (name === each.element ? (scope) => scope.element : selected.names(name));
  const doing = each.doing && new Selection(compiler, each.doing, "done", names);
  const inCase = each.inCase && compiler.run(each.inCase, doing?.names ?? names);
  return (scope) => {
    const elements = list(scope);
    if (!isArray(elements)) throw new RuleFailure(`FOREACH needs a list, not ${described(elements)}`);
    if (elements.length > OUTPUTS_MAX)
      throw new RuleFailure(`FOREACH goes through ${OUTPUTS_MAX} elements at most, not ${elements.length}`);
    const outputs: Value[] = [];
    for (const element of elements) {
      scope.element = element;
      doing?.restart(scope.done);
      if (inCase !== undefined && !isTrue(inCase(scope))) continue;
      outputs.push(doing === undefined ? element : doing.output(scope));
    }
    return outputs;
  };
}

/** What is selected: each is computed once, when it or something that names it is asked for. */
class Selection {
  readonly #parts: readonly { readonly run: Run | undefined; readonly path: readonly string[] }[];
  readonly #aliases = new Map<string, Run>();
  readonly #outer: Names;
  readonly #place: "selected" | "done";

  constructor(compiler: Compiler, selected: readonly Selected[], place: "selected" | "done", outer: Names) {
    this.#outer = outer;
    this.#place = place;
    this.#parts = selected.map((each, index) => {
      if (each.kind === "all") return { run: undefined, path: [] };
      // It sees what is selected before it, and nothing of itself.
      const compute = compiler.run(each.expression, this.names);
      const run: Run = (scope) => {
        const known = scope[place][index];
        if (known !== NOT_YET) return known;
        const value = compute(scope);
        scope[place][index] = value;
        return value;
      };
      if (each.path.length === 1 && !isOwnName(each)) this.#aliases.set(each.path[0]!, run);
      return { run, path: each.path };
    });
  }

  readonly names: Names = (name) => this.#aliases.get(name) ?? this.#outer(name);

  fresh(): (Value | typeof NOT_YET)[] {
    return this.#parts.map(() => NOT_YET);
  }

  restart(values: (Value | typeof NOT_YET)[]): void {
    for (let index = 0; index < this.#parts.length; index++) values[index] = NOT_YET;
  }

  output(scope: Scope): ValueMap {
    const output: Record<string, Value> = {};
    for (const { run, path } of this.#parts) {
      if (run === undefined) {
        const all = this.#place === "done" ? scope.element : scope.fields.all();
        if (isMap(all)) for (const key of Object.keys(all)) put(output, key, all[key]);
      } else if (path.length === 1) put(output, path[0]!, run(scope));
      else putAt(output, path, run(scope));
    }
    return output;
  }
}

/** A field under its own name is no alias: its members may be asked for as before. */
const isOwnName = (selected: Selected): boolean =>
  selected.kind === "field" &&
  selected.expression.kind === "name" &&
  selected.path.length === 1 &&
  selected.path[0] === selected.expression.name;

class Compiler {
  readonly #text: string;
  /** It makes values of others, which may come to more than there was. */
  composes = false;

  constructor(text: string) {
    this.#text = text;
  }

  run(expression: Expression, names: Names): Run {
    switch (expression.kind) {
      case "constant": {
        const { value } = expression;
        return () => value;
      }
      case "name": {
        const { name } = expression;
        return names(name) ?? ((scope) => scope.fields.field(name));
      }
      case "member":
        return this.#member(expression, names);
      case "index":
        return this.#index(expression, names);
      case "list": {
        const items = expression.items.map((item) => this.run(item, names));
        this.composes = true;
        return (scope) => bounded(items.map((item) => item(scope)));
      }
      case "call":
        return this.#call(expression, names);
      case "not": {
        const of = this.run(expression.of, names);
        return (scope) => !isTrue(of(scope));
      }
      case "minus": {
        const of = this.run(expression.of, names);
        return (scope) => OPERATORS["-"](0, of(scope));
      }
      case "case":
        return this.#case(expression, names);
      case "binary":
        return this.#binary(expression, names);
    }
  }

  #member({ of, name }: Expression & { kind: "member" }, names: Names): Run {
    // The payload is read as JSON when somebody asks for a member of it, and not before.
    if (of.kind === "name" && of.name === "payload" && names("payload") === undefined)
      return (scope) => member(scope.fields.json(), name);
    const whole = this.run(of, names);
    return (scope) => member(whole(scope), name);
  }

  #index({ of, index }: Expression & { kind: "index" }, names: Names): Run {
    const isPayload = of.kind === "name" && of.name === "payload" && names("payload") === undefined;
    const whole: Run = isPayload ? (scope) => scope.fields.json() : this.run(of, names);
    const place = this.run(index, names);
    return (scope) => {
      const list = whole(scope);
      const at = place(scope);
      if (typeof at === "string") return member(list, at);
      if (typeof at !== "number" || !Number.isInteger(at) || at === 0)
        throw new RuleFailure(`a place in a list is a whole number from 1, not ${described(at)}`);
      if (!isArray(list)) return undefined;
      return list[at > 0 ? at - 1 : list.length + at];
    };
  }

  #call({ name, given, at }: Expression & { kind: "call" }, names: Names): Run {
    const called = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (called === undefined)
      throw new SqlError(this.#text, at, `there is no function ${name}${nearestFunction(name)}`);
    const { least, most } = called;
    if (given.length < least || given.length > most) {
      const needed = least === most ? `${least}` : `${least} to ${most}`;
      throw new SqlError(
        this.#text,
        at,
        `${name} takes ${needed} values: expected so many, found ${given.length}`,
      );
    }
    const values = given.map((each) => this.run(each, names));
    this.composes = true;
    return (scope) => {
      const args = values.map((value) => value(scope));
      charge(args);
      return bounded(called.run(name, args, scope.fields.now));
    };
  }

  #case({ when, otherwise }: Expression & { kind: "case" }, names: Names): Run {
    const branches = when.map(({ condition, value }) => ({
      condition: this.run(condition, names),
      value: this.run(value, names),
    }));
    const last = otherwise && this.run(otherwise, names);
    return (scope) => {
      for (const { condition, value } of branches) if (isTrue(condition(scope))) return value(scope);
      return last?.(scope);
    };
  }

  #binary({ operator, left, right }: Expression & { kind: "binary" }, names: Names): Run {
    const first = this.run(left, names);
    const second = this.run(right, names);
    if (operator === "and") return (scope) => isTrue(first(scope)) && isTrue(second(scope));
    if (operator === "or") return (scope) => isTrue(first(scope)) || isTrue(second(scope));
    const compute = OPERATORS[operator];
    if (operator === "+") return (scope) => bounded(compute(first(scope), second(scope)));
    return (scope) => compute(first(scope), second(scope));
  }
}
