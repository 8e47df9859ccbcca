import coap from "coap";
import { afterAll, beforeAll, expect, it } from "vitest";
import { checkRecords } from "#core/store/check.ts";
import { LmdbEngine } from "#core/store/lmdb-engine.ts";
import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";
import { mulberry32 } from "../../support/random.ts";
import { StompSocket } from "../../support/stomp-socket.ts";
import { PersistentClient } from "../../support/store-mqtt.ts";
import { StoreSite, until } from "../../support/store-process.ts";

const SEED = Number(process.env["STORE_SEED"] ?? Date.now() % 1_000_000);
/** As many kills as fit into the time, and no fewer than these. */
const ROUNDS_MIN = 3;
const ROUNDS_MAX = 10;
const TIME = 16_000;
/** Messages of one MQTT publisher that may be unacknowledged. */
const IN_FLIGHT = 8;

let site: StoreSite;
const random = mulberry32(SEED);
/** Payloads that were acknowledged, by whoever published them. */
const acknowledged = new Map<string, string[]>();
const clients: PersistentClient[] = [];

beforeAll(async () => {
  site = await StoreSite.create();
});
afterAll(async () => {
  for (const client of clients) client.end();
  site.close();
});

const acknowledge = (publisher: string, payload: string): void => {
  const known = acknowledged.get(publisher);
  if (known === undefined) acknowledged.set(publisher, [payload]);
  else known.push(payload);
};

function connect(clientId: string, subscriptions: readonly string[] = []): PersistentClient {
  const client = new PersistentClient(site.ports.mqtt, clientId, subscriptions);
  clients.push(client);
  return client;
}

/** Each publisher goes on until it is told to stop: what dies with the process it repeats, or publishes anew. */
class Publishers {
  #stopped = false;
  readonly #running: Promise<void>[] = [];

  start(): void {
    this.#running.push(
      this.#mqtt(1),
      this.#mqtt(2),
      this.#again(() => this.#mqttSn()),
    );
    this.#running.push(
      this.#again(() => this.#stomp()),
      this.#coap(),
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #mqtt(qos: 1 | 2): Promise<void> {
    const name = `qos${qos}`;
    const client = connect(`publisher-${name}`);
    const waiting = new Set<Promise<void>>();
    for (let count = 0; !this.#stopped; count++) {
      const payload = `${name}-${count}`;
      const published: Promise<void> = client.publish(`kill/${name}`, payload, qos).then(() => {
        acknowledge(name, payload);
        waiting.delete(published);
      });
      waiting.add(published);
      if (waiting.size >= IN_FLIGHT) await Promise.race(waiting);
    }
    await Promise.all(waiting);
  }

  /** Until the connection is lost, and then again. */
  async #again(once: () => Promise<void>): Promise<void> {
    while (!this.#stopped) await once().catch(() => new Promise((resolve) => setTimeout(resolve, 30)));
  }

  #counts = { sn: 0, stomp: 0, coap: 0 };

  async #mqttSn(): Promise<void> {
    const socket = await SnSocket.open(site.ports.mqttSn);
    try {
      await within(500, socket.ask(message(`04 04 01 003c ${hexOf("sn-publisher")}`)));
      while (!this.#stopped) {
        const payload = `sn-${this.#counts.sn++}`;
        const id = (this.#counts.sn & 0xffff).toString(16).padStart(4, "0");
        // QoS 1, a short topic name (MQTT-SN 1.2 §5.3.11).
        const answer = await within(500, socket.ask(message(`0c 22 ${hexOf("ks")} ${id} ${hexOf(payload)}`)));
        if (answer !== `070d${hexOf("ks")}${id}00`) throw new Error(`PUBACK ${answer}`);
        acknowledge("sn", payload);
      }
    } finally {
      await socket.close();
    }
  }

  async #stomp(): Promise<void> {
    const socket = await StompSocket.connected(site.ports.stomp);
    try {
      while (!this.#stopped) {
        const payload = `stomp-${this.#counts.stomp++}`;
        socket.say("SEND", { destination: "/topic/kill/stomp", qos: "1", receipt: payload }, payload);
        const answer = await within(500, socket.next());
        if (answer.command !== "RECEIPT") throw new Error(answer.command);
        acknowledge("stomp", payload);
      }
    } finally {
      socket.socket.destroy();
    }
  }

  async #coap(): Promise<void> {
    while (!this.#stopped) {
      const payload = `coap-${this.#counts.coap++}`;
      const code = await put("kill/coap", payload).catch(() => "none");
      if (code.startsWith("2.")) acknowledge("coap", payload);
    }
  }
}

