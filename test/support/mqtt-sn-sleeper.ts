/**
 * A sleeping MQTT-SN 1.2 client as its own firmware would be written: it connects, subscribes, sleeps, wakes on
 * some port, takes what waits, publishes, repeats by §6.13, and keeps a list of what it has got.
 */
import { CallbackAlarm } from "#core/lib/alarm.ts";
import { after, type Duration } from "#core/lib/time.ts";
import * as p from "./mqtt-sn-wire.ts";
import { decode, encode, encodeEncapsulated } from "./mqtt-sn-wire.ts";
import type { World } from "./world.ts";

const T_RETRY = 10_000;
const N_RETRY = 4;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export interface Air {
  /** From the device, at its present address, into the network. */
  send(device: Sleeper, datagram: Uint8Array): void;
  /** The port that the device's NAT gives it when it wakes up. */
  port(device: Sleeper): number;
}

type Step = "connecting" | "subscribing" | "publishing" | "to-sleep" | "asleep" | "awake" | "off";

export class Sleeper {
  readonly id: string;
  address: string;
  port: number;
  readonly node: Uint8Array | undefined;
  step: Step = "off";
  /** Payloads in the order in which they were first taken. */
  readonly got: string[] = [];
  /** Every payload handed to the application, repeats included. */
  readonly taken = new Map<string, number>();
  /** Uplink messages that the gateway has acknowledged. */
  readonly acknowledged: string[] = [];
  wakes = 0;
  reconnects = 0;
  readonly #world: World;
  readonly #air: Air;
  readonly #random: () => number;
  readonly #timer: CallbackAlarm;
  #topics = new Map<number, string>();
  #received = new Set<number>();
  /** QoS 2 ids that were completed a moment ago: a repeat that the network delayed is no new message. */
  #completed: number[] = [];
  #request: Uint8Array | undefined = undefined;
  #repeats = 0;
  #subscribed = false;
  #upCount = 0;
  #up: { payload: string; qos: 1 | 2; id: number; released: boolean } | undefined = undefined;
  #upsLeft = 0;
  readonly #sleep: number;

  constructor(world: World, air: Air, index: number, random: () => number) {
    this.#world = world;
    this.#air = air;
    this.#random = random;
    this.id = `d${index}`;
    const behind = index % 5 === 0;
    this.address = behind ? `10.9.0.${1 + (index % 25)}` : `10.0.0.${index % 10}`;
    this.port = behind ? 1884 : 5000 + index;
    this.node = behind ? Uint8Array.of(index >> 8, index & 0xff) : undefined;
    this.#sleep = 120 + Math.floor(random() * 240);
    this.#timer = new CallbackAlarm(() => this.#timeout());
  }

  start(): void {
    this.#connect();
  }

  /** As one that has been switched off and on: it has to subscribe again. */
  startAgain(): void {
    this.#subscribed = false;
    this.#up = undefined;
    this.#connect();
  }

  /** From now on it wakes only for what waits, and sends nothing of its own. */
  quiet = false;

  receive(datagram: Uint8Array): void {
    const packet = decode(datagram);
    if (packet.ok && this.step !== "asleep" && this.step !== "off") this.#handle(packet.value);
  }

  // ---- sending

