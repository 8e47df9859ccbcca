/** Devices of each protocol that do what leads to one symptom, and say what they were answered. */
import { createSocket, type Socket } from "node:dgram";
import { connect as connectTcp } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { type Heard, heard, packet, type Sent } from "../../support/coap-device.ts";
import { hexOf, message, SnSocket } from "../../support/mqtt-sn-socket.ts";
import { timeout } from "../../support/store-process.ts";

const PATIENCE = 30_000;

export const within = <T>(what: string, promise: Promise<T>): Promise<T> =>
  Promise.race([promise, timeout(PATIENCE, `never came: ${what}`)]);

/** `0x87`. */
export const code = (number: number | undefined): string =>
  number === undefined ? "none" : `0x${number.toString(16).padStart(2, "0").toUpperCase()}`;

// MQTT

export const mqttUrl = (port: number): string => `mqtt://127.0.0.1:${port}`;

export async function mqttClient(port: number, options: IClientOptions = {}): Promise<MqttClient> {
  const client = await mqtt.connectAsync(mqttUrl(port), { reconnectPeriod: 0, ...options });
  client.on("error", () => {});
  return client;
}

/** The return or reason code of a CONNACK that refuses. */
export async function connackOf(port: number, options: IClientOptions = {}): Promise<number> {
  const client = mqtt.connect(mqttUrl(port), { reconnectPeriod: 0, ...options });
  try {
    return await within(
      "CONNACK",
      new Promise<number>((resolve, reject) => {
        client.on("error", () => {});
        client.on("packetreceive", (received) => {
          if (received.cmd === "connack") resolve(received.reasonCode ?? received.returnCode ?? 0);
        });
        client.once("close", () => reject(new Error("closed without CONNACK")));
      }),
    );
  } finally {
    client.end(true);
  }
}

/** The reason code of PUBACK. */
export const pubackOf = (
  client: MqttClient,
  topic: string,
  payload: string | Buffer = "x",
): Promise<number> =>
  within(
    "PUBACK",
    new Promise((resolve) => {
      client.once("packetreceive", (received) => {
        if (received.cmd === "puback") resolve(received.reasonCode ?? 0);
      });
      client.publish(topic, payload, { qos: 1 }, () => {});
    }),
  );

/** The return or reason code of SUBACK. */
export const subackOf = (client: MqttClient, filter: string): Promise<number> =>
  within(
    "SUBACK",
    new Promise((resolve) => {
      client.once("packetreceive", (received) => {
        if (received.cmd === "suback") resolve(Number(received.granted[0]));
      });
      client.subscribe(filter, { qos: 1 }, () => {});
    }),
  );

/** The reason code of DISCONNECT, or undefined where the connection just ends. */
export const disconnectOf = (client: MqttClient): Promise<number | undefined> =>
  within(
    "the end of the connection",
    new Promise((resolve) => {
      let reason: number | undefined;
      client.on("packetreceive", (received) => {
        if (received.cmd === "disconnect") reason = received.reasonCode;
      });
      client.once("close", () => resolve(reason));
    }),
  );

// CoAP and LwM2M

export class CoapSocket {
  readonly #socket: Socket = createSocket("udp4");
  readonly #port: number;
  readonly #inbox: Heard[] = [];
  #arrived = (): void => {};
  #id = Math.floor(Math.random() * 30_000);
  /** Pings of the gateway are answered (RFC 7252 §4.3), as every endpoint must. */
  answersPings = true;

  constructor(port: number, address = "127.0.0.1") {
    this.#port = port;
    this.#socket.bind(0, address);
    this.#socket.on("message", (bytes) => {
      const one = heard(bytes);
      if (one.type === "CON" && one.code === "0.00") {
        if (this.answersPings) this.#put({ type: "RST", code: "0.00", id: one.id });
        return;
      }
      this.#inbox.push(one);
      this.#arrived();
    });
  }

  #put(sent: Sent): void {
    this.#socket.send(packet(sent), this.#port, "127.0.0.1");
  }

  send(sent: Sent): number {
    const id = sent.id ?? this.#id++;
    this.#put({ ...sent, id });
    return id;
  }

  async next(): Promise<Heard> {
    const came = async (): Promise<Heard> => {
      while (this.#inbox.length === 0) {
        await new Promise<void>((resolve) => {
          this.#arrived = resolve;
        });
      }
      return this.#inbox.shift() as Heard;
    };
    return within("an answer by CoAP", came());
  }

  ask(sent: Sent): Promise<Heard> {
    this.send(sent);
    return this.next();
  }

  get unread(): number {
    return this.#inbox.length;
  }

  close(): void {
    this.#socket.close();
  }
}

// MQTT-SN

/** CONNECT of MQTT-SN 1.2 §5.4.4, with a clean session. */
export const snConnect = (clientId: string, flags = "04"): string =>
  message(`04${flags}01003c${hexOf(clientId)}`);
export const snRegister = (topic: string, messageId = "0001"): string =>
  message(`0a0000${messageId}${hexOf(topic)}`);
export const snPublish = (topicId: string, payload: string, flags = "20", messageId = "0002"): string =>
  message(`0c${flags}${topicId}${messageId}${hexOf(payload)}`);
export const snSubscribe = (topic: string, flags = "20", messageId = "0003"): string =>
  message(`12${flags}${messageId}${hexOf(topic)}`);

export async function snClient(port: number, clientId: string): Promise<SnSocket> {
  const socket = await SnSocket.open(port);
  const answer = await socket.ask(snConnect(clientId));
  if (answer !== "030500") throw new Error(`CONNACK ${answer}`);
  return socket;
}

// Streams

/** `ECONNREFUSED`, or what came; undefined when the connection was just closed. */
export const tcpSays = (port: number, bytes: string | Uint8Array = ""): Promise<string | undefined> =>
  within(
    "an end of the connection",
    new Promise((resolve) => {
      const socket = connectTcp(port, "127.0.0.1", () => socket.write(bytes));
      let came = "";
      socket.on("data", (chunk) => {
        came += chunk.toString("latin1");
      });
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
      socket.once("close", () => resolve(came === "" ? undefined : came));
    }),
  );

/** The code of what goes wrong in a TLS handshake or after it; `connected` when nothing does. */
export const tlsSays = (port: number, options: ConnectionOptions = {}): Promise<string> =>
  within(
    "the end of a handshake",
    new Promise((resolve) => {
      const socket = connectTls({ port, host: "127.0.0.1", ...options });
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.once("close", () => resolve("closed"));
      // A certificate is judged after the handshake in TLS 1.3: what is wrong with it comes by an alert.
      socket.resume();
    }),
  );
