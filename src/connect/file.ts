/** Files: a line of JSON for each output, in files that are changed by size and age. */
import { constants } from "node:fs";
import { type FileHandle, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { durationSetting, sizeSetting } from "../lib/setting.ts";
import { Template } from "../rules/template.ts";
import { asText, type Value } from "../rules/value.ts";
import { integer, text } from "../settings/kinds.ts";
import { makeFolder } from "../settings/make-folder.ts";
import { syncFolderAside } from "../settings/sync-folder.ts";
import { type Connector, type ConnectorKind, type Item, SinkFailure } from "./connector.ts";
import { actionSchema, connectorSchema } from "./settings.ts";

const schema = connectorSchema("file", {
  is: "Files of JSON lines.",
  batch: 1000,
  own: {
    path: text({
      description: "The file that is written. Those that are full stand beside it as <path>.<number>.",
      minLength: 1,
    }),
    rotate: Type.Object(
      {
        size: sizeSetting({ description: "A file is full at.", default: "100MB", minimum: "1KB" }),
        age: durationSetting({
          description: "And that long after its first line.",
          default: "1d",
          minimum: "1s",
        }),
        keep: integer(0, 1_000_000, {
          description: "Full files that are kept; the oldest are removed. 0: all of them.",
          default: 30,
        }),
      },
      { description: "When another file is begun." },
    ),
  },
  description: "Lines in a file: acknowledged when they are on the disk (fsync).",
});
type Config = Static<typeof schema>;

const action = actionSchema("file", {
  does: "Write a line.",
  own: {
    line: text({
      description: "A template; ${.} is the whole output as JSON. Ends of lines in it become spaces.",
      default: "${.}",
    }),
  },
  description: "A line in a file for each output.",
});
type ActionConfig = Static<typeof action>;

/** As much as a file system gives at least. */
const PROBE = Buffer.alloc(4096, " ");

interface Current {
  readonly handle: FileHandle;
  /** What is whole in it, and on the disk. */
  size: number;
  readonly since: number;
}

/** Later there may be room, or rights, or the disk. */
const failureOf = (error: unknown): SinkFailure =>
  error instanceof SinkFailure ? error : new SinkFailure((error as Error).message, true);

class File implements Connector {
  readonly #config: Config;
  readonly #now: () => number;
  #current: Current | undefined = undefined;
  #failed = false;
  /** One batch after the other, whatever the lanes do. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(config: Config, now: () => number) {
    this.#config = config;
    this.#now = now;
  }

  send(items: readonly Item[], signal: AbortSignal): Promise<undefined> {
    return this.#inTurn(async () => {
      if (signal.aborted) throw new SinkFailure("the disk does not answer in time", true);
      await this.#append(Buffer.from(items.map(({ parameters }) => `${parameters["line"]}\n`).join("")));
      return undefined;
    });
  }

  /** It can be opened; and once something could not be written, it can be written again. */
  check(): Promise<void> {
    return this.#inTurn(async () => {
      const current = await this.#opened();
      if (!this.#failed) return;
      await this.#write(current, PROBE);
      await current.handle.truncate(current.size);
      this.#failed = false;
    });
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(work).catch((error: unknown) => {
      throw failureOf(error);
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #append(lines: Buffer): Promise<void> {
    const { size, age } = this.#config.rotate;
    let current = await this.#opened();
    const isFull = current.size + lines.length > size || this.#now() - current.since >= age;
    if (isFull && current.size > 0) current = await this.#rotate(current);
    await this.#write(current, lines);
    current.size += lines.length;
  }

  async #write(current: Current, octets: Buffer): Promise<void> {
    try {
      await writeAll(current.handle, octets, current.size);
      await current.handle.sync();
    } catch (error) {
      this.#failed = true;
      // Half of a line must not stay: the batch comes again.
      await current.handle.truncate(current.size).catch(() => {});
      await this.#leave();
      throw error;
    }
  }

  async #opened(): Promise<Current> {
    const current = this.#current;
    if (current !== undefined && (await isStillThere(current, this.#config.path))) return current;
    await this.#leave();
    const { path } = this.#config;
    makeFolder(dirname(path), 0o777);
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT);
    const { size: length, birthtimeMs } = await handle.stat();
    const size = await wholeLines(handle, length);
    this.#current = { handle, size, since: size === 0 ? this.#now() : birthtimeMs };
    await syncFolderAside(dirname(path));
    return this.#current;
  }

  async #rotate({ handle }: Current): Promise<Current> {
    const { path, rotate } = this.#config;
    const full = await fullFiles(path);
    await handle.close();
    this.#current = undefined;
    await rename(path, `${path}.${(full.at(-1) ?? 0) + 1}`);
    const opened = await this.#opened();
    if (rotate.keep > 0)
      for (const number of full.slice(0, Math.max(0, full.length + 1 - rotate.keep)))
        await unlink(`${path}.${number}`).catch(() => {});
    return opened;
  }

  async #leave(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    await current?.handle.close().catch(() => {});
  }

  close(): Promise<void> {
    return this.#inTurn(() => this.#leave());
  }
}

async function writeAll(handle: FileHandle, octets: Buffer, from: number): Promise<void> {
  for (let done = 0; done < octets.length; ) {
    const { bytesWritten } = await handle.write(octets, done, octets.length - done, from + done);
    done += bytesWritten;
  }
}

/** Somebody may have moved or removed it. */
async function isStillThere({ handle }: Current, path: string): Promise<boolean> {
  const [ours, there] = await Promise.all([handle.stat(), stat(path).catch(() => undefined)]);
  return there !== undefined && there.ino === ours.ino && there.dev === ours.dev;
}

const TAIL = 64 * 1024;

/** Up to the last end of a line: what is behind it was being written when the process before ended. */
async function wholeLines(handle: FileHandle, length: number): Promise<number> {
  const buffer = Buffer.alloc(Math.min(TAIL, length));
  for (let end = length; end > 0; ) {
    const from = Math.max(0, end - TAIL);
    await handle.read(buffer, 0, end - from, from);
    const at = buffer.subarray(0, end - from).lastIndexOf(0x0a);
    if (at >= 0) {
      if (from + at + 1 < length) await handle.truncate(from + at + 1);
      return from + at + 1;
    }
    end = from;
  }
  if (length > 0) await handle.truncate(0);
  return 0;
}

/** Numbers of the full ones, the oldest first. */
async function fullFiles(path: string): Promise<number[]> {
  const name = `${basename(path)}.`;
  const names = await readdir(dirname(path));
  return names
    .filter((each) => each.startsWith(name) && /^\d{1,15}$/.test(each.slice(name.length)))
    .map((each) => Number(each.slice(name.length)))
    .sort((a, b) => a - b);
}

export const file: ConnectorKind<Config, ActionConfig> = {
  kind: "file",
  schema,
  action,
  open: (config, { now }) => new File(config, now),
  compile({ line }) {
    const template = new Template(line);
    return (output: Value) => ({ line: asText(template.fill(output)).replaceAll(/[\r\n]+/g, " ") });
  },
};
