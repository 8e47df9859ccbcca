/** Routes that are made over the API: beside those of the configuration, kept over a restart. */
import type { RouteRow, RouteWish, UpstreamPort } from "./api/ports.ts";
import { defaultGroup } from "./config/server-settings.ts";
import type { Store } from "./session/store.ts";
import type { Servers } from "./upstream/servers/servers.ts";
import type { GroupSettings, RouteSettings } from "./upstream/servers/settings.ts";

/** The group of servers that belongs to one route alone; no name of the configuration has a colon. */
const groupNameOf = (id: string): string => `route:${id}`;

export class KeptRoutes implements UpstreamPort {
  readonly #servers: Servers;
  readonly #store: Pick<Store, "put" | "remove"> | undefined;
  readonly #made = new Map<string, RouteWish>();

  /** `store`: without it they end with the process. */
  constructor(servers: Servers, store: Pick<Store, "put" | "remove" | "entries"> | undefined) {
    this.#servers = servers;
    this.#store = store;
    for (const [id, wish] of store?.entries("route") ?? []) this.#made.set(String(id), wish as RouteWish);
    if (this.#made.size > 0) this.#apply();
  }

  servers(): ReturnType<UpstreamPort["servers"]> {
    return this.#servers.status();
  }

  drain(group: string, url: string, draining: boolean): boolean {
    return this.#servers.drain(group, url, draining);
  }

  groups(): readonly string[] {
    return this.#servers.groups.filter((name) => !name.includes(":"));
  }

  routes(): RouteRow[] {
    return this.#servers.routes.map((route) => this.#rowOf(route));
  }

  put(id: string, wish: RouteWish): RouteRow {
    this.#made.set(id, wish);
    this.#store?.put("route", id, () => wish);
    this.#apply();
    return this.#rowOf(settingsOf(id, wish));
  }

  remove(id: string): void {
    this.#made.delete(id);
    this.#store?.remove("route", id);
    this.#apply();
  }

  #apply(): void {
    const routes = new Map<string, RouteSettings>();
    const groups = new Map<string, GroupSettings>();
    for (const [id, wish] of this.#made) {
      routes.set(id, settingsOf(id, wish));
      const { servers, balance } = wish;
      if (servers !== undefined) groups.set(groupNameOf(id), { ...defaultGroup(), servers, balance });
    }
    this.#servers.takeMade(routes, groups);
  }

  #rowOf(route: RouteSettings): RouteRow {
    const configured = this.#servers.isConfigured(route.id);
    const { servers, balance } = (configured ? undefined : this.#made.get(route.id)) ?? {};
    const given = Object.entries(route).filter(([, value]) => value !== undefined);
    const row = { ...(Object.fromEntries(given) as unknown as RouteSettings), configured };
    return servers === undefined ? row : { ...row, servers, ...(balance === undefined ? {} : { balance }) };
  }
}

function settingsOf(id: string, { servers: _, balance: __, group, ...conditions }: RouteWish): RouteSettings {
  return { ...conditions, id, group: group ?? groupNameOf(id) };
}
