/** Workers as processes: TCP ports are accepted by the supervisor and handed round, UDP sockets are inherited. */
import cluster, { type Worker as Forked } from "node:cluster";
import type { SharedPort } from "../net/shared-port.ts";
import type { WorkerEvents, WorkerProcess } from "./supervisor.ts";
import { type FromWorker, type SharedSocket, WORKER_VARIABLE, type Worker } from "./worker.ts";

/** A UDP port that all workers share, and whose it is. */
export interface SharedListener extends SharedPort {
  readonly name: string;
  readonly bind: string;
  /** As configured. */
  readonly configured: number;
}

/** Standard input, output and error, and the channel between the two. */
const FIRST_INHERITED = 4;

export function startProcess(
  worker: Omit<Worker, "sockets">,
  listeners: readonly SharedListener[],
  { said, ended }: WorkerEvents,
): WorkerProcess {
  const sockets = listeners.map(
    ({ name, bind, configured }, index): SharedSocket => ({
      ...{ name, bind, port: configured },
      descriptor: FIRST_INHERITED + index,
    }),
  );
  cluster.schedulingPolicy = cluster.SCHED_RR;
  cluster.setupPrimary({
    exec: process.argv[1]!,
    args: [],
    // As structured clones: Infinity is a time, too.
    serialization: "advanced",
    stdio: [
      "ignore",
      "inherit",
      "inherit",
      "ipc",
      ...listeners.map(({ descriptors }) => descriptors[worker.number - 1]!),
    ],
  });
  const forked: Forked = cluster.fork({ [WORKER_VARIABLE]: JSON.stringify({ ...worker, sockets }) });
  forked.on("message", (message: FromWorker) => said(message));
  // What is said to one that ends at this moment is lost with it.
  forked.on("error", () => {});
  forked.once("exit", (code, signal) =>
    ended(signal === null ? `has ended with code ${code}` : `was ended by ${signal}`),
  );
  return {
    pid: forked.process.pid,
    say: (message) => {
      if (forked.isConnected()) forked.send(message, () => {});
    },
    signal: (signal) => void forked.process.kill(signal),
  };
}
