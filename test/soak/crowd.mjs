/** A crowd of clients of all gateways, each of which lives for seconds, and the settings of a gateway that is to forget them soon. */
import * as coap from "./lives/coap.mjs";
import { live as mqtt } from "./lives/mqtt.mjs";
import { live as mqttSn } from "./lives/mqtt-sn.mjs";
import { live as stomp } from "./lives/stomp.mjs";
import { randomFrom } from "./random.mjs";

const LIVES = [mqtt, mqtt, stomp, coap.live, coap.live, coap.liveAsDevice, mqttSn];

/** CoAP's transmission parameters: `short`, so that its peers are forgotten in seconds, or `real`, those of RFC 7252. */
const TIMES = {
  // EXCHANGE_LIFETIME: 45 s + 2 x 100 s + 2 s.
  real: ["gateways.coap.stack.observe.silence=10s"],
  // 3 s + 2 x 2 s + 0.2 s.
  short: [
    "gateways.coap.stack.ackTimeout=200ms",
    "gateways.coap.stack.maxLatency=2s",
    "gateways.coap.stack.observe.silence=5s",
  ],
};

/**
 * @param {Record<string, number>} ports   of mqtt, stomp, coap, mqtt-sn
 * @param {string} times   `short` or `real`
 */
export function settingsOf(ports, times = "short") {
  const stack = TIMES[/** @type {keyof typeof TIMES} */ (times)];
  if (stack === undefined) throw new Error("--times is short or real");
  return [
    `gateways.mqtt.listeners.tcp.port=${ports["mqtt"]}`,
    "gateways.mqtt.listeners.ws.enable=false",
    `gateways.stomp.listeners.tcp.port=${ports["stomp"]}`,
    "gateways.stomp.listeners.ws.enable=false",
    `gateways.coap.listeners.udp.port=${ports["coap"]}`,
    "gateways.coap.listeners.tcp.enable=false",
    `gateways.mqtt-sn.listeners.udp.port=${ports["mqtt-sn"]}`,
    // Sessions end soon, so that the rest is short.
    "session.expiryMax=10s",
    ...stack,
    "log.level=error",
  ];
}

/** What happens, by its name. */
export class Counts {
  /** @type {Map<string, number>} */
  #all = new Map();
  add = (/** @type {string} */ name) => void this.#all.set(name, (this.#all.get(name) ?? 0) + 1);

  /** @param {string} name */
  of = (name) => this.#all.get(name) ?? 0;
  get all() {
    return [...this.#all].sort();
  }
  /** Messages that clients have sent, or tried to. */
  get sent() {
    return this.all.filter(([name]) => name.endsWith(" sent")).reduce((sum, [, n]) => sum + n, 0);
  }
}

/**
 * @param {Record<string, number>} ports
 * @param {number} seed
 * @param {number} until   `Date.now()` when all lives are to end
 */
export function crowd(ports, seed, until) {
  const counts = new Counts();
  let born = 0;
  const over = () => Date.now() >= until;
  const pause = (/** @type {number} */ milliseconds) =>
    new Promise((resolve) => setTimeout(resolve, Math.max(0, Math.min(milliseconds, until - Date.now()))));
  return {
    counts,
    over,
    get born() {
      return born;
    },
    /** One life; resolves at its end. */
    live: async () => {
      const random = randomFrom(seed * 1_000_003 + born++);
      await random.pick(LIVES)({ ports, random, count: counts.add, pause, over });
    },
  };
}
