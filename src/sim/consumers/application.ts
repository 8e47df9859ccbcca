/** An application that listens to the fleet by MQTT, and gives it commands. */
import { lossyText, utf8 } from "../../lib/bytes.ts";
import type { Instant } from "../../lib/time.ts";
import type { Field } from "../field.ts";
import { ID_PREFIX } from "../options.ts";
import type { Command, Scenario } from "../scenarios/scenario.ts";
import { Over } from "../timers.ts";
import { MqttConnection } from "./mqtt-connection.ts";

const KEEP_ALIVE = 60;
const RETRY = 5_000;
/** Between two looks at what there is to do. */
const THINK = 5_000;
/** At the end: for what has to be answered. */
const GOODBYE = 3_000;

export class Application {
  readonly #field: Field;
  readonly #scenario: Scenario;
  readonly #id: string;
  #connection: MqttConnection | undefined = undefined;
  #ended = (): void => {};
  #listens = (): void => {};
  #unacknowledged = 0;
  #allAcknowledged = (): void => {};

  constructor(field: Field, scenario: Scenario) {
    this.#field = field;
    this.#scenario = scenario;
    this.#id = `${ID_PREFIX}${scenario.name}-application`;
    field.counts.device("mqtt");
  }

  /** Until it listens, or has been refused; rejects when the gateway cannot be reached. */
  async begin(): Promise<void> {
    const listening = new Promise<void>((resolve) => {
      this.#listens = resolve;
    });
    await this.#connect();
    await listening;
  }

  async run(): Promise<void> {
    const { timers } = this.#field;
    try {
      for (;;) {
        await this.#untilClosed();
        await timers.pause(this.#field.luck.about(RETRY));
        await this.#connect().catch(() => {});
      }
    } catch (error) {
      if (!(error instanceof Over)) throw error;
    }
  }

  /** Takes back what devices have left on the bus, and says goodbye. */
  async end(retained: readonly string[]): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    for (const topic of retained) this.#publish(connection, { topic, payload: "", retain: true });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GOODBYE);
      this.#allAcknowledged = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#unacknowledged === 0) this.#allAcknowledged();
    });
    const closed = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GOODBYE);
      this.#ended = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    connection.end();
    await closed;
  }

  async #connect(): Promise<void> {
    const { counts, options } = this.#field;
    await this.#field.dial(this.#field.port("mqtt"), (stream) => {
      const connection: MqttConnection = new MqttConnection(
        stream,
        {
          connected: () => {
            counts.connected("mqtt", this);
            connection.subscribe([`sim/${this.#scenario.name}/#`, "lwm2m/+/up/#"], 1);
          },
          subscribed: () => this.#listens(),
          published: (topic, payload) => this.#heard(topic, payload),
          acknowledged: () => {
            if (--this.#unacknowledged === 0) this.#allAcknowledged();
          },
          closed: (refused) => {
            counts.disconnected("mqtt", this);
            if (refused) counts.one("refused");
            this.#connection = undefined;
            this.#listens();
            this.#unacknowledged = 0;
            this.#ended();
          },
        },
        { clientId: this.#id, keepAlive: KEEP_ALIVE, ...credentials(options) },
        () => this.#field.timers.now() as Instant,
      );
      this.#connection = connection;
      return connection;
    });
  }

  /** Pings, and thinks, while it is connected. */
  async #untilClosed(): Promise<void> {
    const { timers } = this.#field;
    for (let turn = 1; this.#connection !== undefined; turn++) {
      await timers.pause(THINK);
      const connection = this.#connection;
      if (connection === undefined) return;
      if ((turn * THINK) % ((KEEP_ALIVE * 1000) / 2) === 0) connection.ping();
      for (const command of this.#scenario.think(timers.now())) this.#order(connection, command);
    }
  }

  #heard(topic: string, payload: Uint8Array): void {
    const connection = this.#connection;
    // LwM2M devices of others are none of our business.
    if (topic.startsWith("lwm2m/") && !topic.startsWith(`lwm2m/${ID_PREFIX}`)) return;
    this.#field.counts.one("heard");
    if (connection === undefined || this.#field.ending) return;
    for (const command of this.#scenario.heard(topic, lossyText(payload))) this.#order(connection, command);
  }

  #order(connection: MqttConnection, command: Command): void {
    this.#field.counts.one("commands");
    this.#publish(connection, command);
  }

  #publish(connection: MqttConnection, { topic, payload, retain = false }: Command): void {
    this.#unacknowledged++;
    connection.publish(topic, utf8(payload), 1, retain);
  }
}

export const credentials = ({ username, password }: Field["options"]) => ({ username, password });
