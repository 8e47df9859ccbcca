/** What a schema cannot say: names that must exist, rules that must make sense, doors that stand open. */
import { topicFilterProblem, topicNameProblem } from "../bus/topic.ts";
import { checking } from "../connect/actions.ts";
import type { Instant } from "../lib/time.ts";
import { Pipeline, PipelineError } from "../pipelines/pipeline.ts";
import { accessRuleProblem } from "../policy/access.ts";
import { isAddressRange } from "../policy/addresses.ts";
import { unknownPlaceholder } from "../policy/placeholders.ts";
import { compileRule, RuleError } from "../rules/rule.ts";
import { quoted } from "../settings/describe.ts";
import type { Path } from "../settings/path.ts";
import { type ConfigProblem, type Locate, problem } from "../settings/problem.ts";
import { checkWorkers } from "./check-workers.ts";
import type { ListenerConfig } from "./listener-schema.ts";
import { effectiveTls, isDatagram, isSecure, listenerOpens } from "./listeners.ts";
import type { Config, ConfigurableModule } from "./schema.ts";
import { openDoors } from "./warnings.ts";

export interface Checked {
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly string[];
}

const PLACEHOLDERS =
  // biome-ignore lint/suspicious/noTemplateCurlyInString: these are the placeholders of the configuration
  "%c %u %a %e, ${clientid} ${username} ${peerhost} ${endpointname} ${gateway} ${listener}";

/** A placeholder as the one level that it will be. */
const standIn = (template: string): string => template.replaceAll(/%[cuae]|\$\{[^}]*\}/g, "x");

type Report = (path: Path, value: unknown, allowed: string) => void;

function checkTemplate(template: string, path: Path, report: Report): void {
  const unknown = unknownPlaceholder(template);
  if (unknown !== undefined) report(path, template, `the placeholders ${PLACEHOLDERS}`);
}

function checkFilter(filter: string, path: Path, report: Report): void {
  checkTemplate(filter, path, report);
  const wrong = topicFilterProblem(standIn(filter));
  if (wrong !== undefined) report(path, filter, `a topic filter (this one has: ${wrong})`);
}

function checkMountpoint(mountpoint: string | undefined, path: Path, report: Report): void {
  if (mountpoint === undefined || mountpoint === "") return;
  checkTemplate(mountpoint, path, report);
  const wrong = topicNameProblem(standIn(mountpoint));
  if (wrong !== undefined) report(path, mountpoint, `a topic prefix (this one has: ${wrong})`);
  if (mountpoint.startsWith("$SYS")) report(path, mountpoint, "a topic prefix outside $SYS");
}

function checkAddresses(value: string | readonly string[] | undefined, path: Path, report: Report): void {
  for (const address of typeof value === "string" ? [value] : (value ?? [])) {
    if (!isAddressRange(address)) report(path, address, "an IP address or a CIDR range such as 10.0.0.0/8");
  }
}

function checkRules(config: Config, report: Report): void {
  config.authorization.rules.forEach((rule, index) => {
    const path: Path = ["authorization", "rules", index];
    if (rule.who !== "all") checkAddresses(rule.who.address, [...path, "who", "address"], report);
    for (const [place, topic] of (rule.topics ?? []).entries()) {
      checkFilter(topic.replace(/^eq /, ""), [...path, "topics", place], report);
    }
  });
  config.bus.queues.forEach(({ filter }, index) => {
    checkFilter(filter, ["bus", "queues", index, "filter"], report);
  });
  config.rewrite.forEach((rule, index) => {
    checkFilter(rule.filter, ["rewrite", index, "filter"], report);
    checkTemplate(rule.target, ["rewrite", index, "target"], report);
  });
  config.subscriptions.forEach((rule, index) => {
    checkFilter(rule.topic, ["subscriptions", index, "topic"], report);
  });
  if (config.bus.engine === "upstream") {
    const why = "where bus.engine is upstream: messages pass the cluster's bus, and are counted there";
    if (config.topicMetrics.length > 0) report(["topicMetrics"], config.topicMetrics, `nothing ${why}`);
    if (config.slowSubscriptions.enable) report(["slowSubscriptions", "enable"], true, `false ${why}`);
  }
  config.topicMetrics.forEach((filter, index) => {
    const wrong = topicFilterProblem(filter);
    if (wrong !== undefined)
      report(["topicMetrics", index], filter, `a topic filter (this one has: ${wrong})`);
  });
  config.bans.list.forEach((ban, index) => {
    const path: Path = ["bans", "list", index];
    checkAddresses(ban.address, [...path, "address"], report);
    if (ban.clientId === undefined && ban.user === undefined && ban.address === undefined) {
      report(path, ban, "at least one of clientId, user, address");
    }
  });
}

