import { afterEach, expect, it } from "vitest";
import { messageOf } from "#core/session/stored-values.ts";
import { checkRecords } from "#core/store/check.ts";
import { KIND_NAMES, type KindName, openKind } from "#core/store/kinds.ts";
import { mulberry32 } from "../../support/random.ts";
import { CoapSocket } from "../../support/store-coap.ts";
import { PersistentClient } from "../../support/store-mqtt.ts";
import { StoreSite, until } from "../../support/store-process.ts";
import { Publishers } from "./publishers.ts";
import { AWAKE, Sleeper } from "./sleeper.ts";

const SEED = Number(process.env["STORE_SEED"] ?? Date.now() % 1_000_000);
/** As many kills as fit into the time, and no fewer than these; `STORE_KILLS=200`: exactly so many. */
const ROUNDS_MIN = 3;
const ROUNDS_MAX = 10;
const TIME = 7000;
const KILLS = process.env["STORE_KILLS"] === undefined ? undefined : Number(process.env["STORE_KILLS"]);
const COMMANDS = 3;

let site: StoreSite;
let publishers: Publishers;
const random = mulberry32(SEED);
const clients: PersistentClient[] = [];
const sockets: { close(): void }[] = [];

async function prepare(engine: KindName): Promise<void> {
  site = await StoreSite.create({ engine });
  site.configure({}, { lwm2m: { queueMode: { psmActiveTimer: AWAKE } } });
  publishers = new Publishers(site);
}
afterEach(async () => {
  for (const client of clients.splice(0)) client.end();
  for (const socket of sockets.splice(0)) socket.close();
  publishers.end();
  site.close();
});

function connect(clientId: string, subscriptions: readonly string[] = []): PersistentClient {
  const client = new PersistentClient(site.ports.mqtt, clientId, subscriptions);
  clients.push(client);
  return client;
}

interface Inspected {
  readonly problems: readonly string[];
  readonly retained: ReadonlyMap<string, string>;
}

/** Opens the store as the next process will find it, without any repair. */
async function inspect(kind: KindName): Promise<Inspected> {
  const engine = await openKind(kind, { folder: site.data, sync: true, sizeMax: 1e9 });
  const { problems } = checkRecords(engine);
  const retained = new Map<string, string>();
  for (const [, value] of engine.entries("retained")) {
    const { topic, payload } = messageOf(value);
    retained.set(topic, Buffer.from(payload).toString());
  }
  await engine.close();
  return { problems, retained };
}

const numberOf = (payload = "none"): number => Number(payload.slice(payload.lastIndexOf("-") + 1));
const ascends = (values: readonly string[], about: string): void => {
  const numbers = values.map(numberOf);
  expect(numbers, about).toEqual(numbers.toSorted((a, b) => a - b));
};

/**
 * What a CoAP observer sees from one process: ascending values, the first no older than what was acknowledged before
 * it asked. A value that it saw and that was not acknowledged may be gone with the process, and come again.
 */
class Observer {
  readonly #topic: string;
  #seen: string[] = [];
  lives = 0;

  constructor(topic: string) {
    this.#topic = topic;
  }

