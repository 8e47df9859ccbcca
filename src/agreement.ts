/** What operators do at one of several workers that share the ports is done at all of them. */
import type { ApiPorts, BanTarget, RouteRow, RouteWish, UpstreamPort } from "./api/ports.ts";
import type { Ban } from "./policy/settings.ts";
import type { Crew } from "./workers/crew.ts";

/** The first one says at its start how it is, for those who were away when it became so. */
export function agreed(ports: ApiPorts, crew: Crew): ApiPorts {
  const { bans, upstream } = ports;
  return {
    ...ports,
    bans: agreedBans(bans, crew),
    ...(upstream === undefined ? {} : { upstream: agreedServers(upstream, crew) }),
  };
}

const isSame = (a: BanTarget, b: BanTarget): boolean =>
  a.clientId === b.clientId && a.user === b.user && a.address === b.address;

function agreedBans(bans: ApiPorts["bans"], crew: Crew): ApiPorts["bans"] {
  const made = (): Ban[] => bans.list().flatMap(({ configured, ...ban }) => (configured ? [] : [ban]));
  const tell = (done: boolean): boolean => {
    if (done) crew.tell("bans", made());
    return done;
  };
  crew.heed("bans", (theirs: readonly Ban[]) => {
    for (const ban of made()) if (!theirs.some((other) => isSame(other, ban))) bans.lift(ban);
    for (const ban of theirs) bans.add(ban);
  });
  if (crew.worker.number === 1) tell(true);
  return {
    list: () => bans.list(),
    add: (ban) => tell(bans.add(ban)),
    lift: (target) => tell(bans.lift(target)),
  };
}

type MadeRoute = readonly [id: string, wish: RouteWish];

function agreedServers(upstream: UpstreamPort, crew: Crew): UpstreamPort {
  const made = (): MadeRoute[] =>
    upstream.routes().flatMap((row) => (row.configured ? [] : [[row.id, wishOf(row)] as const]));
  const draining = () =>
    upstream.servers().flatMap(({ group, url, draining }) => (draining ? [`${group} ${url}`] : []));
  crew.heed("routes", (theirs: readonly MadeRoute[]) => {
    for (const [id] of made()) if (!theirs.some(([other]) => other === id)) upstream.remove(id);
    for (const [id, wish] of theirs) upstream.put(id, wish);
  });
  crew.heed("draining", (theirs: readonly string[]) => {
    for (const { group, url, draining } of upstream.servers()) {
      const shall = theirs.includes(`${group} ${url}`);
      if (shall !== draining) upstream.drain(group, url, shall);
    }
  });
  if (crew.worker.number === 1) crew.tell("routes", made());
  return {
    servers: () => upstream.servers(),
    groups: () => upstream.groups(),
    routes: () => upstream.routes(),
    drain(group, url, shall) {
      const found = upstream.drain(group, url, shall);
      if (found) crew.tell("draining", draining());
      return found;
    },
    put(id, wish) {
      const row = upstream.put(id, wish);
      crew.tell("routes", made());
      return row;
    },
    remove(id) {
      upstream.remove(id);
      crew.tell("routes", made());
    },
  };
}

/** A route that has servers of its own has no group of the configuration. */
function wishOf({
  id: _,
  configured: __,
  servers,
  balance = "hash",
  group,
  ...conditions
}: RouteRow): RouteWish {
  return { ...conditions, balance, ...(servers === undefined ? { group } : { servers }) };
}
