import { isTree } from "../settings/defaults.ts";
import { isWithin, type Path, showPath } from "../settings/path.ts";
import type { Config } from "./schema.ts";

/** One value that differs between two configurations. */
export interface ConfigChange {
  readonly path: Path;
  readonly key: string;
  readonly before: unknown;
  readonly after: unknown;
  /** False: it takes a restart. */
  readonly live: boolean;
}

/** What takes effect while running; `*` stands for any name. */
const LIVE: readonly Path[] = [
  ["log", "level"],
  ["authentication"],
  ["authorization"],
  ["bans"],
  ["flapping"],
  ["rewrite"],
  ["subscriptions"],
  ["topicMetrics"],
  ["slowSubscriptions"],
  ["rules"],
  ["connectors"],
  ["bus", "upstream", "servers"],
  ["bus", "upstream", "group"],
  ["bus", "upstream", "groups"],
  ["bus", "upstream", "routes"],
  // What is changed are the rules that they become.
  ["backends"],
  ["webhooks"],
  ["pipelines"],
  // And these become pipelines.
  ["easegress"],
  ["gateways", "*", "mountpoint"],
  ["gateways", "*", "presents"],
  ["gateways", "*", "authentication"],
  ["gateways", "*", "listeners", "*", "mountpoint"],
  ["gateways", "*", "listeners", "*", "authenticate"],
  ["gateways", "*", "listeners", "*", "chain"],
  ["gateways", "*", "listeners", "*", "accessRules"],
  ["gateways", "*", "listeners", "*", "limits"],
];

/** Keys of a gateway's section that are the core's. */
const CORE_KEYS: readonly unknown[] = ["enable", "mountpoint", "authentication", "presents", "listeners"];

/** Options of a gateway, dotted, that take effect only when it is started again; undefined: all of them. */
export type RestartOf = (gateway: string) => readonly string[] | undefined;

export function isLive(path: Path, restartOf: RestartOf): boolean {
  const [section, gateway, key] = path;
  if (section === "gateways" && path.length > 2 && !CORE_KEYS.includes(key)) {
    const restart = restartOf(String(gateway));
    return restart !== undefined && !restart.some((place) => isWithin(path.slice(2), place.split(".")));
  }
  return LIVE.some((live) =>
    isWithin(
      path,
      live.map((step, index) => (step === "*" ? (path[index] ?? "") : step)),
    ),
  );
}

const same = (a: unknown, b: unknown): boolean =>
  Object.is(a, b) || (Array.isArray(a) && Array.isArray(b) && sameList(a, b)) || sameSection(a, b);

const sameList = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((item, index) => same(item, b[index]));

function sameSection(a: unknown, b: unknown): boolean {
  if (!isTree(a) || !isTree(b)) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => same(a[key], b[key]));
}

/** Every value that differs, sections looked into, lists as a whole. */
export function diffConfig(
  before: Config,
  after: Config,
  restartOf: RestartOf = () => undefined,
): readonly ConfigChange[] {
  const changes: ConfigChange[] = [];
  const compare = (old: unknown, now: unknown, path: Path): void => {
    if (isTree(old) && isTree(now)) {
      for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
        compare(old[key], now[key], [...path, key]);
      }
    } else if (!same(old, now)) {
      changes.push({ path, key: showPath(path), before: old, after: now, live: isLive(path, restartOf) });
    }
  };
  compare(before, after, []);
  return changes;
}
