import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LmdbEngine } from "#core/store/lmdb/engine.ts";

let folder: string;
let data: string;
let notes: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-folder-"));
  data = join(folder, "deep", "data");
  notes = [];
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
const modes = (): readonly string[] => [
  mode(data),
  ...readdirSync(data).map((name) => mode(join(data, name))),
];
const open = (): Promise<LmdbEngine> =>
  LmdbEngine.open({ folder: data, sync: true, sizeMax: 1e9, note: (sentence) => notes.push(sentence) });

describe("the data folder", () => {
  it("and all that is made in it is its owner's alone", async () => {
    const engine = await open();
    await engine.commit([{ table: "retained", key: "secret", value: () => 1 }]);
    expect(new Set(modes())).toEqual(new Set(["700", "600"]));
    await engine.close();
    expect(notes).toEqual([]);
  });

  it.runIf(existsSync("/proc/self"))("is refused where none can be made, as below /proc", async () => {
    data = "/proc/isthmus/data";
    await expect(open()).rejects.toMatchObject({
      code: "data-folder-unusable",
      message: "the data folder /proc/isthmus/data cannot be made (ENOENT); name another with --data",
    });
  });

  it("that lay open is closed, and that is said", async () => {
    await (await open()).close();
    chmodSync(data, 0o755);
    chmodSync(join(data, "isthmus.mdb"), 0o644);
    await (await open()).close();
    expect(new Set(modes())).toEqual(new Set(["700", "600"]));
    expect(notes).toEqual([
      `${data} could be read by others (0755); only its owner may now`,
      `${join(data, "isthmus.mdb")} could be read by others (0644); only its owner may now`,
    ]);
  });

  it("that holds other things, too, stays as it is: the store's files alone are closed", async () => {
    mkdirSync(data, { recursive: true, mode: 0o755 });
    chmodSync(data, 0o755);
    writeFileSync(join(data, "users.yaml"), "", { mode: 0o644 });
    await (await open()).close();
    chmodSync(join(data, "isthmus.mdb"), 0o644);
    await (await open()).close();
    expect([mode(data), mode(join(data, "users.yaml")), mode(join(data, "isthmus.mdb"))]).toEqual([
      "755",
      "644",
      "600",
    ]);
  });
});
