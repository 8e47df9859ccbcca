/** What is measured. Names are what `--only` looks into. */

/**
 * @typedef {object} Scenario
 * @property {string} name
 * @property {string} title
 * @property {"throughput" | "latency" | "connect" | "idle"} kind
 * @property {4 | 5} version         protocol level: MQTT 3.1.1 or 5.0
 * @property {0 | 1 | 2} qos
 * @property {number} payload
 * @property {number} flows
 * @property {number} publishers
 * @property {number} subscribers
 * @property {number} window
 * @property {number} [count]        connections
 * @property {boolean} [subscribe]   each with a subscription
 */

const QOS = /** @type {const} */ ([0, 1, 2]);
const PAYLOADS = [
  { octets: 64, text: "64 B" },
  { octets: 1024, text: "1 KB" },
];

/** Windows by QoS. At QoS 0 a fan-in's window is shared, at QoS 1 and 2 it is each publisher's. */
const SHAPES = [
  { name: "1to1", title: "1 → 1", flows: 1, publishers: 1, subscribers: 1, window: () => 1000 },
  { name: "10to10", title: "10 → 10", flows: 10, publishers: 1, subscribers: 1, window: () => 200 },
  {
    name: "fan-in",
    title: "1000 → 1",
    flows: 1,
    publishers: 1000,
    subscribers: 1,
    window: (/** @type {number} */ qos) => (qos === 0 ? 200 : 1),
  },
  { name: "fan-out", title: "1 → 1000", flows: 1, publishers: 1, subscribers: 1000, window: () => 10 },
];

/** @type {4 | 5} */
const MQTT_3_1_1 = 4;
/** @type {4 | 5} */
const MQTT_5 = 5;

const single = { version: MQTT_3_1_1, flows: 1, publishers: 1, subscribers: 1, window: 1 };

/** @returns {Scenario[]} */
export function scenarios() {
  /** @type {Scenario[]} */
  const all = [];
  for (const shape of SHAPES) {
    for (const qos of QOS) {
      for (const { octets, text } of PAYLOADS) {
        const name = `${shape.name}-q${qos}-${octets}`;
        const window = shape.window(qos);
        const { title, ...rest } = shape;
        const heading = `${title}, QoS ${qos}, ${text}, W=${window}`;
        all.push({
          ...rest,
          kind: "throughput",
          version: MQTT_3_1_1,
          name,
          title: heading,
          qos,
          payload: octets,
          window,
        });
      }
    }
  }
  for (const qos of QOS) {
    const title = `1 → 1, MQTT 5, QoS ${qos}, 64 B, W=1000`;
    const shape = { ...single, version: MQTT_5, window: 1000 };
    all.push({ ...shape, kind: "throughput", name: `1to1-mqtt5-q${qos}-64`, title, qos, payload: 64 });
  }
  for (const qos of /** @type {const} */ ([1, 2])) {
    const title = `1000 → nobody, QoS ${qos}, 64 B, W=1`;
    const shape = { ...single, publishers: 1000, subscribers: 0 };
    all.push({ ...shape, kind: "throughput", name: `nobody-q${qos}-64`, title, qos, payload: 64 });
  }
  for (const qos of QOS) {
    const title = `ping-pong, QoS ${qos}, 64 B, one in flight`;
    all.push({ ...single, kind: "latency", name: `ping-pong-q${qos}-64`, title, qos, payload: 64 });
  }
  const none = { ...single, qos: /** @type {const} */ (0), payload: 0 };
  all.push({
    ...none,
    kind: "connect",
    name: "connect",
    title: "5,000 connections, 64 at once",
    count: 5000,
  });
  for (const subscribe of [false, true]) {
    const title = `10,000 idle connections more${subscribe ? ", one subscription each" : ""}`;
    const name = subscribe ? "idle-subscribed" : "idle-bare";
    all.push({ ...none, kind: "idle", name, title, count: 10_000, subscribe });
  }
  return all;
}
