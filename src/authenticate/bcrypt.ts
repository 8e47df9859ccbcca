/** bcrypt in threads of their own: the library is JavaScript, and on the main one would hold up every client. */
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";

/** A text, so that it is the same whether this runs from its sources or built. */
const PROGRAM = `
const { parentPort, workerData } = require("node:worker_threads");
const { compareSync, hashSync } = require(workerData);
parentPort.on("message", ({ id, password, hash, cost }) => {
  try {
    const found = hash === undefined ? hashSync(password, cost) : compareSync(password, hash);
    parentPort.postMessage({ id, found });
  } catch (error) {
    parentPort.postMessage({ id, problem: String(error) });
  }
});
`;

const THREADS_MAX = Math.max(1, Math.min(4, availableParallelism() - 1));
/** A thread without work ends after so many milliseconds. */
const IDLE_TIME = 30_000;

interface Answer {
  readonly id: number;
  readonly found?: boolean | string;
  readonly problem?: string;
}

/** Whether a password has this hash; or for a hash of this cost. */
type Question = { readonly password: string } & ({ readonly hash: string } | { readonly cost: number });

interface Asked {
  readonly resolve: (found: boolean | string) => void;
  readonly reject: (error: Error) => void;
}

class Thread {
  readonly #worker: Worker;
  readonly #asked = new Map<number, Asked>();
  #lastId = 0;
  #idle: NodeJS.Timeout | undefined = undefined;

  constructor(library: string, gone: (thread: Thread) => void) {
    this.#worker = new Worker(PROGRAM, { eval: true, workerData: library });
    this.#worker.on("message", ({ id, found, problem }: Answer) => {
      const asked = this.#asked.get(id);
      this.#asked.delete(id);
      if (problem === undefined) asked?.resolve(found ?? false);
      else asked?.reject(new Error(problem));
      if (this.#asked.size === 0) this.#rest();
    });
    const lost = (error: Error): void => {
      gone(this);
      for (const { reject } of this.#asked.values()) reject(error);
      this.#asked.clear();
    };
    this.#worker.on("error", lost);
    this.#worker.on("exit", () => lost(new Error("the thread for password hashes has ended")));
  }

  get load(): number {
    return this.#asked.size;
  }

  ask(question: Question): Promise<boolean | string> {
    clearTimeout(this.#idle);
    this.#worker.ref();
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ...question });
    });
  }

  /** A thread that waits holds no process up. */
  #rest(): void {
    this.#worker.unref();
    this.#idle = setTimeout(() => void this.#worker.terminate(), IDLE_TIME).unref();
  }
}

const threads = new Set<Thread>();

/** The one that has least to do. */
function threadFor(): Thread {
  let chosen: Thread | undefined;
  for (const thread of threads) if (chosen === undefined || thread.load < chosen.load) chosen = thread;
  if (chosen === undefined || (chosen.load > 0 && threads.size < THREADS_MAX)) {
    const library = createRequire(import.meta.url).resolve("bcryptjs");
    chosen = new Thread(library, (thread) => threads.delete(thread));
    threads.add(chosen);
  }
  return chosen;
}

/** Octets are taken as UTF-8, as bcrypt's makers do. */
const textOf = (password: Uint8Array): string => Buffer.from(password).toString("utf8");

/** Whether this is the password. */
export const bcryptCompare = async (password: Uint8Array, hash: string): Promise<boolean> =>
  (await threadFor().ask({ password: textOf(password), hash })) === true;

export const bcryptHash = async (password: Uint8Array, cost: number): Promise<string> =>
  String(await threadFor().ask({ password: textOf(password), cost }));
