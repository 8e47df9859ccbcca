import {
  described,
  isArray,
  isMap,
  octetsOf,
  RuleFailure,
  textOf,
  type Value,
  type ValueMap,
} from "../value.ts";

/** Does not fit: what `take` gives where a value is not what a parameter needs. */
export const NO = Symbol("does not fit");

export interface Parameter<Taken> {
  /** What is needed, in words. */
  readonly is: string;
  take(value: Value): Taken | typeof NO;
  readonly optional?: true;
}

export interface RuleFunction {
  /** How many values it may be given. */
  readonly least: number;
  readonly most: number;
  /** Throws `RuleFailure` where a value does not fit: nothing is coerced. */
  run(name: string, given: readonly Value[], now: number): Value;
}

type Parameters<Taken extends readonly unknown[]> = {
  readonly [Index in keyof Taken]: Parameter<Taken[Index]>;
};

/** A function of a number of parameters, the last of which may be optional. It is told the time of the event. */
export function of<Taken extends readonly unknown[]>(
  parameters: Parameters<Taken>,
  compute: (this: { readonly name: string; readonly now: number }, ...taken: Taken) => Value,
): RuleFunction {
  const list: readonly Parameter<unknown>[] = parameters;
  return {
    least: list.filter(({ optional }) => optional !== true).length,
    most: list.length,
    run(name, given, now) {
      const taken = list.map((parameter, index) => taking(name, parameter, given, index));
      return compute.call({ name, now }, ...(taken as unknown as Taken));
    },
  };
}

/** A function of any number of values of one kind. */
export function ofMany<Taken>(
  parameter: Parameter<Taken>,
  least: number,
  compute: (taken: readonly Taken[]) => Value,
): RuleFunction {
  return {
    least,
    most: MANY,
    run: (name, given) => compute(given.map((_, index) => taking(name, parameter, given, index))),
  };
}

const MANY = 64;

function taking<Taken>(
  name: string,
  { is, take, optional }: Parameter<Taken>,
  given: readonly Value[],
  index: number,
): Taken {
  if (optional === true && index >= given.length) return undefined as Taken;
  const taken = take(given[index]);
  if (taken !== NO) return taken;
  throw new RuleFailure(`${name}: argument ${index + 1} must be ${is}, not ${described(given[index])}`);
}

export const optional = <Taken>(parameter: Parameter<Taken>): Parameter<Taken | undefined> => ({
  ...parameter,
  optional: true,
});

const kind = <Taken>(is: string, take: (value: Value) => Taken | typeof NO): Parameter<Taken> => ({
  is,
  take,
});

export const any = kind<Value>("a value", (value) => value);
export const number = kind<number>("a number", (value) =>
  typeof value === "number" ? value : typeof value === "bigint" ? Number(value) : NO,
);
export const whole = kind<number>("a whole number", (value) =>
  typeof value === "number" && Number.isSafeInteger(value) ? value : NO,
);
/** A whole number that is not negative. */
export const count = kind<number>("a whole number from 0", (value) =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : NO,
);
export const anyWhole = kind<bigint>("a whole number", (value) =>
  typeof value === "bigint"
    ? value
    : typeof value === "number" && Number.isInteger(value)
      ? BigInt(value)
      : NO,
);
export const text = kind<string>("a text", (value) => {
  if (typeof value === "string") return value;
  const decoded = value instanceof Uint8Array ? textOf(value) : undefined;
  return typeof decoded === "string" ? decoded : NO;
});
export const octets = kind<Uint8Array>("a text or octets", (value) =>
  typeof value === "string" || value instanceof Uint8Array ? octetsOf(value) : NO,
);
export const list = kind<readonly Value[]>("a list", (value) => (isArray(value) ? value : NO));
export const map = kind<ValueMap>("a map", (value) => (isMap(value) ? value : NO));
/** A map's key: numbers serve too. */
export const key = kind<string>("a key", (value) =>
  typeof value === "string" ? value : typeof value === "number" ? String(value) : NO,
);
/** One of some words. */
export const choice = <Word extends string>(...words: readonly Word[]): Parameter<Word> =>
  kind(`one of ${words.map((word) => `'${word}'`).join(", ")}`, (value) =>
    words.includes(value as Word) ? (value as Word) : NO,
  );

export const fail = (name: string, says: string): RuleFailure => new RuleFailure(`${name}: ${says}`);

/** What one function may make of what a device sent: beyond, the run fails. */
export const OCTETS_MAX = 16 * 1024 * 1024;

export type FunctionTable = Readonly<Record<string, RuleFunction>>;