  async again(atLeast: number): Promise<void> {
    this.check();
    const seen: string[] = [];
    this.#seen = seen;
    const socket = new CoapSocket(site.ports.coap);
    sockets.push(socket);
    await socket.observe(this.#topic, (payload) => seen.push(payload));
    expect(numberOf(seen[0]), "the first value").toBeGreaterThanOrEqual(atLeast);
  }

  /** The process that it asked last has notified it, after its first answer. */
  get notified(): boolean {
    return this.#seen.length > 1;
  }

  check(): void {
    ascends(this.#seen, "order of an observer");
    if (this.notified) this.lives++;
  }
}

const lastAcknowledged = (publisher: string): number =>
  numberOf(publishers.acknowledged.get(publisher)?.at(-1) ?? "none-0");

/** The store right after a kill, against what the publishers know. */
async function inspectKilled(kind: KindName, about: string): Promise<void> {
  const { problems, retained } = await inspect(kind);
  expect(problems, about).toEqual([]);
  const value = numberOf(retained.get("kill/coap"));
  expect(value, `${about}: retained`).toBeGreaterThanOrEqual(lastAcknowledged("coap"));
  expect(value, `${about}: retained`).toBeLessThanOrEqual(publishers.sent.get("coap")!);
  // Of two publishers, the last one has the topic: no older value of its own, whatever the other one did.
  const shared = retained.get("kill/shared")!;
  const owner = shared.slice(0, shared.indexOf("-"));
  expect(numberOf(shared), `${about}: ${shared}`).toBeGreaterThanOrEqual(lastAcknowledged(owner));
}

it.for(KIND_NAMES)(
  `a store of the kind %s keeps what was acknowledged when the process is killed again and again (STORE_SEED=${SEED})`,
  {
    timeout: 90_000 + 10_000 * (KILLS ?? 0),
  },
  async (kind) => {
    await prepare(kind);
    let process = await site.start();
    const subscriber = connect("subscriber", ["kill/#", "ks", "lwm2m/sleeper/up/#"]);
    const { heard } = subscriber;
    await subscriber.subscribed();
    publishers.start();
    const sleeper = new Sleeper(site.ports.coap, connect("commander"));
    sockets.push(sleeper);
    await sleeper.register();
    // Looked through once: what is heard while a process is killed 200 times is long.
    const reports: string[] = [];
    let read = 0;
    const reported = (msgType: string, id = ""): boolean => {
      for (; read < heard.length; read++) if (heard[read]!.startsWith("{")) reports.push(heard[read]!);
      return reports.some((payload) => payload.includes(`"${msgType}"`) && payload.includes(id));
    };
    await until(() => reported("register"), "no word of the registration");
    const observer = new Observer("kill/coap");
    await until(() => publishers.acknowledged.get("coap") !== undefined, "nothing is published");
    await observer.again(0);

    const started = Date.now();
    const commanded: string[] = [];
    let round = 0;
    const goesOn = (): boolean =>
      KILLS === undefined
        ? round < ROUNDS_MIN || (round < ROUNDS_MAX && Date.now() - started < TIME)
        : round < KILLS;
    for (; goesOn(); round++) {
      const waiting = await sleeper.command(COMMANDS);
      commanded.push(...waiting);
      // As soon as the commands are acknowledged, or some time after a notification.
      if (round % 2 === 1) {
        await until(() => observer.notified, "the observer is not notified");
        await new Promise((resolve) => setTimeout(resolve, random() * 600));
      }
      const before = lastAcknowledged("coap");
      expect(await process.kill("SIGKILL")).toMatchObject({ signal: "SIGKILL" });
      await inspectKilled(kind, `store after kill ${round}`);
      process = await site.start();
      await Promise.all([observer.again(before), sleeper.wake(waiting, (id) => reported("execute", id))]);
    }
    await until(() => subscriber.connected, "the subscriber does not come back");
    await until(() => observer.notified, "the observer is not notified");
    await publishers.stop();
    const { acknowledged } = publishers;
    const expected = [...acknowledged.values()].flat();
    const lost = (): string[] => {
      const known = new Set(heard);
      return expected.filter((payload) => !known.has(payload));
    };
    await until(() => lost().length === 0, "not all comes").catch(() => {});
    expect(lost()).toEqual([]);

    expect([...acknowledged.keys()].sort()).toEqual(["coap", "one", "qos1", "qos2", "sn", "stomp", "two"]);
    for (const [publisher, payloads] of acknowledged) {
      expect(payloads.length, `${publisher} got through`).toBeGreaterThan(round);
      const given = heard.filter((payload) => payload.startsWith(`${publisher}-`));
      ascends([...new Set(given)], `order of ${publisher}`);
      if (publisher === "qos2") expect(given, "QoS 2 exactly once").toEqual([...new Set(given)]);
    }
    observer.check();
    expect(observer.lives, "processes that notified the observer").toBeGreaterThan(Math.floor(round / 2));
    for (const topic of ["kill/coap", "kill/shared"]) {
      const reader = connect(`reader of ${topic}`, [topic]);
      await until(() => reader.heard.length > 0, "nothing is retained");
      const publisher = topic === "kill/coap" ? /^coap-/ : /^(one|two)-/;
      expect(reader.heard, "retained is what was routed last").toEqual([
        heard.findLast((payload) => publisher.test(payload)),
      ]);
    }
    // One registration, updates after each kill, and each command once.
    expect(sleeper.codes.length).toBeGreaterThan(round);
    expect(sleeper.codes).toEqual(["2.01", ...new Array(sleeper.codes.length - 1).fill("2.04")]);
    expect(sleeper.executed).toEqual(commanded);
    expect(heard.filter((payload) => payload.startsWith("{") && payload.includes('"register"'))).toHaveLength(
      1,
    );

    for (const client of clients) client.end();
    expect(await process.kill("SIGTERM")).toMatchObject({ code: 0 });
    expect((await inspect(kind)).problems).toEqual([]);
  },
);
