/** Sessions at a broker that does all that goes wrong. */
import { describe, expect, it } from "vitest";
import { after, between, type Instant, milliseconds, minutes, seconds } from "#core/lib/time.ts";
import { mqtt } from "#gateways/mqtt/index.ts";
import { mqttSn } from "#gateways/mqtt-sn/index.ts";
import { pubsubOf } from "../../support/coap-site.ts";
import { engineOf } from "../../support/engine-of-run.ts";
import { mqttDefaults } from "../../support/mqtt-device.ts";
import { snConfig } from "../../support/mqtt-sn-device.ts";
import { mulberry32 } from "../../support/random.ts";
import { stompListener } from "../../support/stomp-client.ts";
import { onlyServer } from "../../support/upstream-world.ts";
import { World } from "../../support/world.ts";
import {
  CoapPublisher,
  type Judge,
  MqttClient,
  type SimulatedDevice,
  SnSleeper,
  StompPeer,
} from "./devices.ts";
import { GENTLE, HostileBroker, type Mood } from "./hostile-broker.ts";

/** It keeps its promises, and is bad company all the same. */
const UNRELIABLE: Mood = {
  ...{
    delay: 0.1,
    swap: 0.1,
    repeat: 0.05,
    cut: 0.02,
    mute: 0.004,
    sulk: 0,
    lie: 0,
    refuse: 0.2,
    overshoot: 0.3,
    deaf: 0,
  },
};
const LYING: Mood = { ...UNRELIABLE, sulk: 0.01, lie: 0.08, mute: 0.01, deaf: 0.3 };
/** It lies about sessions alone. */
const DEAF: Mood = { ...GENTLE, cut: 0.03, deaf: 0.8 };

/** By hand as long, and with as many seeds, as is wished: `ISTHMUS_SEEDS=200 ISTHMUS_MINUTES=20 npx vitest run …`. */
const LENGTH = Number(process.env["ISTHMUS_MINUTES"] ?? 5);
const SEEDS = Number(process.env["ISTHMUS_SEEDS"] ?? 5);

/** No device waits longer for a word: `grace`, and what it takes to find a connection dead. */
const PATIENCE = seconds(150);

class Run {
  readonly world: World;
  readonly broker: HostileBroker;
  readonly devices: SimulatedDevice[] = [];
  readonly calm: SimulatedDevice[] = [];
  readonly published = new Map<string, { to: SimulatedDevice; qos: 1 | 2 }>();
  readonly acknowledged = new Map<string, string>();
  readonly wrongs: string[] = [];
  readonly random: () => number;
  readonly #keepsSessions: boolean;

  constructor(seed: number, keepsSessions: boolean) {
    this.#keepsSessions = keepsSessions;
    const random = mulberry32(seed);
    this.random = random;
    this.broker = new HostileBroker(() => this.world, random);
    this.world = new World({
      seed,
      before: {
        choice: () => onlyServer(this.broker.server),
        options: {
          buffer: { messages: 20, bytes: 1 << 20 },
          sleepers: { whileAsleep: "release", holdFor: minutes(3) },
        },
      },
    });
    const { world } = this;
    const judge: Judge = {
      get now(): Instant {
        return world.now;
      },
      random,
      keepsSessions,
      acknowledged: (device, payload) => this.#acknowledged(device, payload),
      wrong: (what) => void this.wrongs.push(what),
    };
    // Else a refusal is acknowledged to MQTT 3.1.1, which has no other word for it but the end of the connection.
    const settings = { ...mqttDefaults(), refusedPublish: "disconnect" } as const;
    const endpoint = world.open(mqtt, settings).endpoint({ name: "tcp", transport: "tcp" });
    const listener = world.streams("mqtt", endpoint);
    const sleepers = world.datagrams(
      "mqtt-sn",
      world.open(mqttSn, snConfig()).endpoint({ name: "udp", transport: "udp" }),
    );
    const coap = pubsubOf(world).network;
    const stomp = stompListener(world);
    for (let index = 0; index < 3; index++) {
      this.devices.push(
        new MqttClient(judge, listener, `mqtt-${index}`, index === 1 ? 4 : 5),
        new SnSleeper(judge, world, sleepers, index),
        new CoapPublisher(judge, coap, index),
        new StompPeer(judge, stomp, `stomp-${index}`),
      );
    }
    this.calm.push(
      new MqttClient(judge, listener, "calm-mqtt", 5),
      new StompPeer(judge, stomp, "calm-stomp"),
    );
  }

