/** What secure datagram listeners get from this process: counters, keys, and a place that outlives it. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { openListeners } from "./config/listeners.ts";
import type { Config } from "./config/schema.ts";
import type { Openers } from "./drive/lifecycle.ts";
import { DtlsMemory } from "./dtls/memory.ts";
import type { Alarms } from "./lib/alarm.ts";
import { type DtlsServices, type KeptAssociations, listenDtls } from "./net/dtls.ts";
import { nodeCrypto } from "./net/dtls-crypto.ts";
import { listenUdp } from "./net/udp.ts";
import type { Metrics } from "./observe/metrics.ts";
import type { ConfiguredPolicy } from "./policy/configured-policy.ts";
import { DeviceKeys } from "./policy/device-keys.ts";
import { openKeyFile } from "./store/key-file.ts";
import type { OpenedStore } from "./store/open.ts";

export interface DatagramParts {
  readonly config: Config;
  readonly metrics: Metrics;
  readonly alarms: Alarms;
  readonly kept: OpenedStore | undefined;
  readonly policy: ConfiguredPolicy;
}

/**
 * Associations that are kept belong to a listener. Those of one that is configured no more, or where nothing shall be
 * kept any longer, are nobody's, and hold keys.
 */
export function forgetStrangers({ store }: OpenedStore, config: Config): number {
  const names =
    config.dtls.keep === false
      ? []
      : openListeners(config).filter(({ config: { transport } }) => transport === "dtls");
  const prefixes = names.map(({ gateway, name }) => `${gateway}:${name} `);
  let forgotten = 0;
  for (const [key] of store.entries("association")) {
    if (typeof key === "string" && prefixes.some((prefix) => key.startsWith(prefix))) continue;
    store.remove("association", key);
    forgotten++;
  }
  return forgotten;
}

/** Opens plain and secure datagram sockets. What DTLS needs is made with the first listener that does. */
export function datagramOpener(parts: DatagramParts): Openers["datagram"] {
  let services: DtlsServices | undefined;
  return (options, receive, note) => {
    const { secure } = options;
    if (secure === undefined) return listenUdp(options, receive, note);
    services ??= servicesOf(parts);
    return listenDtls(options, secure, receive, note, services);
  };
}

function servicesOf({ config, metrics, alarms, kept, policy }: DatagramParts): DtlsServices {
  const handshakes = metrics.family("dtls_handshakes", "DTLS handshakes that ended", ["suite", "outcome"]);
  const dropped = metrics.family("dtls_records_dropped", "DTLS records that went no further", ["why"]);
  const { keep, keyFile } = config.dtls;
  const secret =
    kept === undefined || keep === false
      ? undefined
      : openKeyFile(keyFile ?? join(config.dataFolder, "dtls.key"));
  return {
    alarms,
    memory: new DtlsMemory(config.dtls.limits.memory),
    handshakeEnded: (suite, outcome) => handshakes({ suite, outcome }),
    recordDropped: (why) => dropped({ why }),
    // `gateway:listener`
    keysOf(name) {
      const [gateway = "", listener] = name.split(":");
      return config.dtls.keysFromAuthentication ? new DeviceKeys(policy, gateway, listener) : undefined;
    },
    ticketSecret:
      secret === undefined ? randomBytes(32) : nodeCrypto.hmac("sha256", secret, [Buffer.from("tickets")]),
    kept: kept === undefined || secret === undefined ? undefined : tableOf(kept, secret),
  };
}

function tableOf({ store }: OpenedStore, secret: Uint8Array): KeptAssociations {
  return {
    secret,
    put: (key, value) => store.put("association", key, value),
    remove: (key) => store.remove("association", key),
    whenCommitted: (run) => store.whenCommitted(run),
    *entries(prefix) {
      for (const [key, value] of store.entries("association")) {
        if (typeof key === "string" && key.startsWith(prefix) && value instanceof Uint8Array)
          yield [key, value];
      }
    },
  };
}
