/** What a worker knows of itself, and what it and its supervisor say to each other. */
import type { BannerFacts } from "../cli/banner.ts";
import type { ConfigRequest } from "../cli/cli.ts";

/** One worker's socket of a UDP port that all share. */
export interface SharedSocket {
  /** `gateway:listener` */
  readonly name: string;
  readonly bind: string;
  /** As configured. */
  readonly port: number;
  readonly descriptor: number;
}

export interface Worker {
  /** From 1. */
  readonly number: number;
  /** How many there are. */
  readonly of: number;
  /** How often it has been started again. */
  readonly restarts: number;
  readonly request: ConfigRequest;
  readonly sockets: readonly SharedSocket[];
}

/** How a worker stands. waiting: it has ended, and is started again after a pause. */
export type WorkerState = "starting" | "up" | "waiting" | "stopped";

export interface WorkerRow {
  readonly number: number;
  readonly state: WorkerState;
  readonly pid?: number | undefined;
  readonly restarts: number;
  /** Base address of its HTTP port. */
  readonly api?: string | undefined;
}

/** How one worker has it now, and the others shall have it, too: the whole of what `what` names. */
export interface Told {
  readonly what: string;
  readonly value: unknown;
}

export type FromWorker =
  | { readonly kind: "ready"; readonly banner: BannerFacts }
  | { readonly kind: "failed"; readonly code: string; readonly problem: string }
  | ({ readonly kind: "tell" } & Told);

export type ToWorker =
  | { readonly kind: "crew"; readonly workers: readonly WorkerRow[] }
  | ({ readonly kind: "told" } & Told);

/** No setting of the configuration: those begin with another word. */
export const WORKER_VARIABLE = "WORKER_OF_ISTHMUS";

/** Undefined in a process that is none. */
export function workerOf(environment: Readonly<Record<string, string | undefined>>): Worker | undefined {
  const text = environment[WORKER_VARIABLE];
  return text === undefined ? undefined : (JSON.parse(text) as Worker);
}
