import { getHeapStatistics } from "node:v8";
import type { ChainMember } from "../authenticate/kinds.ts";
import { asksForKeys, listenerOpens } from "./listeners.ts";
import type { Config, GatewayConfig } from "./schema.ts";

const LOOPBACK = /^(127\.|::1$|localhost$)/;

function reachable(config: Config): boolean {
  return Object.values(config.gateways).some(
    (gateway) =>
      gateway.enable &&
      Object.values(gateway.listeners).some(
        (listener) => listenerOpens(config, listener) && !LOOPBACK.test(listener.bind),
      ),
  );
}

/** What stands open, and what has no effect; printed at the start and by `check-config`. */
export function openDoors(config: Config): string[] {
  const warnings: string[] = [];
  const { anonymous, chain } = config.authentication;
  if (anonymous && reachable(config)) {
    warnings.push(
      "Anybody who reaches this machine may connect: authentication.anonymous is true. Set it to false, with a users file in authentication.chain, before strangers can.",
    );
  }
  if (!anonymous && chain.length === 0) {
    warnings.push(
      "Nobody can connect: authentication.anonymous is false and authentication.chain is empty. Name a users file there, or what TLS proves.",
    );
  }
  const namesUsers = config.authorization.rules.some(
    (rule) => rule.who !== "all" && rule.who.user !== undefined,
  );
  if (anonymous && chain.length === 0 && namesUsers) {
    warnings.push(
      "authorization.rules speak of users, but authentication.chain is empty: any client may claim to be any user.",
    );
  }
  for (const [name, gateway] of Object.entries(config.gateways)) {
    for (const [listenerName, listener] of Object.entries(gateway.listeners)) {
      if (gateway.enable && !listener.authenticate && listenerOpens(config, listener)) {
        warnings.push(`gateways.${name}.listeners.${listenerName} lets everybody in: authenticate is false.`);
      }
    }
  }
  warnings.push(...openSleepers(config), ...speechless(config), ...keyless(config));
  if (config.tls.key !== undefined && config.tls.cert === undefined) {
    warnings.push(
      "tls.key without tls.cert serves DTLS devices that take raw public keys; TLS listeners stay closed.",
    );
  }
  if (config.api.enable && !LOOPBACK.test(config.api.bind)) {
    const plain = config.api.tls.cert === undefined ? " without TLS: credentials can be read on the way" : "";
    if (plain !== "")
      warnings.push(`The HTTP port ${config.api.port} listens on ${config.api.bind}${plain}.`);
  }
  warnings.push(...beyondHeap(config));
  return warnings;
}

const MEGABYTE = 2 ** 20;

/** What the gateway may hold by its own account is no help where Node has no room for it. */
function beyondHeap({ memory: { total = 0 } }: Config): string[] {
  const limit = getHeapStatistics().heap_size_limit;
  if (total <= limit) return [];
  const [wanted, heap] = [total, limit].map((bytes) => `${Math.ceil(bytes / MEGABYTE)} MB`);
  return [
    `memory.total is ${total === Number.POSITIVE_INFINITY ? "unlimited" : wanted}, and Node ends where its heap does, at ${heap}: set less, leave it away for a quarter of that, or start Node with a larger --max-old-space-size.`,
  ];
}

/** Gateways whose devices can say neither user name nor password, and what else they can present. */
const SPEECHLESS: Readonly<Record<string, string>> = {
  lwm2m: "an endpoint name, and what DTLS proves",
  "mqtt-sn": "a client id, and what DTLS proves",
};
/** Kinds of authenticators that need neither. */
const BY_NAME_ALONE: readonly string[] = ["users-file", "client-id-list", "transport-identity"];

/** Members of a chain that no device of a gateway can satisfy. */
function speechless(config: Config): string[] {
  return Object.entries(SPEECHLESS).flatMap(([name, has]) => {
    const gateway = config.gateways[name];
    if (gateway === undefined || !gateway.enable || gateway.presents.username !== "") return [];
    const own = gateway["credentials"] as { readonly username?: string } | undefined;
    if (own?.username !== undefined && own.username !== "") return [];
    const useless = [...new Set(chainsOf(config, gateway).map(({ kind }) => kind))].filter(
      (kind) => !BY_NAME_ALONE.includes(kind),
    );
    if (useless.length === 0) return [];
    return [
      `Devices of ${name} present ${has}, but no user name or password, as ${useless.join(", ")} in the chain may want: say in gateways.${name}.presents what stands for them.`,
    ];
  });
}

/** Members of the chains that a gateway's open listeners have: one of their own, or the gateway's, or the general one. */
function chainsOf(config: Config, gateway: GatewayConfig): readonly ChainMember[] {
  const open = Object.values(gateway.listeners).filter((listener) => listenerOpens(config, listener));
  // A gateway that is served on another's listener has none.
  const names = open.length === 0 ? [undefined] : open.map(({ chain }) => chain);
  return names.flatMap((name) => {
    const own = name === undefined ? undefined : config.authentication.chains[name];
    return (own ?? gateway.authentication ?? config.authentication).chain;
  });
}

/** Where members of a chain say that they hold keys of devices; a users file always may. */
const HOLDING_KEYS = ["pskCommand", "pskQuery", "pskUrl", "pskAttribute", "pskField"];

/** Listeners that ask a chain for keys in which nobody has any. */
function keyless(config: Config): string[] {
  return Object.entries(config.gateways).flatMap(([name, gateway]) => {
    if (!gateway.enable) return [];
    const holds = [...chainsOf(config, gateway), ...config.authentication.chain].some(
      (member) => member.kind === "users-file" || HOLDING_KEYS.some((key) => member[key] !== undefined),
    );
    const asking = Object.entries(gateway.listeners).filter(
      ([, listener]) => listenerOpens(config, listener) && asksForKeys(config, listener),
    );
    if (holds || asking.length === 0) return [];
    const listeners = asking.map(([listener]) => `gateways.${name}.listeners.${listener}`).join(", ");
    return [
      `No pre-shared key will be found for ${listeners}: keysFromAuthentication asks the chain, and nobody in it has keys. Name a users file there, or set pskCommand, pskQuery, pskUrl, pskAttribute or pskField.`,
    ];
  });
}

/** Gateways whose devices, once asleep, are found by a name that anybody may say: a PINGREQ is its client id (MQTT-SN 1.2 §6.14). */
const FOUND_BY_NAME = ["mqtt-sn"];

function openSleepers(config: Config): string[] {
  return FOUND_BY_NAME.flatMap((name) => {
    const gateway = config.gateways[name];
    if (gateway === undefined || !gateway.enable) return [];
    const open = Object.entries(gateway.listeners).filter(
      ([, listener]) =>
        listener.udp.roaming === "anywhere" &&
        listener.transport === "udp" &&
        listenerOpens(config, listener) &&
        !LOOPBACK.test(listener.bind),
    );
    return open.map(
      ([listener]) =>
        `Whoever says the client id of a sleeping device gets what waits for it, from any address: gateways.${name}.listeners.${listener}.udp.roaming is anywhere. Set it to same-host where devices keep their address, or to never.`,
    );
  });
}
