/** Node's further lines, as the npm registry brings them for this machine: binaries in packages, nothing else. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Major versions that Isthmus runs on, beside the one that runs this. */
export const OTHER_VERSIONS = ["20", "22", "24"].filter(
  (line) => line !== process.versions.node.split(".")[0],
);

const cache = fileURLToPath(new URL("../../node_modules/.cache/node/", import.meta.url));
const packageName = `node-${process.platform}-${process.arch}`;
const folder = (/** @type {string} */ version) => `${cache}${version}/node_modules/${packageName}/`;

/**
 * @param {string} version a major version
 * @returns {{binary: string, version: string} | undefined} undefined where it is not installed
 */
export function installedNode(version) {
  const binary = `${folder(version)}bin/node`;
  if (!existsSync(binary)) return undefined;
  return { binary, version: JSON.parse(readFileSync(`${folder(version)}package.json`, "utf8")).version };
}

/** @param {string} version a major version */
export function installNode(version) {
  const found = installedNode(version);
  if (found !== undefined) return found;
  const args = ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", `${cache}${version}`];
  execFileSync("npm", [...args, `${packageName}@${version}`], { stdio: ["ignore", "ignore", "inherit"] });
  const installed = installedNode(version);
  if (installed === undefined) throw new Error(`${packageName}@${version} brings no bin/node`);
  return installed;
}
