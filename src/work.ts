/** A worker: a gateway that shares its ports with others, and does what its supervisor says. */
import { describeError } from "./cli/errors.ts";
import { type RunningGateway, runUntilStopped, type SignalSource, startAndReload } from "./cli/signals.ts";
import { Crew } from "./workers/crew.ts";
import { type FromWorker, type ToWorker, workerOf } from "./workers/worker.ts";

/** Resolves to the exit code when it has stopped. */
export async function work(): Promise<number> {
  const worker = workerOf(process.env);
  if (worker === undefined) throw new TypeError("no worker of anybody");
  const send = (message: FromWorker): void => void process.send?.(message);
  const crew = new Crew(worker, {
    send,
    listen: (hear) => process.on("message", (message: ToWorker) => hear(message)),
  });
  const signals = fromSupervisor();
  let running: RunningGateway;
  try {
    const { start } = await import("./main.ts");
    const started = await startAndReload(() => start(worker.request, crew), signals);
    running = started;
    send({ kind: "ready", banner: started.banner });
  } catch (error) {
    const { code, lines, exit } = describeError(error);
    const problem = lines.map((line) => line.replace(`${code}: `, "")).join("\n");
    const failed: FromWorker = { kind: "failed", code, problem };
    await new Promise((resolve) => process.send?.(failed, undefined, undefined, resolve));
    return exit;
  }
  return runUntilStopped(running, signals, (line) =>
    process.stderr.write(`isthmus: worker ${worker.number}: ${line}\n`),
  );
}

/**
 * Ctrl+C comes to all processes of a terminal, and a service manager may tell all of them to stop: it is the supervisor who
 * stops its workers, and SIGTERM said twice is no haste.
 */
function fromSupervisor(): SignalSource {
  process.on("SIGINT", () => {});
  let stops = 0;
  return {
    on: (signal, listener) => {
      if (signal === "SIGINT") return;
      process.on(signal, () => {
        if (signal !== "SIGTERM" || stops++ === 0) listener(signal);
      });
    },
    off: () => {},
  };
}
