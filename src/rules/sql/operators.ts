import { topicFilterProblem, topicMatches } from "../../bus/topic.ts";
import { described, exact, isArray, isMap, RuleFailure, type Value } from "../value.ts";
import type { BinaryOperator } from "./syntax.ts";

type Compute = (left: Value, right: Value) => Value;

const isNumber = (value: Value): value is number | bigint =>
  typeof value === "number" || typeof value === "bigint";

/** Without coercion: '1' is not 1. Numbers are equal by what they are worth, lists and maps by what is in them. */
export function isEqual(left: Value, right: Value): boolean {
  if (left === right) return true;
  // A bigint and a double of the same worth.
  // biome-ignore lint/suspicious/noDoubleEquals: both are numbers
  if (isNumber(left) && isNumber(right)) return left == right;
  if (isArray(left) && isArray(right))
    return left.length === right.length && left.every((each, index) => isEqual(each, right[index]));
  if (left instanceof Uint8Array) return right instanceof Uint8Array && Buffer.compare(left, right) === 0;
  if (!isMap(left) || !isMap(right)) return false;
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && isEqual(left[key], right[key]))
  );
}

/** What is not there is neither less nor more. */
function ordered(operator: string, decide: (order: number) => boolean): Compute {
  return (left, right) => {
    if (left === undefined || left === null || right === undefined || right === null) return false;
    if (isNumber(left) && isNumber(right)) return decide(left < right ? -1 : left > right ? 1 : 0);
    if (typeof left === "string" && typeof right === "string")
      return decide(left < right ? -1 : left > right ? 1 : 0);
    throw new RuleFailure(
      `\`${operator}\` needs two numbers or two texts, not ${described(left)} and ${described(right)}`,
    );
  };
}

function arithmetic(
  operator: string,
  ofNumbers: (left: number, right: number) => number,
  ofWholes?: (left: bigint, right: bigint) => bigint,
): Compute {
  return (left, right) => {
    if (typeof left === "number" && typeof right === "number") {
      const result = ofNumbers(left, right);
      if (Number.isSafeInteger(result)) return result;
      const areWhole = ofWholes !== undefined && Number.isSafeInteger(left) && Number.isSafeInteger(right);
      return areWhole ? exact(ofWholes(BigInt(left), BigInt(right))) : finite(operator, result);
    }
    if (!isNumber(left) || !isNumber(right)) throw needsNumbers(operator, left, right);
    const areWhole = ofWholes !== undefined && isWhole(left) && isWhole(right);
    if (areWhole) return bounded(operator, ofWholes(BigInt(left), BigInt(right)));
    return finite(operator, ofNumbers(Number(left), Number(right)));
  };
}

const isWhole = (value: number | bigint): boolean => typeof value === "bigint" || Number.isInteger(value);

/** Nobody reads numbers of more digits, and each multiplication would double them. */
const BITS_MAX = 1024;
const LARGEST = 1n << BigInt(BITS_MAX);

function bounded(operator: string, result: bigint): number | bigint {
  if (result > LARGEST || result < -LARGEST)
    throw new RuleFailure(`\`${operator}\` gives too large a number`);
  return exact(result);
}

function finite(operator: string, result: number): number {
  if (!Number.isFinite(result)) throw new RuleFailure(`\`${operator}\` gives no number`);
  return result;
}

const needsNumbers = (operator: string, left: Value, right: Value): RuleFailure =>
  new RuleFailure(`\`${operator}\` needs two numbers, not ${described(left)} and ${described(right)}`);

function notZero(operator: string, compute: Compute): Compute {
  return (left, right) => {
    // biome-ignore lint/suspicious/noDoubleEquals: 0 and 0n
    if (isNumber(right) && right == 0) throw new RuleFailure(`\`${operator}\` by zero`);
    return compute(left, right);
  };
}

const add = arithmetic(
  "+",
  (left, right) => left + right,
  (left, right) => left + right,
);

function plus(left: Value, right: Value): Value {
  if (typeof left === "string" && typeof right === "string") return left + right;
  if (isNumber(left) && isNumber(right)) return add(left, right);
  throw new RuleFailure(
    `\`+\` needs two numbers or two texts, not ${described(left)} and ${described(right)}`,
  );
}

function matches(left: Value, right: Value): boolean {
  if (left === undefined || left === null) return false;
  if (typeof left !== "string" || typeof right !== "string")
    throw new RuleFailure(
      `\`=~\` needs a topic and a topic filter, not ${described(left)} and ${described(right)}`,
    );
  if (topicFilterProblem(right) !== undefined)
    throw new RuleFailure(`\`=~\` needs a topic filter on its right, not ${described(right)}`);
  return topicMatches(right, left);
}

/** What `and` and `or` are is the compiler's: they do not always look at their right side. */
export const OPERATORS: Readonly<Record<Exclude<BinaryOperator, "and" | "or">, Compute>> = {
  "=": isEqual,
  "!=": (left, right) => !isEqual(left, right),
  "<": ordered("<", (order) => order < 0),
  "<=": ordered("<=", (order) => order <= 0),
  ">": ordered(">", (order) => order > 0),
  ">=": ordered(">=", (order) => order >= 0),
  "=~": matches,
  "+": plus,
  "-": arithmetic(
    "-",
    (left, right) => left - right,
    (left, right) => left - right,
  ),
  "*": arithmetic(
    "*",
    (left, right) => left * right,
    (left, right) => left * right,
  ),
  "/": notZero(
    "/",
    arithmetic("/", (left, right) => left / right),
  ),
  div: notZero(
    "div",
    arithmetic(
      "div",
      (left, right) => Math.trunc(left / right),
      (left, right) => left / right,
    ),
  ),
  mod: notZero(
    "mod",
    arithmetic(
      "mod",
      (left, right) => left % right,
      (left, right) => left % right,
    ),
  ),
};

/** A condition. What is not set is not true. */
export function isTrue(value: Value): boolean {
  if (value === true) return true;
  if (value === false || value === undefined || value === null) return false;
  throw new RuleFailure(`a condition must be true or false, not ${described(value)}`);
}
