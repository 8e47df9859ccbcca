/** The node, its listeners and its numbers with the manuals' fields. */
import { cpus, freemem, loadavg, totalmem } from "node:os";
import type { ApiPorts } from "../ports.ts";
import { dateTime } from "./objects.ts";

/** "1 hours, 17 minutes, 1 seconds". */
function uptime(length: number): string {
  const seconds = Math.floor(length / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), "days"],
    [Math.floor(seconds / 3_600) % 24, "hours"],
    [Math.floor(seconds / 60) % 60, "minutes"],
    [seconds % 60, "seconds"],
  ] as const;
  const first = parts.findIndex(([count, unit]) => count > 0 || unit === "seconds");
  return parts
    .slice(first)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(", ");
}

export const managementNode = ({ node, now }: ApiPorts): object => ({
  name: node.name,
  version: node.version,
  sysdescr: "Isthmus",
  uptime: uptime(now() - node.startedAt),
  datetime: dateTime(now()),
  otp_release: process.version,
  node_status: "Running",
});

const megabytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(2)}M`;

export function monitoringNode({ node, operator }: ApiPorts): object {
  const [load1 = 0, load5 = 0, load15 = 0] = loadavg();
  return {
    name: node.name,
    otp_release: process.version,
    memory_total: megabytes(totalmem()),
    memory_used: megabytes(totalmem() - freemem()),
    process_available: cpus().length,
    process_used: 1,
    max_fds: node.descriptors,
    clients: operator.clients.connected,
    node_status: "Running",
    load1: load1.toFixed(2),
    load5: load5.toFixed(2),
    load15: load15.toFixed(2),
  };
}

/** What the manuals call MQTT's transports. */
const TRANSPORTS: Readonly<Record<string, string>> = { tls: "ssl" };

export const listeners = ({ operator: { gateways } }: ApiPorts): readonly object[] =>
  gateways
    .listeners()
    .filter(({ open }) => open)
    .map(({ gateway, transport, address, port, connections }) => ({
      protocol: `${gateway}:${TRANSPORTS[transport] ?? transport}`,
      listen: `${address}:${port}`,
      acceptors: 1,
      max_clients: 0,
      current_clients: connections,
      shutdown_count: [],
    }));

export const metrics = ({ sys }: ApiPorts): Readonly<Record<string, number>> => sys.metrics();

export async function stats({ sys }: ApiPorts): Promise<Readonly<Record<string, number>>> {
  const found: Record<string, number> = {};
  for (const [name, { count, max }] of Object.entries(await sys.statistics())) {
    found[`${name}/count`] = count;
    found[`${name}/max`] = max;
  }
  return found;
}
