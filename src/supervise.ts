/** Several processes that share the ports of devices (`node.workers`), and the one that looks after them. */
import type { BannerFacts } from "./cli/banner.ts";
import type { ConfigRequest } from "./cli/cli.ts";
import type { RunningGateway } from "./cli/signals.ts";
import { datagramOptions, isDatagram, openListeners } from "./config/listeners.ts";
import type { Config } from "./config/schema.ts";
import type { Loaded } from "./configuration.ts";
import { type Duration, seconds } from "./lib/time.ts";
import { openSharedPort } from "./net/shared-port.ts";
import { ListenError } from "./net/transport.ts";
import { type Log, openLog } from "./observe/log.ts";
import { type SharedListener, startProcess } from "./workers/processes.ts";
import { Supervisor } from "./workers/supervisor.ts";

/** Beyond the time that workers have to stop. */
const STOP_SPARE = seconds(2);

/** Starts them. Throws what the first of them could not start for. */
export async function supervise(
  request: ConfigRequest,
  { config, file, warnings }: Loaded,
): Promise<RunningGateway & { readonly banner: BannerFacts }> {
  const { workers, name, shutdownTimeout } = config.node;
  const log = openLog(config.log);
  const listeners = await sharedListeners(config, log);
  const supervisor = new Supervisor(workers, {
    start: (worker, events) => startProcess({ ...worker, of: workers, request }, listeners, events),
    now: () => performance.now(),
    later(pause, run) {
      const timer = setTimeout(run, pause);
      return () => clearTimeout(timer);
    },
    ended: (detail) => log.error("worker-ended", detail),
    back: (detail) => log.info("worker-started-again", detail),
  });
  const [first, ...others] = await supervisor.start();
  return {
    stopTimeout: (shutdownTimeout + STOP_SPARE) as Duration,
    reload: () => supervisor.reload(),
    stop: () => supervisor.stop(),
    banner: { ...first!, node: name, file, warnings, workers: [first!, ...others].map(({ api }) => api) },
  };
}

/** The UDP ports. Those of TCP are opened when the first worker asks for them. */
async function sharedListeners(config: Config, log: Log): Promise<readonly SharedListener[]> {
  const shared: SharedListener[] = [];
  for (const listener of openListeners(config)) {
    if (!isDatagram(listener.config.transport)) continue;
    const name = `${listener.gateway}:${listener.name}`;
    const options = datagramOptions(listener);
    try {
      const port = await openSharedPort(options, config.node.workers);
      shared.push({ ...port, name, bind: options.bind, configured: options.port });
      if (port.unsteered !== undefined)
        log.warn("connection-ids-not-steered", { listener: name, problem: port.unsteered.message });
    } catch (error) {
      if (!(error instanceof ListenError)) throw error;
      throw new ListenError(
        error.code,
        `gateways.${listener.gateway}.listeners.${listener.name}: ${error.message}`,
      );
    }
  }
  return shared;
}
