/** A real process on real small file systems that it fills itself, is drained, stopped and started. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, type TestContext } from "vitest";
import { PersistentClient } from "../support/store-mqtt.ts";
import { StoreSite, until } from "../support/store-process.ts";

const SIZE = 16 << 20;
const FILLER = 3 << 20;
const IN_FLIGHT = 20;

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
async function fill(publisher: PersistentClient, payloadOf: (count: number) => string): Promise<string[]> {
  const accepted: string[] = [];
  let flying = 0;
  for (let count = 0; publisher.refused.length === 0 && count < 200_000; count++) {
    const payload = payloadOf(count);
    flying++;
    void publisher.publish("keep", payload, 1).then(() => {
      accepted.push(payload);
      flying--;
    });
    await until(
      () => flying < IN_FLIGHT || publisher.refused.length > 0,
      "neither taken nor refused",
      30_000,
    );
  }
  return accepted;
}

function missing(accepted: readonly string[], reader: PersistentClient): number {
  // Looked at when there is something to look for: the lists are long.
  if (reader.heard.length < accepted.length) return accepted.length - reader.heard.length;
  const heard = new Set(reader.heard);
  return accepted.filter((payload) => !heard.has(payload)).length;
}

const cases = Object.keys(FILE_SYSTEMS).flatMap((fileSystem) =>
  ["lmdb", "log"].flatMap((engine) => [300, 60_000].map((size) => [fileSystem, engine, size] as const)),
);

describe("a store that has filled its disk", () => {
  it.for(cases)(
    "on %s, of the kind %s, with messages of %i bytes, loses nothing, and recovers",
    {
      timeout: 300_000,
    },
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
      await until(() => !durable.connected, "it does not leave");

      const accepted = await fill(connect("one"), (count) => `${count}-${"x".repeat(size)}`);
      expect(accepted.length).toBeGreaterThan(20);
      expect(await status(site)).toBe(503);
      // A disk that stays full: stopped and killed, and everything is there.
      expect(await process.kill("SIGTERM")).toMatchObject({ code: 0, signal: null });
      expect(await site.store("check")).toMatchObject({ code: 0 });
      process = await site.start();
      await process.kill("SIGKILL");
      process = await site.start();

      // Drained, with the disk as full as it was.
      const reader = connect("durable");
      await until(() => missing(accepted, reader) === 0, "lost", 60_000);
      await until(async () => (await status(site)) === 200, "it does not recover by draining", 30_000);
      const two = connect("two");
      for (let count = 0; count < 10; count++) await two.publish("keep", `after-${count}`, 1);
      await until(() => reader.heard.includes("after-9"), "it does not deliver again", 20_000);
      reader.end();
      await until(() => !reader.connected, "it does not leave");

      expect(await process.kill("SIGTERM")).toMatchObject({ code: 0, signal: null });
      expect(await site.store("compact")).toMatchObject({ code: 0, errors: "" });
      process = await site.start();

      // Full once more, and then others free room.
      const again = await fill(connect("three"), (count) => `again-${count}-${"y".repeat(size)}`);
      expect(again.length).toBeGreaterThan(20);
      rmSync(filler);
      await until(async () => (await status(site)) === 200, "it does not recover by room", 30_000);
      await two.publish("keep", "room", 1);
      expect(await process.kill("SIGTERM")).toMatchObject({ code: 0, signal: null });
      expect(await site.store("check")).toMatchObject({ code: 0 });
      await site.start();
      const last = connect("durable");
      await until(() => missing([...again, "room"], last) === 0, "lost", 60_000);
    },
  );
});
