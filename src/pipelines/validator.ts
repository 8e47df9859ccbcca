/** Payloads that a JSON Schema describes. The library is ajv; its expressions are those of RE2. */
import { createRequire } from "node:module";
import { type Static, Type } from "@sinclair/typebox";
import type * as ajv from "ajv";
import type formats from "ajv-formats";
import { isTooLongFor, linearExpression, stepsOf } from "../lib/linear-expression.ts";
import { sizeSetting } from "../lib/setting.ts";
import { STEPS_OF_ALL_MAX } from "../lib/steps.ts";
import type { Failed, Filter } from "./filter.ts";
import { FilterError, filterProperties } from "./settings.ts";

export const validatorSchema = Type.Object(
  {
    kind: Type.Literal("Validator", { description: "Compare payloads with a JSON Schema." }),
    ...filterProperties,
    schema: Type.Record(Type.String(), Type.Unknown(), {
      description: "JSON Schema, draft 7; references lead into itself only.",
    }),
    maximumSize: sizeSetting({
      description: "Larger payloads are not looked at, and not valid.",
      default: "256KB",
    }),
  },
  { description: "Invalid where a payload is no JSON, or not as the schema wants it: refused as malformed." },
);
export type ValidatorSettings = Static<typeof validatorSchema>;

export const INVALID = "Invalid";

const failed = (reason: string): Failed => ({ result: INVALID, refusal: "malformed", reason });

/** Those that are read in linear time. */
const FORMATS = ["date-time", "date", "time", "ipv4", "ipv6", "uuid"] as const;

/** Loaded where there is such a filter. */
const require = createRequire(import.meta.url);

/** Of the payload that is looked at: everybody else waits for it. */
let steps = 0;

function expression(pattern: string): { test(text: string): boolean } {
  const compiled = linearExpression(pattern);
  return {
    test(text) {
      steps += stepsOf(compiled, text);
      if (steps > STEPS_OF_ALL_MAX || isTooLongFor(compiled, text)) return false;
      return compiled.matcher(text).find();
    },
  };
}

function checkerOf(schema: ValidatorSettings["schema"]): ajv.ValidateFunction {
  const { Ajv } = require("ajv") as typeof ajv;
  const regExp = Object.assign(expression, { code: "linear" });
  const checker = new Ajv({ strict: false, strictSchema: true, allowUnionTypes: true, code: { regExp } });
  (require("ajv-formats") as typeof formats).default(checker, [...FORMATS]);
  try {
    return checker.compile(schema);
  } catch (error) {
    throw new FilterError(["schema"], `is no JSON Schema that can be used: ${(error as Error).message}`);
  }
}

/** Octets that are not UTF-8 are no JSON (RFC 8259 §8.1). */
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Throws `FilterError`. */
export function validator({ schema, maximumSize }: ValidatorSettings): Filter {
  const check = checkerOf(schema);
  return {
    handle({ packet: { message } }) {
      const payload = message?.payload ?? new Uint8Array();
      if (payload.length > maximumSize)
        return failed(`${payload.length} octets: ${maximumSize} are looked at`);
      let value: unknown;
      try {
        value = JSON.parse(decoder.decode(payload));
      } catch (error) {
        return failed(`the payload is no JSON: ${(error as Error).message}`);
      }
      steps = 0;
      const isValid = check(value);
      if (steps > STEPS_OF_ALL_MAX) return failed("the expressions of its schema would take too long");
      if (isValid) return undefined;
      const { instancePath = "", message: says } = check.errors?.[0] ?? {};
      return failed(`${instancePath === "" ? "the payload" : instancePath} ${says}`);
    },
  };
}
