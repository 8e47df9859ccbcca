import { resolve } from "node:path";
import { parseArgs } from "node:util";

/**
 * What the command line asked for.
 * @typedef {object} Options
 * @property {string[]} suites   names of suites to run; empty: all
 * @property {boolean} quick     one short pass, nothing is written
 * @property {number} seconds    measured seconds of a cell
 * @property {number} warmup     seconds before measuring starts
 * @property {number} passes     interleaved passes; the median counts
 * @property {string[]} only     run only scenarios whose name contains one of these
 * @property {string[]} peers    run only these peers; empty: all
 * @property {readonly {name: string, dist: string}[]} against   other builds to compare this one with
 * @property {boolean} profile   profile Isthmus instead of comparing it
 * @property {boolean} write     write results/<suite>.md and the README block
 * @property {boolean} copy      only copy the written results into the READMEs
 * @property {boolean} list      name suites and scenarios, run nothing
 */

const flags = {
  quick: { type: "boolean", default: false },
  seconds: { type: "string" },
  warmup: { type: "string" },
  passes: { type: "string" },
  only: { type: "string", multiple: true, default: [] },
  peers: { type: "string" },
  against: { type: "string", multiple: true, default: [] },
  profile: { type: "boolean", default: false },
  write: { type: "boolean" },
  copy: { type: "boolean", default: false },
  list: { type: "boolean", default: false },
};

/**
 * @param {string[]} argv
 * @returns {Options}
 */
export function parseOptions(argv) {
  // @ts-expect-error the literal types of `flags` widen in plain JavaScript
  const { values, positionals } = parseArgs({ args: argv, options: flags, allowPositionals: true });
  const quick = values.quick === true;
  const only = values.only.flatMap((/** @type {string} */ text) => text.split(","));
  const whole = !quick && only.length === 0 && values.peers === undefined && !values.profile;
  return {
    suites: positionals,
    quick,
    seconds: positive(values.seconds, quick ? 0.7 : 2, "seconds"),
    warmup: positive(values.warmup, quick ? 0.3 : 0.7, "warmup"),
    passes: positive(values.passes, quick ? 1 : 3, "passes"),
    only,
    peers: values.peers === undefined ? [] : values.peers.split(","),
    against: values.against.map(otherBuild),
    profile: values.profile,
    write: values.write ?? whole,
    copy: values.copy,
    list: values.list,
  };
}

/**
 * A name, and the folder of what was built there.
 * @param {string} text
 */
function otherBuild(text) {
  const at = text.indexOf("=");
  if (at < 1) throw new Error(`--against ${text}: expected NAME=FOLDER, where FOLDER is a dist folder`);
  return { name: text.slice(0, at), dist: resolve(text.slice(at + 1)) };
}

/**
 * @param {string | undefined} text
 * @param {number} otherwise
 * @param {string} flag
 */
function positive(text, otherwise, flag) {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${flag} ${text}: a number above 0 is needed`);
  return value;
}

/**
 * @param {Options} options
 * @param {string} name
 */
export function wanted(options, name) {
  return options.only.length === 0 || options.only.some((part) => name.includes(part));
}

/**
 * @param {Options} options
 * @param {string} name
 */
export function wantedPeer(options, name) {
  return options.peers.length === 0 || options.peers.includes(name);
}
