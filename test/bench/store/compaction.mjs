/** How long others wait while a store makes room: retained values are written over and over, so that most of what it has written counts no more. */
import { startWatched } from "../lib/isthmus.mjs";
import { LOAD_CORE, startWorker } from "../lib/processes.mjs";
import { markdownTable, number, perSecond } from "../lib/table.mjs";

const TOPICS = 5_000;
const SIZE = 1_000;
const IN_FLIGHT = 10;
const SECONDS = 20;
const QUICK_SECONDS = 5;
/** Until the log is as long as it gets, and is cleaned with each commit. */
const WARMUP = 5;

const STORES = {
  LMDB: ["store.engine=lmdb"],
  log: ["store.engine=log"],
  "log, `sync: false`": ["store.engine=log", "store.sync=false"],
};

/**
 * @param {(port: number) => string[]} settingsOf   of a gateway whose MQTT port is this one
 * @param {() => Promise<number>} freePort
 * @param {(folder: string) => number} bytesIn
 * @param {boolean} quick
 */
export async function compactionTable(settingsOf, freePort, bytesIn, quick) {
  const rows = [];
  for (const [label, store] of Object.entries(STORES)) {
    const port = await freePort();
    const gateway = await startWatched({ set: [...settingsOf(port), ...store] });
    const load = await startWorker(new URL("./load.mjs", import.meta.url), { core: LOAD_CORE });
    try {
      const how = { port, window: IN_FLIGHT, size: SIZE, retained: TOPICS };
      await load.call("retained", { ...how, seconds: WARMUP });
      await gateway.call("watch");
      const found = await load.call("retained", { ...how, seconds: quick ? QUICK_SECONDS : SECONDS });
      const late = await gateway.call("watched");
      console.error(`compaction, ${label}: ${JSON.stringify({ ...found, ...late })}`);
      rows.push([
        label,
        perSecond(found.rate),
        ...[number(found.p50), number(found.p99), number(found.most)],
        ...[number(late.p99), number(late.most)],
        ...[number((found.acked * SIZE) / 1e6), number(bytesIn(gateway.folder) / 1e6)],
      ]);
    } finally {
      await load.stop();
      await gateway.stop();
    }
  }
  const what = `${TOPICS.toLocaleString("en")} retained values of ${SIZE.toLocaleString("en")} bytes, written over and over, ${IN_FLIGHT} in flight`;
  const head = [
    what,
    ...["messages/s", "PUBACK p50, ms", "p99", "longest", "loop late p99, ms", "longest"],
    ...["MB of payload written", "MB on disk"],
  ];
  return markdownTable(head, rows);
}
