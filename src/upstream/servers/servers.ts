import type { Note } from "../../contract/note.ts";
import { type Alarms, CallbackAlarm } from "../../lib/alarm.ts";
import { after, type Clock, type Duration, milliseconds } from "../../lib/time.ts";
import type { Server, ServerChoice, ServerFailure, SessionInfo } from "../server-choice.ts";
import { Checks } from "./checks.ts";
import { Group } from "./group.ts";
import { type Dial, Member, type Place } from "./member.ts";
import { Routes } from "./routes.ts";
import type { GroupSettings, RouteSettings, ServerSettings, ServerStatus } from "./settings.ts";

/** What is known of servers, their groups and who goes where. */
export interface ServersSettings {
  readonly groups: Readonly<Record<string, GroupSettings>>;
  readonly routes: readonly RouteSettings[];
  /** The group of those that no route is for. */
  readonly fallback: string;
  /** What probes say of themselves. */
  readonly probe: { readonly clientId: string; readonly username: string; readonly password: string };
  /** Hosts to which servers may send sessions; empty: any. */
  readonly redirects?: readonly string[];
}

export interface ServersHost {
  readonly alarms: Alarms;
  readonly clock: Clock;
  readonly random: () => number;
  readonly note: (note: Note) => void;
  /** How connections to a place are made; throws where files that it names cannot be read. */
  readonly dial: (place: Place, group: GroupSettings) => Dial;
  /** All addresses of a name. */
  readonly resolve: (
    host: string,
    done: (error: Error | undefined, addresses: readonly string[]) => void,
  ) => void;
}

/** How often who drains is looked at. */
const DRAIN_BEAT = milliseconds(100);

/** All servers: chooses among them, watches how they fare, and takes changes while sessions run. */
export class Servers implements ServerChoice {
  /** Moves one session away from a server, to wherever it is chosen to go next; false: there is none left to move. */
  move: ((server: Server) => boolean) | undefined = undefined;
  #settings: ServersSettings;
  readonly #host: ServersHost;
  readonly #groups = new Map<string, Group>();
  readonly #routes = new Routes();
  readonly #checks = new Map<Member, Checks>();
  readonly #lookups = new Map<Group, CallbackAlarm>();
  readonly #drain = new CallbackAlarm(() => this.#drainOn());
  readonly #owed = new Map<Member, number>();
  /** Routes that were made while running, by id. */
  #made: ReadonlyMap<string, RouteSettings> = new Map();
  #madeGroups: ReadonlyMap<string, GroupSettings> = new Map();

  constructor(settings: ServersSettings, host: ServersHost) {
    this.#settings = settings;
    this.#host = host;
    for (const [name, group] of Object.entries(settings.groups)) this.#open(name, group);
    this.#routes.take(settings.routes, settings.fallback);
  }

  // ---- ServerChoice

  choose(session: SessionInfo): Server | undefined {
    return this.#groups.get(this.#routes.groupOf(session))?.choose(session, this.#host.clock.now());
  }

