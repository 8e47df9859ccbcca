/** An LwM2M device that sleeps, registered once and for all, and the application that commands it meanwhile. */

import { textOption, textsOf, uintOption, type WireMessage } from "../../support/coap-bytes.ts";
import { CoapSocket } from "../../support/store-coap.ts";
import type { PersistentClient } from "../../support/store-mqtt.ts";
import { until } from "../../support/store-process.ts";

const URI_PATH = 11;
const URI_QUERY = 15;
const CONTENT_FORMAT = 12;
const LINK_FORMAT = 40;
const LOCATION_PATH = 8;

/** The device listens this long after anything was heard of it (`queueMode.psmActiveTimer`). */
export const AWAKE = "50ms";
const ASLEEP_MS = 80;
/** When it has heard nothing for this long, it says again that it is awake. */
const LISTENS_MS = 400;

export class Sleeper {
  readonly #socket: CoapSocket;
  readonly #application: PersistentClient;
  /** Arguments of the commands that it was given, in order. */
  readonly executed: string[] = [];
  readonly codes: string[] = [];
  #location: readonly string[] = [];
  #count = 0;

  constructor(coapPort: number, application: PersistentClient) {
    this.#socket = new CoapSocket(coapPort);
    this.#socket.asked = (request) => this.#execute(request);
    this.#application = application;
  }

  async register(): Promise<void> {
    const query = ["ep=sleeper", "lt=300", "lwm2m=1.0", "b=UQ"].map((part) => textOption(URI_QUERY, part));
    const options = [textOption(URI_PATH, "rd"), ...query, uintOption(CONTENT_FORMAT, LINK_FORMAT)];
    const answer = await this.#socket.request({ code: "0.02", options, payload: "</3/0>" });
    this.codes.push(answer.code);
    this.#location = textsOf(answer, LOCATION_PATH);
  }

  /** Commands while it sleeps, acknowledged; resolves to them. */
  async command(count: number): Promise<readonly string[]> {
    await new Promise((resolve) => setTimeout(resolve, ASLEEP_MS));
    const commands = Array.from({ length: count }, () => `0='${this.#count++}'`);
    const published = commands.map((args) => {
      const command = { reqID: args, msgType: "execute", data: { path: "/3/0/4", args } };
      return this.#application.publish("lwm2m/sleeper/dn/x", JSON.stringify(command), 1);
    });
    await Promise.all(published);
    return commands;
  }

  /**
   * It says that it is still there, by an Update without parameters, and takes what waits; again when the store took
   * longer than it listened.
   */
  async wake(waiting: readonly string[], answered: (command: string) => boolean): Promise<void> {
    const options = this.#location.map((segment) => textOption(URI_PATH, segment));
    const deadline = Date.now() + 30_000;
    while (!waiting.every(answered)) {
      if (Date.now() > deadline) throw new Error(`not all of ${waiting} is answered: ${this.executed}`);
      this.codes.push((await this.#socket.request({ code: "0.02", options })).code);
      await until(() => waiting.every(answered), "still asleep", LISTENS_MS).catch(() => {});
    }
  }

  close(): void {
    this.#socket.close();
  }

  #execute(request: WireMessage): { code: string; options: []; payload: Uint8Array } {
    this.executed.push(Buffer.from(request.payload).toString());
    return { code: "2.04", options: [], payload: new Uint8Array(0) };
  }
}
