import { AddressSet } from "../../policy/addresses.ts";
import type { SessionInfo } from "../server-choice.ts";
import type { RouteSettings } from "./settings.ts";

type Matches = (session: SessionInfo) => boolean;

/** `*` for any text, `?` for one character, all else for itself. */
function patternOf(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`, "su");
}

/** `MQTT` for all its versions, `MQTT 5.0` for one; letters of either case. */
function speaks(wanted: string, spoken: string | undefined): boolean {
  if (spoken === undefined) return false;
  const [given, asked] = [spoken.toLowerCase(), wanted.toLowerCase()];
  return given === asked || given.startsWith(`${asked} `) || given.startsWith(`${asked}.`);
}

function conditionsOf(route: RouteSettings): Matches[] {
  const { gateways, listeners, addresses, clientId, username, protocols } = route;
  const matches: Matches[] = [];
  if (gateways !== undefined) matches.push(({ gateway }) => gateways.includes(gateway));
  if (listeners !== undefined) {
    matches.push(({ listener }) => listener !== undefined && listeners.includes(listener));
  }
  if (addresses !== undefined) {
    const set = new AddressSet(addresses);
    matches.push(({ source }) => source !== undefined && set.has(source.address));
  }
  if (clientId !== undefined) {
    const pattern = patternOf(clientId);
    matches.push((session) => pattern.test(session.clientId));
  }
  if (username !== undefined) {
    const pattern = patternOf(username);
    matches.push((session) => session.username !== undefined && pattern.test(session.username));
  }
  if (protocols !== undefined) {
    matches.push(({ protocol }) => protocols.some((each) => speaks(each, protocol)));
  }
  return matches;
}

interface Route {
  readonly settings: RouteSettings;
  readonly conditions: readonly Matches[];
}

/** Which group a session belongs to. */
export class Routes {
  #routes: readonly Route[] = [];
  #fallback = "";

  get all(): readonly RouteSettings[] {
    return this.#routes.map(({ settings }) => settings);
  }

  /** `fallback`: the group of those that no route is for. */
  take(routes: Iterable<RouteSettings>, fallback: string): void {
    this.#fallback = fallback;
    this.#routes = [...routes]
      .sort((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1))
      .map((settings) => ({ settings, conditions: conditionsOf(settings) }));
  }

  groupOf(session: SessionInfo): string {
    for (const { settings, conditions } of this.#routes) {
      if (conditions.every((holds) => holds(session))) return settings.group;
    }
    return this.#fallback;
  }
}
