import { expect, it } from "vitest";
import { valueFor, wrongFor } from "../../../src/dashboard/lib/lwm2m-values.ts";

const RANGED = "out of the range 0..100";

it.each([
  ["integer", "100", "0..100", undefined],
  ["integer", "101", "0..100", RANGED],
  ["integer", "-1", "0..100", RANGED],
  ["integer", "-110", "-110..-48", undefined],
  ["integer", "-111", "-110..-48", "out of the range -110..-48"],
  ["integer", "2.5", "", "a whole number is needed"],
  ["unsigned", "-1", "", "a whole number from 0 on is needed"],
  // Beside 2^53 both would be the same number.
  ["integer", "9007199254740993", "0..9007199254740992", "out of the range 0..9007199254740992"],
  ["time", "yesterday", "", "a whole number is needed"],
  ["float", "99.5", "0..100", undefined],
  ["float", "100.5", "0..100", RANGED],
  ["float", "0.4", "0.5..1", "out of the range 0.5..1"],
  ["float", "much", "", "a number is needed"],
  ["objlnk", "3:0", "", undefined],
  ["objlnk", "3", "", "object:instance, as 3:0"],
  ["opaque", "AQL/", "", undefined],
  ["opaque", "***", "", "base64 is needed"],
  ["string", "anything", "0..100", undefined],
])("as a value of the type %s, %s in the range %j: %s (D-072)", (type, text, range, wrong) => {
  expect(wrongFor(text, { type, range })).toBe(wrong);
});

it.each([
  ["9007199254740993", "integer", "9007199254740993"],
  ["42", "integer", 42],
  ["21.5", "float", 21.5],
  ["true", "boolean", true],
  ["false", "boolean", false],
  ["42", "string", "42"],
])("%j of the type %s goes to the node as %j: of 64 bits as text (D-074)", (text, type, value) => {
  expect(valueFor(text, type)).toBe(value);
});