  succeeded(server: Server, version: 4 | 5): void {
    const member = server as Member;
    member.succeeded(version);
    if (member.circuit.succeeded(this.#host.clock.now(), false)) this.#changed(member, true);
  }

  failed(server: Server, { kind, detail }: ServerFailure): void {
    const member = server as Member;
    member.failed();
    if (member.circuit.failed(this.#host.clock.now(), `${kind}: ${detail}`)) this.#changed(member, false);
  }

  answered(server: Server, took: Duration): void {
    (server as Member).roundTrip = took;
  }

  left(server: Server): void {
    (server as Member).left();
    this.#forget(server as Member);
  }

  // ---- changes while running

  get groups(): readonly string[] {
    return [...this.#groups.keys()];
  }

  get routes(): readonly RouteSettings[] {
    return this.#routes.all;
  }

  isConfigured(routeId: string): boolean {
    return this.#settings.routes.some(({ id }) => id === routeId);
  }

  /**
   * Takes other groups and routes from the configuration. Sessions stay where they are, but for those at servers that no
   * group has any more.
   */
  change(taken: Pick<ServersSettings, "groups" | "routes" | "fallback">): void {
    this.#settings = { ...this.#settings, ...taken };
    for (const [name, group] of Object.entries(taken.groups)) this.#open(name, group);
    this.takeMade(this.#made, this.#madeGroups);
  }

  /**
   * Takes routes beside those of the configuration, some with groups of their own. Sessions stay where they are, but for
   * those at servers that no group has any more. A route that the configuration names as well is its own.
   */
  takeMade(routes: ReadonlyMap<string, RouteSettings>, groups: ReadonlyMap<string, GroupSettings>): void {
    this.#made = routes;
    this.#madeGroups = groups;
    for (const [name, group] of groups) this.#open(name, group);
    for (const name of this.#groups.keys()) {
      if (!groups.has(name) && !(name in this.#settings.groups)) this.#close(name);
    }
    const made = [...routes.values()].filter(({ id }) => !this.isConfigured(id));
    this.#routes.take([...this.#settings.routes, ...made], this.#settings.fallback);
    for (const { id: route, group } of made) {
      if (this.#groups.has(group)) continue;
      this.#host.note({ level: "warn", event: "route-nowhere", detail: { route, group } });
    }
  }

  /** A route that was made while running, and leads to a group of the configuration that is not among these. */
  leftBehind(groups: Readonly<Record<string, GroupSettings>>): RouteSettings | undefined {
    const is = (group: string): boolean => Object.hasOwn(groups, group) || this.#madeGroups.has(group);
    return this.#routes.all.find(({ id, group }) => !this.isConfigured(id) && !is(group));
  }

  /** Sends nobody there any more, and moves who is there; or takes that back. False: there is no such server. */
  drain(group: string, url: string, draining: boolean): boolean {
    const member = this.#groups.get(group)?.member(url);
    if (member === undefined) return false;
    member.draining = draining;
    this.#host.note({ level: "info", event: "server-drain", detail: { server: member.name, draining } });
    if (draining) this.#beat();
    return true;
  }

  status(): ServerStatus[] {
    const now = this.#host.clock.now();
    const found: ServerStatus[] = [];
    for (const group of this.#groups.values()) {
      for (const member of [...group.members, ...group.leaving]) {
        found.push({
          group: group.name,
          url: member.url,
          state: member.circuit.state(now),
          draining: member.draining,
          weight: member.weight(now),
          sessions: member.sessions,
          version: member.spoken,
          roundTrip: member.roundTrip,
          lastFailure: member.circuit.lastFailure,
        });
      }
    }
    return found;
  }

  stop(): void {
    for (const checks of this.#checks.values()) checks.stop();
    for (const alarm of this.#lookups.values()) this.#host.alarms.disarm(alarm);
    this.#host.alarms.disarm(this.#drain);
  }

  // ---- groups

  #open(name: string, settings: GroupSettings): void {
    const known = this.#groups.get(name);
    if (known !== undefined && sameButServers(known.settings, settings)) {
      this.#fill(known, settings.servers);
      return;
    }
    if (known !== undefined) this.#close(name);
    const group = new Group(name, settings, this.#host.random);
    // Sessions of a group that was before are moved: at what it was told of its servers nothing holds any more.
    for (const member of known?.leaving ?? []) group.leaving.add(member);
    this.#groups.set(name, group);
    this.#fill(group, settings.servers);
  }

  #close(name: string): void {
    const group = this.#groups.get(name);
    if (group === undefined) return;
    this.#groups.delete(name);
    this.#stopLookups(group);
    for (const member of group.members) this.#stopChecks(member);
    group.retireAll();
    for (const member of group.leaving) this.#owed.set(member, 0);
    this.#beat();
  }

  #fill(group: Group, servers: readonly ServerSettings[]): void {
    if (group.settings.resolve > 0) this.#lookUp(group, servers);
    else this.#take(group, servers.map(placeOf));
  }

  #take(group: Group, places: readonly Place[]): void {
    const before = new Set(group.members);
    group.take(places, (place) => this.#newMember(group, place));
    for (const member of group.members) before.delete(member);
    for (const member of before) this.#stopChecks(member);
    if (group.leaving.size > 0) this.#beat();
  }

  #newMember({ name, settings }: Group, place: Place): Member {
    const { random, alarms, clock } = this.#host;
    const elsewhere = (from: Member, reference: string) => this.#elsewhere(name, settings, from, reference);
    const member = new Member(name, place, settings, this.#host.dial(place, settings), random);
    member.elsewhere = (reference) => elsewhere(member, reference);
    const { check, timeout } = settings.health;
    if (check === "none") return member;
    const version = settings.version === "5.0" ? 5 : 4;
    const id = `${this.#settings.probe.clientId}${Math.floor(random() * 0xffff_ffff).toString(36)}`;
    const probe = { ...this.#settings.probe, check, timeout, version, clientId: id } as const;
    const changed = (changing: Member, well: boolean): void => this.#changed(changing, well);
    this.#checks.set(member, new Checks(member, settings.health, probe, { alarms, clock, random, changed }));
    return member;
  }

  /**
   * The first of the servers that are named that we may go to: those of the group, and others where their hosts are
   * allowed; never from TLS to plain. The form of a Server Reference: `host:port`, by blanks (MQTT 5 §4.11).
   */
  #elsewhere(name: string, settings: GroupSettings, from: Member, reference: string): Server | undefined {
    const { redirects = [] } = this.#settings;
    const { protocol } = new URL(from.url);
    for (const each of reference.split(/[\s,]+/)) {
      const text = `${protocol}//${each.replace(/^[a-z]+:\/\//, "")}`;
      if (!URL.canParse(text)) continue;
      const url = new URL(text);
      const known = this.#groups.get(name)?.member(text);
      if (known !== undefined) return known;
      if (url.hostname === "" || (redirects.length > 0 && !redirects.includes(hostOf(url)))) continue;
      const place = placeOf({ url: text, weight: 1, priority: 0 });
      return new Member(name, place, settings, this.#host.dial(place, settings), this.#host.random);
    }
    return undefined;
  }

  #stopChecks(member: Member): void {
    this.#checks.get(member)?.stop();
    this.#checks.delete(member);
  }

  #changed({ name, circuit }: Member, well: boolean): void {
    const problem = circuit.lastFailure;
    if (well) this.#host.note({ level: "info", event: "server-well", detail: { server: name } });
    else this.#host.note({ level: "warn", event: "server-unwell", detail: { server: name, problem } });
  }

  // ---- names

  #lookUp(group: Group, servers: readonly ServerSettings[]): void {
    this.#stopLookups(group);
    const again = new CallbackAlarm(() => this.#lookUp(group, servers));
    this.#lookups.set(group, again);
    this.#host.alarms.arm(again, after(this.#host.clock.now(), group.settings.resolve));
    const found = new Map<ServerSettings, readonly Place[]>();
    for (const server of servers) {
      const url = new URL(server.url);
      this.#host.resolve(hostOf(url), (error, addresses) => {
        if (this.#lookups.get(group) !== again) return;
        found.set(server, this.#placesOf(group, server, url, error === undefined ? addresses : undefined));
        if (found.size === servers.length)
          this.#take(
            group,
            [...servers].flatMap((each) => found.get(each) ?? []),
          );
      });
    }
  }

  /** A name that cannot be looked up keeps the addresses that it had. */
  #placesOf(
    group: Group,
    settings: ServerSettings,
    url: URL,
    addresses: readonly string[] | undefined,
  ): Place[] {
    if (addresses === undefined || addresses.length === 0) {
      this.#host.note({ level: "warn", event: "server-name-unknown", detail: { server: settings.url } });
      const known = group.members.filter((member) => member.settings.url === settings.url);
      return known.map((member) => ({ settings, url: member.url, address: hostOf(new URL(member.url)) }));
    }
    return [...addresses].sort().map((address) => ({ settings, url: withAddress(url, address), address }));
  }

  #stopLookups(group: Group): void {
    const alarm = this.#lookups.get(group);
    if (alarm !== undefined) this.#host.alarms.disarm(alarm);
    this.#lookups.delete(group);
  }

  // ---- draining

  #beat(): void {
    if (!this.#drain.armed) this.#host.alarms.arm(this.#drain, after(this.#host.clock.now(), DRAIN_BEAT));
  }

  #drainOn(): void {
    let left = false;
    for (const group of this.#groups.values()) {
      for (const member of [...group.members, ...group.leaving]) {
        if (member.draining && this.#drainSome(member, group.settings.drainRate)) left = true;
      }
    }
    for (const member of this.#owed.keys()) {
      if (this.#isOrphan(member) && this.#drainSome(member, ORPHAN_RATE)) left = true;
    }
    if (left) this.#beat();
  }

  /** False when there is nobody left to move. */
  #drainSome(member: Member, rate: number): boolean {
    if (member.sessions === 0 || this.move === undefined) return false;
    let owed = (this.#owed.get(member) ?? 0) + rate * (DRAIN_BEAT / 1000);
    for (; owed >= 1 && member.sessions > 0; owed--) if (!this.move(member)) return false;
    this.#owed.set(member, owed);
    return true;
  }

  /** Its group is no more. */
  #isOrphan(member: Member): boolean {
    for (const group of this.#groups.values()) {
      if (group.leaving.has(member) || group.members.includes(member)) return false;
    }
    return true;
  }

  #forget(member: Member): void {
    if (!member.draining || member.sessions > 0) return;
    for (const group of this.#groups.values()) group.leaving.delete(member);
    if (this.#isOrphan(member)) this.#owed.delete(member);
  }
}

/** Sessions a second that are moved from servers whose group is no more. */
const ORPHAN_RATE = 100;

export const placeOf = (settings: ServerSettings): Place => ({
  settings,
  url: settings.url,
  address: undefined,
});

/** Without the brackets of an IPv6 address. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, "$1");

function withAddress(url: URL, address: string): string {
  const { protocol, port, pathname } = url;
  const host = address.includes(":") ? `[${address}]` : address;
  const path = pathname === "/" ? "" : pathname;
  return `${protocol}//${host}${port === "" ? "" : `:${port}`}${path}`;
}

/** All but the list of servers is the same. */
function sameButServers(a: GroupSettings, b: GroupSettings): boolean {
  return JSON.stringify({ ...a, servers: [] }) === JSON.stringify({ ...b, servers: [] });
}
