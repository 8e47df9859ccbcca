/** Makes a data folder as a gateway with many retained messages and sessions leaves it, without publishing them all. */
import { EmbeddedBus } from "../../../dist/src/bus/embedded.js";
import { Message } from "../../../dist/src/bus/message.js";
import { Deadlines } from "../../../dist/src/drive/deadlines.js";
import { newSessionCounters } from "../../../dist/src/session/counters.js";
import { DurableState } from "../../../dist/src/session/durable-state.js";
import { Sessions } from "../../../dist/src/session/sessions.js";
import { openStore } from "../../../dist/src/store/open.js";
import { serve } from "../lib/serve.mjs";

/** Records written between two commits. */
const BATCH = 20_000;
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
  const clock = { now: () => now };
  const alarms = new Deadlines(now);
  const state = new DurableState(opened.store, clock);
  const limits = { retained: { messages: 1e9, payloadSize: 1e6, bytes: 1e12 }, delayed: { messages: 1 } };
  const routing = {
    shareStrategy: /** @type {const} */ ("round_robin"),
    shareStrategies: {},
    routeCache: 10,
  };
  const bus = new EmbeddedBus({ ...limits, ...routing }, clock, alarms, Math.random, state);
  const queue = { messages: 1000, bytes: 1e6, drop: /** @type {const} */ ("oldest") };
  const context = {
    options: { queue, queueQos0: true, inboundMax: 10, failuresMax: 3 },
    ...{ clock, counters: newSessionCounters(/** @type {any} */ (() => ({ value: 0 }))), journal: state },
  };
  const sessions = new Sessions(bus, alarms, /** @type {any} */ (context), {
    ...{ expiryMax: EXPIRY, sessions: 1e9, replayMax: 0 },
  });
  const committed = () =>
    new Promise((resolve, reject) =>
      opened.store.whenCommitted((failure) => (failure === undefined ? resolve(undefined) : reject(failure))),
    );
  const payload = Buffer.from('{"temperature":21.53,"at":1700000000}');
  const publish = (/** @type {string} */ topic, /** @type {boolean} */ retain) =>
    bus.publish(new Message(topic, Uint8Array.from(payload), 1, retain, now), undefined);
  for (let n = 0; n < retained; n++) {
    publish(`site/${n % 10}/room/${Math.floor(n / 10) % 1000}/device/${n}/temperature`, true);
    if (n % BATCH === BATCH - 1) await committed();
  }
  for (let n = 0; n < count; n++) {
    const session = sessions.open("mqtt", `device-${n}`, false, EXPIRY)?.session;
    if (session === undefined) throw new Error("no room for a session");
    session.username = `user-${n % 100}`;
    sessions.subscribe(session, `command/device-${n}/#`, { qos: 1 });
    sessions.leave(session, false, now);
    for (let each = 0; each < queued; each++) publish(`command/device-${n}/set`, false);
    if (n % 5000 === 4999) await committed();
  }
  await committed();
  const bytes = opened.size();
  await opened.store.close();
  return { records: retained + count * (2 + queued), bytes };
}

serve({ fill });
