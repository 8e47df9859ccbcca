import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";
import { until } from "../../support/store-process.ts";
import type { Case, Group } from "./case.ts";
import { mqttClient, snClient, snConnect, snPublish, snRegister, snSubscribe } from "./clients.ts";
import { GUARDED, type Site } from "./site.ts";

let strangers = 0;
const udp = (site: Site): number => site.port("mqtt-sn", "udp");

/** The return code of an answer that ends in it. */
const returnCode = (answer: string): string => String(Number.parseInt(answer.slice(-2), 16));

async function withDevice<T>(
  site: Site,
  clientId: string,
  use: (device: SnSocket) => Promise<T>,
): Promise<T> {
  const device = await snClient(udp(site), clientId);
  try {
    return await use(device);
  } finally {
    await device.close();
  }
}

/** Each from an address of its own, since each has its line of the log once a minute. */
async function withStranger<T>(site: Site, use: (device: SnSocket) => Promise<T>): Promise<T> {
  const device = await SnSocket.open(udp(site), `127.0.0.${++strangers + 1}`);
  try {
    return await use(device);
  } finally {
    await device.close();
  }
}

const events = (site: Site, event: string): number =>
  site.lines.filter((line) => line.event === event).length;

const CASES: readonly Case[] = [
  {
    row: "CONNACK with return code `3`",
    play: (site) => withStranger(site, async (device) => [returnCode(await device.ask(snConnect("nobody")))]),
  },
  {
    row: "PUBACK or SUBACK with return code `2`",
    play: (site) =>
      withDevice(site, "unknown-id", async (device) => {
        const puback = await device.ask(snPublish("0063", "x"));
        // SUBSCRIBE to the predefined id 98.
        const suback = await device.ask(message("122100040062"));
        return [...new Set([returnCode(puback), returnCode(suback)])];
      }),
  },
  {
    row: "PUBACK or SUBACK with return code `3`",
    play: (site) =>
      withDevice(site, "forbidden", async (device) => {
        const regack = await device.ask(snRegister("secret/a"));
        const puback = await device.ask(snPublish(regack.slice(4, 8), "x"));
        const suback = await device.ask(snSubscribe("secret/b"));
        return [...new Set([returnCode(puback), returnCode(suback)])];
      }),
  },
  {
    row: "PUBLISH at QoS -1, and nothing comes of it",
    play: (site) =>
      withStranger(site, async (device) => {
        const before = events(site, "refused");
        await device.send(snPublish("0009", "x", "61"));
        await until(() => events(site, "refused") > before, "a line");
        return [];
      }),
  },
  {
    row: "a message gets DISCONNECT as its answer",
    play: (site) =>
      withStranger(site, async (device) => {
        const answer = await device.ask(snPublish("0001", "x"));
        return answer === "0218" ? [] : [answer];
      }),
  },
  {
    row: "a sleeper asks by PINGREQ, and gets nothing that waits for it",
    play: (site) =>
      withDevice(site, "sleeper", async (device) => {
        await device.ask(snSubscribe("sleep/a"));
        await device.ask(message("18003c"));
        const client = await mqttClient(site.port("mqtt", "tcp"), { username: "ana", password: "right" });
        await client.publishAsync("sleep/a", "x", { qos: 1 });
        await client.endAsync();
        return withStranger(site, async (other) => {
          const answer = await other.ask(message(`16${hexOf("sleepr")}`));
          return answer === "0218" ? [] : [answer];
        });
      }),
  },
  {
    row: "nothing is answered, and the device sends what is not MQTT-SN 1.2",
    play: (site) =>
      withStranger(site, async (device) => {
        const before = events(site, "malformed") + events(site, "datagram-dropped");
        await device.send("0504ff");
        await until(
          () => events(site, "malformed") + events(site, "datagram-dropped") > before,
          "a line about it",
        );
        return [];
      }),
  },
  {
    row: "messages come again and again, then no more",
    play: (site) =>
      withDevice(site, "deaf", async (device) => {
        await device.ask(snSubscribe("deaf/a"));
        const client = await mqttClient(site.port("mqtt", "tcp"), { username: "ana", password: "right" });
        await client.publishAsync("deaf/a", "x", { qos: 1 });
        await client.endAsync();
        // It is there, and does not acknowledge.
        await until(async () => {
          await device.send(message("16"));
          return events(site, "not-acknowledged") > 0;
        }, "it is given up");
        return [];
      }),
  },
  {
    row: "a large message does not arrive",
    play: (site) =>
      withDevice(site, "little", async (device) => {
        await device.ask(snSubscribe("large/a"));
        const client = await mqttClient(site.port("mqtt", "tcp"), { username: "ana", password: "right" });
        await client.publishAsync("large/a", "x".repeat(1000), { qos: 1 });
        await client.endAsync();
        await until(() => events(site, "too-long") > 0, "a line");
        return [];
      }),
  },
];

export const MQTT_SN: Group = {
  name: "MQTT-SN",
  settings: () => ({
    ...GUARDED,
    gateways: {
      "mqtt-sn": {
        messageSizeMax: 256,
        retryInterval: "100ms",
        retries: 1,
        credentials: {
          username: "ana",
          password: "right",
          clients: [{ client: "nobody", username: "eve", password: "?" }],
        },
      },
    },
  }),
  cases: CASES,
};
