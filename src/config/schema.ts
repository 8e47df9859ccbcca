import { type Static, type TSchema, Type } from "@sinclair/typebox";
import type { SettingProblem } from "../contract/gateway.ts";
import { durationSetting } from "../lib/setting.ts";
import { closed, type JsonSchema } from "../settings/json-schema.ts";
import { flag, NAME_PATTERN, SECRET, text } from "../settings/kinds.ts";
import { Alarms, type AlarmsConfig } from "./alarms-schema.ts";
import { type BackendsConfig, BackendsSchema } from "./backends.ts";
import type { CoreConfig } from "./core-schema.ts";
import { coreProperties } from "./core-schema.ts";
import { DEFAULT_LISTENERS } from "./default-listeners.ts";
import { Dtls, type DtlsConfig } from "./dtls-schema.ts";
import { type HooksConfig, HooksSchema } from "./hooks-schema.ts";
import { Listener, type ListenerConfig, Tls, type TlsConfig } from "./listener-schema.ts";
import { type MeasuresConfig, measureProperties } from "./measures-schema.ts";
import { type PipelinesConfig, pipelineProperties } from "./pipelines-schema.ts";
import { AuthenticationOverride, type PolicyConfig, policyProperties } from "./policy-schema.ts";
import { type ConnectorsConfig, ConnectorsSchema, type RulesConfig, RulesSchema } from "./rules-schema.ts";
import { type WebhooksConfig, WebhooksSchema } from "./webhooks.ts";

/** What this folder needs to know of a gateway module. */
export interface ConfigurableModule {
  readonly name: string;
  readonly schema: TSchema;
  readonly transports?: readonly string[];
  readonly enabledByDefault?: boolean;
  /** It comes from outside: what was imported. */
  readonly plugIn?: string;
  check?(config: never): readonly SettingProblem[];
}

/** The part of a gateway's configuration that is the same for all. */
const gatewayProperties = (name: string, enabled = true) => ({
  enable: flag({ description: "Run this gateway.", default: enabled }),
  mountpoint: text({
    description:
      // biome-ignore lint/suspicious/noTemplateCurlyInString: these are the placeholders of the configuration
      "Prefix of every topic of this gateway's clients, with placeholders ${clientid} ${username} ${peerhost} ${endpointname}; added on publish and subscribe, removed on delivery.",
    default: "",
  }),
  authentication: Type.Optional(AuthenticationOverride),
  presents: Type.Object(
    {
      username: text({ description: "User name, with placeholders; empty for none.", default: "" }),
      password: text({
        description: "Password, with placeholders; empty for none.",
        [SECRET]: true,
        default: "",
      }),
    },
    {
      description:
        "What a client of this gateway that sends no user name is taken to have sent, so that every authenticator can be asked about it: %c client id, %e endpoint name, %a address, %n node behind a forwarder, %i what TLS or DTLS has proven. Where a value is missing, nothing is.",
    },
  ),
  listeners: Type.Unsafe<Record<string, ListenerConfig>>({
    type: "object",
    description: "Listeners by name. Those of the default stay unless they say enable: false.",
    default: DEFAULT_LISTENERS[name] ?? {},
    properties: {},
    patternProperties: { [NAME_PATTERN]: Listener },
    additionalProperties: false,
  }),
});

/** Beside them, of a gateway that comes from outside. */
const plugInProperties = {
  module: text({
    description:
      "The gateway's own module: a file, or the name of an installed package. A relative path begins with a dot and counts from the working directory.",
  }),
  slowAfter: durationSetting({
    description: "An input that takes the plug-in longer is counted, and noted in the log.",
    default: "100ms",
  }),
  closeAfter: durationSetting({
    description: "An input that takes the plug-in longer costs the connection that it belongs to.",
    default: "1s",
  }),
  stuckAfter: durationSetting({
    description:
      "When the plug-in does not return for so long, everything stands still: the process says so and where, and ends, for whatever looks after it to start it again. forever: never.",
    default: "30s",
    minimum: "1s",
  }),
};

const GatewayCore = Type.Object(gatewayProperties(""));
/** A gateway's configuration: the core's keys, and beside them the gateway's own. */
export type GatewayConfig = Static<typeof GatewayCore> & Readonly<Record<string, unknown>>;

/** The whole configuration, units converted: `Duration` in milliseconds, sizes in bytes, `unlimited` as Infinity. */
export interface Config extends CoreConfig, PolicyConfig, MeasuresConfig {
  readonly tls: TlsConfig;
  readonly dtls: DtlsConfig;
  readonly hooks: HooksConfig;
  readonly rules: RulesConfig;
  readonly connectors: ConnectorsConfig;
  readonly backends: BackendsConfig;
  readonly webhooks: WebhooksConfig;
  readonly pipelines: PipelinesConfig;
  readonly alarms: AlarmsConfig;
  readonly gateways: Readonly<Record<string, GatewayConfig>>;
}

function gatewaySchema(module: ConfigurableModule): JsonSchema {
  const own = (module.schema as JsonSchema).properties ?? {};
  const core = Type.Object({
    ...(module.plugIn === undefined ? {} : plugInProperties),
    ...gatewayProperties(module.name, module.enabledByDefault),
  }) as unknown as JsonSchema;
  for (const key of Object.keys(own)) {
    if (key in core.properties!)
      throw new TypeError(`gateway ${module.name}: the core owns the key "${key}"`);
  }
  return {
    type: "object",
    description: (module.schema as JsonSchema).description ?? `The ${module.name} gateway.`,
    properties: { ...core.properties, ...own },
    required: [...(core.required ?? []), ...((module.schema as JsonSchema).required ?? [])],
  };
}

const built = new WeakMap<readonly ConfigurableModule[], JsonSchema>();

/** The schema of the whole configuration, given the gateways that exist. */
export function buildSchema(modules: readonly ConfigurableModule[]): JsonSchema {
  const known = built.get(modules);
  if (known !== undefined) return known;
  const schema = assemble(modules);
  built.set(modules, schema);
  return schema;
}

function assemble(modules: readonly ConfigurableModule[]): JsonSchema {
  const gateways = Object.fromEntries(modules.map((module) => [module.name, gatewaySchema(module)]));
  const core = Type.Object({
    ...coreProperties,
    tls: Tls,
    dtls: Dtls,
    ...policyProperties,
    hooks: HooksSchema,
    rules: RulesSchema,
    connectors: ConnectorsSchema,
    backends: BackendsSchema,
    webhooks: WebhooksSchema,
    ...pipelineProperties,
    alarms: Alarms,
    ...measureProperties,
  }) as unknown as JsonSchema;
  const whole: JsonSchema = {
    type: "object",
    description: "Configuration of Isthmus.",
    properties: {
      ...core.properties,
      gateways: {
        type: "object",
        description: "One section for each protocol.",
        properties: gateways,
        required: Object.keys(gateways),
      },
    },
    required: [...(core.required ?? []), "gateways"],
  };
  // Symbols that TypeBox leaves in its schemas are no part of JSON Schema.
  return closed(JSON.parse(JSON.stringify(whole)) as JsonSchema);
}
