/** A backend that takes the fleet's readings by STOMP, one acknowledgement each, and files what needs a person. */
import { lossyText } from "../../lib/bytes.ts";
import type { StreamConnection, StreamReceiver } from "../../net/transport.ts";
import type { Field } from "../field.ts";
import { ID_PREFIX } from "../options.ts";
import type { Scenario } from "../scenarios/scenario.ts";
import { Over } from "../timers.ts";
import { type ServerFrame, ServerFrames, writeFrame } from "./stomp-frames.ts";

const HEART_BEAT = 20_000;
const RETRY = 5_000;
const GOODBYE = 3_000;

export class Backend {
  readonly #field: Field;
  readonly #scenario: Scenario;
  readonly #id: string;
  #connection: StreamConnection | undefined = undefined;
  #ended = (): void => {};

  constructor(field: Field, scenario: Scenario) {
    this.#field = field;
    this.#scenario = scenario;
    this.#id = `${ID_PREFIX}${scenario.name}-backend`;
    field.counts.device("stomp");
  }

  async run(): Promise<void> {
    const { timers, luck } = this.#field;
    try {
      for (;;) {
        await this.#connect().catch(() => {});
        while (this.#connection !== undefined) {
          await timers.pause(HEART_BEAT / 2);
          this.#connection?.write(Buffer.from("\n"));
        }
        await timers.pause(luck.about(RETRY));
      }
    } catch (error) {
      if (!(error instanceof Over)) throw error;
    }
  }

  async end(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    const closed = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GOODBYE);
      this.#ended = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    connection.write(writeFrame("DISCONNECT", { receipt: "goodbye" }));
    await closed;
  }

  async #connect(): Promise<void> {
    const { options } = this.#field;
    this.#connection = await this.#field.dial(this.#field.port("stomp"), (connection) =>
      this.#receiver(connection),
    );
    this.#connection.write(
      writeFrame("CONNECT", {
        ...{ "accept-version": "1.2", host: options.host, "client-id": this.#id },
        "heart-beat": `${HEART_BEAT},0`,
        ...(options.username === undefined ? {} : { login: options.username }),
        ...(options.password === undefined ? {} : { passcode: options.password }),
      }),
    );
  }

  #receiver(connection: StreamConnection): StreamReceiver {
    const frames = new ServerFrames();
    return {
      received: (bytes) => {
        try {
          for (const frame of frames.push(bytes)) this.#take(connection, frame);
        } catch {
          connection.destroy();
        }
      },
      drained: () => {},
      ended: () => connection.end(),
      closed: () => {
        this.#field.counts.disconnected("stomp", this);
        this.#connection = undefined;
        this.#ended();
      },
    };
  }

  #take(connection: StreamConnection, { command, headers, body }: ServerFrame): void {
    const { counts } = this.#field;
    if (command === "CONNECTED") {
      counts.connected("stomp", this);
      connection.write(
        writeFrame("SUBSCRIBE", {
          ...{ id: "readings", destination: `sim/${this.#scenario.name}/+/+/reading` },
          ack: "client-individual",
        }),
      );
    } else if (command === "MESSAGE") {
      counts.one("heard");
      connection.write(writeFrame("ACK", { id: headers.get("ack") ?? "" }));
      const job = this.#scenario.job(headers.get("destination") ?? "", lossyText(body));
      if (job !== undefined && !this.#field.ending) {
        const destination = `sim/${this.#scenario.name}/jobs`;
        connection.write(writeFrame("SEND", { destination, "content-type": "application/json" }, job));
      }
    } else if (command === "RECEIPT") connection.end();
    else if (command === "ERROR") counts.one("refused");
  }
}
