/** The composition root: configuration, gateways, and what makes a process of them. Commands load it when they need it. */
import { administer } from "./administration.ts";
import { agreed } from "./agreement.ts";
import { startAlarms } from "./alarms.ts";
import { HOW_TO_BEGIN } from "./api/access/access.ts";
import { AccountsFile } from "./api/access/accounts.ts";
import { Credentials } from "./api/access/credentials.ts";
import type { Role } from "./api/access/principal.ts";
import type { ApiPorts } from "./api/ports.ts";
import { Refused } from "./api/problem.ts";
import type { Api, ApiOptions } from "./api/server.ts";
import { type BannerFacts, hostPort } from "./cli/banner.ts";
import type { ConfigRequest } from "./cli/cli.ts";
import type { RunningGateway } from "./cli/signals.ts";
import { ApiError } from "./cli/steer/api-client.ts";
import { type Composition, compose } from "./compose.ts";
import { dataFolderOf } from "./config/data-folder.ts";
import { readConfigFile } from "./config/file.ts";
import { type LaidOver, loadConfig, UnsoundConfig } from "./config/load.ts";
import { OverlayFile } from "./config/overlay-file.ts";
import { namedPlugIns } from "./config/plug-ins.ts";
import type { Config } from "./config/schema.ts";
import { Configuration, type Loaded } from "./configuration.ts";
import { accountsPath, overlayPath } from "./data-files.ts";
import { collectAtRest, holdYoungGeneration, letYoungGenerationGrow, prepareForClients } from "./heap.ts";
import { keep } from "./keep.ts";
import { type Duration, ZERO } from "./lib/time.ts";
import { MODULES } from "./modules.ts";
import { exposeGauges, startSysTopics } from "./observation.ts";
import { openLog } from "./observe/log.ts";
import { openHooks } from "./open-hooks.ts";
import type { AnyGatewayModule } from "./plans.ts";
import { ConfigError } from "./settings/problem.ts";
import { convertStore } from "./store/convert.ts";
import { requireFolder } from "./store/data-folder.ts";
import type { KindName } from "./store/kinds.ts";
import {
  type Counting,
  checkStore,
  compactStore,
  exportStore,
  importStore,
  type StoreOptions,
  storeStats,
} from "./store/maintenance.ts";
import { version } from "./version.ts";
import type { Crew } from "./workers/crew.ts";
import { type Worker, workerOf } from "./workers/worker.ts";

/** Which of the workers that share the ports this process is, if it is one. */
const WORKER = workerOf(process.env);

/** `overlay`: instead of what operators have changed. */
export async function load(request: ConfigRequest, overlay?: LaidOver): Promise<Loaded> {
  const sources = { modules: MODULES, environment: process.env, file: request.file, set: request.set };
  const file = readConfigFile(sources);
  const laid = overlay ?? overlayFileOf(request).read();
  const named = namedPlugIns(sources, file);
  let modules: readonly AnyGatewayModule[] = MODULES;
  if (named.length > 0) {
    const { openPlugIns } = await import("./open-plug-ins.ts");
    modules = [...MODULES, ...(await openPlugIns(named))];
  }
  const loaded = loadConfig({ ...sources, modules, overlay: laid }, file);
  const config = WORKER === undefined ? loaded.config : asWorker(loaded.config, WORKER);
  return { ...loaded, config, modules, laid };
}

/** What is each worker's own: its name, and its HTTP port. */
function asWorker(config: Config, { number }: Worker): Config {
  const { node, api } = config;
  const port = api.port === 0 ? 0 : api.port + number - 1;
  return { ...config, node: { ...node, name: `${node.name}-${number}` }, api: { ...api, port } };
}

/** The HTTP server is loaded for who wants its port. */
async function openPort(options: ApiOptions, ports: ApiPorts): Promise<Api> {
  const { openApi } = await import("./api/server.ts");
  return openApi(options, ports);
}

const overlayFileOf = ({ file, set }: ConfigRequest): OverlayFile =>
  new OverlayFile(overlayPath({ dataFolder: dataFolderOf({ file, set, environment: process.env }) }));

async function openFiles({ config, modules, locate }: Loaded): Promise<readonly string[]> {
  const { checkFiles } = await import("./check-files.ts");
  const warnings: string[] = [];
  await checkFiles(config, modules, locate, (sentence) => warnings.push(sentence));
  return warnings;
}

/** As `load`, and every file that the configuration names is opened too. */
export async function check(request: ConfigRequest): Promise<Loaded> {
  try {
    const loaded = await load(request);
    const warnings = await openFiles(loaded);
    return { ...loaded, warnings: [...loaded.warnings, ...warnings] };
  } catch (error) {
    throw error instanceof UnsoundConfig ? await withFiles(error) : error;
  }
}

/** What is wrong with the files beside what is wrong with the text: all at once. */
async function withFiles({ problems, sound: { config, locate } }: UnsoundConfig): Promise<ConfigError> {
  const { checkFiles } = await import("./check-files.ts");
  const files = await checkFiles(config, MODULES, locate).then(
    () => [],
    (error: unknown) => (error instanceof ConfigError ? error.problems : []),
  );
  const said = new Set(problems.map(({ key }) => key));
  return new ConfigError([...problems, ...files.filter(({ key }) => !said.has(key))]);
}

/** Of a store that is there: a mistyped folder is said, not made. */
async function storeOptions(request: ConfigRequest): Promise<StoreOptions> {
  const options = await newStoreOptions(request);
  requireFolder(options.folder);
  return options;
}

async function newStoreOptions(request: ConfigRequest): Promise<StoreOptions> {
  const { config } = await load(request);
  const { engine, ...options } = config.store;
  // What lies in a folder can be looked after whatever the gateway would use.
  return { ...options, engine: engine === "memory" ? "embedded" : engine, folder: config.dataFolder };
}

