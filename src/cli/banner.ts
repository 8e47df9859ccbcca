export interface BannerListener {
  readonly gateway: string;
  readonly name: string;
  readonly transport: string;
  readonly address: string;
  readonly port: number;
  /** Gateways that are served on it as well. */
  readonly also?: readonly string[] | undefined;
  /** WebSocket paths. */
  readonly paths?: readonly string[] | undefined;
}

export interface BannerFacts {
  readonly version: string;
  readonly node: string;
  /** The configuration file that was read; undefined for built-in defaults. */
  readonly file: string | undefined;
  /** Where data is kept, in words. */
  readonly data: string;
  /** Base address of the HTTP API; undefined when it is off. */
  readonly api: string | undefined;
  /** Base addresses of all workers' HTTP APIs, where several share the ports. */
  readonly workers?: readonly (string | undefined)[] | undefined;
  readonly listeners: readonly BannerListener[];
  /** Things that an operator should change or know: open doors, listeners without certificate. */
  readonly warnings: readonly string[];
}

export const hostPort = (address: string, port: number): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

const PORT_COLUMN = 14;
const FAMILY_COLUMN = 14;
/** What the addresses that mean all addresses are reached by. */
const FAMILIES: ReadonlyMap<string, string> = new Map([
  ["::", "IPv4 and IPv6"],
  ["0.0.0.0", "IPv4"],
]);
const GATEWAY_COLUMN = 9;

function listenerLine(listener: BannerListener): string {
  const { gateway, transport, address, port, paths, also = [] } = listener;
  const where = FAMILIES.has(address) ? `port ${port}` : hostPort(address, port);
  const family = FAMILIES.get(address) ?? "";
  const path = paths === undefined || paths.length === 0 ? "" : ` path ${paths.join(", ")}`;
  return `    ${gateway.padEnd(GATEWAY_COLUMN)}${transport.padEnd(5)}${where.padEnd(PORT_COLUMN)}${family.padEnd(FAMILY_COLUMN)}${path}${also.map((name) => ` and ${name}`).join("")}`.trimEnd();
}

function workersLine(workers: readonly (string | undefined)[]): string {
  const others = workers.slice(1).filter((api) => api !== undefined);
  return `  workers        ${workers.length}${others.length === 0 ? "" : `; HTTP of the others at ${others.join(", ")}`}`;
}

/** What the gateway says when it is up: one block that answers what is open, where data lies, how to stop. */
export function banner(facts: BannerFacts): string {
  const { version, node, file, data, api, listeners, warnings, workers } = facts;
  const lines = [
    `Isthmus ${version}, node ${node}`,
    "",
    `  configuration  ${file ?? "built-in defaults (isthmus.yaml, --config FILE or --set key=value change them)"}`,
    `  data           ${data}`,
    ...(workers === undefined ? [] : [workersLine(workers)]),
    `  HTTP           ${api === undefined ? "off" : `${api}/metrics, /health, /ready`}`,
    "",
    listeners.length === 0 ? "  no listener is open" : "  listening",
    ...listeners.map(listenerLine),
    "",
    ...warnings.map((warning) => `  ! ${warning}`),
    ...(warnings.length > 0 ? [""] : []),
    "  Stop with Ctrl+C.",
  ];
  return `${lines.join("\n")}\n`;
}
