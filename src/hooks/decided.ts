import type { Refusal } from "../contract/answers.ts";

/** What a hook, or all of them one after the other, made of something. `dropped`: it is accepted, and nothing is done. */
export type Decided<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly refusal: Refusal | "dropped"; readonly reason: string };

export const refused = (refusal: Refusal | "dropped", reason: string): Decided<never> => ({
  ok: false,
  refusal,
  reason,
});

/** Asks one after the other; each gets what the one before made of it. At once, as long as they answer at once. */
export function oneAfterTheOther<Asked, Value>(
  asked: readonly Asked[],
  value: Value,
  ask: (each: Asked, value: Value) => Decided<Value> | Promise<Decided<Value>>,
  from = 0,
): Decided<Value> | Promise<Decided<Value>> {
  let current = value;
  for (let index = from; index < asked.length; index++) {
    const decided = ask(asked[index]!, current);
    if (decided instanceof Promise) {
      return decided.then((late) => (late.ok ? oneAfterTheOther(asked, late.value, ask, index + 1) : late));
    }
    if (!decided.ok) return decided;
    current = decided.value;
  }
  return { ok: true, value: current };
}