/** Gateways that are served on the listeners of another: LwM2M is CoAP. */
function guestsOf(config: Config, gateway: string): readonly string[] {
  const { lwm2m } = config.gateways;
  return gateway === "coap" && lwm2m?.enable === true && lwm2m["shareCoapListeners"] === true
    ? ["lwm2m"]
    : [];
}

/** Straight into the file of the data folder: who may write there is trusted, whether a node runs on it or not. */
export async function addUser(
  request: ConfigRequest,
  name: string,
  password: string,
  role: string,
): Promise<void> {
  const credentials = new Credentials(new AccountsFile(accountsPath((await load(request)).config)));
  try {
    await credentials.addUser(name, password, role as Role, Date.now());
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new ApiError("api-refused", error.message);
  }
}

/** Code that others wrote is watched from outside; nothing of this is loaded where there is none. */
async function watchPlugIns(
  { config, core }: Composition,
  modules: readonly AnyGatewayModule[],
): Promise<void> {
  const plugIns = modules.filter(
    ({ name, plugIn }) => plugIn !== undefined && config.gateways[name]?.enable === true,
  );
  if (plugIns.length === 0) return;
  const { plugInWatch, watchOver } = await import("./open-plug-ins.ts");
  plugInWatch.start(
    plugIns.map(({ name, plugIn = "" }) => {
      const stuckAfter = config.gateways[name]?.["stuckAfter"] as Duration;
      return { gateway: name, module: plugIn, stuckAfter };
    }),
  );
  watchOver(plugIns, (gateway, note) => core.note(gateway, note));
}

export async function start(
  request: ConfigRequest,
  crew?: Crew,
): Promise<RunningGateway & { readonly banner: BannerFacts }> {
  const loaded = await load(request);
  if (crew === undefined && loaded.config.node.workers > 1) {
    const { supervise } = await import("./supervise.ts");
    return supervise(request, loaded);
  }
  const configuration = new Configuration(loaded, {
    load: (overlay) => load(request, overlay),
    file: overlayFileOf(request),
    check: async (loaded) => void (await openFiles(loaded)),
    changed: () => crew?.tell("configuration", undefined),
  });
  crew?.heed("configuration", () => void configuration.readAgain());
  const { config, file, warnings, modules } = configuration.loaded;
  const log = openLog({ ...config.log, worker: crew?.worker.number });
  const hooks = await openHooks(config.hooks, log);
  letYoungGenerationGrow();
  const kept = await keep(config, modules, log, WORKER);
  const running = compose(config, modules, log, kept, hooks, crew?.worker);
  holdYoungGeneration();
  configuration.attach(running);
  await watchPlugIns(running, modules);
  exposeGauges(running, version);
  if (crew !== undefined) {
    const { restarts } = crew.worker;
    running.metrics.gauge("worker_restarts", "How often this worker was started again", () => restarts);
  }
  let open = false;
  const abandon = async (error: unknown): Promise<never> => {
    await running.stop(ZERO);
    throw error;
  };
  const administration = config.api.enable
    ? administer(running, log, version, () => open, configuration, crew)
    : undefined;
  const api =
    administration === undefined
      ? undefined
      : await openPort(
          { ...config.api, tls: administration.tls },
          crew === undefined ? administration.ports : agreed(administration.ports, crew),
        ).catch(abandon);
  prepareForClients();
  await running.open().catch(async (error) => {
    await api?.close();
    return abandon(error);
  });
  open = true;
  const scheme = administration?.tls === undefined ? "http" : "https";
  const url = api === undefined ? undefined : `${scheme}://${hostPort(api.address, api.port)}`;
  if (url !== undefined) administration?.announce(url);
  if (api !== undefined) administration?.follow(api);
  if (administration?.setupCode !== undefined) {
    log.info(
      "account-missing",
      { code: administration.setupCode },
      `nobody has an account yet: ${HOW_TO_BEGIN}`,
    );
  }
  const sys = startSysTopics(running, version);
  if (administration !== undefined) administration.sys = sys;
  const alarms = startAlarms(running, () => open);
  const endCollecting = collectAtRest();
  return {
    stopTimeout: config.node.shutdownTimeout,
    reload: () => void configuration.readAgain(),
    async stop() {
      endCollecting();
      alarms.stop();
      open = false;
      sys.stop();
      await running.stop();
      await api?.close();
      administration?.stop();
    },
    banner: {
      version,
      node: config.node.name,
      file,
      data:
        config.store.engine === "memory" ? "in memory only: gone when this process ends" : config.dataFolder,
      api: url,
      listeners: running.lifecycle.listeners.map(({ gateway, name, listening }) => ({
        gateway,
        name,
        transport: listening.transport,
        address: listening.address,
        port: listening.port,
        also: guestsOf(config, gateway),
        paths: listening.transport.startsWith("ws")
          ? config.gateways[gateway]?.listeners[name]?.websocket.paths
          : undefined,
      })),
      warnings,
    },
  };
}

/** What commands do with a data folder while no gateway runs on it. */
export const store = {
  check: async (request: ConfigRequest) => checkStore(await storeOptions(request)),
  stats: async (request: ConfigRequest) => storeStats(await storeOptions(request)),
  export: async (request: ConfigRequest, path: string, counting?: Counting) =>
    exportStore(await storeOptions(request), path, counting),
  import: async (request: ConfigRequest, path: string, counting?: Counting) =>
    importStore(await newStoreOptions(request), path, counting),
  compact: async (request: ConfigRequest) => compactStore(await storeOptions(request)),
  convert: async (request: ConfigRequest, to: string) =>
    convertStore(await storeOptions(request), to as KindName),
};
