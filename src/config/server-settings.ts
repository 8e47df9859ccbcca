/** Groups and routes as the engine takes them, from what the configuration, or a request, says. */

import { fillDefaults } from "../settings/defaults.ts";
import type { JsonSchema } from "../settings/json-schema.ts";
import { PROFILES } from "../upstream/profiles.ts";
import type { GroupSettings, RouteSettings } from "../upstream/servers/settings.ts";
import { UnitConversion } from "./convert.ts";
import { ServerGroup, type ServerGroupConfig, type ServerRouteConfig } from "./servers-schema.ts";

export function groupSettings(config: ServerGroupConfig): GroupSettings {
  const { profile, version, caps, proxyProtocol } = config;
  const of = PROFILES[profile];
  const own = Object.fromEntries(Object.entries(caps).filter(([, value]) => value !== undefined));
  return {
    ...config,
    version: version ?? of.version,
    caps: { ...of.caps, ...own },
    proxyProtocol: proxyProtocol === "off" ? undefined : proxyProtocol,
  };
}

/** A group of which nothing is said. */
export function defaultGroup(): GroupSettings {
  const schema = JSON.parse(JSON.stringify(ServerGroup)) as JsonSchema;
  const filled = fillDefaults(schema, { servers: [] });
  return groupSettings(new UnitConversion(() => undefined).convert(schema, filled) as ServerGroupConfig);
}

export const routeSettings = (config: ServerRouteConfig): RouteSettings => config;
