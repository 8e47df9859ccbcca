export { mulberry32 } from "#core/testing/random.ts";
