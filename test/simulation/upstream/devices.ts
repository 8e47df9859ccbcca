/** Devices of four gateways that go on whatever their gateway says, and note what it owes them. */
import type { Instant } from "#core/lib/time.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { type AnyPacket, MqttDevice } from "../../support/mqtt-device.ts";
import { type Air, Sleeper } from "../../support/mqtt-sn-sleeper.ts";
import { StompClient } from "../../support/stomp-client.ts";
import { header } from "../../support/stomp-frames.ts";
import type { DatagramNetwork, StreamListener, World } from "../../support/world.ts";

/** What they are measured by. */
export interface Judge {
  readonly now: Instant;
  readonly random: () => number;
  /** The gateway has said that this was published. */
  acknowledged(device: string, payload: string): void;
  /** Something that should not be. */
  wrong(what: string): void;
  /** Sessions last. */
  readonly keepsSessions: boolean;
}

export interface SimulatedDevice {
  readonly name: string;
  /** What it has been sent, in order, as its application sees it. */
  readonly received: string[];
  /** QoS 2 messages that it has published, and how often it began anew with them. */
  readonly exact: Set<string>;
  /** Hears what there is, and does something of its own. */
  act(): void;
  /** Hears what there is. */
  hear(): void;
  /** Is switched off and on: what it was told before counts no more. */
  startAgain(): void;
  /** Since when it waits for some word of the gateway. */
  readonly waitsSince: Instant | undefined;
  /** Connected, subscribed and with nothing to wait for. */
  readonly content: boolean;
  /** Begins nothing any more. */
  quiet: boolean;
}

interface Outgoing {
  readonly payload: string;
  readonly qos: 1 | 2;
  stage: "publish" | "release";
  since: Instant;
}

export class MqttClient implements SimulatedDevice {
  readonly name: string;
  readonly received: string[] = [];
  readonly exact = new Set<string>();
  quiet = false;
  readonly #judge: Judge;
  readonly #listener: StreamListener;
  readonly #version: 4 | 5;
  readonly #outgoing = new Map<number, Outgoing>();
  readonly #inbound = new Set<number>();
  #device: MqttDevice | undefined = undefined;
  #asked: Instant | undefined = undefined;
  #ready = false;
  #subscribed = false;
  #known = false;
  #count = 0;
  #nextId = 1;

  constructor(judge: Judge, listener: StreamListener, name: string, version: 4 | 5) {
    this.name = name;
    this.#judge = judge;
    this.#listener = listener;
    this.#version = version;
  }

