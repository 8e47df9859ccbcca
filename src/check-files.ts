/** Opens what a configuration names as a start would, and no socket: all that is wrong with its files, at once. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compose } from "./compose.ts";
import { isDatagram, openListeners } from "./config/listeners.ts";
import { tryPolicy } from "./config/policy-settings.ts";
import type { Config } from "./config/schema.ts";
import { ZERO } from "./lib/time.ts";
import { FileCredentials, type KeyAuthority } from "./net/dtls-credentials.ts";
import { readTlsFiles } from "./net/tls-files.ts";
import type { Log } from "./observe/log.ts";
import { sentenceOf } from "./observe/log-lines.ts";
import { tryPipelines } from "./pipelines-room.ts";
import type { AnyGatewayModule } from "./plans.ts";
import { moduleAddress } from "./settings/installation.ts";
import type { Path } from "./settings/path.ts";
import { ConfigError, type ConfigProblem, type Locate, problem } from "./settings/problem.ts";
import { checkUpstream } from "./upstream-servers.ts";

/** Of what gateways have to say while they are opened on trial, warnings are for the operator: a folder that is missing. */
const trialLog = (warn: (sentence: string) => void): Log => ({
  ...{ debug() {}, info() {}, error() {}, setLevel() {} },
  warn(event, { folder, name, problem }) {
    warn([sentenceOf(event), folder ?? name, problem].filter((part) => part !== undefined).join(": "));
  },
});

type Report = (path: Path, error: unknown) => void;

/** Throws `ConfigError`. Nothing is connected to and nothing is kept. */
export async function checkFiles(
  config: Config,
  modules: readonly AnyGatewayModule[],
  locate: Locate,
  warn: (sentence: string) => void = () => {},
): Promise<void> {
  const problems: ConfigProblem[] = [];
  const report: Report = (path, error) => {
    if (error instanceof ConfigError) problems.push(...error.problems);
    else
      problems.push(
        problem(locate, { path, says: `cannot be used: ${String((error as Error).message ?? error)}` }),
      );
  };
  tryPolicy(config, report);
  checkCertificates(config, report);
  checkHooks(config, report);
  if (config.bus.engine === "upstream")
    tried(["bus", "upstream"], report, () => checkUpstream(config.bus.upstream, locate));
  for (const { path, message } of tryPipelines(config))
    problems.push(problem(locate, { path, says: message }));
  await checkGateways(config, modules, report, warn);
  if (problems.length > 0) throw new ConfigError(problems);
}

/** The files of each listener that opens. */
function checkCertificates(config: Config, report: Report): void {
  for (const { gateway, name, config: listener, tls } of openListeners(config)) {
    if (tls === undefined) continue;
    const secure = { name: `${gateway}:${name}`, tls, dtls: config.dtls, protocols: [] };
    tried(["gateways", gateway, "listeners", name], report, () => {
      if (isDatagram(listener.transport)) new FileCredentials(secure, KEYS_ELSEWHERE);
      else readTlsFiles(tls);
    });
  }
}

/** The chain's keys may be all that a DTLS listener has. */
const KEYS_ELSEWHERE: KeyAuthority = {
  presharedKey: async () => undefined,
  rawKeyHolder: async () => undefined,
};

function checkHooks({ hooks }: Config, report: Report): void {
  for (const [index, { module }] of hooks.modules.entries()) {
    tried(["hooks", "modules", index, "module"], report, () => {
      const path = fileURLToPath(moduleAddress(module));
      if (!existsSync(path)) throw new Error(`there is no file ${path}`);
    });
  }
}

/** Gateways read their own files when they are opened; on trial they are alone, in memory, and nobody can reach them. */
async function checkGateways(
  config: Config,
  modules: readonly AnyGatewayModule[],
  report: Report,
  warn: (sentence: string) => void,
): Promise<void> {
  const empty: Config = {
    ...config,
    bus: { ...config.bus, engine: "embedded" },
    store: { ...config.store, engine: "memory" },
    rules: {},
    connectors: {},
    pipelines: {},
    authentication: { ...config.authentication, chain: [], chains: {} },
    authorization: { ...config.authorization, sources: [] },
    gateways: Object.fromEntries(
      Object.entries(config.gateways).map(([name, { authentication: _, ...gateway }]) => [
        name,
        { ...gateway, enable: false },
      ]),
    ),
  };
  const trial = compose(empty, modules, trialLog(warn));
  for (const module of modules) {
    const own = config.gateways[module.name];
    if (own?.enable !== true) continue;
    tried(["gateways", module.name], report, () => trial.gateways.open(module, own));
  }
  await trial.stop(ZERO);
}

function tried(path: Path, report: Report, run: () => void): void {
  try {
    run();
  } catch (error) {
    report(path, error);
  }
}
