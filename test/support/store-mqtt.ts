/** An MQTT 5 client that comes back by itself and repeats exactly what the protocol asks it to repeat. */
import { connect, type Socket } from "node:net";
import mqttPacket, { type Packet } from "mqtt-packet";

const RECONNECT = 20;

interface InFlight {
  readonly topic: string;
  readonly payload: string;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  /** What is due: the message, or its release. */
  stage: "publish" | "release";
  /** It has been sent before. */
  sent: boolean;
  readonly resolve: () => void;
}

export class PersistentClient {
  /** Payloads in the order in which the application was given them. */
  readonly heard: string[] = [];
  connected = false;
  /** A refusal other than success, by packet. */
  readonly refused: string[] = [];
  /** Resolves at the first refusal. */
  readonly whenRefused: Promise<void>;
  #refuse = (): void => {};
  readonly #clientId: string;
  readonly #port: number;
  readonly #subscriptions: readonly string[];
  readonly #inFlight = new Map<number, InFlight>();
  /** QoS 2 ids between PUBLISH and PUBREL (method B, MQTT 5 §4.3.3). */
  readonly #received = new Set<number>();
  #socket: Socket | undefined;
  #subscribed: (() => void) | undefined;
  #nextId = 0;
  #ended = false;

  constructor(port: number, clientId: string, subscriptions: readonly string[] = []) {
    this.#port = port;
    this.#clientId = clientId;
    this.#subscriptions = subscriptions;
    this.whenRefused = new Promise((resolve) => {
      this.#refuse = resolve;
    });
    this.#connect();
  }

  /** Resolves when the subscriptions are granted. */
  subscribed(): Promise<void> {
    return new Promise((resolve) => {
      this.#subscribed = resolve;
    });
  }

  /** Resolves when the gateway has taken the message over: PUBACK or PUBREC, however many connections it takes. */
  publish(topic: string, payload: string, qos: 1 | 2, retain = false): Promise<void> {
    do this.#nextId = (this.#nextId % 65_535) + 1;
    while (this.#inFlight.has(this.#nextId));
    const id = this.#nextId;
    return new Promise((resolve) => {
      const entry: InFlight = { topic, payload, qos, retain, stage: "publish", sent: false, resolve };
      this.#inFlight.set(id, entry);
      if (this.connected) this.#sendEntry(id, entry);
    });
  }

  /** Messages that were neither taken nor refused yet. */
  get unanswered(): number {
    return this.#inFlight.size;
  }

  end(): void {
    this.#ended = true;
    this.#socket?.destroy();
  }

  #connect(): void {
    if (this.#ended) return;
    const socket = connect(this.#port, "127.0.0.1");
    const parser = mqttPacket.parser({ protocolVersion: 5 });
    this.#socket = socket;
    parser.on("packet", (packet: Packet) => {
      if (socket === this.#socket) this.#take(packet);
    });
    socket.on("connect", () =>
      this.#send({
        ...{ cmd: "connect", protocolId: "MQTT", protocolVersion: 5, clean: false, keepalive: 0 },
        ...{ clientId: this.#clientId, properties: { sessionExpiryInterval: 3600, receiveMaximum: 50 } },
      }),
    );
    socket.on("data", (bytes) => parser.parse(bytes));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.connected = false;
      setTimeout(() => this.#connect(), RECONNECT);
    });
  }

  #take(packet: Packet): void {
    const id = packet.messageId ?? 0;
    switch (packet.cmd) {
      case "connack":
        this.#resume(packet.sessionPresent);
        break;
      case "suback":
        this.#subscribed?.();
        break;
      case "publish":
        this.#deliver(String(packet.payload), packet.qos, id);
        break;
      case "puback":
        this.#settle(id, packet.reasonCode ?? 0);
        break;
      case "pubrec":
        this.#acknowledged(id, packet.reasonCode ?? 0);
        break;
      case "pubrel":
        this.#received.delete(id);
        this.#send({ cmd: "pubcomp", messageId: id });
        break;
      case "pubcomp":
        this.#inFlight.delete(id);
        break;
    }
  }

  /** All that is unacknowledged again, in its order [MQTT-4.4.0-1]. */
  #resume(present: boolean): void {
    this.connected = true;
    if (!present) this.#received.clear();
    if (this.#subscriptions.length > 0) {
      const subscriptions = this.#subscriptions.map((topic) => ({ topic, qos: 2 as const, rh: 1 }));
      this.#send({ cmd: "subscribe", messageId: 65_535, subscriptions });
    }
    for (const [id, entry] of this.#inFlight) this.#sendEntry(id, entry);
  }

  #sendEntry(messageId: number, entry: InFlight): void {
    if (entry.stage === "release") {
      this.#send({ cmd: "pubrel", messageId });
      return;
    }
    const { topic, payload, qos, retain, sent } = entry;
    this.#send({ cmd: "publish", topic, payload, qos, messageId, dup: sent, retain });
    entry.sent = true;
  }

  #deliver(payload: string, qos: number, id: number): void {
    if (qos < 2 || !this.#received.has(id)) this.heard.push(payload);
    if (qos === 2) this.#received.add(id);
    if (qos === 1) this.#send({ cmd: "puback", messageId: id });
    if (qos === 2) this.#send({ cmd: "pubrec", messageId: id });
  }

  #settle(id: number, reason: number): void {
    const entry = this.#inFlight.get(id);
    this.#inFlight.delete(id);
    if (reason < 0x80) {
      entry?.resolve();
      return;
    }
    this.refused.push(`${entry?.payload} 0x${reason.toString(16)}`);
    this.#refuse();
  }

  #acknowledged(id: number, reason: number): void {
    const entry = this.#inFlight.get(id);
    if (reason >= 0x80) {
      // For PUBREC it knows no such id any more, a client ends the exchange.
      this.#settle(id, reason);
      return;
    }
    if (entry !== undefined) {
      entry.stage = "release";
      entry.resolve();
    }
    this.#send({ cmd: "pubrel", messageId: id });
  }

  #send(packet: Packet): void {
    this.#socket?.write(mqttPacket.generate(packet, { protocolVersion: 5 }));
  }
}
