/** What a device and an application keep when the gateway restarts with a durable store. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { afterEach, expect, it } from "vitest";
import {
  ACK,
  CON,
  readMessage,
  textOption,
  textsOf,
  uintOf,
  uintOption,
  type WireOption,
  writeMessage,
} from "../../support/coap-bytes.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";

const folder = mkdtempSync(join(tmpdir(), "isthmus-lwm2m-"));
let gateway: TestGateway | undefined;
let socket: Socket | undefined;

afterEach(async () => {
  socket?.close();
  await gateway?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const start = () =>
  startGateway({
    dataFolder: folder,
    store: { engine: "embedded", sync: false },
    gateways: { mqtt: {}, lwm2m: { listeners: { own: { transport: "udp" } }, queueMode: { awake: "1s" } } },
  });

/** A device on a real socket: registers, and answers every GET with 42, observing where it is asked to. */
class WireDevice {
  readonly socket = createSocket("udp4");
  readonly lines: string[] = [];
  #heard: () => void = () => {};
  #answers: string[] = [];
  /** Of the registration (Location-Path). */
  location: readonly string[] = [];
  #id = 1;

  readonly port: number;

  constructor(port: number) {
    this.port = port;
    this.socket.on("message", (bytes) => this.#receive(bytes));
  }

  /** Registers in queue mode; resolves with the code. */
  register(): Promise<string> {
    const query = ["ep=sleeper", "lt=300", "lwm2m=1.0", "b=UQ"].map((part) => textOption(15, part));
    return this.#post([textOption(11, "rd"), ...query, uintOption(12, 40)], "</3/0>");
  }

  /** An Update without parameters at the location that the registration was given. */
  update(location: readonly string[]): Promise<string> {
    return this.#post(
      location.map((segment) => textOption(11, segment)),
      "",
    );
  }

  async #post(options: WireOption[], payload: string): Promise<string> {
    const id = this.#id++;
    const message = { type: CON, code: "0.02", id, token: "0102", options, payload: Buffer.from(payload) };
    this.socket.send(writeMessage(message), this.port, "127.0.0.1");
    while (this.#answers.length === 0) await this.heard();
    return this.#answers.shift() as string;
  }

  heard(): Promise<void> {
    return new Promise((resolve) => {
      this.#heard = resolve;
    });
  }

  #receive(bytes: Uint8Array): void {
    const message = readMessage(bytes);
    if (message.code === "0.01") {
      const observe = uintOf(message, 6);
      this.lines.push(`GET /${textsOf(message, 11).join("/")}${observe === 0 ? " observe" : ""}`);
      const options = observe === 0 ? [uintOption(6, 1)] : [];
      const answer = {
        type: ACK,
        code: "2.05",
        id: message.id,
        token: message.token,
        options,
        payload: Buffer.from("42"),
      };
      this.socket.send(writeMessage(answer), this.port, "127.0.0.1");
    } else if (message.code.startsWith("2.") || message.code.startsWith("4.")) {
      if (message.code === "2.01") this.location = textsOf(message, 8);
      this.#answers.push(message.code);
    }
    this.#heard();
  }
}

it("a device only updates after a restart: its observations and the commands that waited are there", async () => {
  gateway = await start();
  const before = new WireDevice(gateway.port("lwm2m", "own"));
  socket = before.socket;
  expect(await before.register()).toBe("2.01");
  const application = await connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`);
  const command = (msgType: string, path: string) =>
    application.publishAsync(
      "lwm2m/sleeper/dn/x",
      JSON.stringify({ reqID: msgType, msgType, data: { path } }),
      { qos: 1 },
    );
  await application.subscribeAsync("lwm2m/sleeper/up/#");
  const observed = new Promise((resolve) => application.once("message", resolve));
  await command("observe", "/3/0/9");
  // The awake window runs from what the gateway heard last, which is this answer.
  await observed;
  expect(before.lines).toEqual(["GET /3/0/9 observe"]);
  // Beyond the awake window of this test's configuration the next command waits.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await command("read", "/3/0/13");
  await application.endAsync();
  await gateway.stop();
  before.socket.close();
  await once(before.socket, "close").catch(() => {});

  gateway = await start();
  const heard: { reqID?: string; msgType: string }[] = [];
  const listener = await connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`);
  const answered = new Promise<void>((resolve) => {
    listener.on("message", (_topic, payload) => {
      heard.push(JSON.parse(payload.toString()));
      if (heard.length === 3) resolve();
    });
  });
  await listener.subscribeAsync("lwm2m/sleeper/up/#");
  // From another port, as behind a NAT that forgot it.
  const after = new WireDevice(gateway.port("lwm2m", "own"));
  socket = after.socket;
  expect(await after.update(before.location)).toBe("2.04");
  await answered;
  expect(after.lines.toSorted()).toEqual(["GET /3/0/13", "GET /3/0/9 observe"]);
  const said = heard.map(({ msgType, reqID }) => `${msgType} ${reqID ?? ""}`.trim());
  expect(said[0]).toBe("update");
  expect(said.slice(1).toSorted()).toEqual(["notify observe", "read read"]);
  await listener.endAsync();
});
