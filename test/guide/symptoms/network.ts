import { createSocket } from "node:dgram";
import { freeTcpPort } from "../../support/free-ports.ts";
import { until } from "../../support/store-process.ts";
import type { Case, Group } from "./case.ts";
import { mqttClient, tcpSays } from "./clients.ts";
import type { Site } from "./site.ts";

const metricOf = async (site: Site, name: string): Promise<number> => (await site.metrics()).get(name) ?? 0;

const CASES: readonly Case[] = [
  {
    row: "`ECONNREFUSED`, Connection refused",
    play: async () => [await tcpSays(await freeTcpPort())],
  },
  {
    row: "it connects, and then nothing comes, whatever is sent",
    async play(site) {
      site.signal("SIGSTOP");
      try {
        // The system accepts what the process does not.
        const client = mqttClient(site.port("mqtt", "tcp"), { connectTimeout: 500 });
        await client.then(
          () => Promise.reject(new Error("it was answered")),
          () => {},
        );
        const controller = AbortSignal.timeout(500);
        const health = await fetch(`${site.api}/health`, { signal: controller }).catch(() => undefined);
        return health === undefined ? [] : ["/health answers"];
      } finally {
        site.signal("SIGCONT");
      }
    },
  },
  {
    row: "UDP: nothing at all",
    async play(site) {
      const socket = createSocket("udp4");
      const port = site.port("mqtt-sn", "udp");
      const before = site.lines.length;
      socket.send(Buffer.from("0804000101003c64", "hex"), port, "127.0.0.1");
      await until(() => site.lines.slice(before).some(({ event }) => event === "refused"), "a line about it");
      socket.close();
      return [];
    },
  },
  {
    row: "TCP: the connection is ended as soon as it is there",
    async play(site) {
      const said = await tcpSays(site.port("stomp", "tcp"));
      return said === undefined || said === "ECONNRESET" ? [] : [said];
    },
  },
  {
    row: "some of many devices do not get in",
    async play(site) {
      const clients = [];
      for (let n = 0; n < 2; n++) clients.push(await mqttClient(site.port("mqtt", "tcp")));
      const said = await tcpSays(site.port("mqtt", "tcp"));
      for (const client of clients) client.end(true);
      return said === undefined || said === "ECONNRESET" ? [] : [said];
    },
  },
  {
    row: "everything is slow or refused, for all",
    async play(site) {
      const client = await mqttClient(site.port("mqtt", "tcp"));
      const filling = async (): Promise<void> => {
        for (let n = 0; n < 40; n++)
          await client.publishAsync(`memory/${n}`, Buffer.alloc(100_000), { qos: 1, retain: true });
      };
      void filling().catch(() => {});
      await until(() => site.lines.some(({ event }) => event === "memory-refusing"), "memory is short");
      client.end(true);
      await until(async () => (await metricOf(site, "isthmus_memory_alarm")) > 0, "the alarm");
      return [];
    },
  },
];

export const NETWORK: Group = {
  name: "Nothing is there",
  settings: () => ({
    memory: { total: "1MB" },
    gateways: {
      mqtt: { listeners: { tcp: { limits: { connections: 2 } } } },
      "mqtt-sn": { listeners: { udp: { accessRules: ["deny 127.0.0.0/8"] } } },
      stomp: { listeners: { tcp: { accessRules: ["deny 127.0.0.0/8"] } } },
    },
  }),
  cases: CASES,
};
