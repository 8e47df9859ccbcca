/** What the HTTP port shows of itself: certificate and key, taken anew when their files have changed. */
import type { Api, TlsPair } from "./api/server.ts";
import type { Config } from "./config/schema.ts";
import { type Duration, seconds } from "./lib/time.ts";
import { FileWatch } from "./net/file-watch.ts";
import { readTlsFiles } from "./net/tls-files.ts";
import type { Log } from "./observe/log.ts";

/** As often as listeners look. */
const LOOK_EVERY: Duration = seconds(5);

type ApiTls = Config["api"]["tls"];

export class ApiCertificate {
  /** As it was at the start; undefined: the port is plain HTTP. */
  readonly pair: TlsPair | undefined;
  readonly #settings: ApiTls;
  readonly #log: Log;
  #watch: FileWatch | undefined = undefined;

  /** Throws `ListenError` for files that cannot be used. */
  constructor(settings: ApiTls, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.pair = readPair(settings);
  }

  /** From now on connections get what is in the files; those that are open keep what they have. */
  follow(api: Pick<Api, "renew">, every = LOOK_EVERY): void {
    const { cert, key } = this.#settings;
    if (this.pair === undefined) return;
    this.#watch = new FileWatch([cert, key], every, () => {
      try {
        const pair = readPair(this.#settings);
        if (pair === undefined) return;
        api.renew(pair);
        this.#log.info("api-certificate-reloaded", { file: cert });
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error);
        this.#log.warn("api-certificate-reload-failed", { problem });
      }
    });
  }

  stop(): void {
    this.#watch?.close();
  }
}

function readPair({ cert, key, keyPassphrase, minVersion }: ApiTls): TlsPair | undefined {
  if (cert === undefined || key === undefined) return undefined;
  const files = readTlsFiles({
    cert,
    key,
    keyPassphrase,
    clientCertificate: "none",
    identity: "none",
    minVersion,
  });
  return { cert: files.cert!, key: files.key!, passphrase: keyPassphrase, minVersion };
}
