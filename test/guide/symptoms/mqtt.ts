import type { MqttClient } from "mqtt";
import { until } from "../../support/store-process.ts";
import type { Case, Group } from "./case.ts";
import { code, connackOf, disconnectOf, mqttClient, pubackOf, subackOf, tcpSays } from "./clients.ts";
import { GUARDED, type Site } from "./site.ts";

const ANA = { username: "ana", password: "right" };
const tcp = (site: Site): number => site.port("mqtt", "tcp");

/** A client for the time of one case. */
async function withClient<T>(
  site: Site,
  options: object,
  use: (client: MqttClient) => Promise<T>,
): Promise<T> {
  const client = await mqttClient(tcp(site), options);
  try {
    return await use(client);
  } finally {
    client.end(true);
  }
}

const CASES: readonly Case[] = [
  {
    row: "the login is refused with `0x86`, in MQTT 3 with return code `4`",
    async play(site) {
      const wrong = { username: "ana", password: "wrong" };
      return [
        code(await connackOf(tcp(site), { protocolVersion: 5, clientId: "wrong-5", ...wrong })),
        String(await connackOf(tcp(site), { protocolVersion: 4, clientId: "wrong-4", ...wrong })),
      ];
    },
  },
  {
    row: "the login is refused with `0x8A`",
    play: async (site) => [
      code(await connackOf(tcp(site), { protocolVersion: 5, clientId: "banned-one", ...ANA })),
    ],
  },
  {
    row: "the login is refused with `0x87`, in MQTT 3 with return code `5`",
    async play(site) {
      const owner = { clientId: "shared", clean: false, protocolVersion: 4 as const };
      return withClient(site, { ...owner, ...ANA }, async () => {
        const bob = { ...owner, username: "bob", password: "right" };
        return [
          code(await connackOf(tcp(site), { ...bob, protocolVersion: 5 })),
          String(await connackOf(tcp(site), bob)),
        ];
      });
    },
  },
  {
    row: "the login is refused with `0x85`, in MQTT 3 with return code `2`",
    play: async (site) => [
      code(await connackOf(tcp(site), { protocolVersion: 5, clientId: "x".repeat(101), ...ANA })),
      String(await connackOf(tcp(site), { protocolVersion: 4, clientId: "x".repeat(101), ...ANA })),
    ],
  },
  {
    row: "PUBACK or SUBACK with `0x87`; MQTT 3.1.1: SUBACK with `0x80`",
    play: (site) =>
      withClient(site, { protocolVersion: 5, clientId: "forbidden-5", ...ANA }, async (five) => {
        const puback = await pubackOf(five, "secret/a");
        const suback = await subackOf(five, "secret/#");
        const old = await withClient(
          site,
          { protocolVersion: 4, clientId: "forbidden-4", ...ANA },
          (client) => subackOf(client, "secret/#"),
        );
        return [...new Set([code(puback), code(suback)]), code(old)];
      }),
  },
  {
    row: "MQTT 3: published, acknowledged, and nobody gets it",
    play: (site) =>
      withClient(site, { protocolVersion: 4, clientId: "told-nothing", ...ANA }, async (client) => {
        await client.publishAsync("secret/b", "x", { qos: 1 });
        return [];
      }),
  },
  {
    row: "PUBACK with `0x10`",
    play: (site) =>
      withClient(site, { protocolVersion: 5, clientId: "unheard", ...ANA }, async (client) => [
        code(await pubackOf(client, "nobody/listens/here")),
      ]),
  },
  {
    row: "it is disconnected with `0x95`",
    play: (site) =>
      withClient(site, { protocolVersion: 5, clientId: "large", ...ANA }, async (client) => {
        const ended = disconnectOf(client);
        // Not by the library's own publish, which keeps to what CONNACK announced.
        client.stream.write(Buffer.concat([Buffer.from([0x30, 0x80, 0x80, 0x80, 0x02]), Buffer.alloc(1000)]));
        return [code(await ended)];
      }),
  },
  {
    row: "PUBACK or SUBACK with `0x97`",
    play: (site) =>
      withClient(site, { protocolVersion: 5, clientId: "greedy", ...ANA }, async (client) => {
        for (let n = 0; n < 3; n++) await client.subscribeAsync(`filter/${n}`);
        return [code(await subackOf(client, "filter/one-too-many"))];
      }),
  },
  {
    row: "messages are missing at a subscriber that was away or is slow",
    play: (site) =>
      withClient(site, { protocolVersion: 5, clientId: "busy", ...ANA }, async (publisher) => {
        const away = {
          protocolVersion: 5,
          clientId: "away",
          clean: false,
          properties: { sessionExpiryInterval: 600 },
          ...ANA,
        };
        await withClient(site, away, (client) => client.subscribeAsync("queue/a", { qos: 1 }));
        for (let n = 0; n < 30; n++) await publisher.publishAsync("queue/a", "x", { qos: 1 });
        return [];
      }),
  },
  {
    row: "it is disconnected with `0x8E`, again and again",
    play: (site) =>
      withClient(site, { protocolVersion: 5, clientId: "twin", ...ANA }, async (first) => {
        const ended = disconnectOf(first);
        return withClient(site, { protocolVersion: 5, clientId: "twin", ...ANA }, async () => [
          code(await ended),
        ]);
      }),
  },
  {
    row: "it is disconnected with `0x8D`, or just ended, after a silence",
    play: (site) =>
      withClient(
        site,
        { protocolVersion: 5, clientId: "silent", keepalive: 1, reschedulePings: false, ...ANA },
        async (client) => {
          const ended = disconnectOf(client);
          // It pings no more, as a device that hangs, and does not end by itself at the same moment.
          client.keepaliveManager.destroy();
          return [code(await ended)];
        },
      ),
  },
  {
    row: "the connection is ended at once, without a word",
    async play(site) {
      const said = await tcpSays(tcp(site), "GET / HTTP/1.1\r\n\r\n");
      return said === undefined ? [] : [said];
    },
  },
  {
    row: "the connection is ended after some seconds, without a word",
    async play(site) {
      // The first half of a CONNECT.
      const said = await tcpSays(tcp(site), new Uint8Array([0x10, 0x20, 0, 4, 0x4d, 0x51]));
      return said === undefined ? [] : [said];
    },
  },
  {
    row: "it is disconnected with `0x82`",
    play: (site) =>
      withClient(site, { protocolVersion: 5, clientId: "rude", ...ANA }, async (client) => {
        const ended = disconnectOf(client);
        client.stream.write(Buffer.from([0x40, 0x02, 0x00, 0x09, 0x10, 0x00]));
        return [code(await ended)];
      }),
  },
  {
    row: "a subscriber gets some messages, but not the large ones",
    play: (site) =>
      withClient(site, { protocolVersion: 5, clientId: "big", ...ANA }, (publisher) =>
        withClient(
          site,
          { protocolVersion: 5, clientId: "small", properties: { maximumPacketSize: 100 }, ...ANA },
          async (client) => {
            await client.subscribeAsync("sizes/a");
            const small = new Promise((resolve) => client.once("message", resolve));
            await publisher.publishAsync("sizes/a", "x".repeat(500), { qos: 1 });
            await publisher.publishAsync("sizes/a", "x", { qos: 1 });
            await small;
            return [];
          },
        ),
      ),
  },
  {
    row: "published, and another client does not hear it",
    play: (site) =>
      withClient(site, { protocolVersion: 5, clientId: "hears-nothing", ...ANA }, async (listener) => {
        await listener.subscribeAsync("room/7");
        const before = (await site.metrics()).get("isthmus_messages_no_subscribers_total") ?? 0;
        await withClient(site, { protocolVersion: 5, clientId: "says-it", ...ANA }, (client) =>
          client.publishAsync("/room/7", "x", { qos: 1 }),
        );
        await until(
          async () => ((await site.metrics()).get("isthmus_messages_no_subscribers_total") ?? 0) > before,
          "it is counted",
        );
        return [];
      }),
  },
];

export const MQTT: Group = {
  name: "MQTT",
  settings: () => ({
    ...GUARDED,
    session: { queue: { messages: 10, wait: 0 } },
    bans: { list: [{ clientId: "banned-one", reason: "stolen" }] },
    gateways: {
      mqtt: {
        maximumClientIdLength: 100,
        listeners: { tcp: { limits: { subscriptions: 3, packetSize: "10KB", connectTimeout: "1s" } } },
      },
    },
  }),
  cases: CASES,
};
