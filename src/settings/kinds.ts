/** TypeBox kinds beside those of `lib/setting.ts`, chosen so that a wrong value has one clear error. */
import { type TUnsafe, Type } from "@sinclair/typebox";

/** The keyword that keeps a value out of messages and logs. */
export const SECRET = "x-secret";

interface Options<Value> {
  readonly description: string;
  readonly default?: Value;
  readonly [keyword: string]: unknown;
}

/** One of a few words. */
export const choice = <const Word extends string>(
  words: readonly Word[],
  options: Options<Word>,
): TUnsafe<Word> => Type.Unsafe<Word>({ type: "string", enum: words, ...options });

/** A text or a list of texts. */
export const oneOrMore = (options: Options<never>): TUnsafe<string | string[]> =>
  Type.Unsafe<string | string[]>({
    type: ["string", "array"],
    items: { type: "string" },
    minItems: 1,
    ...options,
  });

export const text = (options: Options<string>) => Type.String(options);
export const flag = (options: Options<boolean>) => Type.Boolean(options);
export const texts = (options: Options<string[]>) => Type.Array(Type.String(), options);

export const integer = (minimum: number, maximum: number, options: Options<number>) =>
  Type.Integer({ minimum, maximum, ...options });

export const qos = (options: Options<0 | 1 | 2>): TUnsafe<0 | 1 | 2> =>
  Type.Unsafe<0 | 1 | 2>({ type: "integer", enum: [0, 1, 2], ...options });

/** Names that people give: listeners. They must be usable in `--set` paths and environment variables. */
export const NAME_PATTERN = "^[A-Za-z0-9_-]+$";
