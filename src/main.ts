/** The composition root: commands, configuration, gateways, and what makes a process of them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { accountsPath, administer, localKeyPath } from "./administration.ts";
import { startAlarms } from "./alarms.ts";
import { HOW_TO_BEGIN } from "./api/access/access.ts";
import { AccountsFile } from "./api/access/accounts.ts";
import { Credentials } from "./api/access/credentials.ts";
import type { Role } from "./api/access/principal.ts";
import { Refused } from "./api/problem.ts";
import { openApi } from "./api/server.ts";
import { hashPassword } from "./authenticate/password-hash.ts";
import { type BannerFacts, hostPort } from "./cli/banner.ts";
import { type ConfigRequest, runCli } from "./cli/cli.ts";
import type { RunningGateway } from "./cli/signals.ts";
import { ApiError } from "./cli/steer/api-client.ts";
import { compose } from "./compose.ts";
import { type LoadedConfig, loadConfig } from "./config/load.ts";
import type { Config } from "./config/schema.ts";
import { ZERO } from "./lib/time.ts";
import { MODULES } from "./modules.ts";
import { exposeGauges, startSysTopics } from "./observation.ts";
import { type Log, openLog } from "./observe/log.ts";
import { openHooks } from "./open-hooks.ts";
import { INSTALLATION } from "./settings/installation.ts";
import { convertStore } from "./store/convert.ts";
import { requireFolder } from "./store/data-folder.ts";
import { KIND_NAMES } from "./store/kinds.ts";
import {
  checkStore,
  compactStore,
  exportStore,
  importStore,
  type StoreOptions,
  storeStats,
} from "./store/maintenance.ts";
import { type OpenedStore, openStore } from "./store/open.ts";

const version = (JSON.parse(readFileSync(join(INSTALLATION, "package.json"), "utf8")) as { version: string })
  .version;

const load = (request: ConfigRequest): LoadedConfig =>
  loadConfig({ modules: MODULES, environment: process.env, file: request.file, set: request.set });

/** Opens the store, if the configuration wants one. What was acknowledged before is in it. */
async function keep(config: Config, log: Log): Promise<OpenedStore | undefined> {
  const { engine, ...options } = config.store;
  if (engine === "memory") return undefined;
  return openStore(
    { ...options, engine, folder: config.dataFolder },
    {
      failure(failure) {
        if (failure === undefined) log.warn({}, "the store works again: all that waited is committed");
        else log.error({ error: failure }, "the store cannot write: what it would have to keep is refused");
      },
      damaged: ({ table, problem }) =>
        log.error({ table, problem }, "a record of the store cannot be read, and is put aside"),
      note: (sentence) => log.warn({}, sentence),
    },
  );
}

/** Of a store that is there: a mistyped folder is said, not made. */
function storeOptions(request: ConfigRequest): StoreOptions {
  const options = newStoreOptions(request);
  requireFolder(options.folder);
  return options;
}

function newStoreOptions(request: ConfigRequest): StoreOptions {
  const { config } = load(request);
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
async function addUser(request: ConfigRequest, name: string, password: string, role: string): Promise<void> {
  const credentials = new Credentials(new AccountsFile(accountsPath(load(request).config)));
  try {
    await credentials.addUser(name, password, role as Role, Date.now());
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new ApiError("api-refused", error.message);
  }
}

async function start(request: ConfigRequest): Promise<RunningGateway & { readonly banner: BannerFacts }> {
  const { config, file, warnings } = load(request);
  const log = openLog(config.log);
  const hooks = await openHooks(config.hooks, log);
  const running = compose(config, MODULES, log, await keep(config, log), hooks);
  exposeGauges(running, version);
  let open = false;
  const abandon = async (error: unknown): Promise<never> => {
    await running.stop(ZERO);
    throw error;
  };
  const administration = config.api.enable ? administer(running, log, version, () => open) : undefined;
  const api =
    administration === undefined
      ? undefined
      : await openApi({ ...config.api, tls: administration.tls }, administration.ports).catch(abandon);
  await running.open().catch(async (error) => {
    await api?.close();
    return abandon(error);
  });
  open = true;
  const scheme = administration?.tls === undefined ? "http" : "https";
  const url = api === undefined ? undefined : `${scheme}://${hostPort(api.address, api.port)}`;
  if (url !== undefined) administration?.announce(url);
  if (administration?.setupCode !== undefined) {
    log.info({ code: administration.setupCode }, `nobody has an account yet: ${HOW_TO_BEGIN}`);
  }
  const sys = startSysTopics(running, version);
  if (administration !== undefined) administration.sys = sys;
  const alarms = startAlarms(running, () => open);
  return {
    stopTimeout: config.node.shutdownTimeout,
    reload: () => running.reload(() => load(request).config),
    async stop() {
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

// `isthmus --help | head` closes the pipe early.
process.stdout.on("error", () => {});

process.exitCode = await runCli(
  process.argv.slice(2),
  {
    version,
    start,
    checkConfig: (request) => load(request),
    hashPassword,
    store: {
      check: (request) => checkStore(storeOptions(request)),
      stats: (request) => storeStats(storeOptions(request)),
      export: (request, path) => exportStore(storeOptions(request), path),
      import: (request, path) => importStore(newStoreOptions(request), path),
      compact: (request) => compactStore(storeOptions(request)),
      kinds: KIND_NAMES,
      convert: (request, to) => convertStore(storeOptions(request), to as (typeof KIND_NAMES)[number]),
    },
    steering: { localFile: (request) => localKeyPath(load(request).config) },
    addUser,
    simulate: async (options) => (await import("./sim/simulation.ts")).Simulation.start(options),
  },
  {
    input: process.stdin,
    terminal: process.stdout.isTTY === true,
    environment: process.env,
    out: (text) => process.stdout.write(text),
    error: (text) => process.stderr.write(text),
    signals: process,
  },
);
// Whatever timer or socket a library may still hold: a stop is a stop.
process.exit();
