/**
 * A registration ends when its lifetime does, however the process was stopped meanwhile: killed, asked to stop, or not
 * at all. Real processes over one data folder.
 */
import { connectAsync } from "mqtt";
import { it } from "vitest";
import { textOption, textsOf, uintOption } from "../../support/coap-bytes.ts";
import { CoapSocket } from "../../support/store-coap.ts";
import { StoreSite, until } from "../../support/store-process.ts";

/** What devices ask for, what is granted beside it, and how much later than that a busy machine may be. */
const LIFETIME = 12_000;
const GRACE = 1_000;
const LATE = 180_000;

class Device {
  readonly #socket: CoapSocket;
  readonly #ep: string;
  #location: readonly string[] = [];

  constructor(port: number, ep: string) {
    this.#socket = new CoapSocket(port);
    this.#ep = ep;
  }

  close(): void {
    this.#socket.close();
  }

  async register(): Promise<string> {
    const query = [`ep=${this.#ep}`, `lt=${LIFETIME / 1000}`, "lwm2m=1.1", "b=U"].map((part) =>
      textOption(15, part),
    );
    const options = [textOption(11, "rd"), ...query, uintOption(12, 40)];
    const answer = await this.#socket.request({ code: "0.02", options, payload: "</3/0>" });
    this.#location = textsOf(answer, 8);
    return answer.code;
  }

  async update(): Promise<string> {
    const options = this.#location.map((segment) => textOption(11, segment));
    return (await this.#socket.request({ code: "0.02", options, payload: "" })).code;
  }
}

it.for(["SIGKILL", "SIGTERM"] as const)(
  "who was registered before %s and does not come back is reported when its lifetime is over, and not before",
  { timeout: 300_000 },
  async (signal, { expect, onTestFinished }) => {
    const site = await StoreSite.create();
    site.configure({}, { lwm2m: { lifetimeMin: "1s", lifetimeGrace: `${GRACE}ms`, listeners: {} } });
    const { coap, mqtt } = site.ports;
    let process = await site.start();
    const gone = new Device(coap, "gone");
    const stays = new Device(coap, "stays");
    const left = new Device(coap, "left");
    onTestFinished(() => {
      for (const device of [gone, stays, left]) device.close();
      site.close();
    });
    const registeredAt = Date.now();
    expect([await gone.register(), await stays.register(), await left.register()]).toEqual([
      "2.01",
      "2.01",
      "2.01",
    ]);
    await process.kill(signal);

    process = await site.start();
    const application = await connectAsync(`mqtt://127.0.0.1:${mqtt}`);
    const ended: { ep: string; reason: string; after: number }[] = [];
    application.on("message", (_topic, payload) => {
      const { msgType, data } = JSON.parse(payload.toString());
      if (msgType === "deregister") ended.push({ ...data, after: Date.now() - registeredAt });
    });
    await application.subscribeAsync("lwm2m/+/up/resp", { qos: 1 });
    const updates = setInterval(() => void stays.update(), 1_000);
    expect(await stays.update()).toBe("2.04");
    await until(() => ended.length === 2, "not both ends are reported", LIFETIME + GRACE + LATE);
    clearInterval(updates);
    expect(ended.map(({ ep, reason }) => `${ep} ${reason}`).toSorted()).toEqual([
      "gone lifetime",
      "left lifetime",
    ]);
    for (const { after } of ended) expect(after).toBeGreaterThanOrEqual(LIFETIME + GRACE);
    expect(await stays.update()).toBe("2.04");
    await application.endAsync();
  },
);
