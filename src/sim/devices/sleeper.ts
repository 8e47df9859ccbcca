/** An MQTT-SN sensor that sleeps: wakes up, says its reading, takes what has waited for it, and sleeps on (§6.14). */

import { decode } from "#gateways/mqtt-sn/codec.ts";
import { encode } from "#gateways/mqtt-sn/encode.ts";
import * as p from "#gateways/mqtt-sn/packets.ts";
import { utf8 } from "../../lib/bytes.ts";
import { Awaited, GOODBYE_PATIENCE } from "../awaited.ts";
import { Link } from "../field.ts";
import { applySettings, asJson, readingsOf } from "../thing.ts";
import { settingsTopic } from "./coap-sensor.ts";
import { Device, Turned } from "./device.ts";

/** MQTT-SN 1.2 §7.2: Tretry and Nretry. */
const T_RETRY = 10_000;
const N_RETRY = 3;
/** Keep-alive of a device that is awake, in seconds. */
const KEEP_ALIVE = 60;
/** A device promises to be back later than it means to be, so that one lost datagram is no alarm. */
const PROMISE_SLACK = 15;
/** It looks for messages so many times for each reading that it says. */
const PEEKS = 1;

export class Sleeper extends Device {
  readonly #awaited = new Awaited<p.Packet>(this.field);
  #link: Link | undefined = undefined;
  #messageId = 0;
  #topicId = 0;
  /** The first CONNECT begins a session, later ones go on with it. */
  #fresh = true;
  /** The gateway has said that it does not know this device. */
  #dismissed = false;

  protected async open(): Promise<void> {
    const port = this.field.port("mqtt-sn");
    this.#link = await Link.open(this.field, port, (bytes) => this.#received(bytes));
  }

  close(): void {
    this.#link?.close();
  }

  protected async enter(): Promise<void> {
    await this.#connect();
    await this.#register();
    if (this.thing.settings.length > 0) await this.#subscribe();
  }

  protected async live(): Promise<void> {
    for (;;) {
      await this.#report();
      await this.#sleep();
      for (let peek = 0; peek < PEEKS; peek++) {
        await this.interval();
        await this.#peek();
      }
      await this.interval();
      await this.#connect();
    }
  }

  protected async leave(): Promise<void> {
    // A session that was to be kept is ended by one that is not.
    this.#fresh = true;
    await this.#connect();
    await this.#ask({ type: p.DISCONNECT, duration: undefined }, ({ type }) => type === p.DISCONNECT);
  }

  async #connect(): Promise<void> {
    const connect: p.Connect = {
      ...{ type: p.CONNECT, will: false, cleanSession: this.#fresh, protocolId: p.PROTOCOL_ID },
      ...{ duration: KEEP_ALIVE, clientId: utf8(this.id) },
    };
    const answer = await this.#ask(connect, ({ type }) => type === p.CONNACK);
    if (answer.type === p.CONNACK && answer.returnCode !== p.ACCEPTED) throw new Turned();
    this.#dismissed = false;
    this.#fresh = false;
  }

  async #register(): Promise<void> {
    const messageId = this.#nextId();
    const register: p.Register = {
      ...{ type: p.REGISTER, topicId: 0, messageId, topic: utf8(this.thing.topic) },
    };
    const answer = await this.#ask(
      register,
      (packet) => packet.type === p.REGACK && packet.messageId === messageId,
    );
    if (answer.type !== p.REGACK || answer.returnCode !== p.ACCEPTED) throw new Turned();
    this.#topicId = answer.topicId;
  }

  async #subscribe(): Promise<void> {
    const messageId = this.#nextId();
    const answer = await this.#ask(
      {
        ...{ type: p.SUBSCRIBE, duplicate: false, qos: 1, topicIdType: p.NORMAL, messageId },
        topic: utf8(settingsTopic(this.thing.topic)),
      },
      (packet) => packet.type === p.SUBACK && packet.messageId === messageId,
    );
    if (answer.type !== p.SUBACK || answer.returnCode !== p.ACCEPTED) throw new Turned();
  }

  async #report(): Promise<void> {
    const payload = utf8(asJson(readingsOf(this.thing, this.field.timers.now())));
    for (let again = false; ; again = true) {
      const answer = await this.#publish(payload);
      if (answer === p.ACCEPTED) break;
      // The gateway has forgotten the number (MQTT-SN 1.2 §6.5).
      if (answer !== p.INVALID_TOPIC_ID || again) throw new Turned();
      await this.#register();
    }
    this.field.counts.one("readings");
  }

  async #publish(payload: Uint8Array): Promise<number> {
    const messageId = this.#nextId();
    const publish: p.Publish = {
      ...{ type: p.PUBLISH, duplicate: false, qos: 1, retain: false, topicIdType: p.NORMAL },
      ...{ topicId: this.#topicId, messageId, payload },
    };
    const answer = await this.#ask(
      publish,
      (packet) => packet.type === p.PUBACK && packet.messageId === messageId,
    );
    return answer.type === p.PUBACK ? answer.returnCode : p.ACCEPTED;
  }

  async #sleep(): Promise<void> {
    const duration = Math.ceil((1.5 * this.field.options.interval) / 1000) + PROMISE_SLACK;
    await this.#ask({ type: p.DISCONNECT, duration }, ({ type }) => type === p.DISCONNECT);
  }

  /** Asks for what has waited; the gateway sends it, and then PINGRESP. */
  async #peek(): Promise<void> {
    const answer = await this.#ask(
      { type: p.PINGREQ, clientId: utf8(this.id) },
      ({ type }) => type === p.PINGRESP || type === p.DISCONNECT,
    );
    if (this.#dismissed || answer.type === p.DISCONNECT) throw new Turned();
  }

  async #ask(packet: p.Packet, isAnswer: (packet: p.Packet) => boolean): Promise<p.Packet> {
    const patience = this.field.ending
      ? GOODBYE_PATIENCE
      : Array.from({ length: N_RETRY + 1 }, () => this.field.luck.between(T_RETRY, 1.5 * T_RETRY));
    return this.#awaited.ask(
      (repeated) => {
        const again = repeated && (packet.type === p.PUBLISH || packet.type === p.SUBSCRIBE);
        this.#send(again ? { ...packet, duplicate: true } : packet);
      },
      isAnswer,
      patience,
    );
  }

  #received(bytes: Uint8Array): void {
    const decoded = decode(bytes);
    if (!decoded.ok) return;
    const packet = decoded.value;
    if (packet.type === p.PUBLISH) this.#obey(packet);
    else if (packet.type === p.REGISTER) {
      const { topicId, messageId } = packet;
      this.#send({ type: p.REGACK, topicId, messageId, returnCode: p.ACCEPTED });
    } else if (!this.#awaited.heard(packet) && packet.type === p.DISCONNECT) {
      // One that nobody has asked for: the gateway does not know this client any more (§6.12).
      this.#dismissed = true;
    }
  }

  #obey({ qos, topicId, messageId, payload }: p.Publish): void {
    if (qos === 1) this.#send({ type: p.PUBACK, topicId, messageId, returnCode: p.ACCEPTED });
    if (applySettings(this.thing, Buffer.from(payload).toString())) this.field.counts.one("obeyed");
  }

  #send(packet: p.Packet): void {
    this.#link?.send(encode(packet));
  }

  #nextId(): number {
    this.#messageId = (this.#messageId % 0xffff) + 1;
    return this.#messageId;
  }
}
