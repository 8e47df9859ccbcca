/** Gives bridges their connections. */
import type { BrokerPlace, ConnectHost } from "./connect/connector.ts";
import { Dialler } from "./net/dial.ts";
import type { DialOptions } from "./net/transport.ts";

const PORTS: Readonly<Record<DialOptions["transport"], number>> = { tcp: 1883, tls: 8883, ws: 80, wss: 443 };
/** What waits to be written to a broker, in bytes; how much that is the connector's queue knows. */
const HIGH_WATER_MARK = 1_048_576;

export const dialBroker: ConnectHost["dial"] = (place, connected, failed) => {
  try {
    new Dialler(optionsOf(place)).dial(connected, (error) => failed(error.message));
  } catch (error) {
    // A file of the configuration: it may be there later.
    failed((error as Error).message);
  }
};

function optionsOf({ url, timeout, packetSize, tls }: BrokerPlace): DialOptions {
  const { protocol, hostname, port, pathname, search } = new URL(url);
  const transport = protocol.slice(0, -1) as DialOptions["transport"];
  const isSecure = transport === "tls" || transport === "wss";
  const path = pathname === "" || pathname === "/" ? "/mqtt" : pathname;
  return {
    transport,
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? PORTS[transport] : Number(port),
    timeout,
    highWaterMark: HIGH_WATER_MARK,
    linger: timeout,
    noDelay: true,
    tls: isSecure ? { ...tls, minVersion: "TLSv1.2" } : undefined,
    websocket: transport.startsWith("ws")
      ? { path: path + search, subprotocols: ["mqtt"], messageSizeMax: packetSize }
      : undefined,
  };
}
