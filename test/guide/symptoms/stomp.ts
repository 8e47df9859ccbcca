import { StompSocket } from "../../support/stomp-socket.ts";
import { until } from "../../support/store-process.ts";
import type { Case, Group } from "./case.ts";
import { mqttClient } from "./clients.ts";
import { GUARDED, type Site } from "./site.ts";

const ANA = { login: "ana", passcode: "right" };
const tcp = (site: Site): number => site.port("stomp", "tcp");
const CONNECT = { "accept-version": "1.2", host: "isthmus" };

const header = ({ headers }: Awaited<ReturnType<StompSocket["next"]>>, name: string): string =>
  headers.find(([each]) => each === name)?.[1] ?? "none";

async function errorOf(client: StompSocket): Promise<string[]> {
  const frame = await client.next();
  await client.end();
  return [frame.command, header(frame, "message")];
}

const CASES: readonly Case[] = [
  {
    row: "`ERROR` with `access refused` to CONNECT",
    async play(site) {
      const client = await StompSocket.open(tcp(site));
      client.say("CONNECT", { ...CONNECT, login: "ana", passcode: "wrong" });
      return errorOf(client);
    },
  },
  {
    row: "`ERROR` with `access refused` to SEND or SUBSCRIBE",
    async play(site) {
      const sender = await StompSocket.connected(tcp(site), ANA);
      sender.say("SEND", { destination: "secret/a" }, "x");
      const sent = await errorOf(sender);
      const reader = await StompSocket.connected(tcp(site), ANA);
      reader.say("SUBSCRIBE", { destination: "secret/a", id: "1" });
      return [...new Set([...sent, ...(await errorOf(reader))])];
    },
  },
  {
    row: "`ERROR` with `no common version`",
    async play(site) {
      const client = await StompSocket.open(tcp(site));
      client.say("CONNECT", { "accept-version": "2.0", host: "x", ...ANA });
      return errorOf(client);
    },
  },
  {
    row: "`ERROR` with `missing header destination` or another message",
    async play(site) {
      const client = await StompSocket.connected(tcp(site), ANA);
      client.say("SUBSCRIBE", { id: "1" });
      return errorOf(client);
    },
  },
  {
    row: "`ERROR` with `body over 10240 bytes`",
    async play(site) {
      const client = await StompSocket.connected(tcp(site), ANA);
      client.say("SEND", { destination: "a" }, "x".repeat(20_000));
      return errorOf(client);
    },
  },
  {
    row: "`ERROR` with `heart-beat missed`",
    async play(site) {
      const client = await StompSocket.connected(tcp(site), { ...ANA, "heart-beat": "1000,0" });
      return errorOf(client);
    },
  },
  {
    row: "nothing comes, although frames are sent",
    async play(site) {
      const client = await StompSocket.open(tcp(site));
      client.raw("CONNECT\naccept-version:1.2\nhost:x\n\n");
      await client.end().catch(() => {});
      return [];
    },
  },
  {
    row: "a consumer gets only some of the messages",
    async play(site) {
      const [one, two] = [
        await StompSocket.connected(tcp(site), ANA),
        await StompSocket.connected(tcp(site), ANA),
      ];
      for (const each of [one, two]) {
        each.say("SUBSCRIBE", { destination: "/queue/jobs", id: "1", receipt: "r" });
        await each.next();
      }
      one.say("SEND", { destination: "/queue/jobs" }, "1");
      one.say("SEND", { destination: "/queue/jobs" }, "2");
      const frames = [await one.next(), await two.next()];
      for (const each of [one, two]) each.socket.destroy();
      return frames.every(({ command }) => command === "MESSAGE") ? [] : ["not shared"];
    },
  },
  {
    row: "what was sent to a queue while nobody read it is gone",
    async play(site) {
      const client = await StompSocket.connected(tcp(site), ANA);
      client.say("SEND", { destination: "/queue/unread", receipt: "r" }, "1");
      await client.next();
      client.socket.destroy();
      return [];
    },
  },
  {
    row: "an MQTT client does not hear what STOMP sends",
    async play(site) {
      const client = await mqttClient(site.port("mqtt", "tcp"), { username: "ana", password: "right" });
      await client.subscribeAsync("/topic/plant/7");
      const before = (await site.metrics()).get("isthmus_messages_no_subscribers_total") ?? 0;
      const sender = await StompSocket.connected(tcp(site), ANA);
      sender.say("SEND", { destination: "/topic/plant/7" }, "x");
      await until(
        async () => ((await site.metrics()).get("isthmus_messages_no_subscribers_total") ?? 0) > before,
        "it is counted",
      );
      sender.socket.destroy();
      client.end(true);
      return [];
    },
  },
];

export const STOMP: Group = {
  name: "STOMP",
  settings: () => ({
    ...GUARDED,
    gateways: {
      stomp: { listeners: { tcp: { limits: { packetSize: "10KB", connectTimeout: "1s" } } } },
    },
  }),
  cases: CASES,
};
