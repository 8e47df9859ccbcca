/** An MQTT-SN client of a load generator: one message at a time (MQTT-SN 1.2 §6.5, §6.6). */
import { decode } from "#gateways/mqtt-sn/codec.ts";
import { encode } from "#gateways/mqtt-sn/encode.ts";
import * as p from "#gateways/mqtt-sn/packets.ts";
import { utf8 } from "../lib/bytes.ts";
import { Awaited, GOODBYE_PATIENCE, Unanswered } from "../sim/awaited.ts";
import { type Field, Link } from "../sim/field.ts";
import { type ClientOptions, Declined, type LoadClient, type LoadUser } from "./client.ts";

/** Shorter than the specification's Tretry: this is no radio. In milliseconds. */
const PATIENCE: readonly number[] = [2_000, 4_000, 8_000, 16_000];

export class MqttSnClient implements LoadClient {
  readonly id: string;
  readonly #field: Field;
  readonly #options: ClientOptions;
  readonly #user: LoadUser;
  readonly #awaited: Awaited<p.Packet>;
  readonly #topics = new Map<string, number>();
  #link: Link | undefined = undefined;
  #in = false;
  #busy = false;
  #heardAt = 0;
  #messageId = 0;

  constructor(id: string, field: Field, options: ClientOptions, user: LoadUser) {
    this.id = id;
    this.#field = field;
    this.#options = options;
    this.#user = user;
    this.#awaited = new Awaited(field);
  }

  get full(): boolean {
    return !this.#in || this.#busy;
  }

  async connect(): Promise<void> {
    this.#link = await Link.open(this.#field, this.#field.port("mqtt-sn"), (bytes) => this.#received(bytes));
    const { keepAlive: duration } = this.#options;
    const answer = await this.#ask(
      {
        ...{ type: p.CONNECT, will: false, cleanSession: true, protocolId: p.PROTOCOL_ID },
        ...{ duration, clientId: utf8(this.id) },
      },
      ({ type }) => type === p.CONNACK,
    );
    accepted(answer);
    this.#in = true;
  }

  async subscribe(filter: string, qos: 0 | 1 | 2): Promise<void> {
    const messageId = this.#nextId();
    const packet: p.Subscribe = {
      ...{ type: p.SUBSCRIBE, duplicate: false, qos, topicIdType: p.NORMAL },
      ...{ messageId, topic: utf8(filter) },
    };
    accepted(await this.#ask(packet, (answer) => answer.type === p.SUBACK && answer.messageId === messageId));
  }

  publish(topic: string, payload: Uint8Array, sentAt: number): void {
    this.#busy = true;
    void this.#say(topic, payload)
      .then(
        () => this.#options.qos > 0 && this.#user.answered(this, sentAt, true),
        () => this.#user.answered(this, sentAt, false),
      )
      .finally(() => {
        this.#busy = false;
        this.#user.writable(this);
      });
  }

  async #say(topic: string, payload: Uint8Array): Promise<void> {
    const { qos, retain } = this.#options;
    const topicId = this.#topics.get(topic) ?? (await this.#register(topic));
    const messageId = qos === 0 ? 0 : this.#nextId();
    const publish: p.Publish = {
      ...{ type: p.PUBLISH, duplicate: false, qos, retain, topicIdType: p.NORMAL },
      ...{ topicId, messageId, payload },
    };
    if (qos === 0) {
      this.#send(publish);
      return;
    }
    const answers = (packet: p.Packet) =>
      (packet.type === p.PUBACK || packet.type === p.PUBREC) && packet.messageId === messageId;
    accepted(await this.#ask(publish, answers));
    if (qos === 1) return;
    const release: p.MessageAck = { type: p.PUBREL, messageId };
    await this.#ask(release, (packet) => packet.type === p.PUBCOMP && packet.messageId === messageId);
  }

  async #register(topic: string): Promise<number> {
    const messageId = this.#nextId();
    const answer = await this.#ask(
      { type: p.REGISTER, topicId: 0, messageId, topic: utf8(topic) },
      (packet) => packet.type === p.REGACK && packet.messageId === messageId,
    );
    accepted(answer);
    const topicId = answer.type === p.REGACK ? answer.topicId : 0;
    this.#topics.set(topic, topicId);
    return topicId;
  }

  tick(): void {
    const quiet = performance.now() - this.#heardAt;
    if (!this.#in || quiet < this.#options.keepAlive * 500) return;
    this.#send({ type: p.PINGREQ, clientId: new Uint8Array(0) });
    if (quiet < this.#options.keepAlive * 1_500) return;
    this.#in = false;
    this.#user.lost(this, "no answer");
  }

  async end(): Promise<void> {
    const goodbye = { type: p.DISCONNECT, duration: undefined } as const;
    const wasIn = this.#in;
    // What is answered from now on crosses the goodbye, and may be answered with DISCONNECT once more (§6.12).
    this.#in = false;
    if (wasIn)
      await this.#ask(goodbye, ({ type }) => type === p.DISCONNECT, GOODBYE_PATIENCE).catch(() => {});
    this.#link?.close();
  }

  async #ask(
    packet: p.Packet,
    isAnswer: (packet: p.Packet) => boolean,
    patience = PATIENCE,
  ): Promise<p.Packet> {
    try {
      return await this.#awaited.ask(
        (repeated) => {
          const again = repeated && (packet.type === p.PUBLISH || packet.type === p.SUBSCRIBE);
          this.#send(again ? { ...packet, duplicate: true } : packet);
        },
        isAnswer,
        patience,
      );
    } catch (error) {
      throw error instanceof Unanswered ? new Declined("no answer") : error;
    }
  }

  #received(bytes: Uint8Array): void {
    const decoded = decode(bytes);
    if (!decoded.ok) return;
    const packet = decoded.value;
    this.#heardAt = performance.now();
    if (packet.type === p.PUBLISH) {
      const { qos, topicId, messageId } = packet;
      if (qos === 1) this.#send({ type: p.PUBACK, topicId, messageId, returnCode: p.ACCEPTED });
      else if (qos === 2) this.#send({ type: p.PUBREC, messageId });
      this.#user.received(packet.payload);
    } else if (packet.type === p.PUBREL) this.#send({ type: p.PUBCOMP, messageId: packet.messageId });
    else if (packet.type === p.REGISTER) {
      const { topicId, messageId } = packet;
      this.#send({ type: p.REGACK, topicId, messageId, returnCode: p.ACCEPTED });
    } else if (!this.#awaited.heard(packet) && packet.type === p.DISCONNECT && this.#in) {
      this.#in = false;
      this.#user.lost(this, "DISCONNECT");
    }
  }

  #send(packet: p.Packet): void {
    this.#link?.send(encode(packet));
  }

  #nextId(): number {
    this.#messageId = (this.#messageId % 0xffff) + 1;
    return this.#messageId;
  }
}

function accepted(answer: p.Packet): void {
  if ("returnCode" in answer && answer.returnCode !== p.ACCEPTED)
    throw new Declined(`return code ${answer.returnCode}`);
}
