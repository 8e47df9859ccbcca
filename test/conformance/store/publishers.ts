/** Clients of every protocol that publish without end, whatever happens to the gateway. */
import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";
import { StompSocket } from "../../support/stomp-socket.ts";
import { CoapSocket } from "../../support/store-coap.ts";
import { PersistentClient } from "../../support/store-mqtt.ts";
import type { StoreSite } from "../../support/store-process.ts";

/** Messages of one MQTT publisher that may be unacknowledged. */
const IN_FLIGHT = 8;

/** Each goes on until it is told to stop: what dies with the process it repeats, or publishes anew. */
export class Publishers {
  /** Payloads that were acknowledged, by publisher, in the order of their acknowledgements. */
  readonly acknowledged = new Map<string, string[]>();
  /** What each has sent last, acknowledged or not. */
  readonly sent = new Map<string, number>();
  readonly #site: StoreSite;
  readonly #clients: PersistentClient[] = [];
  readonly #sockets: CoapSocket[] = [];
  #stopped = false;
  readonly #running: Promise<void>[] = [];

  constructor(site: StoreSite) {
    this.#site = site;
  }

  start(): void {
    this.#running.push(
      ...[this.#mqtt(1), this.#mqtt(2)],
      ...[this.#again(() => this.#mqttSn()), this.#again(() => this.#stomp())],
      ...[
        this.#coap("coap", "kill/coap"),
        this.#coap("one", "kill/shared"),
        this.#coap("two", "kill/shared"),
      ],
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  end(): void {
    for (const client of this.#clients) client.end();
    for (const socket of this.#sockets) socket.close();
  }

  #next(name: string): string {
    const count = (this.sent.get(name) ?? -1) + 1;
    this.sent.set(name, count);
    return `${name}-${count}`;
  }

  #acknowledge(name: string, payload: string): void {
    const known = this.acknowledged.get(name);
    if (known === undefined) this.acknowledged.set(name, [payload]);
    else known.push(payload);
  }

  async #mqtt(qos: 1 | 2): Promise<void> {
    const name = `qos${qos}`;
    const client = new PersistentClient(this.#site.ports.mqtt, `publisher-${name}`);
    this.#clients.push(client);
    const waiting = new Set<Promise<void>>();
    while (!this.#stopped) {
      const payload = this.#next(name);
      const published: Promise<void> = client.publish(`kill/${name}`, payload, qos).then(() => {
        this.#acknowledge(name, payload);
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

  async #mqttSn(): Promise<void> {
    const socket = await SnSocket.open(this.#site.ports.mqttSn);
    try {
      await within(500, socket.ask(message(`04 04 01 003c ${hexOf("sn-publisher")}`)));
      while (!this.#stopped) {
        const payload = this.#next("sn");
        const id = ((this.sent.get("sn")! + 1) & 0xffff).toString(16).padStart(4, "0");
        // QoS 1, a short topic name (MQTT-SN 1.2 §5.3.11).
        const answer = await within(500, socket.ask(message(`0c 22 ${hexOf("ks")} ${id} ${hexOf(payload)}`)));
        if (answer !== `070d${hexOf("ks")}${id}00`) throw new Error(`PUBACK ${answer}`);
        this.#acknowledge("sn", payload);
      }
    } finally {
      await socket.close();
    }
  }

  async #stomp(): Promise<void> {
    const socket = await StompSocket.connected(this.#site.ports.stomp);
    try {
      while (!this.#stopped) {
        const payload = this.#next("stomp");
        socket.say("SEND", { destination: "/topic/kill/stomp", qos: "1", receipt: payload }, payload);
        const answer = await within(500, socket.next());
        if (answer.command !== "RECEIPT") throw new Error(answer.command);
        this.#acknowledge("stomp", payload);
      }
    } finally {
      socket.socket.destroy();
    }
  }

  /** One request at a time, repeated until it is answered: so a value never comes behind a later one. */
  async #coap(name: string, topic: string): Promise<void> {
    const socket = new CoapSocket(this.#site.ports.coap);
    this.#sockets.push(socket);
    while (!this.#stopped) {
      const payload = this.#next(name);
      await socket.put(topic, payload);
      this.#acknowledge(name, payload);
    }
  }
}

const within = <T>(length: number, promise: Promise<T>): Promise<T> =>
  Promise.race([
    promise,
    new Promise<never>((_, reject) => setTimeout(() => reject(new Error("no answer")), length)),
  ]);
