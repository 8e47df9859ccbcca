/** Shells that a page uses: one after the other, and those that stay open. */
import { spawn } from "node:child_process";
import process from "node:process";
import { missingLine } from "./page.mjs";

const RUN_LIMIT = 300_000;
const PRINT_LIMIT = 300_000;
const QUIET = 700;

/** One shell: what it has printed so far, and how it ended. */
class Shell {
  output = "";
  /** @type {number | undefined} */
  code = undefined;
  #changedAt = Date.now();
  /** @type {import("node:child_process").ChildProcess} */
  #child;
  /** @type {Promise<void>} */
  ended;

  /**
   * @param {"sh" | "bash"} shell
   * @param {string} text
   * @param {string} folder
   * @param {NodeJS.ProcessEnv} env
   */
  constructor(shell, text, folder, env) {
    this.#child = spawn(shell, ["-c", text], {
      cwd: folder,
      env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (chunk) => {
        this.output += chunk;
        this.#changedAt = Date.now();
      });
    this.ended = new Promise((resolve) => {
      this.#child.on("close", (code, signal) => {
        this.code = code ?? (signal === null ? 0 : 1);
        resolve();
      });
    });
  }

  /** Nothing was printed for a moment. */
  get quiet() {
    return Date.now() - this.#changedAt > QUIET;
  }

  /** The shell and everything that it started. */
  async stop() {
    for (const signal of /** @type {const} */ (["SIGTERM", "SIGKILL"])) {
      try {
        process.kill(-(this.#child.pid ?? 0), signal);
      } catch {}
      const stopped = await Promise.race([this.ended.then(() => true), tooLong(12_000)]);
      if (stopped) return;
    }
  }
}

/** @param {number} length */
const pause = (length) => new Promise((resolve) => setTimeout(resolve, length));

/**
 * False after so long; it keeps no process alive.
 * @param {number} length
 */
const tooLong = (length) => new Promise((resolve) => setTimeout(resolve, length, false).unref());

export class Shells {
  /** @type {Map<string, Shell>} */
  #open = new Map();
  /** @type {Shell | undefined} */
  #last = undefined;
  #folder;
  #env;

  /**
   * @param {string} folder
   * @param {NodeJS.ProcessEnv} env
   */
  constructor(folder, env) {
    this.#folder = folder;
    this.#env = env;
  }

  /** @param {import("./page.mjs").Command} command */
  async run({ shell, text }) {
    const running = new Shell(shell, text, this.#folder, this.#env);
    this.#last = running;
    const inTime = await Promise.race([running.ended.then(() => true), tooLong(RUN_LIMIT)]);
    if (!inTime) await running.stop();
    if (!inTime) throw new Error(`is still running after ${RUN_LIMIT / 1000} s:\n${running.output}`);
    if (running.code !== 0) throw new Error(`exit code ${running.code}:\n${running.output}`);
  }

  /** @param {import("./page.mjs").Command} command */
  async keep({ shell, text, name }) {
    await this.#open.get(name)?.stop();
    const running = new Shell(shell, text, this.#folder, this.#env);
    this.#open.set(name, running);
    this.#last = running;
    // A subscriber says nothing when it is ready: it gets the time that a person needs for the next line.
    for (let waits = 0; waits < 20 && !running.quiet && running.code === undefined; waits++) await pause(100);
  }

  /** @param {import("./page.mjs").Printed} printed */
  async printed({ name, text }) {
    const shell = name === "" ? this.#last : this.#open.get(name);
    if (shell === undefined) throw new Error(`there is no shell ${name}`);
    for (const until = Date.now() + PRINT_LIMIT; ; await pause(50)) {
      const missing = missingLine(text, shell.output);
      if (missing === undefined) return;
      if (Date.now() > until || shell.code !== undefined)
        throw new Error(`never printed: ${missing}\nbut:\n${shell.output}`);
    }
  }

  async stop() {
    await Promise.all([...this.#open.values()].map((shell) => shell.stop()));
    this.#open.clear();
  }
}
