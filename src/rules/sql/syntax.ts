/** A statement as it is written, before anything is known of names and functions. */
import type { Value } from "../value.ts";

export type BinaryOperator =
  | "+"
  | "-"
  | "*"
  | "/"
  | "div"
  | "mod"
  | "="
  | "!="
  | "<"
  | "<="
  | ">"
  | ">="
  | "=~"
  | "and"
  | "or";

export type Expression =
  | { readonly kind: "constant"; readonly value: Value; readonly at: number }
  | { readonly kind: "name"; readonly name: string; readonly at: number }
  | { readonly kind: "member"; readonly of: Expression; readonly name: string; readonly at: number }
  | { readonly kind: "index"; readonly of: Expression; readonly index: Expression; readonly at: number }
  | { readonly kind: "list"; readonly items: readonly Expression[]; readonly at: number }
  | {
      readonly kind: "call";
      readonly name: string;
      readonly given: readonly Expression[];
      readonly at: number;
    }
  | { readonly kind: "not" | "minus"; readonly of: Expression; readonly at: number }
  | {
      readonly kind: "binary";
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly at: number;
    }
  | {
      readonly kind: "case";
      readonly when: readonly { readonly condition: Expression; readonly value: Expression }[];
      readonly otherwise: Expression | undefined;
      readonly at: number;
    };

/** One of what is selected: all fields, or an expression under a name that may be a path. */
export type Selected =
  | { readonly kind: "all" }
  | { readonly kind: "field"; readonly expression: Expression; readonly path: readonly string[] };

export interface Source {
  readonly name: string;
  readonly at: number;
}

export interface Statement {
  readonly text: string;
  readonly from: readonly Source[];
  readonly where: Expression | undefined;
  /** What is selected; of a FOREACH what stands before its array. */
  readonly selected: readonly Selected[];
  readonly each: Each | undefined;
}

/** FOREACH: for each element of a list. */
export interface Each {
  readonly list: Expression;
  readonly element: string;
  /** Absent: each output is the element. */
  readonly doing: readonly Selected[] | undefined;
  readonly inCase: Expression | undefined;
}
