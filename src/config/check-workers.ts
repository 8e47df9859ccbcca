/** What several processes that share the ports (`node.workers`) ask of the rest of a configuration. */
import type { Path } from "../settings/path.ts";
import { isDatagram, openListeners } from "./listeners.ts";
import type { Config } from "./schema.ts";

/** Octets of a connection id: one says whose it is, and the others must tell as many devices as there may be. */
const CONNECTION_ID_MIN = 4;
const PORT_MAX = 65_535;

export function checkWorkers(
  config: Config,
  report: (path: Path, value: unknown, allowed: string) => void,
): void {
  const { node, bus, api, dtls } = config;
  const { workers } = node;
  if (workers === 1) return;
  if (bus.engine === "embedded") {
    report(
      ["node", "workers"],
      workers,
      "1 where bus.engine is embedded: sessions and the bus are in one process then. Set bus.engine to upstream, with an MQTT cluster in bus.upstream, or leave node.workers at 1",
    );
    return;
  }
  if (bus.upstream.devices.keep === "local") {
    report(
      ["bus", "upstream", "devices", "keep"],
      "local",
      `retained or redis where node.workers is ${workers}: a device that comes from another address may meet another worker, which has to read what is remembered of it`,
    );
  }
  if (api.enable && api.port > 0 && api.port + workers - 1 > PORT_MAX)
    report(["api", "port"], api.port, `at most ${PORT_MAX - workers + 1}: each worker has the next port`);
  const { length } = dtls.connectionId;
  const open = openListeners(config);
  if (
    length > 0 &&
    length < CONNECTION_ID_MIN &&
    open.some(({ config: { transport } }) => transport === "dtls")
  )
    report(
      ["dtls", "connectionId", "length"],
      length,
      `0, or at least ${CONNECTION_ID_MIN} where node.workers is ${workers}: the first octet names the worker`,
    );
  for (const { gateway, name, config: listener } of open) {
    const { transport, udp, bind, port } = listener;
    const path: Path = ["gateways", gateway, "listeners", name];
    if (isDatagram(transport) && !udp.batches)
      report(
        [...path, "udp", "batches"],
        false,
        `true where node.workers is ${workers}: workers share a UDP port by it`,
      );
    if (!isDatagram(transport) && api.enable && api.port > 0 && port > api.port && port < api.port + workers)
      report(
        [...path, "port"],
        port,
        `a port that is none of the workers' HTTP ports (${api.port} to ${api.port + workers - 1}), on ${bind}, too`,
      );
  }
}