  #send(packet: p.Packet): void {
    const message = encode(packet);
    this.#air.send(this, this.node === undefined ? message : encodeEncapsulated(0, this.node, message));
  }

  #ask(packet: p.Packet): void {
    this.#request = encode(packet);
    this.#repeats = 0;
    this.#send(packet);
    this.#wait(T_RETRY);
  }

  #wait(length: number): void {
    this.#world.ring(this.#timer, after(this.#world.now, length as Duration));
  }

  #timeout(): void {
    if (this.step === "asleep") {
      this.#wake();
      return;
    }
    if (this.#request === undefined) return;
    if (this.#repeats++ >= N_RETRY) {
      // Battery first: a sleeper goes back to sleep, anybody else starts again (§6.13, §6.14).
      if (this.step === "awake" || this.step === "to-sleep") this.#fallAsleep();
      else this.#connect();
      return;
    }
    const repeat = decode(this.#request);
    if (repeat.ok)
      this.#send(repeat.value.type === p.PUBLISH ? { ...repeat.value, duplicate: true } : repeat.value);
    this.#wait(T_RETRY);
  }

  // ---- what it does

  #connect(): void {
    this.step = "connecting";
    this.reconnects++;
    this.#topics = new Map();
    this.#ask({
      type: p.CONNECT,
      will: false,
      cleanSession: false,
      protocolId: 1,
      duration: 60,
      clientId: bytes(this.id),
    });
  }

  #wake(): void {
    this.wakes++;
    if (this.node === undefined) this.port = this.#air.port(this);
    if (!this.quiet && this.#random() < 0.3) {
      this.#upsLeft = 2;
      this.#connect();
      return;
    }
    this.step = "awake";
    this.#ask({ type: p.PINGREQ, clientId: bytes(this.id) });
  }

  #fallAsleep(): void {
    this.step = "asleep";
    this.#request = undefined;
    this.#wait(this.#sleep * 1000 * (0.5 + this.#random() * 0.45));
  }

  #goToSleep(): void {
    this.step = "to-sleep";
    this.#ask({ type: p.DISCONNECT, duration: this.#sleep });
  }

  #publishNext(): void {
    if (this.#up === undefined) {
      if (this.#upsLeft-- <= 0) {
        this.#goToSleep();
        return;
      }
      this.#upCount++;
      const qos = this.#upCount % 2 === 0 ? 2 : 1;
      this.#up = {
        payload: `${this.id}:${this.#upCount}:${qos}`,
        qos,
        id: (this.#upCount % 65_535) + 1,
        released: false,
      };
    }
    this.step = "publishing";
    const { payload, qos, id, released } = this.#up;
    if (released) {
      this.#ask({ type: p.PUBREL, messageId: id });
      return;
    }
    this.#ask({
      type: p.PUBLISH,
      duplicate: false,
      qos,
      retain: false,
      topicIdType: 2,
      topicId: 0x7570,
      messageId: id,
      payload: bytes(payload),
    });
  }

  // ---- receiving

  #handle(packet: p.Packet): void {
    // While awake every message but PINGRESP restarts the timer (§6.14).
    if (this.step === "awake") this.#wait(T_RETRY);
    switch (packet.type) {
      case p.CONNACK:
        if (this.step !== "connecting") return;
        if (packet.returnCode === 0) this.#connectedNow();
        return;
      case p.SUBACK:
        if (this.step !== "subscribing") return;
        this.#subscribed = true;
        this.#publishNext();
        return;
      case p.DISCONNECT:
        if (this.step === "to-sleep") this.#fallAsleep();
        else if (this.step !== "connecting") this.#connect();
        return;
      case p.PINGRESP:
        if (this.step === "awake") this.#fallAsleep();
        return;
      case p.REGISTER:
        this.#topics.set(packet.topicId, new TextDecoder().decode(packet.topic));
        this.#send({ type: p.REGACK, topicId: packet.topicId, messageId: packet.messageId, returnCode: 0 });
        return;
      case p.PUBLISH:
        this.#published(packet);
        return;
      case p.PUBREL:
        if (this.#received.delete(packet.messageId))
          this.#completed = [packet.messageId, ...this.#completed].slice(0, 8);
        this.#send({ type: p.PUBCOMP, messageId: packet.messageId });
        return;
      default:
        this.#acknowledgedUp(packet);
    }
  }

  #connectedNow(): void {
    if (this.#subscribed) {
      this.#publishNext();
      return;
    }
    this.step = "subscribing";
    this.#ask({
      type: p.SUBSCRIBE,
      duplicate: false,
      qos: 2,
      topicIdType: 0,
      messageId: 1,
      topic: bytes(`to/${this.id}/#`),
    });
  }

  #published(packet: p.Publish): void {
    const { messageId, topicId } = packet;
    if (!this.#topics.has(topicId)) {
      this.#send({ type: p.PUBACK, topicId, messageId, returnCode: p.INVALID_TOPIC_ID });
      return;
    }
    const payload = new TextDecoder().decode(packet.payload);
    if (packet.qos === 1) this.#send({ type: p.PUBACK, topicId, messageId, returnCode: 0 });
    if (packet.qos === 2) {
      this.#send({ type: p.PUBREC, messageId });
      if (this.#received.has(messageId) || this.#completed.includes(messageId)) return;
      this.#received.add(messageId);
    }
    const times = this.taken.get(payload) ?? 0;
    this.taken.set(payload, times + 1);
    if (times === 0) this.got.push(payload);
  }

  #acknowledgedUp(packet: p.Packet): void {
    const up = this.#up;
    if (
      up === undefined ||
      this.step !== "publishing" ||
      !("messageId" in packet) ||
      packet.messageId !== up.id
    )
      return;
    if (packet.type === p.PUBREC && up.qos === 2 && !up.released) {
      up.released = true;
      this.#ask({ type: p.PUBREL, messageId: up.id });
      return;
    }
    const done =
      packet.type === p.PUBCOMP
        ? up.released
        : packet.type === p.PUBACK && up.qos === 1 && packet.returnCode === 0;
    if (!done) return;
    this.acknowledged.push(up.payload);
    this.#up = undefined;
    this.#publishNext();
  }
}
