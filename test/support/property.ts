/**
 * fast-check with a seed that is always the same, so that a run of the tests says something about the change and
 * not about luck. `FUZZ_SEED=random` looks further; `FUZZ_SEED=<number>` replays what a failure has printed. What a run
 * of a property has begun in virtual time ends with it, and leaves nothing behind.
 */
import fc from "fast-check";
import { begunSoFar, endSince } from "./endings.ts";

const asked = process.env["FUZZ_SEED"];
let place = 0;
fc.configureGlobal({
  ...(asked === "random" ? {} : { seed: Number(asked ?? 20_261_122) }),
  beforeEach: () => {
    place = begunSoFar();
  },
  afterEach: () => endSince(place),
});

export { fc };