/** Names that rules speak of must be those of gateways: a misspelt one would match nobody and leave a door open. */
function checkGatewayNames(config: Config, report: Report): void {
  const known = Object.keys(config.gateways);
  const check = (
    names: string | readonly string[] | undefined,
    path: Path,
    known: readonly string[],
  ): void => {
    [names ?? []].flat().forEach((name, index) => {
      if (known.includes(name)) return;
      report(typeof names === "string" ? path : [...path, index], name, `a gateway: ${known.join(", ")}`);
    });
  };
  // Who publishes by the HTTP API comes by a gateway of that name.
  const publishing = [...known, "http"];
  config.authorization.rules.forEach(({ who }, index) => {
    if (who !== "all") check(who.gateway, ["authorization", "rules", index, "who", "gateway"], publishing);
  });
  config.subscriptions.forEach(({ gateways }, index) => {
    check(gateways, ["subscriptions", index, "gateways"], known);
  });
  config.hooks.modules.forEach(({ gateways }, index) => {
    check(gateways, ["hooks", "modules", index, "gateways"], known);
  });
  for (const [name, { gateways }] of Object.entries(config.pipelines))
    check(gateways, ["pipelines", name, "gateways"], known);
  config.bus.upstream.routes.forEach(({ gateways }, index) => {
    check(gateways, ["bus", "upstream", "routes", index, "gateways"], known);
  });
}

/** Counters and log lines go by the name. */
function checkHooks(config: Config, report: Report): void {
  const { modules } = config.hooks;
  modules.forEach(({ name }, index) => {
    const first = modules.findIndex((other) => other.name === name);
    if (first < index) report(["hooks", "modules", index, "name"], name, "a name that no other hook has");
  });
}

/** A statement that cannot be read, a template that is none, a connector that is not there. */
function checkRulesOfBus(config: Config, report: Report, wrong: (path: Path, says: string) => void): void {
  const { rules, connectors } = config;
  const action = checking((name) => (Object.hasOwn(connectors, name) ? connectors[name]!.kind : undefined));
  for (const [id, rule] of Object.entries(rules)) {
    const path: Path = ["rules", id];
    try {
      compileRule(id, rule, action);
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      wrong([...path, ...error.at], `is wrong: ${error.message}`);
    }
  }
  const where = Object.keys(rules).length > 0 ? "rules" : "connectors";
  const isUsed = Object.keys(rules).length + Object.keys(connectors).length > 0;
  if (isUsed && config.bus.engine === "upstream")
    report(
      [where],
      where,
      "nothing where bus.engine is upstream: messages pass the cluster's bus, and no rule sees them",
    );
}

const NO_SECRET = "0".repeat(64);

/** A flow that leads nowhere, an expression that is none, a connector that is not there. */
function checkPipelines(config: Config, wrong: (path: Path, says: string) => void): void {
  const { connectors, bus } = config;
  for (const [name, pipeline] of Object.entries(config.pipelines)) {
    const path: Path = ["pipelines", name];
    try {
      new Pipeline(name, pipeline, {
        ...{
          now: () => 0 as Instant,
          newId: () => "",
          count: () => {},
          sink: () => undefined,
          mark: () => "",
        },
        // What it leads to is read when it is opened.
        secret: (value) => (/^(file|env):/.test(value) ? NO_SECRET : value),
        kindOf: (connector) =>
          Object.hasOwn(connectors, connector) ? connectors[connector]!.kind : undefined,
      });
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
      wrong([...path, ...error.at], error.message);
    }
    const sink = pipeline.filters.findIndex((filter) => "connector" in filter);
    if (sink >= 0 && bus.engine === "upstream")
      wrong(
        [...path, "filters", sink, "connector"],
        "leads nowhere where bus.engine is upstream: messages pass the cluster's bus, and no connector has them",
      );
  }
}

/** A route that leads nowhere would send its sessions nowhere. */
function checkServers(config: Config, report: Report): void {
  const { engine, upstream } = config.bus;
  const { servers, group, groups, routes } = upstream;
  const known = [...new Set([...Object.keys(groups), ...(servers.length > 0 ? [group] : [])])];
  const path: Path = ["bus", "upstream"];
  if (servers.length > 0 && groups[group] !== undefined) {
    report([...path, "servers"], servers, `nothing, or no group ${group}: both say which servers it has`);
  }
  if (engine === "upstream" && !known.includes(group)) {
    const allowed =
      known.length === 0 ? "a server: in bus.upstream.servers, or in a group" : known.join(", ");
    report([...path, "group"], group, allowed);
  }
  routes.forEach((route, index) => {
    const at: Path = [...path, "routes", index];
    if (!known.includes(route.group)) report([...at, "group"], route.group, `a group: ${known.join(", ")}`);
    if (routes.findIndex(({ id }) => id === route.id) < index) {
      report([...at, "id"], route.id, "a name that no other route has");
    }
    checkAddresses(route.addresses, [...at, "addresses"], report);
  });
}

