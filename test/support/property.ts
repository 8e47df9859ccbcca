/**
 * fast-check with a seed that is always the same, so that a run of the tests says something about the change and
 * not about luck. `FUZZ_SEED=random` looks further; `FUZZ_SEED=<number>` replays what a failure has printed.
 */
import fc from "fast-check";

const asked = process.env["FUZZ_SEED"];
if (asked !== "random") fc.configureGlobal({ seed: Number(asked ?? 20_261_122) });

export { fc };
