/** Each reason code that a server may give (MQTT 5 §2.4), and what MQTT 3.1.1 has instead, goes to its client as it is. */
import { type Case, enter, NEWER, one, publish, subscribe, unsubscribe, V4, V5, within } from "./steps.ts";

const CONNACK = [
  ...[0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c],
  ...[0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f],
];
const OLD_CONNACK = [0x84, 0x85, 0x86, 0x87, 0x88];
const PUBACK = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const SUBACK = [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2];
const UNSUBACK = [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91];
/** They speak of the client, and end it. */
const DISCONNECT = [
  ...[0x81, 0x82, 0x87, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9e, 0xa1, 0xa2],
];
/** They speak of the server: a gateway goes to another one, or to the same once more, and its client stays. */
export const OF_SERVERS = [0x00, 0x80, 0x83, 0x89, 0x8b, 0x8d, 0x9c, 0x9d, 0x9f, 0xa0];

export const named = (what: string, code: number): string =>
  `${what}/0x${code.toString(16).padStart(2, "0")}`;

const refused = (codes: readonly number[]): Case["script"] => {
  return async (open, version) => {
    for (const code of codes) await (await enter(open, version, named("device", code))).next();
  };
};

export const CODES: readonly Case[] = [
  within("coded", "each reason of CONNACK", V5, refused(CONNACK)),
  within("coded", "each return code of CONNACK", V4, refused(OLD_CONNACK)),
  within(
    "coded",
    "each reason of PUBACK and PUBREC",
    V5,
    one(async (device) => {
      let messageId = 0;
      for (const code of PUBACK) {
        await device.ask(publish(named("once", code), 1, ++messageId));
        const [pubrec] = await device.ask(publish(named("twice", code), 2, ++messageId));
        if (Number(pubrec?.["reasonCode"] ?? 0) < 0x80) await device.ask({ cmd: "pubrel", messageId });
      }
    }),
  ),
  within(
    "coded",
    "each reason of SUBACK",
    NEWER,
    one(async (device) => {
      for (const [index, code] of SUBACK.entries()) {
        await device.ask(subscribe(index + 1, [named("filter", code), 2]));
      }
    }),
  ),
  within(
    "coded",
    "each reason of UNSUBACK",
    NEWER,
    one(async (device) => {
      for (const [index, code] of UNSUBACK.entries()) {
        await device.ask(unsubscribe(index + 1, named("filter", code)));
      }
    }),
  ),
  within("coded", "each reason of DISCONNECT that speaks of the client", V5, async (open) => {
    for (const code of DISCONNECT) {
      const device = await enter(open, 5, named("device", 0x00));
      device.say(publish(named("bye", code), 0));
      await device.next(2);
    }
  }),
];