function checkListener(config: Config, listener: ListenerConfig, path: Path, report: Report): void {
  checkMountpoint(listener.mountpoint, [...path, "mountpoint"], report);
  const { chain } = listener;
  if (chain !== undefined && config.authentication.chains[chain] === undefined) {
    report([...path, "chain"], chain, "a name in authentication.chains");
  }
  listener.accessRules.forEach((rule, index) => {
    const wrong = accessRuleProblem(rule);
    if (wrong !== undefined) report([...path, "accessRules", index], rule, wrong);
  });
  if (!isSecure(listener.transport) || listener.enable === false) return;
  const tls = effectiveTls(config, listener);
  // A key alone is a raw public key, for DTLS; TLS listeners then stay closed (warnings.ts).
  const incomplete =
    tls.key === undefined
      ? tls.cert !== undefined
      : tls.cert === undefined && listener.enable === true && listener.transport !== "dtls";
  if (incomplete) {
    report([...path, "tls"], undefined, "both cert and key, here or in the general tls section");
  }
  if (listener.enable === true && !listenerOpens(config, listener)) {
    report(
      [...path, "enable"],
      true,
      "true only with tls.cert and tls.key, tls.pskFile, or keysFromAuthentication",
    );
  }
}

/** Two listeners of one kind of socket cannot have the same port. */
function checkPorts(config: Config, report: Report): void {
  const taken = new Map<string, string>();
  for (const [gateway, { enable, listeners }] of Object.entries(config.gateways)) {
    for (const [name, listener] of Object.entries(listeners)) {
      if (!enable || listener.port === 0 || !listenerOpens(config, listener)) continue;
      const key = `${isDatagram(listener.transport) ? "udp" : "tcp"} ${listener.bind} ${listener.port}`;
      const other = taken.get(key);
      const path: Path = ["gateways", gateway, "listeners", name, "port"];
      if (other !== undefined) report(path, listener.port, `a port that ${other} does not use`);
      taken.set(key, `gateways.${gateway}.listeners.${name}`);
    }
  }
}

function checkGateway(config: Config, module: ConfigurableModule, report: Report): void {
  const own = config.gateways[module.name];
  if (own === undefined || !own.enable) return;
  const { transports } = module;
  for (const [name, { transport, enable }] of Object.entries(own.listeners)) {
    if (enable === false || transports === undefined || transports.includes(transport)) continue;
    const path = ["gateways", module.name, "listeners", name, "transport"];
    report(path, transport, `what ${module.name} is spoken over: ${transports.join(", ")}`);
  }
  for (const { path, value, allowed } of module.check?.(own as never) ?? []) {
    report(["gateways", module.name, ...path], value, allowed);
  }
}

/** Run on a configuration that the schema has passed. */
export function checkMeaning(
  config: Config,
  modules: readonly ConfigurableModule[],
  locate: Locate,
): Checked {
  const problems: ConfigProblem[] = [];
  const report: Report = (path, value, allowed) => {
    const shown = value === undefined ? undefined : quoted(value);
    const says = shown === undefined ? "is missing" : `is ${shown}`;
    problems.push(problem(locate, { path, says, allowed, ...(shown === undefined ? {} : { value: shown }) }));
  };
  checkRules(config, report);
  checkGatewayNames(config, report);
  checkHooks(config, report);
  checkRulesOfBus(config, report, (path, says) => problems.push(problem(locate, { path, says })));
  checkPipelines(config, (path, says) => problems.push(problem(locate, { path, says })));
  checkServers(config, report);
  checkWorkers(config, report);
  for (const [name, gateway] of Object.entries(config.gateways)) {
    const path: Path = ["gateways", name];
    checkMountpoint(gateway.mountpoint, [...path, "mountpoint"], report);
    for (const [listenerName, listener] of Object.entries(gateway.listeners)) {
      checkListener(config, listener, [...path, "listeners", listenerName], report);
    }
  }
  for (const module of modules) checkGateway(config, module, report);
  checkPorts(config, report);
  return { problems, warnings: problems.length > 0 ? [] : openDoors(config) };
}
