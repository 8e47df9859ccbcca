/**
 * `node --expose-gc measure.mjs KIND SIZE`: makes so many of something in a core in virtual time, then prints as JSON what
 * one of them takes and what an operation among them costs.
 */
import { Message } from "../../../dist/src/bus/message.js";
import { loadText } from "../../../dist/src/config/load.js";
import { MODULES } from "../../../dist/src/modules.js";
import { World } from "../../../dist/src/testing/world.js";

const EXPIRY = /** @type {any} */ (30 * 86_400_000);
const PAYLOAD = Uint8Array.from(Buffer.from('{"temperature":21.53,"at":1700000000}'));
/** A run of operations is timed as one, and the best of several counts: the others met a collection. */
const OPERATIONS = 20_000;
const RUNS = 7;

const world = new World({
  sessions: 1e9,
  bus: { retained: { messages: 1e9, payloadSize: 1e6, bytes: 1e12 }, routeCache: 65_536 },
  session: { queue: { messages: 1e9, bytes: 1e12, drop: "oldest", wait: /** @type {any} */ (0) } },
});
const { bus, gate, sessions } = world;

/** @param {string} topic @param {boolean} [retain] @param {0 | 1 | 2} [qos] */
const publish = (topic, retain = false, qos = 1) =>
  gate.publish(new Message(topic, PAYLOAD, qos, retain, world.now), undefined, "system");

/** Spread over all numbers below `size`, the same in each run. @param {number} n @param {number} size */
const scattered = (n, size) => (n * 2_654_435_761) % size;

/** @param {string} clientId */
const opening = (clientId) => ({
  gateway: "mqtt",
  clientId,
  proven: undefined,
  cleanStart: false,
  expiry: EXPIRY,
});

/** A client that is there for a moment. */
const occupant = /** @type {any} */ ({ evict() {}, deliver() {}, held: true, flush() {} });

/** @param {string} clientId */
function visit(clientId) {
  const opened = sessions.open(opening(clientId));
  if (typeof opened === "string") throw new Error(opened);
  sessions.occupy(opened.session, occupant, 0);
  return opened.session;
}

const listener = (/** @type {number} */ n) =>
  /** @type {any} */ ({ key: `listener-${n}`, available: true, deliver: () => {} });
const GRANT = /** @type {any} */ ({ qos: 0, noLocal: false, retainAsPublished: true, identifier: undefined });

/** Each makes number `n` of its kind, and does something to one of `size`. */
const KINDS = {
  sessions: {
    make(/** @type {number} */ n) {
      const session = visit(`device-${n}`);
      sessions.subscribe(session, `command/device-${n}/#`, /** @type {any} */ ({ qos: 1 }));
      sessions.leave(session, "lost", world.now);
    },
    operate: (/** @type {number} */ n) => sessions.leave(visit(`device-${n}`), "lost", world.now),
  },
  "exact subscriptions": {
    make: (/** @type {number} */ n) =>
      bus.subscribe(listener(n), `site/${n % 10}/room/${n % 1000}/device/${n}`, GRANT),
    operate: (/** @type {number} */ n) => publish(`site/${n % 10}/room/${n % 1000}/device/${n}`, false, 0),
  },
  "wildcard subscriptions": {
    make: (/** @type {number} */ n) =>
      bus.subscribe(listener(n), `site/+/room/${n % 1000}/device/${n}/#`, GRANT),
    operate: (/** @type {number} */ n) => publish(`site/7/room/${n % 1000}/device/${n}/state`, false, 0),
  },
  "retained, one read": {
    make: (/** @type {number} */ n) => publish(`site/${n % 10}/room/${n % 1000}/device/${n}`, true),
    operate: (/** @type {number} */ n) => bus.retained(`site/${n % 10}/room/${n % 1000}/device/${n}`, 10),
  },
  "retained, found by wildcard": {
    make: (/** @type {number} */ n) => publish(`site/${n % 10}/room/${n % 1000}/device/${n}`, true),
    operate: (/** @type {number} */ n) => bus.retained(`site/+/room/${n % 1000}/device/${n}`, 10),
  },
  "a queue": {
    first() {
      const session = visit("sleeper");
      sessions.subscribe(session, "command/sleeper", /** @type {any} */ ({ qos: 1 }));
      sessions.leave(session, "lost", world.now);
    },
    make: () => publish("command/sleeper"),
    operate: () => publish("command/sleeper"),
  },
  "devices of a listener": {
    first: openMqttSn,
    make(/** @type {number} */ n) {
      const id = Buffer.from(`device-${n}`);
      fromDevice(n, Buffer.concat([Buffer.from([6 + id.length, 0x04, 0x04, 0x01, 0x0e, 0x10]), id]));
    },
    // PUBLISH to the short topic "te" at QoS 1, which is answered.
    operate: (/** @type {number} */ n) =>
      fromDevice(n, Buffer.from([9, 0x0c, 0x22, 0x74, 0x65, n >> 8, (n & 0xff) | 1, 0x32, 0x31])),
  },
};

/** @type {import("../../../dist/src/testing/datagrams.js").DatagramNetwork} */
let network;

function openMqttSn() {
  const { config } = loadText(MODULES, JSON.stringify({ gateways: { "mqtt-sn": { unprovenFactor: 0 } } }));
  const module = MODULES.find(({ name }) => name === "mqtt-sn");
  const gateway = world.open(/** @type {any} */ (module), /** @type {any} */ (config.gateways["mqtt-sn"]));
  network = world.datagrams("mqtt-sn", gateway.endpoint({ name: "growth", transport: "udp" }));
  network.toDevice = () => {};
}

/** @param {number} n @param {Uint8Array} bytes */
const fromDevice = (n, bytes) =>
  network.deliver(bytes, `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`, 10_000);

const [, , kind = "", text = ""] = process.argv;
const size = Number(text);
const { first, make, operate } = /** @type {any} */ (KINDS)[kind];
const heap = () => {
  // What the first lets go of is found by the second.
  for (let times = 0; times < 3; times++) globalThis.gc?.();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
};

first?.();
const before = heap();
for (let n = 0; n < size; n++) make(n);
const bytes = (heap() - before) / size;
let best = Number.POSITIVE_INFINITY;
for (let run = 0, at = 0; run < RUNS; run++) {
  const started = process.hrtime.bigint();
  for (let n = 0; n < OPERATIONS; n++) operate(scattered(at++, size));
  best = Math.min(best, Number(process.hrtime.bigint() - started) / OPERATIONS);
}
console.log(JSON.stringify({ bytes, microseconds: best / 1000 }));
