import { SqlError } from "./sql-error.ts";
import type { BinaryOperator, Each, Expression, Selected, Source, Statement } from "./syntax.ts";
import { type Token, tokens } from "./tokens.ts";

/** Longer texts are nobody's rule. */
const TEXT_MAX = 65_536;
/** How deep expressions may be nested: each level takes some of the stack. */
const NESTING_MAX = 100;
/** Operators in a row become a chain of calls. */
const OPERATORS_MAX = 1_000;

const RESERVED: ReadonlySet<string> = new Set(
  "select foreach do incase from where as case when then else end and or not div mod true false null".split(
    " ",
  ),
);

const COMPARISONS: readonly string[] = ["=", "!=", "<>", "<", "<=", ">", ">=", "=~"];

/** Reads a statement. Throws `SqlError`, which names the place and what was expected there. */
export function parse(text: string): Statement {
  if (text.length > TEXT_MAX) throw new SqlError(text, TEXT_MAX, `a rule may be ${TEXT_MAX} characters long`);
  return new Parser(text).statement();
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;
  #operators = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokens(text);
  }

  statement(): Statement {
    if (this.#takeWord("select")) {
      const selected = this.#selected();
      return { text: this.#text, selected, each: undefined, ...this.#rest() };
    }
    if (this.#takeWord("foreach")) return this.#forEach();
    throw this.#expected("SELECT or FOREACH");
  }

  #forEach(): Statement {
    const before = this.#selected();
    const last = before.at(-1)!;
    if (last.kind === "all") throw this.#expected("the list that FOREACH goes through, behind `*`");
    const { expression: list, path } = last;
    const element = this.#named ? path.join(".") : "item";
    const doing = this.#takeWord("do") ? this.#selected() : undefined;
    const inCase = this.#takeWord("incase") ? this.#expression() : undefined;
    const each: Each = { list, element, doing, inCase };
    return { text: this.#text, selected: before.slice(0, -1), each, ...this.#rest() };
  }

  #rest(): Pick<Statement, "from" | "where"> {
    this.#needWord("from", "FROM");
    const from: Source[] = [];
    do from.push(this.#source());
    while (this.#takeSign(","));
    const where = this.#takeWord("where") ? this.#expression() : undefined;
    this.#takeSign(";");
    if (this.#token.kind !== "end")
      throw this.#expected(where === undefined ? "`,`, WHERE or the end" : "an operator or the end");
    return { from, where };
  }

  #source(): Source {
    const { kind, text, at } = this.#token;
    if (kind !== "text" && kind !== "quoted")
      throw this.#expected('a topic filter or an event in quotes, as in FROM "t/#"');
    this.#next++;
    return { name: text, at };
  }

  // ---- what is selected

  /** The last of what was selected had a name of its own. */
  #named = false;

  #selected(): Selected[] {
    const selected: Selected[] = [];
    do selected.push(this.#select());
    while (this.#takeSign(","));
    return selected;
  }

  #select(): Selected {
    if (this.#takeSign("*")) return { kind: "all" };
    const { at } = this.#token;
    const expression = this.#expression();
    this.#named = this.#takeWord("as");
    const path = this.#named ? this.#path() : (pathOf(expression) ?? [this.#between(at)]);
    return { kind: "field", expression, path };
  }

  /** An expression's own text names it where nothing else does. */
  #between(at: number): string {
    return this.#text.slice(at, this.#tokens[this.#next - 1]!.to);
  }

  #path(): string[] {
    const path = [this.#anyName("a name behind AS")];
    while (this.#takeSign(".")) path.push(this.#anyName("a name behind the dot"));
    return path;
  }

  #anyName(expected: string): string {
    const { kind, text } = this.#token;
    if (kind !== "word" && kind !== "text" && kind !== "quoted") throw this.#expected(expected);
    this.#next++;
    return text;
  }

  // ---- expressions, the loosest first

  #expression(): Expression {
    if (++this.#depth > NESTING_MAX)
      throw new SqlError(this.#text, this.#token.at, `expressions may be nested ${NESTING_MAX} deep`);
    const expression = this.#row(["or"], () => this.#row(["and"], () => this.#negation()));
    this.#depth--;
    return expression;
  }

  #negation(): Expression {
    const { at } = this.#token;
    if (!this.#takeWord("not")) return this.#comparison();
    return { kind: "not", of: this.#deeper(() => this.#negation()), at };
  }

  #comparison(): Expression {
    const left = this.#sum();
    const { kind, text, at } = this.#token;
    if (kind !== "sign" || !COMPARISONS.includes(text)) return left;
    this.#next++;
    const operator = (text === "<>" ? "!=" : text) as BinaryOperator;
    return { kind: "binary", operator, left, right: this.#sum(), at };
  }

  #sum(): Expression {
    return this.#row(["+", "-"], () => this.#row(["*", "/", "div", "mod"], () => this.#signed()));
  }

  #row(operators: readonly string[], part: () => Expression): Expression {
    let left = part();
    for (;;) {
      const { at } = this.#token;
      const operator = operators.find((each) => this.#take(each));
      if (operator === undefined) return left;
      if (++this.#operators > OPERATORS_MAX)
        throw new SqlError(this.#text, at, `a rule may have ${OPERATORS_MAX} operators`);
      left = { kind: "binary", operator: operator as BinaryOperator, left, right: part(), at };
    }
  }

  #take(operator: string): boolean {
    return /[a-z]/.test(operator) ? this.#takeWord(operator) : this.#takeSign(operator);
  }

  #signed(): Expression {
    const { at } = this.#token;
    if (this.#takeSign("+")) return this.#deeper(() => this.#signed());
    if (!this.#takeSign("-")) return this.#postfix();
    const of = this.#deeper(() => this.#signed());
    if (of.kind === "constant" && (typeof of.value === "number" || typeof of.value === "bigint"))
      return { ...of, value: -of.value, at };
    return { kind: "minus", of, at };
  }

  #deeper<Made>(make: () => Made): Made {
    if (++this.#depth > NESTING_MAX)
      throw new SqlError(this.#text, this.#token.at, `expressions may be nested ${NESTING_MAX} deep`);
    const made = make();
    this.#depth--;
    return made;
  }

  #postfix(): Expression {
    let of = this.#primary();
    for (let count = 0; ; count++) {
      const { at } = this.#token;
      if (count > NESTING_MAX)
        throw new SqlError(this.#text, at, `members may be nested ${NESTING_MAX} deep`);
      if (this.#takeSign(".")) {
        of = { kind: "member", of, name: this.#anyName("the name of a member behind the dot"), at };
      } else if (this.#takeSign("[")) {
        of = { kind: "index", of, index: this.#expression(), at };
        this.#needSign("]");
      } else return of;
    }
  }

  #primary(): Expression {
    const token = this.#token;
    const { kind, text, at } = token;
    if (kind === "number") return this.#constant(token.value!, at);
    if (kind === "text") return this.#constant(text, at);
    if (kind === "quoted")
      throw new SqlError(this.#text, at, `texts stand in single quotes: expected '${text}' for "${text}"`);
    if (kind === "word") return this.#word(token);
    if (this.#takeSign("(")) {
      const inner = this.#expression();
      this.#needSign(")");
      return inner;
    }
    if (this.#takeSign("[")) return { kind: "list", items: this.#items("]"), at };
    throw this.#expected("an expression");
  }

  #constant(value: number | bigint | string | boolean | null, at: number): Expression {
    this.#next++;
    return { kind: "constant", value, at };
  }

  #word({ text, at }: Token): Expression {
    const word = text.toLowerCase();
    if (word === "case") return this.#case();
    if (word === "true" || word === "false") return this.#constant(word === "true", at);
    if (word === "null") return this.#constant(null, at);
    const isCall =
      this.#tokens[this.#next + 1]!.text === "(" && this.#tokens[this.#next + 1]!.kind === "sign";
    // A function may have the name of an operator: mod(7, 3).
    if (RESERVED.has(word) && !(isCall && word === "mod")) throw this.#expected("an expression");
    this.#next++;
    if (!isCall) return { kind: "name", name: text, at };
    this.#needSign("(");
    return { kind: "call", name: word, given: this.#items(")"), at };
  }

  #items(end: string): Expression[] {
    const items: Expression[] = [];
    if (this.#takeSign(end)) return items;
    do items.push(this.#expression());
    while (this.#takeSign(","));
    if (!this.#takeSign(end)) throw this.#expected(`an operator, \`,\` or \`${end}\``);
    return items;
  }

  #case(): Expression {
    const { at } = this.#token;
    this.#needWord("case", "CASE");
    const when: { condition: Expression; value: Expression }[] = [];
    this.#needWord("when", "WHEN");
    do {
      const condition = this.#expression();
      this.#needWord("then", "an operator or THEN");
      when.push({ condition, value: this.#expression() });
    } while (this.#takeWord("when"));
    const otherwise = this.#takeWord("else") ? this.#expression() : undefined;
    this.#needWord("end", otherwise === undefined ? "an operator, WHEN, ELSE or END" : "an operator or END");
    return { kind: "case", when, otherwise, at };
  }

  // ---- tokens

  get #token(): Token {
    return this.#tokens[this.#next]!;
  }

  #takeWord(word: string): boolean {
    const { kind, text } = this.#token;
    if (kind !== "word" || text.toLowerCase() !== word) return false;
    this.#next++;
    return true;
  }

  #takeSign(sign: string): boolean {
    const { kind, text } = this.#token;
    if (kind !== "sign" || text !== sign) return false;
    this.#next++;
    return true;
  }

  #needWord(word: string, expected: string): void {
    if (!this.#takeWord(word)) throw this.#expected(expected);
  }

  #needSign(sign: string): void {
    if (!this.#takeSign(sign)) throw this.#expected(`an operator or \`${sign}\``);
  }

  #expected(what: string): SqlError {
    const { kind, text, at } = this.#token;
    const quote = kind === "text" ? "'" : kind === "quoted" ? '"' : "`";
    const found = kind === "end" ? "the end" : `${quote}${text}${quote}`;
    return new SqlError(this.#text, at, `expected ${what}, found ${found}`);
  }
}

/** The path that a name and its members are, under which they are selected. */
function pathOf(expression: Expression): string[] | undefined {
  if (expression.kind === "name") return [expression.name];
  if (expression.kind !== "member") return undefined;
  const path = pathOf(expression.of);
  path?.push(expression.name);
  return path;
}
