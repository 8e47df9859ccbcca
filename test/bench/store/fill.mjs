/** Makes a data folder as a gateway with many retained messages and sessions leaves it, without publishing them all. */
import { Message } from "../../../dist/src/bus/message.js";
import { DurableState } from "../../../dist/src/session/durable-state.js";
import { openStore } from "../../../dist/src/store/open.js";
import { World } from "../../../dist/src/testing/world.js";
import { serve } from "../lib/serve.mjs";

/** Records written between two commits. */
const BATCH = 20_000;
/** A client that only makes its session. */
const GONE_SOON = /** @type {any} */ ({ evict() {}, deliver() {}, flush() {}, held: true });
const EXPIRY = /** @type {any} */ (30 * 86_400_000);

/**
 * @param {{engine?: "embedded" | "lmdb" | "log", folder: string, retained: number, sessions: number, queued: number}} how   `queued`: messages a session
 * @returns {Promise<{records: number, bytes: number}>}
 */
async function fill({ engine = "embedded", folder, retained, sessions: count, queued }) {
  const options = { engine, folder, commitWindow: /** @type {any} */ (0), sync: false, sizeMax: 1e12 };
  const opened = await openStore(options, {
    failure(failure) {
      if (failure !== undefined) throw failure;
    },
    damaged: () => {},
    note: () => {},
  });
  const now = /** @type {any} */ (Date.now());
  const state = new DurableState(opened.store, { now: () => now });
  const { gate, sessions } = new World({
    ...{ start: now, journal: state, sessions: 1e9, unproven: 1e9 },
    bus: { retained: { messages: 1e9, payloadSize: 1e6, bytes: 1e12 } },
  });
  const committed = () =>
    new Promise((resolve, reject) =>
      opened.store.whenCommitted((failure) => (failure === undefined ? resolve(undefined) : reject(failure))),
    );
  const payload = Buffer.from('{"temperature":21.53,"at":1700000000}');
  const publish = (/** @type {string} */ topic, /** @type {boolean} */ retain) =>
    gate.publish(new Message(topic, Uint8Array.from(payload), 1, retain, now), undefined, "system");
  for (let n = 0; n < retained; n++) {
    publish(`site/${n % 10}/room/${Math.floor(n / 10) % 1000}/device/${n}/temperature`, true);
    if (n % BATCH === BATCH - 1) await committed();
  }
  for (let n = 0; n < count; n++) {
    const clientId = `device-${n}`;
    const opening = { gateway: "mqtt", clientId, proven: undefined, cleanStart: false, expiry: EXPIRY };
    const opened = sessions.open(opening);
    if (typeof opened === "string") throw new Error(`no session: ${opened}`);
    const { session } = opened;
    session.username = `user-${n % 100}`;
    sessions.occupy(session, GONE_SOON, 0);
    sessions.subscribe(session, `command/device-${n}/#`, /** @type {any} */ ({ qos: 1 }));
    sessions.leave(session, "lost", now);
    for (let each = 0; each < queued; each++) publish(`command/device-${n}/set`, false);
    if (n % 5000 === 4999) await committed();
  }
  await committed();
  const bytes = opened.size();
  await opened.store.close();
  return { records: retained + count * (2 + queued), bytes };
}

serve({ fill });
