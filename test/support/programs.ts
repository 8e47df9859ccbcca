import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Programs of other people that tests run, and the Debian package that brings each. */
const PACKAGES = {
  "coap-client-notls": "libcoap3-bin",
  "coap-client-gnutls": "libcoap3-bin",
  "coap-client-openssl": "libcoap3-bin",
  chromium: "chromium",
  ejabberdctl: "ejabberd",
  erl: "erlang-ssl",
  "gnutls-cli": "gnutls-bin",
  haproxy: "haproxy",
  gcc: "gcc",
  "libc6-dev": "libc6-dev",
  "libmbedtls-dev": "libmbedtls-dev",
  "libnet-stomp-perl": "libnet-stomp-perl",
  "libwolfssl-dev": "libwolfssl-dev",
  influxd: "influxdb",
  kcat: "kcat",
  mosquitto: "mosquitto",
  mosquitto_pub: "mosquitto-clients",
  mosquitto_sub: "mosquitto-clients",
  mariadbd: "mariadb-server",
  "nats-server": "nats-server",
  openssl: "openssl",
  php: "php-cli",
  "php-stomp": "php-stomp",
  pg_ctlcluster: "postgresql",
  pngquant: "pngquant",
  "python3-stomp": "python3-stomp",
  "rabbitmq-server": "rabbitmq-server",
  "redis-server": "redis-server",
  script: "bsdutils",
  slapd: "slapd",
  socat: "socat",
  taskset: "util-linux",
  tshark: "tshark",
  "victoria-metrics": "victoria-metrics",
} as const;
export type Program = keyof typeof PACKAGES;

/** Debian installs servers where only root looks. */
export const searchPath = (): string => [process.env["PATH"] ?? "", "/usr/sbin"].join(delimiter);

/** A package without a program of its own is there when its module is. */
const MODULES: Readonly<Record<string, string>> = {
  "libc6-dev": "/usr/include/stdio.h",
  "libmbedtls-dev": "/usr/include/mbedtls/ssl.h",
  "libnet-stomp-perl": "/usr/share/perl5/Net/Stomp.pm",
  "libwolfssl-dev": "/usr/include/wolfssl/ssl.h",
  "php-stomp": "/usr/lib/php/20220829/stomp.so",
  "python3-stomp": "/usr/lib/python3/dist-packages/stomp",
};

function executable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function isInstalled(program: string): boolean {
  const module = MODULES[program];
  if (module !== undefined) {
    return existsSync(module) && (!program.startsWith("python3-") || isInstalled("python3"));
  }
  return searchPath()
    .split(delimiter)
    .some((folder) => folder !== "" && executable(join(folder, program)));
}

/**
 * For `it.skipIf(lacks("mosquitto_pub"))`: tests that run these programs are reported as not run where one is missing,
 * each with the package that it needs (`closing-line.ts`). With CI=true the run has failed before
 * (`install-programs.ts`).
 */
export const lacks = (...programs: readonly Program[]): boolean =>
  programs.some((program) => !isInstalled(program));

/** The programs that a test file names so. */
export function programsNamedIn(file: string): Program[] {
  const lists = [...readFileSync(file, "utf8").matchAll(/\blacks\(([^)]*)\)/g)].map(([, list]) => list ?? "");
  const names = lists.flatMap((list) => [...list.matchAll(/"([^"]+)"/g)].map(([, name]) => name ?? ""));
  return [...new Set(names)].filter((name): name is Program => name in PACKAGES);
}

/** Debian packages that would bring what is missing of these programs. */
export const missingPackages = (programs: readonly Program[]): string[] => [
  ...new Set(programs.filter((program) => !isInstalled(program)).map((program) => PACKAGES[program])),
];