  #acknowledged(device: string, payload: string): void {
    this.acknowledged.set(payload, device);
    if (!this.broker.acknowledged.has(payload))
      this.wrongs.push(`${payload} is acknowledged to ${device} alone`);
  }

  /** Sends something to a device that has subscribed. */
  tell(to: SimulatedDevice): void {
    const topic = to instanceof SnSleeper ? `to/${to.name}/x` : `to/${to.name}`;
    const subscribed = [...this.broker.sessions.values()].some(({ filters }) =>
      [`to/${to.name}`, `to/${to.name}/#`].some((filter) => filters.has(filter)),
    );
    if (!subscribed) return;
    const qos = this.random() < 0.5 ? 1 : 2;
    const payload = `to ${to.name}:${this.published.size}`;
    this.published.set(payload, { to, qos });
    this.broker.publish(topic, payload, qos);
  }

  step(most: number): void {
    for (const device of [...this.devices, ...this.calm]) {
      if (this.random() < 0.3) device.act();
      else device.hear();
      const since = device.waitsSince;
      if (since !== undefined && between(since, this.world.now) > PATIENCE)
        this.wrongs.push(`${device.name} has waited since ${since} for a word`);
    }
    this.world.advance(milliseconds(Math.floor(this.random() * most)));
    if (this.wrongs.length > 0) throw new Error(this.wrongs.join("; "));
  }

  run(length: number, mood: Mood, restarts: boolean): void {
    const end = after(this.world.now, milliseconds(length));
    this.broker.mood = mood;
    while (this.world.now < end) {
      if (this.random() < 0.5) this.tell(this.broker.pick(this.devices));
      if (this.random() < 0.05) this.tell(this.broker.pick(this.calm));
      if (restarts && this.random() < 0.004) this.#restart();
      this.step(2_000);
    }
  }

  #restart(): void {
    if (this.#keepsSessions) this.broker.cutAll();
    else this.broker.forgetAll();
  }

  /** All is well at last. */
  heal(): void {
    this.broker.heal();
    for (const device of this.devices) device.quiet = true;
    for (let round = 0; round < 600 && !this.#isQuiet(); round++) {
      this.#tellOne(round);
      this.step(2_000);
    }
    expect(this.devices.filter((device) => !device.content).map(({ name }) => name)).toEqual([]);
  }

  /** Everybody publishes and is sent to again. */
  serves(): void {
    const before = new Set(this.acknowledged.keys());
    for (const device of this.devices) {
      device.quiet = false;
      device.startAgain();
    }
    this.run(minutes(8), GENTLE, false);
    this.heal();
    const fresh = [...this.acknowledged].filter(([payload]) => !before.has(payload));
    const served = new Set(fresh.map(([, device]) => device));
    expect(this.devices.map(({ name }) => name).filter((name) => !served.has(name))).toEqual([]);
    for (const device of this.devices) if (!(device instanceof CoapPublisher)) this.#sends(device);
  }

  /**
   * What one device publishes to another is all that shows that a server does not send to that one; of many in 100 ms one
   * is looked at.
   */
  #tellOne(round: number): void {
    const listening = this.devices.filter(({ name }) => this.broker.staysAwake(name));
    const [teller] = this.calm;
    (teller as MqttClient).tell(`to/${listening[round % listening.length]?.name}`);
  }

  #sends(device: SimulatedDevice): void {
    const payload = `at last to ${device.name}`;
    this.broker.publish(
      device instanceof SnSleeper ? `to/${device.name}/x` : `to/${device.name}`,
      payload,
      1,
    );
    for (let round = 0; round < 600 && !device.received.includes(payload); round++) this.step(2_000);
    expect(device.received.filter((each) => each === payload)).toEqual([payload]);
  }

  /** Those whose connections nobody has touched noticed nothing. */
  wasCalm(): void {
    for (const device of this.calm) {
      this.tell(device);
      this.step(0);
      device.hear();
      expect([device.name, this.broker.connects.get(device.name), device.quiet]).toEqual([
        device.name,
        1,
        false,
      ]);
      const sent = [...this.published].filter(([, { to }]) => to === device).map(([payload]) => payload);
      expect(device.received).toEqual(sent);
    }
  }

  #isQuiet(): boolean {
    const waits = [...this.broker.sessions.values()].some(
      ({ queue, inFlight, deaf }) => deaf || queue.length + inFlight.size > 0,
    );
    return !waits && this.devices.every(({ content }) => content);
  }
}

const seeds = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe("a broker that keeps sessions, but is late, silent, cut off at any octet, and sends again what is under way", () => {
  it.each(seeds(SEEDS))(
    "seed %i: loses nothing of QoS 1 and doubles nothing of QoS 2, either way",
    (seed) => {
      const run = new Run(seed, true);
      run.run(minutes(LENGTH), UNRELIABLE, true);
      run.heal();
      const { accepted } = run.broker;
      for (const [payload, device] of run.acknowledged)
        expect(accepted.get(payload) ?? 0, `${payload} of ${device}`).toBeGreaterThan(0);
      for (const device of run.devices)
        for (const payload of device.exact)
          expect(accepted.get(payload) ?? 0, payload).toBeLessThanOrEqual(1);
      for (const [payload, { to, qos }] of run.published) {
        const times = to.received.filter((each) => each === payload).length;
        if (to instanceof StompPeer) continue;
        expect(times, `${payload} at QoS ${qos}`).toBeGreaterThan(0);
        if (qos === 2) expect(times, payload).toBe(1);
      }
      expect(run.acknowledged.size).toBeGreaterThan(50);
    },
  );
});

describe("a broker that lies: wrong ids, reasons and types, octets that are no MQTT, a second CONNACK, lost sessions", () => {
  it.each(seeds(SEEDS))(
    "seed %i: costs the connection that it lies on, and nobody is told what is not so",
    (seed) => {
      const run = new Run(seed, false);
      run.run(minutes(LENGTH), LYING, true);
      run.heal();
      run.wasCalm();
      run.serves();
    },
  );

  it.each(seeds(Math.ceil(SEEDS / 4)))(
    "seed %i: sessions to which it sends nothing more are found, and made anew",
    (seed) => {
      const run = new Run(seed, false);
      run.run(minutes(Math.ceil(LENGTH / 2)), DEAF, true);
      run.heal();
      const deaf = [...run.broker.sessions].filter(([, kept]) => kept.deaf).map(([id]) => id);
      expect(deaf).toEqual([]);
      expect(engineOf(run.world).context.counters.deaf.value).toBeGreaterThan(0);
    },
  );
});
