/** Plug-ins of EMQ 2 (O-012), which gateways are here: each is a protocol, and runs or does not. */
import type { ShownSetting } from "../../config/shown-config.ts";
import { changeConfig } from "../change-config.ts";
import { type Call, type Manual, text } from "./call.ts";
import { CODES, ManualError } from "./codes.ts";

const plugInOf = ({ node }: Call["ports"], name: string, active: boolean): object => ({
  name,
  version: node.version,
  description: `Gateway for ${name}`,
  active,
});

/** As JSON has it, or as the manuals' own examples do. */
function active({ body }: Call): boolean {
  const value = body["active"];
  if (value === undefined) throw new ManualError(CODES.missing, "active is missing");
  if (value === true || value === "true") return true;
  if (value === false || value === "false") return false;
  throw new ManualError(CODES.type, "active is true or false");
}

async function load(call: Call): Promise<void> {
  const { gateways } = call.ports.operator;
  const name = call.params["name"]!;
  const wanted = active(call);
  const gateway = gateways.get(name);
  if (gateway === undefined) throw new ManualError(CODES.unknown, `no plug-in ${name}`);
  if (gateway.running === wanted) {
    throw new ManualError(
      wanted ? CODES.loaded : CODES.unloaded,
      `${name} ${wanted ? "runs" : "does not run"}`,
    );
  }
  const done = await (wanted ? gateways.start(name) : gateways.stop(name));
  if (!done.ok) throw new ManualError(CODES.unknown, done.reason);
  call.changed({ object: `gateway ${name}`, before: { active: !wanted }, after: { active: wanted } });
}

/** Single values alone: lists and sections have no form in the manuals. */
const settingsOf = ({ ports, params }: Call): readonly ShownSetting[] => {
  const name = params["name"]!;
  if (ports.operator.gateways.get(name) === undefined)
    throw new ManualError(CODES.unknown, `no plug-in ${name}`);
  const prefix = `gateways.${name}.`;
  return ports.config
    .settings()
    .filter(({ key, value }) => key.startsWith(prefix) && (typeof value !== "object" || value === null));
};

/** What a text stands for where another kind of value is. */
export function valueFor(given: unknown, { value, default: byDefault }: ShownSetting): unknown {
  if (typeof given !== "string") return given;
  const now = value ?? byDefault;
  if (typeof now === "boolean" && (given === "true" || given === "false")) return given === "true";
  if (typeof now === "number" && given.trim() !== "" && Number.isFinite(Number(given))) return Number(given);
  return given;
}

/** All of them at once, or none. */
async function configure(call: Call): Promise<void> {
  const settings = settingsOf(call);
  const patch: Record<string, unknown> = {};
  for (const [key, given] of Object.entries(call.body)) {
    const setting = settings.find((one) => one.key === key);
    if (setting === undefined) throw new ManualError(CODES.type, `${call.params["name"]} has no ${key}`);
    const steps = key.split(".");
    let at = patch;
    for (const step of steps.slice(0, -1)) {
      at[step] ??= {};
      at = at[step] as Record<string, unknown>;
    }
    at[steps.at(-1)!] = valueFor(given, setting);
  }
  if (Object.keys(patch).length === 0) throw new ManualError(CODES.missing, "no key is given");
  await changeConfig({ ...call, header: () => undefined }, { patch });
}

/** What EMQ 2 changes while it runs, and what that is here; `acl_file` is a section of the configuration, and not among them. */
const CONFIGS: readonly {
  readonly key: string;
  readonly datatype: string;
  readonly of: string;
  /** Both ways, where the values have other names. */
  readonly shown?: (value: unknown) => unknown;
  readonly meant?: (value: string) => unknown;
}[] = [
  { key: "log.console.level", datatype: "enum", of: "log.level" },
  { key: "mqtt.acl_nomatch", datatype: "enum", of: "authorization.noMatch" },
  {
    key: "mqtt.allow_anonymous",
    datatype: "enum",
    of: "authentication.anonymous",
    meant: (value) => (value === "true" || value === "false" ? value === "true" : value),
  },
  { key: "mqtt.broker.sys_interval", datatype: "duration", of: "node.sysInterval" },
  {
    key: "mqtt.cache_acl",
    datatype: "enum",
    of: "authorization.cache.entries",
    shown: (value) => value !== 0,
    meant: (value) => (value === "false" ? 0 : value === "true" ? undefined : value),
  },
];

const APP = "isthmus";

function configs({ ports }: Call): readonly object[] {
  const settings = new Map(ports.config.settings().map((setting) => [setting.key, setting.value]));
  return CONFIGS.map(({ key, datatype, of, shown = (value: unknown) => value }) => ({
    key,
    value: String(shown(settings.get(of))),
    datatype,
    app: APP,
  }));
}

async function setConfig(call: Call): Promise<void> {
  const key = text(call, "key");
  const { value } = call.body;
  if (value === undefined) throw new ManualError(CODES.missing, "value is missing");
  const known = CONFIGS.find((one) => one.key === key);
  if (known === undefined) {
    throw new ManualError(CODES.type, `key is one of ${CONFIGS.map((one) => one.key).join(", ")}`);
  }
  const { of, meant = (given: string): unknown => given } = known;
  const path = of.split(".");
  const wanted = meant(String(value));
  const asked = { ...call, header: () => undefined };
  if (wanted !== undefined) await changeConfig(asked, { set: path, value: wanted });
  // As it is without a change.
  else if ((await call.ports.config.overlay()).some((row) => row.key === of))
    await changeConfig(asked, { unset: path });
}

export const manualPlugIns: readonly Manual[] = [
  {
    method: "GET",
    path: "nodes/:node/plugins",
    role: "viewer",
    handle: ({ ports }) =>
      ports.operator.gateways.list().map(({ name, running }) => plugInOf(ports, name, running)),
  },
  { method: "PUT", path: "nodes/:node/plugins/:name", role: "operator", handle: load },
  {
    method: "GET",
    path: "nodes/:node/plugin_configs/:name",
    role: "viewer",
    handle: (call) =>
      settingsOf(call).map(({ key, value, meaning }) => ({
        key,
        value: value === undefined || value === null ? "" : String(value),
        desc: meaning,
        required: false,
      })),
  },
  { method: "PUT", path: "nodes/:node/plugin_configs/:name", role: "administrator", handle: configure },
  {
    method: "GET",
    path: "configs",
    role: "viewer",
    handle: (call) => ({ [call.ports.node.name]: configs(call) }),
  },
  { method: "GET", path: "nodes/:node/configs", role: "viewer", handle: configs },
  { method: "PUT", path: "configs/:app", role: "administrator", handle: setConfig },
  { method: "PUT", path: "nodes/:node/configs/:app", role: "administrator", handle: setConfig },
];