const put = (topic: string, payload: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const request = coap.request({
      ...{ hostname: "127.0.0.1", port: site.ports.coap, method: "PUT" },
      ...{ pathname: `/ps/${topic}`, query: "retain=true&qos=1" },
    });
    setTimeout(() => reject(new Error("no answer")), 300);
    request.on("response", (response) => resolve(response.code));
    request.on("error", reject);
    request.end(payload);
  });

const within = <T>(length: number, promise: Promise<T>): Promise<T> =>
  Promise.race([
    promise,
    new Promise<never>((_, reject) => setTimeout(() => reject(new Error("no answer")), length)),
  ]);

/** Opens the store as the next process will find it, without any repair. */
async function inspect(): Promise<readonly string[]> {
  const engine = await LmdbEngine.open({ folder: site.data, sync: true, sizeMax: 1e9 });
  const { problems } = checkRecords(engine);
  await engine.close();
  return problems;
}

const numberOf = (payload: string): number => Number(payload.slice(payload.lastIndexOf("-") + 1));

it(`keeps what it acknowledged when it is killed again and again (STORE_SEED=${SEED})`, {
  timeout: 90_000,
}, async () => {
  let process = await site.start();
  const subscriber = connect("subscriber", ["kill/#", "ks"]);
  const { heard } = subscriber;
  await subscriber.subscribed();
  const publishers = new Publishers();
  publishers.start();

  const started = Date.now();
  let round = 0;
  for (; round < ROUNDS_MIN || (round < ROUNDS_MAX && Date.now() - started < TIME); round++) {
    await new Promise((resolve) => setTimeout(resolve, 100 + random() * 600));
    expect(await process.kill("SIGKILL")).toMatchObject({ signal: "SIGKILL" });
    expect(await inspect(), `store after kill ${round}`).toEqual([]);
    process = await site.start();
  }
  await until(() => subscriber.connected, "the subscriber does not come back");
  await publishers.stop();
  const expected = [...acknowledged.values()].flat();
  const lost = (): string[] => {
    const known = new Set(heard);
    return expected.filter((payload) => !known.has(payload));
  };
  await until(() => lost().length === 0, "not all comes").catch(() => {});
  expect(lost()).toEqual([]);

  expect([...acknowledged.keys()].sort()).toEqual(["coap", "qos1", "qos2", "sn", "stomp"]);
  for (const [publisher, payloads] of acknowledged) {
    expect(payloads.length, `${publisher} got through`).toBeGreaterThan(round);
    const given = heard.filter((payload) => payload.startsWith(`${publisher}-`)).map(numberOf);
    const first = [...new Set(given)];
    // A CoAP client repeats a request that it has given up on behind the next ones (RFC 7252 §4.2).
    if (publisher === "coap") continue;
    expect(first, `order of ${publisher}`).toEqual(first.toSorted((a, b) => a - b));
    if (publisher === "qos2") expect(given, "QoS 2 exactly once").toEqual(first);
  }
  const reader = connect("reader", ["kill/coap"]);
  await until(() => reader.heard.length > 0, "nothing is retained");
  // The last one that was routed, which may be one that its client had given up on and repeated late.
  expect(reader.heard).toContain(heard.findLast((payload) => payload.startsWith("coap-")));

  for (const client of clients) client.end();
  expect(await process.kill("SIGTERM")).toMatchObject({ code: 0 });
  expect(await inspect()).toEqual([]);
});
