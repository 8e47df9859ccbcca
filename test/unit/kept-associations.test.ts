import { expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import type { Instant } from "#core/lib/time.ts";
import { MODULES } from "#core/modules.ts";
import { forgetStrangers } from "#core/secure-datagrams.ts";
import { GroupCommit } from "#core/store/group-commit.ts";
import { MemoryEngine } from "../support/memory-engine.ts";

/** A store that commits when it is told, with associations of three listeners. */
async function kept() {
  const due: (() => void)[] = [];
  const later = (run: () => void) => due.push(run);
  const store = new GroupCommit(new MemoryEngine(), {
    ...{ window: 2, patience: 0, retry: 1000, later, onFailure: () => {}, now: () => 0 as Instant },
  });
  const keys = async (): Promise<readonly unknown[]> => {
    await new Promise<void>((resolve) => {
      store.whenCommitted(() => resolve());
      for (let round = 0; round < 3; round++) for (const run of due.splice(0)) run();
    });
    return [...store.entries("association")].map(([key]) => key);
  };
  const all = ["coap:dtls 01", "coap:dtls2 02", "mqtt-sn:dtls 03"];
  for (const key of all) store.put("association", key, () => new Uint8Array(1));
  expect(await keys()).toEqual(all);
  return { store, keys };
}

const configured = (dtls: object) =>
  loadText(MODULES, JSON.stringify({ dtls: { keysFromAuthentication: true, ...dtls } })).config;

it("forgets the associations of DTLS listeners that are not configured any more, keys and all", async () => {
  const { store, keys } = await kept();
  expect(forgetStrangers({ store } as never, configured({}))).toBe(2);
  expect(await keys()).toEqual(["coap:dtls 01"]);
});

it("forgets all of them where nothing shall be kept", async () => {
  const { store, keys } = await kept();
  expect(forgetStrangers({ store } as never, configured({ keep: false }))).toBe(3);
  expect(await keys()).toEqual([]);
});
