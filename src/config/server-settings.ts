/** Groups and routes as the engine takes them, from what the configuration, or a request, says. */
import { PROFILES } from "../upstream/profiles.ts";
import type { GroupSettings, RouteSettings } from "../upstream/servers/settings.ts";
import type { ServerGroupConfig, ServerRouteConfig } from "./servers-schema.ts";

export function groupSettings(config: ServerGroupConfig): GroupSettings {
  const { profile, version, caps } = config;
  const of = PROFILES[profile];
  const own = Object.fromEntries(Object.entries(caps).filter(([, value]) => value !== undefined));
  return { ...config, version: version ?? of.version, caps: { ...of.caps, ...own } };
}

export const routeSettings = (config: ServerRouteConfig): RouteSettings => config;