  get #stays(): boolean {
    return this.name.startsWith("calm");
  }

  get content(): boolean {
    return this.#ready && this.#subscribed && this.#outgoing.size === 0 && this.#device?.closed === false;
  }

  get waitsSince(): Instant | undefined {
    const since = [...this.#outgoing.values()].map((each) => each.since);
    if (!this.#ready) since.length = 0;
    if (this.#asked !== undefined) since.push(this.#asked);
    return this.#device === undefined || since.length === 0 ? undefined : (Math.min(...since) as Instant);
  }

  act(): void {
    const { random } = this.#judge;
    if (this.#ready && random() < 0.1 && !this.quiet && !this.#stays) {
      // What was on its way to it never arrives.
      this.#device?.stream.drop();
      this.#closed();
      return;
    }
    this.hear();
    if (this.#device === undefined) {
      if (random() < 0.5) this.#connect();
    } else if (this.#ready && this.#subscribed && !this.quiet && this.#outgoing.size < 5) {
      this.#publish();
    }
  }

  #connect(): void {
    this.#device = new MqttDevice(this.#listener.connect(), this.#version);
    this.#asked = this.#judge.now;
    const properties = this.#version === 5 ? { properties: { sessionExpiryInterval: 100_000 } } : {};
    this.#take(this.#device.connect(this.name, { clean: false, ...properties }));
  }

  startAgain(): void {
    this.#device?.stream.drop();
    this.#closed();
    this.#subscribed = false;
  }

  #publish(): void {
    this.#publishTo("up", this.#judge.random() < 0.5 ? 1 : 2);
  }

  /** Something to another device. */
  tell(topic: string): void {
    if (this.content) this.#publishTo(topic, 1);
  }

  #publishTo(topic: string, qos: 1 | 2): void {
    while (this.#outgoing.has(this.#nextId)) this.#nextId = (this.#nextId % 30) + 1;
    const id = this.#nextId;
    this.#nextId = (this.#nextId % 30) + 1;
    const payload = `${this.name}:${++this.#count}`;
    if (qos === 2) this.exact.add(payload);
    const outgoing = { payload, qos, stage: "publish", since: this.#judge.now } as const;
    this.#outgoing.set(id, { ...outgoing });
    this.#say({ cmd: "publish", topic, payload, qos, messageId: id });
  }

  hear(): void {
    if (this.#device === undefined) return;
    this.#take(this.#device.take());
    if (this.#device?.closed === true) this.#closed();
  }

  #closed(): void {
    this.#device = undefined;
    this.#asked = undefined;
    this.#ready = false;
  }

  #say(packet: AnyPacket): void {
    const device = this.#device;
    if (device === undefined || device.closed) return;
    device.stream.send(device.encode(packet));
  }

  #take(packets: readonly AnyPacket[]): void {
    for (const packet of packets) this.#heard(packet);
  }

  #heard(packet: AnyPacket): void {
    const id = packet["messageId"] as number;
    const refused = ((packet["reasonCode"] as number | undefined) ?? 0) >= 0x80;
    switch (packet.cmd) {
      case "connack":
        this.#welcomed(packet);
        break;
      case "suback":
        this.#asked = undefined;
        this.#subscribed = ((packet["granted"] as number[])[0] ?? 0x80) < 0x80;
        if (!this.#subscribed) this.#subscribe();
        break;
      case "puback":
      case "pubrec":
        this.#answered(packet.cmd, id, refused);
        break;
      case "pubcomp":
        this.#outgoing.delete(id);
        break;
      case "publish":
        this.#deliver(packet, id);
        break;
      case "pubrel":
        this.#inbound.delete(id);
        this.#say({ cmd: "pubcomp", messageId: id });
        break;
    }
  }

  #welcomed(packet: AnyPacket): void {
    if (((packet["reasonCode"] ?? packet["returnCode"]) as number) !== 0) return;
    const present = packet["sessionPresent"] === true;
    if (this.#known && !present && this.#judge.keepsSessions)
      this.#judge.wrong(`${this.name}: its session is lost`);
    this.#asked = undefined;
    this.#ready = true;
    this.#known = true;
    if (!present) this.#inbound.clear();
    if (!present) this.#subscribed = false;
    for (const [messageId, outgoing] of this.#outgoing) {
      outgoing.since = this.#judge.now;
      const { payload, qos, stage } = outgoing;
      if (stage === "release" && present) this.#say({ cmd: "pubrel", messageId });
      else if (stage === "release") this.#outgoing.delete(messageId);
      else this.#say({ cmd: "publish", topic: "up", payload, qos, messageId, dup: present });
    }
    if (!this.#subscribed) this.#subscribe();
  }

  #subscribe(): void {
    this.#asked = this.#judge.now;
    this.#say({ cmd: "subscribe", messageId: 60_000, subscriptions: [{ topic: `to/${this.name}`, qos: 2 }] });
  }

  #answered(cmd: "puback" | "pubrec", id: number, refused: boolean): void {
    const outgoing = this.#outgoing.get(id);
    if (outgoing === undefined) return;
    if (!refused) this.#judge.acknowledged(this.name, outgoing.payload);
    if (cmd === "pubrec" && !refused) {
      outgoing.stage = "release";
      outgoing.since = this.#judge.now;
      this.#say({ cmd: "pubrel", messageId: id });
    } else {
      this.#outgoing.delete(id);
    }
  }

  #deliver(packet: AnyPacket, messageId: number): void {
    const qos = packet["qos"] as 0 | 1 | 2;
    if (qos !== 2 || !this.#inbound.has(messageId)) this.received.push(String(packet["payload"]));
    if (qos === 2) this.#inbound.add(messageId);
    if (qos > 0) this.#say({ cmd: qos === 1 ? "puback" : "pubrec", messageId });
  }
}

/** A sleeper of MQTT-SN, who repeats itself and gives up as MQTT-SN 1.2 §6.13 has it. */
export class SnSleeper implements SimulatedDevice {
  readonly name: string;
  readonly exact = new Set<string>();
  readonly sleeper: Sleeper;
  readonly #judge: Judge;
  #told = 0;
  #waits: Instant | undefined = undefined;

  constructor(judge: Judge, world: World, network: DatagramNetwork, index: number) {
    this.#judge = judge;
    const air: Air = {
      send: ({ address, port }, datagram) => {
        this.#waits ??= judge.now;
        network.deliver(datagram, address, port);
      },
      port: (device) => device.port,
    };
    // Not behind a forwarder.
    this.sleeper = new Sleeper(world, air, 5 * index + 1, judge.random);
    this.name = this.sleeper.id;
    const { address, port } = this.sleeper;
    network.attach(address, port, (bytes) => {
      this.#waits = undefined;
      this.sleeper.receive(bytes);
    });
    this.sleeper.start();
  }

  get received(): string[] {
    return this.sleeper.got;
  }

  get quiet(): boolean {
    return this.sleeper.quiet;
  }

  set quiet(quiet: boolean) {
    this.sleeper.quiet = quiet;
  }

  get waitsSince(): Instant | undefined {
    return this.sleeper.step === "asleep" ? undefined : this.#waits;
  }

  get content(): boolean {
    return this.sleeper.step === "asleep";
  }

