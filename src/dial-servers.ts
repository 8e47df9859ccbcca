/** Gives the servers of `src/upstream/servers` their connections: sockets, names, certificates. */
import { lookup } from "node:dns";
import { Dialler } from "./net/dial.ts";
import type { DialOptions, DialTlsOptions } from "./net/transport.ts";
import type { Dial, Place } from "./upstream/servers/member.ts";
import { hostOf, type ServersHost } from "./upstream/servers/servers.ts";
import type { GroupSettings, ServerTls } from "./upstream/servers/settings.ts";

const PORTS: Readonly<Record<DialOptions["transport"], number>> = { tcp: 1883, tls: 8883, ws: 80, wss: 443 };

/** What waits to be written to a server before its session is told to wait, in bytes. */
const HIGH_WATER_MARK = 65_536;
/** A server gets so long to take what is left when a session ends, in milliseconds. */
const LINGER = 2_000;

/** Largest packet that may come over a WebSocket in one message, in bytes. */
const MESSAGE_SIZE_MAX = 268_435_460;

/** Where an operator's URL leads. */
export function dialOptions(
  { url, address, settings }: Place,
  group: GroupSettings,
  localAddress?: string,
): DialOptions {
  const { protocol, port, pathname, search } = new URL(url);
  const transport = protocol.slice(0, -1) as DialOptions["transport"];
  const host = address ?? hostOf(new URL(url));
  const secure = transport === "tls" || transport === "wss";
  const web = transport === "ws" || transport === "wss";
  return {
    transport,
    host,
    port: port === "" ? PORTS[transport] : Number(port),
    localAddress,
    timeout: group.connectTimeout,
    highWaterMark: HIGH_WATER_MARK,
    linger: LINGER as DialOptions["linger"],
    noDelay: true,
    tls: secure
      ? tlsOptions(group.tls, address === undefined ? undefined : hostOf(new URL(settings.url)))
      : undefined,
    websocket: web
      ? {
          path: (pathname === "" ? "/" : pathname) + search,
          subprotocols: ["mqtt"],
          messageSizeMax: MESSAGE_SIZE_MAX,
        }
      : undefined,
  };
}

/** A name that was looked up is still the one that the certificate must bear. */
function tlsOptions(tls: ServerTls | undefined, name: string | undefined): DialTlsOptions {
  const {
    pskIdentity,
    pskKey,
    verify = true,
    minVersion = "TLSv1.2",
    serverName = name,
    ...files
  } = tls ?? {};
  const psk =
    pskIdentity === undefined || pskKey === undefined
      ? undefined
      : { identity: pskIdentity, key: Buffer.from(pskKey, "hex") };
  return { ...files, verify, minVersion, serverName, psk };
}

/** Connections come from the group's local addresses in turn: the ports of one do not reach for all. */
export const dialServer: ServersHost["dial"] = (place, group): Dial => {
  const from = group.localAddresses.length === 0 ? [undefined] : group.localAddresses;
  const diallers = from.map((localAddress) => new Dialler(dialOptions(place, group, localAddress)));
  let next = 0;
  return (connected, failed) => {
    const dialler = diallers[next++ % diallers.length] as Dialler;
    return dialler.dial(connected, failed);
  };
};

export const resolveServer: ServersHost["resolve"] = (host, done) =>
  lookup(host, { all: true, verbatim: true }, (error, found) =>
    done(error ?? undefined, error === null ? found.map(({ address }) => address) : []),
  );
