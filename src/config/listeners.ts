import type { WebSocketProfile } from "../contract/gateway.ts";
import type { ListenerConfig, TlsConfig } from "./listener-schema.ts";
import type { Config } from "./schema.ts";

export const isSecure = (transport: string): boolean =>
  transport === "tls" || transport === "wss" || transport === "dtls";
export const isDatagram = (transport: string): transport is "udp" | "dtls" =>
  transport === "udp" || transport === "dtls";

/** The general TLS settings, overlaid with what the listener says. */
export function effectiveTls(config: Config, listener: ListenerConfig): TlsConfig {
  return { ...config.tls, ...listener.tls };
}

/** Whether a secure listener asks the authentication chain for pre-shared keys that are in no file. */
export function asksForKeys(config: Config, listener: ListenerConfig): boolean {
  if (!isSecure(listener.transport)) return false;
  return listener.transport === "dtls"
    ? config.dtls.keysFromAuthentication
    : effectiveTls(config, listener).keysFromAuthentication;
}

/** Whether a listener opens; `auto` waits for certificates on secure transports. Its gateway must be enabled too. */
export function listenerOpens(config: Config, listener: ListenerConfig): boolean {
  if (listener.enable === false) return false;
  if (!isSecure(listener.transport)) return true;
  const { cert, key, pskFile } = effectiveTls(config, listener);
  // A key alone is a raw public key, which only DTLS speaks.
  const shown = key !== undefined && (cert !== undefined || listener.transport === "dtls");
  return shown || pskFile !== undefined || asksForKeys(config, listener);
}

/** A listener that is to be opened. */
export interface OpenListener {
  readonly gateway: string;
  readonly name: string;
  readonly config: ListenerConfig;
  /** Only for `tls`, `wss` and `dtls`. */
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

/** Frames as MQTT wants them, for a gateway that says nothing about WebSockets. */
const BINARY: WebSocketProfile = { subprotocols: [], subprotocolRequired: false, frames: "binary" };

const pathsOf = (
  { paths }: { readonly paths: readonly string[] },
  { path }: WebSocketProfile,
): readonly string[] => (path === undefined || paths.includes(path) ? paths : [...paths, path]);

/** The options that `net` takes for a stream listener. */
export function streamOptions(listener: OpenListener, profile: WebSocketProfile = BINARY) {
  const { transport, bind, port, tcp, websocket, limits } = listener.config;
  if (isDatagram(transport)) throw new TypeError(`a ${transport} listener is no stream`);
  const isWebSocket = transport === "ws" || transport === "wss";
  return {
    transport,
    name: `${listener.gateway}:${listener.name}`,
    bind,
    port,
    ...tcp,
    tls: listener.tls,
    websocket: isWebSocket
      ? { ...websocket, ...profile, paths: pathsOf(websocket, profile), messageSizeMax: limits.packetSize }
      : undefined,
  };
}

/** The options that `net` takes for a datagram listener. */
export function datagramOptions(listener: OpenListener) {
  const { transport, bind, port, udp } = listener.config;
  if (!isDatagram(transport)) throw new TypeError(`a ${transport} listener has no datagrams`);
  return { transport, bind, port, ...udp };
}
