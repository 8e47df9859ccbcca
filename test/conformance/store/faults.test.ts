import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, type TestContext } from "vitest";
import { LmdbEngine } from "#core/store/lmdb/engine.ts";
import { PersistentClient } from "../../support/store-mqtt.ts";
import { StoreSite, until } from "../../support/store-process.ts";

const TIMEOUT = { timeout: 60_000 };

/** What one test has started: all of them run at the same time. */
class Stage {
  readonly #context: TestContext;

  constructor(context: TestContext) {
    this.#context = context;
  }

  async site(store: Readonly<Record<string, unknown>> = {}, data?: string): Promise<StoreSite> {
    const site = await StoreSite.create(store, data);
    this.cleanUp(() => site.close());
    return site;
  }

  connect(site: StoreSite, id: string, subscriptions: readonly string[] = []): PersistentClient {
    const client = new PersistentClient(site.ports.mqtt, id, subscriptions);
    this.cleanUp(() => client.end());
    return client;
  }

  /** The last one first. */
  cleanUp(clean: () => void): void {
    this.#context.onTestFinished(clean);
  }

  /** A file system of this many bytes, where the system lets us make one. */
  smallDisk(bytes: number): string | undefined {
    const folder = mkdtempSync(join(tmpdir(), "isthmus-disk-"));
    this.cleanUp(() => rmSync(folder, { recursive: true, force: true }));
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder], { stdio: "ignore" });
    } catch {
      return undefined;
    }
    this.cleanUp(() => execFileSync("umount", ["-l", folder]));
    return folder;
  }
}

const ready = async (site: StoreSite): Promise<number> =>
  (await fetch(`http://127.0.0.1:${site.ports.api}/ready`)).status;

/** The store as a gateway opens it; a new one where there is none. */
const open = (site: StoreSite): Promise<LmdbEngine> =>
  LmdbEngine.open({ folder: site.data, sync: true, sizeMax: 1e9 });

/** An error for an operator: one line with a code, exit code 1, no stack. */
async function refusesToStart(site: StoreSite, error: RegExp): Promise<void> {
  const { code, signal, errors } = await site.spawn().ended;
  expect({ code, signal }).toEqual({ code: 1, signal: null });
  expect(errors).toMatch(error);
  expect(errors.trim().split("\n")).toHaveLength(1);
}

