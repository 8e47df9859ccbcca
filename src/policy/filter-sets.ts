/** Topic filters as sets of topics: what an ACL rule must ask when a client subscribes with wildcards. */

/** A leading wildcard never reaches a `$` topic [MQTT-4.7.2-1]. */
const hiddenFrom = (wildcard: string, level: string): boolean =>
  (wildcard === "+" || wildcard === "#") && level.startsWith("$");

/** Whether every topic that `inner` matches is matched by `outer` too. */
export function filterCovers(outer: string, inner: string): boolean {
  // Every topic has a first level, so `+/#` is another way to write `#`.
  if (inner === "#") return outer === "#" || outer === "+/#";
  const wide = outer.split("/");
  const narrow = inner.split("/");
  if (hiddenFrom(wide[0] ?? "", narrow[0] ?? "")) return false;
  for (let index = 0; index < wide.length; index++) {
    const level = wide[index];
    if (level === "#") return true;
    const wanted = narrow[index];
    if (wanted === undefined || wanted === "#") return false;
    if (level !== "+" && level !== wanted) return false;
  }
  return narrow.length === wide.length;
}

/** Whether some topic is matched by both filters. */
export function filtersOverlap(one: string, other: string): boolean {
  const a = one.split("/");
  const b = other.split("/");
  if (hiddenFrom(a[0] ?? "", b[0] ?? "") || hiddenFrom(b[0] ?? "", a[0] ?? "")) return false;
  for (let index = 0; ; index++) {
    const left = a[index];
    const right = b[index];
    if (left === "#" || right === "#") return true;
    if (left === undefined || right === undefined) return left === right;
    if (left !== "+" && right !== "+" && left !== right) return false;
  }
}
