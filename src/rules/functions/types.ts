import { asText, isArray, isMap, type Value } from "../value.ts";
import { any, type FunctionTable, of, ofMany } from "./define.ts";

const test = (is: (value: Value) => boolean) => of([any], is);

const isNumber = (value: Value): boolean => typeof value === "number" || typeof value === "bigint";
const isWhole = (value: Value): boolean => typeof value === "bigint" || Number.isInteger(value);

/** JSON's 1.0 is 1 here: a number without decimals is whole, whoever wrote it. */
export const TYPES: FunctionTable = {
  is_array: test(isArray),
  is_bool: test((value) => typeof value === "boolean"),
  is_float: test((value) => isNumber(value) && !isWhole(value)),
  is_int: test(isWhole),
  is_map: test(isMap),
  is_num: test(isNumber),
  is_str: test((value) => typeof value === "string"),
  is_null: test((value) => value === undefined),
  is_not_null: test((value) => value !== undefined),
  is_null_var: test((value) => value === undefined || value === null),
  is_not_null_var: test((value) => value !== undefined && value !== null),
  str: of([any], asText),
  str_utf8: of([any], asText),
  coalesce: ofMany(any, 1, (values) => values.find((value) => value !== undefined && value !== null)),
  coalesce_ne: ofMany(any, 1, (values) =>
    values.find((value) => value !== undefined && value !== null && value !== ""),
  ),
};
