import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { PersistentClient } from "../../support/store-mqtt.ts";
import { StoreSite, until } from "../../support/store-process.ts";

const sites: StoreSite[] = [];
const clients: PersistentClient[] = [];
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.end();
  for (const site of sites.splice(0)) site.close();
  for (const clean of cleanups.splice(0)) clean();
});

async function create(store: Readonly<Record<string, unknown>> = {}, data?: string): Promise<StoreSite> {
  const site = await StoreSite.create(store, data);
  sites.push(site);
  return site;
}

function connect(site: StoreSite, id: string, subscriptions: readonly string[] = []): PersistentClient {
  const client = new PersistentClient(site.ports.mqtt, id, subscriptions);
  clients.push(client);
  return client;
}

const ready = async (site: StoreSite): Promise<number> =>
  (await fetch(`http://127.0.0.1:${site.ports.api}/ready`)).status;

/** A file system of this many bytes, where the system lets us make one. */
function smallDisk(bytes: number): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-disk-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  cleanups.unshift(() => execFileSync("umount", ["-l", folder]));
  return folder;
}

describe("the data folder", () => {
  it("is one gateway's at a time, and says whose not", { timeout: 40_000 }, async () => {
    const site = await create();
    const process = await site.start();
    const second = await site.spawn().ended;
    expect(second).toMatchObject({ code: 1 });
    expect(second.errors).toContain("store-in-use: another process uses the data folder");
    const check = await site.store("check");
    expect(check).toMatchObject({ code: 1, output: "" });
    expect(check.errors).toContain("store-in-use");
    // A process that was killed holds nothing.
    await process.kill("SIGKILL");
    expect((await site.store("check")).output).toContain("all in order");
  });

  it("that cannot be a folder is an error with a fix", { timeout: 20_000 }, async () => {
    const file = join(tmpdir(), `isthmus-no-folder-${Date.now()}`);
    writeFileSync(file, "");
    cleanups.push(() => rmSync(file));
    const ended = await (await create({}, join(file, "data"))).spawn().ended;
    expect(ended.code).toBe(1);
    expect(ended.errors).toMatch(/^isthmus: (data-folder-unusable|store-failed): .*data/);
    expect(ended.errors.trim().split("\n")).toHaveLength(1);
  });

  it("with a file that is not ours, or is cut off, is an error and left alone", {
    timeout: 40_000,
  }, async () => {
    const garbage = await create();
    const path = join(garbage.data, "isthmus.mdb");
    mkdirSync(garbage.data);
    const bytes = Buffer.from("this is no database".repeat(1000));
    writeFileSync(path, bytes);
    const first = await garbage.spawn().ended;
    expect(first).toMatchObject({ code: 1 });
    expect(first.errors).toContain("store-failed");
    expect(readFileSync(path).equals(bytes)).toBe(true);

    const torn = await create();
    expect((await torn.store("stats")).code).toBe(0);
    truncateSync(join(torn.data, "isthmus.mdb"), 12_288);
    const second = await torn.spawn().ended;
    expect(second).toMatchObject({ code: 1, signal: null });
    expect(second.errors).toContain("is cut off");
  });

  it("is exported, imported, checked and compacted from the command line", { timeout: 60_000 }, async () => {
    const site = await create();
    const process = await site.start();
    const subscriber = connect(site, "s", ["t"]);
    await subscriber.subscribed();
    subscriber.end();
    const publisher = connect(site, "p");
    for (let count = 0; count < 20; count++) await publisher.publish("t", `m${count}`, 2);
    await process.kill("SIGTERM");
    const file = join(site.folder, "export.jsonl");
    const exported = await site.store("export", file);
    expect(exported).toMatchObject({ code: 0 });
    expect((await site.store("import", file)).errors).toContain("store-not-empty");

    const other = await create();
    const imported = await other.store("import", file);
    expect(imported.output.split(" ")[0]).toBe(exported.output.split(" ")[0]);
    expect((await other.store("compact")).output).toContain("now");
    expect(await other.store("check")).toMatchObject({
      code: 0,
      output: expect.stringContaining("all in order"),
    });
    await other.start();
    const again = connect(other, "s");
    await until(() => again.heard.length >= 20, "what was exported does not come");
    expect(again.heard).toEqual(Array.from({ length: 20 }, (_, count) => `m${count}`));
  });
});

/** Fills the store until a publish is refused; then what needs no store goes on, and room lets the rest go on. */
async function fillAndRecover(site: StoreSite, makeRoom: (site: StoreSite) => void): Promise<void> {
  await site.start();
  const durable = connect(site, "durable", ["keep"]);
  await durable.subscribed();
  durable.end();
  await until(() => !durable.connected, "it does not leave");
  const publisher = connect(site, "publisher");
  const accepted: string[] = [];
  for (let count = 0; publisher.refused.length === 0 && count < 2000; count++) {
    const payload = `${count}-${"x".repeat(60_000)}`;
    const published = publisher.publish("keep", payload, 1).then(() => accepted.push(payload));
    await Promise.race([published, until(() => publisher.refused.length > 0, "neither taken nor refused")]);
  }
  // Implementation specific error (MQTT 5 §3.4.2.1): among the codes of PUBACK none says it better.
  expect(publisher.refused[0]?.slice(-5)).toBe(" 0x83");
  expect(await ready(site)).toBe(503);
  const witness = connect(site, "witness");
  await publisher.publish("nobody/keeps/this", "goes on", 1);
  await until(() => witness.connected, "no client gets in");

  makeRoom(site);
  const reader = connect(site, "durable");
  await until(
    () => accepted.every((payload) => reader.heard.includes(payload)),
    "lost what was accepted",
    15_000,
  );
  await until(async () => (await ready(site)) === 200, "it does not recover", 15_000);
  await publisher.publish("keep", "after", 1);
  await until(() => reader.heard.includes("after"), "it does not deliver again");
}

describe("no room", () => {
  const unbounded = { messages: 100_000, bytes: "1GB" };

  it("under store.sizeMax refuses what must be kept, and nothing else", { timeout: 60_000 }, async () => {
    const site = await create({ sizeMax: "16MB" });
    site.configure({ session: { queue: unbounded } });
    await fillAndRecover(site, () => {});
  });

  it("on the disk refuses what must be kept, and nothing else", { timeout: 60_000 }, async () => {
    const disk = smallDisk(8 << 20);
    // Where no file system can be made, a limit of the process stands in for it.
    const site = await create({}, disk);
    site.configure({ session: { queue: unbounded } });
    const filler = disk === undefined ? undefined : join(disk, "filler");
    if (filler === undefined) site.limitFileSize(8 << 20);
    else writeFileSync(filler, Buffer.alloc(2 << 20));
    await fillAndRecover(site, () => {
      if (filler !== undefined) rmSync(filler);
    });
  });
});
