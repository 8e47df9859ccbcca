import type { ListenerConfig, TlsConfig } from "./listener-schema.ts";
import type { Config } from "./schema.ts";

export const isSecure = (transport: string): boolean => transport === "tls" || transport === "wss";

/** The general TLS settings, overlaid with what the listener says. */
export function effectiveTls(config: Config, listener: ListenerConfig): TlsConfig {
  return { ...config.tls, ...listener.tls };
}

/** Whether a listener opens; `auto` waits for certificates on secure transports. Its gateway must be enabled too. */
export function listenerOpens(config: Config, listener: ListenerConfig): boolean {
  if (listener.enable === false) return false;
  if (!isSecure(listener.transport)) return true;
  const { cert, key, pskFile } = effectiveTls(config, listener);
  return (cert !== undefined && key !== undefined) || pskFile !== undefined;
}

/** A listener that is to be opened. */
export interface OpenListener {
  readonly gateway: string;
  readonly name: string;
  readonly config: ListenerConfig;
  /** Only for `tls` and `wss`. */
  readonly tls: TlsConfig | undefined;
}

/** All listeners that this configuration opens, in its order. */
export function openListeners(config: Config): readonly OpenListener[] {
  return Object.entries(config.gateways).flatMap(([gateway, { enable, listeners }]) =>
    Object.entries(listeners)
      .filter(([, listener]) => enable && listenerOpens(config, listener))
      .map(([name, listener]) => {
        const tls = isSecure(listener.transport) ? effectiveTls(config, listener) : undefined;
        return { gateway, name, config: listener, tls };
      }),
  );
}