  act(): void {
    this.hear();
  }

  startAgain(): void {
    this.sleeper.startAgain();
  }

  hear(): void {
    const { acknowledged } = this.sleeper;
    for (; this.#told < acknowledged.length; this.#told++) {
      const payload = acknowledged[this.#told] as string;
      this.#judge.acknowledged(this.name, payload);
    }
  }
}

/** Publishes without a session, and acknowledges what it is told. */
export class CoapPublisher implements SimulatedDevice {
  readonly name: string;
  readonly received: string[] = [];
  readonly exact = new Set<string>();
  quiet = false;
  readonly #judge: Judge;
  readonly #device: CoapDevice;
  readonly #open = new Map<string, { readonly payload: string; readonly since: Instant }>();
  #count = 0;

  constructor(judge: Judge, network: DatagramNetwork, index: number) {
    this.name = `coap-${index}`;
    this.#judge = judge;
    this.#device = new CoapDevice(network, 20_000 + index);
  }

  get waitsSince(): Instant | undefined {
    const since = [...this.#open.values()].map((each) => each.since);
    return since.length === 0 ? undefined : (Math.min(...since) as Instant);
  }

  get content(): boolean {
    return this.#open.size === 0;
  }

  act(): void {
    this.hear();
    if (this.quiet || this.#open.size > 0) return;
    const payload = `${this.name}:${++this.#count}`;
    const token = `t${this.#count}`;
    this.#open.set(token, { payload, since: this.#judge.now });
    this.#device.send({ code: "PUT", path: "ps/up", token, payload });
  }

  startAgain(): void {}

  hear(): void {
    for (const { type, code, id, token } of this.#device.take()) {
      if (type === "CON") this.#device.acknowledge(id);
      const asked = this.#open.get(token);
      if (asked === undefined || code === "0.00") continue;
      this.#open.delete(token);
      if (code.startsWith("2.")) this.#judge.acknowledged(this.name, asked.payload);
    }
  }
}

export class StompPeer implements SimulatedDevice {
  readonly name: string;
  readonly received: string[] = [];
  readonly exact = new Set<string>();
  quiet = false;
  readonly #judge: Judge;
  readonly #listener: StreamListener;
  readonly #open = new Map<string, { readonly payload: string; readonly since: Instant }>();
  #client: StompClient | undefined = undefined;
  #asked: Instant | undefined = undefined;
  #ready = false;
  #count = 0;

  constructor(judge: Judge, listener: StreamListener, name: string) {
    this.name = name;
    this.#judge = judge;
    this.#listener = listener;
  }

  get waitsSince(): Instant | undefined {
    const since = [...this.#open.values()].map((each) => each.since);
    if (this.#asked !== undefined) since.push(this.#asked);
    return since.length === 0 ? undefined : (Math.min(...since) as Instant);
  }

  get #stays(): boolean {
    return this.name.startsWith("calm");
  }

  get content(): boolean {
    return this.#ready && this.#open.size === 0 && this.#client?.closed === false;
  }

  act(): void {
    const { random, now } = this.#judge;
    if (this.#ready && random() < 0.1 && !this.quiet && !this.#stays) {
      this.#client?.stream.drop();
      this.#closed();
      return;
    }
    this.hear();
    if (this.#client === undefined) {
      if (random() < 0.5) this.#connect();
    } else if (this.#ready && !this.quiet && this.#open.size < 5) {
      const payload = `${this.name}:${++this.#count}`;
      this.#open.set(payload, { payload, since: now });
      this.#client.say("SEND", { destination: "up", receipt: payload }, payload);
    }
  }

  startAgain(): void {
    this.#client?.stream.drop();
    this.#closed();
  }

  #connect(): void {
    this.#client = new StompClient(this.#listener);
    this.#asked = this.#judge.now;
    this.#client.say("CONNECT", { "accept-version": "1.2", host: "h", "client-id": this.name });
    this.hear();
  }

  hear(): void {
    const client = this.#client;
    if (client === undefined) return;
    for (const one of client.heard()) {
      if (one.command === "CONNECTED") {
        client.say("SUBSCRIBE", {
          ...{ id: "0", destination: `to/${this.name}`, ack: "client-individual", receipt: "subscribed" },
        });
      } else if (one.command === "RECEIPT") {
        this.#receipt(header(one, "receipt-id") ?? "");
      } else if (one.command === "MESSAGE") {
        this.received.push(one.body.toString());
        client.say("ACK", { id: header(one, "ack") ?? "" });
      }
    }
    if (client.closed) this.#closed();
  }

  #receipt(id: string): void {
    if (id === "subscribed") {
      this.#asked = undefined;
      this.#ready = true;
      return;
    }
    if (this.#open.delete(id)) this.#judge.acknowledged(this.name, id);
  }

  #closed(): void {
    this.#client = undefined;
    this.#asked = undefined;
    this.#ready = false;
    this.#open.clear();
  }
}
