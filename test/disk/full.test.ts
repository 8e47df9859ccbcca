/** A real process on real small file systems that it fills itself, is drained, stopped and started. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, type TestContext } from "vitest";
import { PersistentClient } from "../support/store-mqtt.ts";
import { StoreSite, until } from "../support/store-process.ts";
import * as refusals from "./refusals.ts";

const SIZE = 8 << 20;
const FILLER = 3 << 19;
/** Bytes under way: what a full disk has refused is tried again as a whole, and has to find room when room is made. */
const IN_FLIGHT = 1 << 19;
const IN_FLIGHT_MAX = 100;
/** Events are waited for, however slow the machine is. */
const LONG = 240_000;

const run = (program: string, ...args: string[]): void =>
  void execFileSync(program, args, { stdio: "ignore" });

/** Mounts one; it goes with the test. */
const FILE_SYSTEMS: Readonly<Record<string, (folder: string) => void>> = {
  tmpfs: (folder) => run("mount", "-t", "tmpfs", "-o", `size=${SIZE}`, "tmpfs", folder),
  ext4(folder) {
    const image = `${folder}.img`;
    writeFileSync(image, Buffer.alloc(SIZE));
    run("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", image);
    run("mount", "-o", "loop", image, folder);
  },
};
/** Those that can be made here: `test/disk.mjs` has tried. */
const AVAILABLE = (process.env["FILE_SYSTEMS"] ?? Object.keys(FILE_SYSTEMS).join(" ")).split(" ");

function mounted(context: TestContext, kind: string): string {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-full-"));
  context.onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
    rmSync(`${folder}.img`, { force: true });
  });
  FILE_SYSTEMS[kind]!(folder);
  context.onTestFinished(() => run("umount", "-l", folder));
  return folder;
}

const status = async (site: StoreSite): Promise<number> =>
  (await fetch(`http://127.0.0.1:${site.ports.api}/ready`)).status;

/** Publishes until it is refused; resolves to what was acknowledged. */
async function fill(
  publisher: PersistentClient,
  size: number,
  payloadOf: (count: number) => string,
): Promise<string[]> {
  const accepted: string[] = [];
  const { refused } = publisher;
  let count = 0;
  const publish = async (): Promise<void> => {
    while (refused.length === 0) {
      const payload = payloadOf(count++);
      const taken = publisher.publish("keep", payload, 1).then(() => accepted.push(payload));
      // What was under way when the first one was refused may be refused, too.
      await Promise.race([taken, publisher.whenRefused]);
    }
  };
  for (let left = Math.min(IN_FLIGHT_MAX, IN_FLIGHT / size); left > 0; left--) void publish();
  await until(() => refused.length > 0, "nothing is refused", LONG);
  await until(() => publisher.unanswered === 0, "neither taken nor refused", LONG);
  return accepted;
}

/** Until it is taken: a client whose publish was refused publishes again. */
async function insist(publisher: PersistentClient, payload: string): Promise<void> {
  for (let taken = false; !taken; ) {
    const before = publisher.refused.length;
    void publisher.publish("keep", payload, 1).then(() => {
      taken = true;
    });
    await until(() => taken || publisher.refused.length > before, "neither taken nor refused", LONG);
  }
}

function missing(accepted: readonly string[], reader: PersistentClient): number {
  // Looked at when there is something to look for: the lists are long.
  if (reader.heard.length < accepted.length) return accepted.length - reader.heard.length;
  const heard = new Set(reader.heard);
  return accepted.filter((payload) => !heard.has(payload)).length;
}

const cases = AVAILABLE.flatMap((fileSystem) =>
  ["lmdb", "log"].flatMap((engine) => [1000, 60_000].map((size) => [fileSystem, engine, size] as const)),
);

describe.concurrent("a store that has filled its disk", () => {
  it.for(cases)(
    "on %s, of the kind %s, with messages of %i bytes, loses nothing, and recovers",
    { timeout: 2 * LONG },
    async ([fileSystem, engine, size], context) => {
      const disk = mounted(context, fileSystem);
      const site = await StoreSite.create({ engine }, join(disk, "data"));
      context.onTestFinished(() => site.close());
      site.configure({ session: { queue: { messages: 1_000_000, bytes: "1GB" } } });
      const filler = join(disk, "filler");
      writeFileSync(filler, Buffer.alloc(FILLER));
      let process = await site.start();
      const connect = (id: string, subscriptions: readonly string[] = []): PersistentClient => {
        const client = new PersistentClient(site.ports.mqtt, id, subscriptions);
        context.onTestFinished(() => client.end());
        return client;
      };
      const durable = connect("durable", ["keep"]);
      await durable.subscribed();
      durable.end();
      await until(() => !durable.connected, "it does not leave", LONG);

      const accepted = await fill(connect("one"), size, (count) => `${count}-${"x".repeat(size)}`);
      expect(accepted.length).toBeGreaterThan(20);
      expect(await status(site)).toBe(503);
      expect(await refusals.mqtt3(site.ports.mqtt, "keep")).toBe("connack");
      expect(await refusals.coap(site.ports.coap, "ps/keep")).toBe("5.03");
      expect(await refusals.stomp(site.ports.stomp, "keep")).toBe("ERROR");
      // A disk that stays full: stopped or killed, and everything is there.
      const [signal, code] = size > 1000 ? (["SIGTERM", 0] as const) : (["SIGKILL", null] as const);
      expect(await process.kill(signal)).toMatchObject({ code });
      process = await site.start();

      // Drained, with the disk as full as it was.
      const reader = connect("durable");
      await until(() => missing(accepted, reader) === 0, "lost", LONG);
      await until(async () => (await status(site)) === 200, "it does not recover by draining", LONG);
      const two = connect("two");
      for (let count = 0; count < 10; count++) await insist(two, `after-${count}`);
      await until(() => reader.heard.includes("after-9"), "it does not deliver again", LONG);
      reader.end();
      await until(() => !reader.connected, "it does not leave", LONG);

      expect(await process.kill("SIGTERM")).toMatchObject({ code: 0, signal: null });
      expect(await site.store("compact")).toMatchObject({ code: 0, errors: "" });
      process = await site.start();

      // Full once more, and then others free room.
      const again = await fill(connect("three"), size, (count) => `again-${count}-${"y".repeat(size)}`);
      expect(again.length).toBeGreaterThan(20);
      rmSync(filler);
      await until(async () => (await status(site)) === 200, "it does not recover by room", LONG);
      await insist(two, "room");
      expect(await process.kill("SIGTERM")).toMatchObject({ code: 0, signal: null });
      expect(await site.store("check")).toMatchObject({ code: 0 });
      await site.start();
      const last = connect("durable");
      await until(() => missing([...again, "room"], last) === 0, "lost", LONG);
    },
  );
});
