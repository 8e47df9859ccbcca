/** A whole gateway in this process, on ports of its own choosing, for tests with real sockets and foreign clients. */
import { Writable } from "node:stream";
import { type Composition, compose } from "#core/compose.ts";
import { loadText } from "#core/config/load.ts";
import { seconds, ZERO } from "#core/lib/time.ts";
import { MODULES } from "#core/modules.ts";
import { openLog } from "#core/observe/log.ts";
import { openHooks } from "#core/open-hooks.ts";
import { openStore } from "#core/store/open.ts";

/** Nobody hears what the store has to say. */
const DEAF = { failure: () => {}, damaged: () => {}, note: () => {} };

export interface TestGateway {
  readonly composition: Composition;
  /** The port of a listener, by gateway and listener name. */
  port(gateway: string, listener: string): number;
  /** The configuration as it was read. */
  readonly text: string;
  /** What was logged at `warn` and above. */
  readonly log: string[];
  stop(): Promise<void>;
}

interface GatewaySettings {
  readonly listeners?: Readonly<Record<string, object>>;
  readonly [key: string]: unknown;
}

export interface TestSettings {
  /** Only those named here run. Their default listeners open on free ports of the loopback interface. */
  readonly gateways: Readonly<Record<string, GatewaySettings>>;
  readonly [key: string]: unknown;
}

/** Listener names of each gateway's defaults. */
function defaultListeners(): Record<string, string[]> {
  const { config } = loadText(MODULES, "");
  return Object.fromEntries(
    Object.entries(config.gateways).map(([name, gateway]) => [name, Object.keys(gateway.listeners)]),
  );
}

const LOOPBACK = { bind: "127.0.0.1", port: 0 };

/** Starts a gateway; the settings are those of the configuration file. */
export async function startGateway(settings: TestSettings): Promise<TestGateway> {
  const gateways: Record<string, object> = {};
  for (const [name, listeners] of Object.entries(defaultListeners())) {
    const own = settings.gateways[name];
    if (own === undefined) {
      gateways[name] = { enable: false };
      continue;
    }
    const names = [...new Set([...listeners, ...Object.keys(own.listeners ?? {})])];
    gateways[name] = {
      ...own,
      listeners: Object.fromEntries(
        names.map((listener) => [listener, { ...LOOPBACK, ...own.listeners?.[listener] }]),
      ),
    };
  }
  const text = JSON.stringify({ store: { engine: "memory" }, ...settings, gateways });
  const { config } = loadText(MODULES, text);
  const log: string[] = [];
  const output = new Writable({
    write(chunk, _encoding, done) {
      log.push(String(chunk));
      done();
    },
  });
  const { engine, ...store } = config.store;
  const kept =
    engine === "memory" ? undefined : await openStore({ engine, ...store, folder: config.dataFolder }, DEAF);
  const logs = openLog({ level: "warn", format: "json", output });
  const composition = compose(config, MODULES, logs, kept, await openHooks(config.hooks, logs));
  await composition.open().catch(async (error: unknown) => {
    await composition.stop(ZERO);
    throw error;
  });
  return {
    composition,
    text,
    log,
    port(gateway, listener) {
      const found = composition.lifecycle.listeners.find(
        (opened) => opened.gateway === gateway && opened.name === listener,
      );
      if (found === undefined) throw new Error(`no listener ${gateway}.${listener} is open`);
      return found.listening.port;
    },
    stop: () => composition.stop(seconds(2)),
  };
}
