import type { Writable } from "node:stream";
import {
  type DestinationStream,
  destination,
  type Level,
  type LoggerOptions,
  pino,
  stdTimeFunctions,
} from "pino";
import { PinoPretty } from "pino-pretty";
import { withoutSecrets } from "./secrets.ts";

export type LogLevel = Level | "silent";
/** `auto`: for people on a terminal, one JSON object a line elsewhere. */
export type LogFormat = "auto" | "pretty" | "json";
type Detail = Readonly<Record<string, unknown>>;

/** A structured log. Details come first, so that a call reads as data and the sentence about it. */
export interface Log {
  debug(detail: Detail, message: string): void;
  info(detail: Detail, message: string): void;
  warn(detail: Detail, message: string): void;
  /** `error` of the detail is shown with its stack. */
  error(detail: Detail, message: string): void;
  /** Changes what is written from now on. */
  setLevel(level: LogLevel): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Standard output when absent. */
  readonly output?: Writable & { readonly isTTY?: boolean };
}

/** Opens the log. Writing is synchronous: what was logged before a crash is there to be read. */
export function openLog(options: LogOptions): Log {
  const output = options.output ?? process.stdout;
  const pretty = options.format === "pretty" || (options.format === "auto" && output.isTTY === true);
  const settings: LoggerOptions = {
    level: options.level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    messageKey: "message",
    errorKey: "error",
    formatters: {
      level: (label) => ({ level: label }),
      log: (detail) => withoutSecrets(detail) as Record<string, unknown>,
    },
  };
  const stream = options.output ?? destination({ fd: 1, sync: true });
  const logger = pino(settings, pretty ? prettyStream(output) : stream);
  return {
    debug: (detail, message) => logger.debug(detail, message),
    info: (detail, message) => logger.info(detail, message),
    warn: (detail, message) => logger.warn(detail, message),
    error: (detail, message) => logger.error(detail, message),
    setLevel: (level) => {
      logger.level = level;
    },
  };
}

function prettyStream(output: Writable & { readonly isTTY?: boolean }): DestinationStream {
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
