import { type Server, startMosquitto } from "../../support/servers.ts";
import { until } from "../../support/store-process.ts";
import type { Case, Group } from "./case.ts";
import { code, connackOf, mqttClient } from "./clients.ts";
import type { Site } from "./site.ts";

let broker: Server;
const tcp = (site: Site): number => site.port("mqtt", "tcp");

const CASES: readonly Case[] = [
  {
    row: "a login is refused that the gateway's own rules allow",
    async play(site) {
      await connackOf(tcp(site), { protocolVersion: 5, clientId: "unknown-there" });
      return [];
    },
  },
  {
    row: "a publish at QoS 1 is acknowledged late, or not at all",
    async play(site) {
      const client = await mqttClient(tcp(site), { protocolVersion: 5, clientId: "isthmus-patient" });
      await broker.kill();
      void client.publishAsync("a", "x", { qos: 1 }).catch(() => {});
      await until(() => site.lines.some(({ event }) => event === "server-unwell"), "it is noticed");
      await broker.restart();
      client.end(true);
      return [];
    },
  },
  {
    row: "every login is refused with `0x88`, in MQTT 3 with return code `3`",
    async play(site) {
      await broker.kill();
      return [
        code(await connackOf(tcp(site), { protocolVersion: 5, clientId: "isthmus-5" })),
        String(await connackOf(tcp(site), { protocolVersion: 4, clientId: "isthmus-4" })),
      ];
    },
  },
];

export const UPSTREAM: Group = {
  name: "Before a broker",
  async settings() {
    broker = await startMosquitto("clientid_prefixes isthmus-");
    const groups = {
      default: {
        servers: [{ url: `tcp://127.0.0.1:${broker.port}` }],
        health: { failures: 1, retry: { first: "100ms", longest: "500ms" } },
      },
    };
    return {
      bus: {
        engine: "upstream",
        upstream: { groups, patience: "1s", grace: "2s", reconnect: { first: "100ms", longest: "500ms" } },
      },
    };
  },
  cases: CASES,
  end: () => broker.stop(),
};
