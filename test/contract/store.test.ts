import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Engine } from "#core/store/engine.ts";
import { LmdbEngine } from "#core/store/lmdb/engine.ts";
import { LogEngine } from "#core/store/log/engine.ts";
import { MemoryEngine } from "../support/memory-engine.ts";
import { storeContract } from "./store.ts";

storeContract("memory", () => {
  const engine = new MemoryEngine();
  return { open: () => Promise.resolve(engine), dispose: () => {} };
});

const onDisk = (name: string, open: (folder: string) => Promise<Engine>) =>
  storeContract(name, () => {
    const folder = mkdtempSync(join(tmpdir(), "isthmus-contract-"));
    return { open: () => open(folder), dispose: () => rmSync(folder, { recursive: true }) };
  });

onDisk("LMDB", (folder) => LmdbEngine.open({ folder, sync: true, sizeMax: 1e9 }));
onDisk("log", (folder) => LogEngine.open({ folder, sync: true, sizeMax: 1e9 }));
