import { connect, type Socket } from "node:net";
import mqttPacket from "mqtt-packet";
import type { AnyPacket } from "../support/mqtt-device.ts";

const VERSION = { protocolVersion: 5 } as never;

/** An MQTT 5 device that takes many messages at a time and acknowledges none, as no client library does. */
export class Withholding {
  readonly messages: string[] = [];
  readonly #socket: Socket;
  readonly #packets: AnyPacket[] = [];
  #changed: (() => void) | undefined = undefined;

  private constructor(port: number) {
    this.#socket = connect(port, "127.0.0.1").on("error", () => {});
    const parser = mqttPacket.parser(VERSION);
    parser.on("packet", (packet) => this.#heard(packet as unknown as AnyPacket));
    this.#socket.on("data", (bytes) => void parser.parse(bytes));
  }

  static async connected(port: number, clientId: string, receiveMaximum: number): Promise<Withholding> {
    const device = new Withholding(port);
    const protocol = { protocolId: "MQTT", protocolVersion: 5, keepalive: 0 };
    device.#send({ cmd: "connect", ...protocol, clean: true, clientId, properties: { receiveMaximum } });
    await device.#answered("connack");
    return device;
  }

  async subscribe(topic: string): Promise<void> {
    this.#send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic, qos: 1 }] });
    await this.#answered("suback");
  }

  /** A word and its answer. */
  async publish(topic: string): Promise<void> {
    this.#send({ cmd: "publish", topic, payload: "x", qos: 1, messageId: 2 });
    await this.#answered("puback");
  }

  async hears(count: number): Promise<void> {
    await this.#until(() => this.messages.length >= count);
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(packet: object): void {
    this.#socket.write(mqttPacket.generate(packet as never, VERSION));
  }

  #heard(packet: AnyPacket): void {
    this.#packets.push(packet);
    if (packet.cmd === "publish") this.messages.push(String(packet["payload"]));
    this.#changed?.();
  }

  #answered(cmd: string): Promise<void> {
    return this.#until(() => this.#packets.some((packet) => packet.cmd === cmd));
  }

  async #until(enough: () => boolean): Promise<void> {
    while (!enough()) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}
