/** A machine without a clock of its own begins in 1970, or where it was switched off, until the network tells it the time. */
import { connect, type IClientOptions, type MqttClient } from "mqtt";
import { afterEach, expect, it } from "vitest";
import { days, minutes } from "#core/lib/time.ts";
import { SocketDevice } from "../../support/lwm2m-socket.ts";
import { StoreSite, until } from "../../support/store-process.ts";

let site: StoreSite | undefined;
const open: { close(): unknown }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
  site?.close();
});

interface Arrived {
  readonly client: MqttClient;
  readonly present: boolean;
  readonly heard: readonly string[];
}

async function come(clientId: string, more: IClientOptions = {}): Promise<Arrived> {
  const options: IClientOptions = { protocolVersion: 5, reconnectPeriod: 0, clientId, ...more };
  const client = connect(`mqtt://127.0.0.1:${site!.ports.mqtt}`, options);
  open.push({ close: () => client.end(true) });
  const heard: string[] = [];
  client.on("message", (topic, payload) => heard.push(`${topic} ${payload}`));
  const present = await new Promise<boolean>((resolve) => {
    client.once("connect", ({ sessionPresent }) => resolve(sessionPresent));
  });
  return { client, present, heard };
}

const DURABLE: IClientOptions = { clean: false, properties: { sessionExpiryInterval: 3600 } };

it.each([
  ["in 1970, and was killed,", () => minutes(1), "SIGKILL"],
  ["three days ago, and ran on when the date was set,", () => Date.now() - days(3), "SIGTERM"],
] as const)(
  "what a process has kept that began %s is there for the next one",
  {
    timeout: 240_000,
  },
  async (_, begin, signal) => {
    site = await StoreSite.create();
    site.configure({}, { lwm2m: {} });
    site.beginAt(begin());
    const before = await site.start();
    const { client: subscriber } = await come("away", DURABLE);
    await subscriber.subscribeAsync("t/#", { qos: 1 });
    await subscriber.endAsync();
    const { client: publisher } = await come("publisher");
    const properties = { messageExpiryInterval: 3600 };
    await publisher.publishAsync("t/1", "queued", { qos: 1, properties });
    await publisher.publishAsync("kept", "retained", { qos: 1, retain: true, properties });
    const query = ["lt=3600", "lwm2m=1.1", "b=U"];
    const meter = await SocketDevice.register(site.ports.coap, "meter", query, "</3/0>");
    open.push(meter);
    await before.kill(signal);

    site.beginAt(undefined);
    await site.start();
    const { client, present, heard } = await come("away", DURABLE);
    expect(present).toBe(true);
    await client.subscribeAsync("kept");
    await until(() => heard.length >= 2, "what waited does not come");
    expect(heard.toSorted()).toEqual(["kept retained", "t/1 queued"]);
    const { device } = meter;
    device.send("0.02", device.location!, []);
    await until(() => device.answers.at(-1)?.code === "2.04", "its registration is not known");
  },
);
