import { createRequire } from "node:module";
import type { Writable } from "node:stream";
import {
  type DestinationStream,
  destination,
  type Level,
  type LoggerOptions,
  pino,
  stdTimeFunctions,
} from "pino";
import type * as pretty from "pino-pretty";
import { sentenceOf } from "./log-lines.ts";
import { withoutSecrets } from "./secrets.ts";

export type LogLevel = Level | "silent";
/** `auto`: for people on a terminal, one JSON object a line elsewhere. */
export type LogFormat = "auto" | "pretty" | "json";
type Detail = Readonly<Record<string, unknown>>;

/**
 * A structured log: an event (kebab-case; `LOG_LINES` has its sentence), its details, and a sentence of its own where
 * one event has several.
 */
export interface Log {
  debug(event: string, detail: Detail, sentence?: string): void;
  info(event: string, detail: Detail, sentence?: string): void;
  warn(event: string, detail: Detail, sentence?: string): void;
  /** `error` of the detail is shown with its stack. */
  error(event: string, detail: Detail, sentence?: string): void;
  /** Changes what is written from now on. */
  setLevel(level: LogLevel): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Of several that write there: each line says whose it is. */
  readonly worker?: number | undefined;
  /** Standard output when absent. */
  readonly output?: Writable & { readonly isTTY?: boolean };
}

/** Opens the log. Writing is synchronous: what was logged before a crash is there to be read. */
export function openLog(options: LogOptions): Log {
  const output = options.output ?? process.stdout;
  const pretty = options.format === "pretty" || (options.format === "auto" && output.isTTY === true);
  const settings: LoggerOptions = {
    level: options.level,
    base: options.worker === undefined ? null : { worker: options.worker },
    timestamp: stdTimeFunctions.isoTime,
    messageKey: "message",
    errorKey: "error",
    formatters: {
      level: (label) => ({ level: label }),
      log: (detail) => withoutSecrets(detail) as Record<string, unknown>,
    },
  };
  const stream = options.output ?? standardOutput();
  const logger = pino(settings, pretty ? prettyStream(output) : stream);
  const at =
    (level: "debug" | "info" | "warn" | "error") =>
    (event: string, detail: Detail, sentence = sentenceOf(event)): void =>
      logger[level]({ event, ...detail }, sentence);
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    setLevel: (level) => {
      logger.level = level;
    },
  };
}

/** Bytes of lines that wait for a full disk, under the file that standard output may be; more are lost. */
const WAITING_MAX = 64 * 1024;

/** What cannot be written is no reason to end: it waits for the next line. */
function standardOutput(): DestinationStream {
  const stream = destination({ fd: 1, sync: true, maxLength: WAITING_MAX });
  stream.on("error", () => {});
  return stream;
}

function prettyStream(output: Writable & { readonly isTTY?: boolean }): DestinationStream {
  // A service has no need of it.
  const { PinoPretty } = createRequire(import.meta.url)("pino-pretty") as typeof pretty;
  return PinoPretty({
    destination: output,
    colorize: output.isTTY === true,
    messageKey: "message",
    errorLikeObjectKeys: ["error"],
    translateTime: "SYS:HH:MM:ss.l",
    singleLine: true,
    sync: true,
  });
}
