import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LmdbEngine } from "#core/store/lmdb/engine.ts";
import { MemoryEngine } from "#core/store/memory-engine.ts";
import { storeContract } from "./store.ts";

storeContract("memory", () => {
  const engine = new MemoryEngine();
  return { open: () => Promise.resolve(engine), dispose: () => {} };
});

storeContract("embedded", () => {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-contract-"));
  return {
    open: () => LmdbEngine.open({ folder, sync: true, sizeMax: 1e9 }),
    dispose: () => rmSync(folder, { recursive: true }),
  };
});