describe.concurrent("the data folder", () => {
  it("is one gateway's at a time, and says whose not", TIMEOUT, async (context) => {
    const site = await new Stage(context).site();
    const process = await site.start();
    const [check] = await Promise.all([
      site.store("check"),
      refusesToStart(site, /^isthmus: store-in-use: another process uses the data folder/),
    ]);
    expect(check).toMatchObject({ code: 1, output: "" });
    expect(check.errors).toContain("store-in-use");
    // A process that was killed holds nothing.
    await process.kill("SIGKILL");
    await (await open(site)).close();
  });

  it("that cannot be a folder is an error with a fix", TIMEOUT, async (context) => {
    const stage = new Stage(context);
    const file = join(tmpdir(), `isthmus-no-folder-${process.pid}`);
    writeFileSync(file, "");
    stage.cleanUp(() => rmSync(file));
    const site = await stage.site({}, join(file, "data"));
    await refusesToStart(site, /^isthmus: (data-folder-unusable|store-failed): .*data/);
  });

  it("on a read-only file system is an error that says so", TIMEOUT, async (context) => {
    const stage = new Stage(context);
    const disk = stage.smallDisk(1 << 20);
    // Where none can be made, the kernel's own read-only tree stands in for it.
    if (disk !== undefined) execFileSync("mount", ["-o", "remount,ro", disk]);
    const site = await stage.site({}, join(disk ?? "/sys/kernel", "isthmus", "data"));
    await refusesToStart(
      site,
      disk === undefined ? /^isthmus: data-folder-unusable/ : /^isthmus: data-folder-unusable: .*\(EROFS\)/,
    );
  });

  it("on a disk that is full from the beginning is an error with a fix", TIMEOUT, async (context) => {
    const stage = new Stage(context);
    const disk = stage.smallDisk(64 << 10);
    if (disk === undefined) {
      context.skip("no file system can be made here");
      return;
    }
    writeFileSync(join(disk, "filler"), Buffer.alloc(32 << 10));
    const site = await stage.site({}, join(disk, "data"));
    await refusesToStart(site, /^isthmus: disk-full: no space left for .*data; free some, or name another/);
  });

  it("holds any topic that MQTT allows: the gateway starts again, and has it", TIMEOUT, async (context) => {
    const stage = new Stage(context);
    const site = await stage.site();
    const process = await site.start();
    const subscriber = stage.connect(site, "s", [`secret/data\u0001${"a".repeat(60)}`]);
    await subscriber.subscribed();
    const publisher = stage.connect(site, "p");
    await publisher.publish(`\u0001\u000c${"a".repeat(70)}`, "odd", 1, true);
    await publisher.publish("secret/data", "a secret", 1);
    await process.kill("SIGKILL");
    expect((await site.store("check")).output).toContain("all in order");
    await site.start();
    await publisher.publish("secret/data", "a secret", 1);
    await publisher.publish(`secret/data\u0001${"a".repeat(60)}`, "asked for", 1);
    const reader = stage.connect(site, "r", ["#"]);
    await until(() => reader.heard.includes("odd"), "what is retained does not come");
    await until(() => subscriber.heard.length > 0, "the subscription is lost");
    expect(subscriber.heard).toEqual(["asked for"]);
  });

  it("that cannot be written is an error with a fix, and so is a file in it", TIMEOUT, async (context) => {
    const stage = new Stage(context);
    const [folder, file] = [await stage.site(), await stage.site()];
    mkdirSync(folder.data, { mode: 0o555 });
    await (await open(file)).close();
    const path = join(file.data, "isthmus.mdb");
    const before = readFileSync(path);
    chmodSync(path, 0o444);
    folder.withoutPrivileges();
    file.withoutPrivileges();
    const unusable =
      /^isthmus: data-folder-unusable: .*data cannot be written \(EACCES\); change its owner, or/;
    await Promise.all([refusesToStart(folder, unusable), refusesToStart(file, unusable)]);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it("with a file that is not ours, or is damaged, is an error and left alone", TIMEOUT, async (context) => {
    const stage = new Stage(context);
    const spoilt = async (spoil: (path: string) => void, error: RegExp): Promise<void> => {
      const site = await stage.site();
      const path = join(site.data, "isthmus.mdb");
      await (await open(site)).close();
      spoil(path);
      const bytes = readFileSync(path);
      await refusesToStart(site, error);
      expect(readFileSync(path).equals(bytes)).toBe(true);
    };
    const garbage = Buffer.from("this is no database".repeat(1000));
    await Promise.all([
      spoilt((path) => writeFileSync(path, garbage), /^isthmus: store-failed: .* is no store, or damaged\./),
      spoilt((path) => truncateSync(path, 12_288), /^isthmus: store-failed: .* is cut off: 12288 bytes of/),
      spoilt(
        (path) =>
          writeFileSync(path, Buffer.concat([readFileSync(path).subarray(0, 8192), garbage, garbage])),
        /^isthmus: store-failed: .* is damaged: page \d+\./,
      ),
    ]);
  });

  it("is exported, imported, checked and compacted from the command line", TIMEOUT, async (context) => {
    const stage = new Stage(context);
    const site = await stage.site();
    const process = await site.start();
    const subscriber = stage.connect(site, "s", ["t"]);
    await subscriber.subscribed();
    subscriber.end();
    const publisher = stage.connect(site, "p");
    for (let count = 0; count < 20; count++) await publisher.publish("t", `m${count}`, 2);
    await process.kill("SIGTERM");
    const file = join(site.folder, "export.jsonl");
    const exported = await site.store("export", file);
    expect(exported).toMatchObject({ code: 0 });

    const other = await stage.site();
    const imported = await other.store("import", file);
    expect(imported.output.split(" ")[0]).toBe(exported.output.split(" ")[0]);
    expect((await other.store("compact")).output).toContain("now");
    expect(await other.store("check")).toMatchObject({
      code: 0,
      output: expect.stringContaining("all in order"),
    });
    await other.start();
    const again = stage.connect(other, "s");
    await until(() => again.heard.length >= 20, "what was exported does not come");
    expect(again.heard).toEqual(Array.from({ length: 20 }, (_, count) => `m${count}`));
  });
});

/** Fills the store until a publish is refused; then what needs no store goes on, and room lets the rest go on. */
async function fillAndRecover(stage: Stage, site: StoreSite, makeRoom: (pid: number) => void): Promise<void> {
  const { pid } = await site.start();
  const durable = stage.connect(site, "durable", ["keep"]);
  await durable.subscribed();
  durable.end();
  await until(() => !durable.connected, "it does not leave");
  const publisher = stage.connect(site, "publisher");
  const accepted: string[] = [];
  for (let count = 0; publisher.refused.length === 0 && count < 2000; count++) {
    const payload = `${count}-${"x".repeat(60_000)}`;
    const published = publisher.publish("keep", payload, 1).then(() => accepted.push(payload));
    await Promise.race([published, until(() => publisher.refused.length > 0, "neither taken nor refused")]);
  }
  // Implementation specific error (MQTT 5 §3.4.2.1): among the codes of PUBACK none says it better.
  expect(publisher.refused[0]?.slice(-5)).toBe(" 0x83");
  expect(accepted.length).toBeGreaterThan(10);
  expect(await ready(site)).toBe(503);
  const witness = stage.connect(site, "witness");
  await publisher.publish("nobody/keeps/this", "goes on", 1);
  await until(() => witness.connected, "no client gets in");

  makeRoom(pid);
  const reader = stage.connect(site, "durable");
  await until(
    () => accepted.every((payload) => reader.heard.includes(payload)),
    "lost what was accepted",
    15_000,
  );
  await until(async () => (await ready(site)) === 200, "it does not recover", 15_000);
  await publisher.publish("keep", "after", 1);
  await until(() => reader.heard.includes("after"), "it does not deliver again");
}

describe.concurrent("no room", () => {
  const unbounded = { session: { queue: { messages: 100_000, bytes: "1GB" } } };

  it("under store.sizeMax refuses what must be kept, and nothing else", TIMEOUT, async (context) => {
    const stage = new Stage(context);
    const site = await stage.site({ sizeMax: "16MB" });
    site.configure(unbounded);
    await fillAndRecover(stage, site, () => {});
  });

  it("under a limit of the process refuses what must be kept, and nothing else", TIMEOUT, async (context) => {
    const stage = new Stage(context);
    const site = await stage.site();
    site.configure(unbounded);
    site.limitFileSize(6 << 20);
    await fillAndRecover(stage, site, (pid) => site.raiseFileSize(pid));
  });

  it("on the disk refuses what must be kept, and nothing else", TIMEOUT, async (context) => {
    const stage = new Stage(context);
    const disk = stage.smallDisk(8 << 20);
    const site = await stage.site({}, disk);
    site.configure(unbounded);
    const filler = disk === undefined ? undefined : join(disk, "filler");
    // Where no file system can be made, a limit of the process stands in for it.
    if (filler === undefined) site.limitFileSize(8 << 20);
    else writeFileSync(filler, Buffer.alloc(2 << 20));
    await fillAndRecover(stage, site, (pid) => {
      if (filler === undefined) site.raiseFileSize(pid);
      else rmSync(filler);
    });
  });
});
