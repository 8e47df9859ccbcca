/** One device of each protocol, in bytes; ids and texts are what a test wants them to be. */
import { createSocket } from "node:dgram";
import { connect, type Socket } from "node:net";
import mqtt, { type MqttClient } from "mqtt";
import { CON, textOption, uintOption, writeMessage } from "../support/coap-bytes.ts";
import type { Ports } from "./site.ts";

const URI_PATH = 11;
const CONTENT_FORMAT = 12;
const URI_QUERY = 15;
const POST = "0.02";
const PUT = "0.03";

export interface Texts {
  readonly id: string;
  readonly user: string;
  readonly topic: string;
  readonly payload: string;
}

export async function mqttClient({ mqtt: port }: Ports, id: string, more: object = {}): Promise<MqttClient> {
  return mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { clientId: id, reconnectPeriod: 0, ...more });
}

const snMessage = (type: number, body: Buffer): Buffer =>
  Buffer.concat([Buffer.from([body.length + 2, type]), body]);

/** Connects (MQTT-SN 1.2 §5.4.4), registers a topic and publishes on it; hears of what the gateway says. */
export async function mqttSnDevice({ mqttSn: port }: Ports, { id, topic, payload }: Texts) {
  const socket = createSocket("udp4");
  const send = (message: Buffer): void => socket.send(message, port, "127.0.0.1");
  const heard: Buffer[] = [];
  const next = (type: number): Promise<Buffer> =>
    new Promise((resolve) => {
      const look = (): void => {
        const found = heard.findIndex((message) => message[1] === type);
        if (found >= 0) resolve(heard.splice(found, 1)[0]!);
        else socket.once("message", () => setImmediate(look));
      };
      look();
    });
  socket.on("message", (message) => heard.push(message));
  send(snMessage(0x04, Buffer.concat([Buffer.from([0x00, 1, 0x02, 0x58]), Buffer.from(id)])));
  await next(0x05);
  send(snMessage(0x0a, Buffer.concat([Buffer.from([0, 0, 0, 7]), Buffer.from(topic)])));
  const regack = await next(0x0b);
  const topicId = regack.subarray(2, 4);
  send(
    snMessage(0x0c, Buffer.concat([Buffer.from([0x00]), topicId, Buffer.from([0, 0]), Buffer.from(payload)])),
  );
  return {
    /** Subscribes to a topic by its name at QoS 1. */
    async subscribe(filter: string): Promise<void> {
      send(snMessage(0x12, Buffer.concat([Buffer.from([0x20, 0, 9]), Buffer.from(filter)])));
      await next(0x13);
    },
    /** Sleeps for so many seconds (MQTT-SN 1.2 §6.14). */
    async sleep(seconds: number): Promise<void> {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(seconds);
      send(snMessage(0x18, length));
      await next(0x18);
    },
    /** Wakes, takes what waits, and acknowledges it. */
    async wake(): Promise<void> {
      send(snMessage(0x16, Buffer.from(id)));
      const published = await next(0x0c);
      send(
        snMessage(
          0x0d,
          Buffer.concat([published.subarray(3, 5), published.subarray(5, 7), Buffer.from([0])]),
        ),
      );
    },
    /** Wakes, registers what it is told, takes what waits, and acknowledges it only when it is sent again. */
    async wakeLate(): Promise<void> {
      send(snMessage(0x16, Buffer.from(id)));
      const register = await next(0x0a);
      send(snMessage(0x0b, Buffer.concat([register.subarray(2, 6), Buffer.from([0])])));
      await next(0x0c);
      const again = await next(0x0c);
      send(snMessage(0x0d, Buffer.concat([again.subarray(3, 7), Buffer.from([0])])));
    },
    close: () => socket.close(),
  };
}

let messageId = 1;

/** Sends one request and waits for an answer, asking again as RFC 7252 §4.2 does. */
async function coapRequest(port: number, bytes: Uint8Array): Promise<void> {
  const socket = createSocket("udp4");
  const answered = new Promise<void>((resolve) => socket.once("message", () => resolve()));
  const send = (): void => socket.send(bytes, port, "127.0.0.1");
  send();
  const again = setInterval(send, 2_000);
  await answered;
  clearInterval(again);
  socket.close();
}

export const coapPublish = (
  { coap }: Ports,
  { topic, payload, id, qos = 0 }: Texts & { readonly qos?: number },
): Promise<void> =>
  coapRequest(
    coap,
    writeMessage({
      type: CON,
      code: PUT,
      id: messageId++,
      token: "01",
      options: [
        ...["ps", ...topic.split("/")].map((part) => textOption(URI_PATH, part)),
        uintOption(CONTENT_FORMAT, 0),
        textOption(URI_QUERY, `c=${id}`),
        textOption(URI_QUERY, `qos=${qos}`),
      ],
      payload: new TextEncoder().encode(payload),
    }),
  );

/** `lifetime`: seconds. */
export const lwm2mRegister = ({ coap }: Ports, endpoint: string, lifetime = 600): Promise<void> =>
  coapRequest(
    coap,
    writeMessage({
      type: CON,
      code: POST,
      id: messageId++,
      token: "02",
      options: [
        textOption(URI_PATH, "rd"),
        uintOption(CONTENT_FORMAT, 40),
        ...[`ep=${endpoint}`, `lt=${lifetime}`, "lwm2m=1.1", "b=UQ"].map((part) =>
          textOption(URI_QUERY, part),
        ),
      ],
      payload: new TextEncoder().encode("</1/0>,</3/0>,</3303/0>,</33999/0>"),
    }),
  );

/** As STOMP 1.2 §"Value Encoding" has it. */
const escaped = (text: string): string =>
  text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll(":", "\\c");

export async function stompClient(
  { stomp: port }: Ports,
  { id, user, topic, payload }: Texts,
): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.on("error", () => {});
  const heard = new Promise((resolve) => socket.once("data", resolve));
  socket.write(
    `CONNECT\naccept-version:1.2\nhost:isthmus\nlogin:${user}\npasscode:x\nclient-id:${id.replaceAll(/[\n:]/g, "")}\n\n\0`,
  );
  await heard;
  socket.write(`SEND\ndestination:${escaped(topic)}\nx-header:${escaped(payload)}\n\n${payload}\0`);
  return socket;
}
