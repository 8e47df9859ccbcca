import type { Action, ActionSettings, CompileAction, Occasion, Prepared } from "./action.ts";
import { ActionError } from "./action.ts";
import { type MeantSource, sourceOf } from "./event-names.ts";
import type { SinkHold } from "./hold.ts";
import { Rates } from "./rates.ts";
import { compile, type Fields, type Query } from "./sql/compile.ts";
import { SqlError } from "./sql/sql-error.ts";
import { TemplateError } from "./template.ts";
import type { Value } from "./value.ts";

export interface RuleSettings {
  readonly enable: boolean;
  readonly description: string;
  readonly sql: string;
  readonly ack: "store" | "after_sink";
  readonly actions: readonly ActionSettings[];
}

/** matched = passed + noResult + failed. */
export interface RuleCounters {
  matched: number;
  passed: number;
  /** WHERE, or INCASE of all elements, said no. */
  noResult: number;
  /** The statement, or an action's template, could not be run. */
  failed: number;
  /** Not run, because the event came from this rule; or not sent on, because it came back from another gateway. */
  loops: number;
}

/** What is wrong with a rule: where in its settings, and what. */
export class RuleError extends Error {
  override readonly name = "RuleError";
  /** Keys below the rule. */
  readonly at: readonly (string | number)[];

  constructor(at: readonly (string | number)[], says: string) {
    super(says);
    this.at = at;
  }
}

/** What a rule is for, and what it does, ready to be run. */
export interface CompiledRule {
  readonly query: Query;
  readonly sources: readonly MeantSource[];
  readonly actions: readonly Action[];
}

/** Throws `RuleError`. */
export function compileRule(id: string, settings: RuleSettings, action: CompileAction): CompiledRule {
  const { query, sources } = compileSql(settings.sql);
  const actions = settings.actions.map((each, place) => {
    try {
      return action(each, id, place);
    } catch (error) {
      if (error instanceof TemplateError || error instanceof ActionError)
        throw new RuleError(["actions", place], error.message);
      throw error;
    }
  });
  return { query, sources, actions };
}

/** Throws `RuleError`. */
function compileSql(sql: string): Pick<CompiledRule, "query" | "sources"> {
  try {
    const query = compile(sql);
    const sources = query.from.map(({ name, at }) => {
      const source = sourceOf(name);
      if (typeof source === "string") throw new SqlError(sql, at, `${name}: ${source}`);
      return source;
    });
    return { query, sources };
  } catch (error) {
    if (error instanceof SqlError) throw new RuleError(["sql"], error.message);
    throw error;
  }
}

/** Tells of what failed. */
export type Failed = (rule: string, error: Error) => void;

export class Rule implements CompiledRule {
  readonly id: string;
  readonly settings: RuleSettings;
  readonly query: Query;
  readonly sources: readonly MeantSource[];
  readonly actions: readonly Action[];
  readonly counters: RuleCounters;
  readonly rates: Rates;
  /** The message that it was found for last: it may be found by several of its filters. */
  seen = 0;
  readonly keeps: boolean;

  /** `before`: the same rule as it was, whose numbers go on. */
  constructor(id: string, settings: RuleSettings, compiled: CompiledRule, before?: Rule) {
    this.id = id;
    this.settings = settings;
    this.query = compiled.query;
    this.sources = compiled.sources;
    this.actions = compiled.actions;
    this.counters = before?.counters ?? { matched: 0, passed: 0, noResult: 0, failed: 0, loops: 0 };
    this.rates = before?.rates ?? new Rates();
    this.keeps = this.actions.some(({ keeps }) => keeps);
  }

  get full(): boolean {
    return this.actions.some(({ full }) => full);
  }

  /** Never throws: an event goes on its way whatever a rule makes of it. */
  run(fields: Fields, about: Omit<Occasion, "rule" | "element">, hold: () => SinkHold, failed: Failed): void {
    const { counters } = this;
    counters.matched++;
    this.rates.add(about.now);
    let outputs: readonly Value[];
    try {
      outputs = this.query.run(fields);
    } catch (error) {
      counters.failed++;
      failed(this.id, error as Error);
      return;
    }
    if (outputs.length === 0) {
      counters.noResult++;
      return;
    }
    counters.passed++;
    for (let element = 0; element < outputs.length; element++) {
      const occasion = { ...about, rule: this.id, element };
      for (const action of this.actions) this.#act(action, outputs[element], occasion, hold, failed);
    }
  }

  #act(action: Action, output: Value, occasion: Occasion, hold: () => SinkHold, failed: Failed): void {
    action.counters.matched++;
    let prepared: Prepared;
    try {
      prepared = action.prepare(output, occasion);
    } catch (error) {
      action.counters.failed++;
      failed(this.id, error as Error);
      return;
    }
    prepared.perform(this.settings.ack === "after_sink" ? hold() : undefined);
  }
}
