import { until } from "../../support/store-process.ts";
import type { Case, Group } from "./case.ts";
import { CoapSocket, mqttClient } from "./clients.ts";
import { GUARDED, type Site } from "./site.ts";

const ANA = ["u=ana", "p=right"];
const OBSERVE = 6;

async function withDevice<T>(site: Site, use: (device: CoapSocket) => Promise<T>): Promise<T> {
  const device = new CoapSocket(site.port("coap", "udp"));
  try {
    return await use(device);
  } finally {
    device.close();
  }
}

/** Counts what the log has of an event. */
const linesOf = (site: Site, event: string): number =>
  site.lines.filter((line) => line.event === event).length;

const CASES: readonly Case[] = [
  {
    row: "`4.01`, with the right address and path",
    play: (site) =>
      withDevice(site, async (device) => {
        const wrong = ["c=wrong", "u=ana", "p=wrong"];
        return [(await device.ask({ code: "PUT", path: "ps/a", query: wrong, payload: "x" })).code];
      }),
  },
  {
    row: "`4.03`, and to a client without a user name `4.01`",
    play: (site) =>
      withDevice(site, async (device) => {
        const known = await device.ask({
          code: "PUT",
          path: "ps/secret/a",
          query: ["c=known", ...ANA],
          payload: "x",
        });
        const nameless = { code: "PUT", path: "ps/secret/a", query: ["c=nameless"], payload: "x" };
        return [known.code, (await device.ask(nameless)).code];
      }),
  },
  {
    row: "`4.01` with an Echo option, or no answer to a NON",
    play: (site) =>
      withDevice(site, async (device) => {
        device.answersPings = false;
        const answer = await device.ask({
          code: "PUT",
          path: "ps/a",
          query: ["c=mute", ...ANA],
          payload: "x",
        });
        // RFC 9175 §2.2.1.
        return answer.raw(252) === undefined ? [answer.code, "no Echo"] : [answer.code];
      }),
  },
  {
    row: "`4.01` to a request with a token of `mqtt/connection`",
    play: (site) =>
      withDevice(site, async (device) => {
        const query = ["c=token-1", "token=former"];
        const answer = await device.ask({ code: "PUT", path: "ps/a", query, payload: "x" });
        return [answer.code];
      }),
  },
  {
    row: "`4.04` to a GET of a topic",
    play: (site) =>
      withDevice(site, async (device) => [
        (await device.ask({ path: "ps/nothing/kept", query: ["c=reader", ...ANA] })).code,
      ]),
  },
  {
    row: "`4.04` to a PUT or POST",
    play: (site) =>
      withDevice(site, async (device) => [
        (await device.ask({ code: "PUT", path: "room/7", query: ["c=lost", ...ANA], payload: "x" })).code,
      ]),
  },
  {
    row: "`4.00`",
    play: (site) =>
      withDevice(site, async (device) => [
        (
          await device.ask({
            code: "PUT",
            path: "ps/a",
            query: ["c=odd", "qos=7", ...ANA],
            payload: "x",
          })
        ).code,
      ]),
  },
  {
    row: "`4.02`",
    play: (site) =>
      withDevice(site, async (device) => [
        // A critical option that nobody knows (RFC 7252 §5.4.1).
        (await device.ask({ path: "ps/a", query: ["c=critical", ...ANA], options: [[65_001, "x"]] })).code,
      ]),
  },
  {
    row: "`4.13`",
    play: (site) =>
      withDevice(site, async (device) => {
        const block = Buffer.alloc(1024, "x");
        // Block1 with more to come, and Size1: larger than is taken (RFC 7959 §2.9.3).
        const options: [number, number][] = [
          [27, 0x0e],
          [60, 10_000_000],
        ];
        return [
          (
            await device.ask({
              code: "PUT",
              path: "ps/a",
              query: ["c=large", ...ANA],
              options,
              payload: block,
            })
          ).code,
        ];
      }),
  },
  {
    row: "`4.29`, with Max-Age",
    play: (site) =>
      withDevice(site, async (device) => {
        const codes: string[] = [];
        for (let n = 0; n < 40 && codes.at(-1) !== "4.29"; n++) {
          const query = ["c=fast", ...ANA];
          const answer = await device.ask({
            code: "PUT",
            path: "ps/fast",
            token: `t${n}`,
            query,
            payload: "x",
          });
          codes.push(answer.code);
        }
        return [codes.at(-1)];
      }),
  },
  {
    row: "an observer gets no more notifications",
    play: (site) =>
      withDevice(site, async (device) => {
        const answer = await device.ask({
          path: "ps/news",
          token: "o",
          query: ["c=observer", ...ANA],
          options: [[OBSERVE, ""]],
        });
        if (answer.number(OBSERVE) === undefined) return [`${answer.code} without Observe`];
        const client = await mqttClient(site.port("mqtt", "tcp"), { username: "ana", password: "right" });
        await client.publishAsync("news", "x", { qos: 1 });
        await client.endAsync();
        // Its notification comes, and is not acknowledged.
        const before = (await site.metrics()).get(TIMEOUTS) ?? 0;
        await until(
          async () => ((await site.metrics()).get(TIMEOUTS) ?? 0) > before,
          "the notification is given up",
          60_000,
        );
        return [];
      }),
  },
  {
    row: "UDP: no answer at all, and it is another protocol's message",
    play: (site) =>
      withDevice(site, async () => {
        const before = linesOf(site, "datagram-dropped") + linesOf(site, "malformed");
        const { SnSocket } = await import("../../support/mqtt-sn-socket.ts");
        const other = await SnSocket.open(site.port("coap", "udp"));
        await other.send("0a0401ffff41424344");
        await until(() => linesOf(site, "datagram-dropped") + linesOf(site, "malformed") > before, "a line");
        await other.close();
        return [];
      }),
  },
];

const TIMEOUTS = 'isthmus_coap_stack_total{kind="timeout"}';

export const COAP: Group = {
  name: "CoAP",
  settings: () => ({
    ...GUARDED,
    gateways: {
      coap: {
        listeners: { udp: { limits: { messageRate: 5 } } },
        stack: { ackTimeout: "50ms", maxRetransmit: 1 },
      },
    },
  }),
  cases: CASES,
};
