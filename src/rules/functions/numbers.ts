import { described, exact, RuleFailure, type Value } from "../value.ts";
import { any, count, type FunctionTable, fail, number, of, optional } from "./define.ts";

/** A result that is no number fails the run: it would be null in JSON. */
function numeric(name: string, result: number): number {
  if (!Number.isFinite(result)) throw fail(name, "gives no number");
  return result;
}

const mathematical = (compute: (value: number) => number) =>
  of([number], function (value) {
    return numeric(this.name, compute(value));
  });

/** Halves away from zero. */
const rounded = (value: number): number => Math.sign(value) * Math.round(Math.abs(value));

const NUMBER_TEXT = /^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/;
const DECIMALS_MAX = 100;

function toNumber(name: string, value: Value): number {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "string" && NUMBER_TEXT.test(value)) return numeric(name, Number(value));
  throw fail(name, `${described(value)} is no number`);
}

function toInteger(name: string, value: Value): number | bigint {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "bigint") return value;
  if (typeof value === "string" && /^[+-]?\d+$/.test(value)) return exact(BigInt(value.replace(/^\+/, "")));
  const floor = Math.floor(toNumber(name, value));
  return Number.isSafeInteger(floor) ? floor : exact(BigInt(floor));
}

function toBoolean(name: string, value: Value): boolean {
  if (value === true || value === 1 || value === "true") return true;
  if (value === false || value === 0 || value === "false") return false;
  throw fail(name, `${described(value)} is neither true nor false`);
}

function fixed(name: string, value: number, decimals: number): string {
  if (decimals > DECIMALS_MAX) throw fail(name, `there are ${DECIMALS_MAX} decimals at most`);
  const text = value.toFixed(decimals);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function absolute(value: Value): number | bigint {
  if (typeof value === "number") return Math.abs(value);
  if (typeof value === "bigint") return value < 0n ? -value : value;
  throw new RuleFailure(`abs: argument 1 must be a number, not ${described(value)}`);
}

export const NUMBERS: FunctionTable = {
  abs: of([any], absolute),
  ceil: mathematical(Math.ceil),
  floor: mathematical(Math.floor),
  round: mathematical(rounded),
  sqrt: mathematical(Math.sqrt),
  exp: mathematical(Math.exp),
  log: mathematical(Math.log),
  log10: mathematical(Math.log10),
  log2: mathematical(Math.log2),
  sin: mathematical(Math.sin),
  cos: mathematical(Math.cos),
  tan: mathematical(Math.tan),
  asin: mathematical(Math.asin),
  acos: mathematical(Math.acos),
  atan: mathematical(Math.atan),
  sinh: mathematical(Math.sinh),
  cosh: mathematical(Math.cosh),
  tanh: mathematical(Math.tanh),
  asinh: mathematical(Math.asinh),
  acosh: mathematical(Math.acosh),
  atanh: mathematical(Math.atanh),
  fmod: of([number, number], function (value, by) {
    return numeric(this.name, value % by);
  }),
  mod: of([number, number], function (value, by) {
    return numeric(this.name, value % by);
  }),
  power: of([number, number], function (base, exponent) {
    return numeric(this.name, base ** exponent);
  }),
  random: of([], () => Math.random()),

  bool: of([any], function (value) {
    return toBoolean(this.name, value);
  }),
  int: of([any], function (value) {
    return toInteger(this.name, value);
  }),
  float: of([any, optional(count)], function (value, decimals) {
    const float = toNumber(this.name, value);
    return decimals === undefined ? float : Number(fixed(this.name, float, decimals));
  }),
  float2str: of([number, count], function (value, decimals) {
    return fixed(this.name, value, decimals);
  }),
};
