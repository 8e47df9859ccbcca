/** Gives the servers of `src/upstream/servers` their connections: sockets, names, certificates. */
import { lookup } from "node:dns";
import type { Duration } from "./lib/time.ts";
import { Dialler } from "./net/dial.ts";
import { DialError, type DialOptions, type DialTlsOptions } from "./net/transport.ts";
import type { Dial, Place } from "./upstream/servers/member.ts";
import { hostOf, type ServersHost } from "./upstream/servers/servers.ts";
import type { GroupSettings, ServerTls } from "./upstream/servers/settings.ts";

const PORTS: Readonly<Record<DialOptions["transport"], number>> = { tcp: 1883, tls: 8883, ws: 80, wss: 443 };

/** What waits to be written to a server before its session is told to wait, in bytes. */
const HIGH_WATER_MARK = 1_048_576;

/** What all connections to servers have in common. */
export interface Dialled {
  /** Largest packet that a server may send. */
  readonly packetSize: number;
  /** How long a server may take for what is left when a session ends. */
  readonly pingTimeout: Duration;
}

/** Where an operator's URL leads. */
export function dialOptions(
  { url, address, settings }: Place,
  group: GroupSettings,
  { packetSize, pingTimeout }: Dialled,
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
    proxyProtocol: group.proxyProtocol,
    timeout: group.connectTimeout,
    highWaterMark: HIGH_WATER_MARK,
    linger: pingTimeout,
    noDelay: true,
    tls: secure
      ? tlsOptions(group.tls, address === undefined ? undefined : hostOf(new URL(settings.url)))
      : undefined,
    websocket: web
      ? {
          path: (pathname === "" || pathname === "/" ? "/mqtt" : pathname) + search,
          subprotocols: ["mqtt"],
          messageSizeMax: packetSize,
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
export const serverDialler =
  (shared: Dialled): ServersHost["dial"] =>
  (place, group): Dial => {
    const from = group.localAddresses.length === 0 ? [undefined] : group.localAddresses;
    const diallers = from.map((localAddress) => new Dialler(dialOptions(place, group, shared, localAddress)));
    let next = 0;
    return (connected, failed, source) => {
      const dialler = diallers[next++ % diallers.length] as Dialler;
      return dialler.dial(connected, (error) => failed(withRemedy(error)), source);
    };
  };

const REMEDY =
  "where all local ports are in use, name more addresses of this machine in localAddresses, or widen net.ipv4.ip_local_port_range";

const withRemedy = (error: DialError): DialError =>
  error.failure === "address-not-available"
    ? new DialError(error.failure, `${error.message}: ${REMEDY}`)
    : error;

export const resolveServer: ServersHost["resolve"] = (host, done) =>
  lookup(host, { all: true, verbatim: true }, (error, found) =>
    done(error ?? undefined, error === null ? found.map(({ address }) => address) : []),
  );
