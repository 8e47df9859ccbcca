/** An MQTT client that keeps its side of a session through lost connections, as the specification asks of it. */
import mqttPacket from "mqtt-packet";
import type { AnyPacket } from "../../support/mqtt-device.ts";
import type { StreamListener, VirtualStream } from "../../support/world.ts";

export interface Received {
  readonly topic: string;
  readonly payload: string;
  readonly qos: 0 | 1 | 2;
}

interface Outgoing {
  readonly packet: { cmd: "publish"; topic: string; payload: string; qos: 1 | 2; messageId: number };
  stage: "publish" | "release";
}

export class SimulatedClient {
  readonly id: string;
  readonly version: 4 | 5;
  readonly filters: ReadonlyMap<string, 0 | 1 | 2>;
  readonly received: Received[] = [];
  /** Published and not yet acknowledged, oldest first. */
  readonly outgoing = new Map<number, Outgoing>();
  readonly #listener: StreamListener;
  readonly #inbound = new Set<number>();
  #stream: VirtualStream | undefined;
  #parser = mqttPacket.parser();
  #ready = false;
  #known = false;
  #nextId = 1;
  /** Octets that leave with the next `pump`. */
  #output: Uint8Array[] = [];

  constructor(listener: StreamListener, id: string, version: 4 | 5, filters: ReadonlyMap<string, 0 | 1 | 2>) {
    this.#listener = listener;
    this.id = id;
    this.version = version;
    this.filters = filters;
  }

  get connected(): boolean {
    return this.#stream !== undefined && !this.#stream.closed;
  }

  get ready(): boolean {
    return this.connected && this.#ready;
  }

  open(capacity: number): void {
    this.#stream = this.#listener.connect();
    this.#stream.capacity = capacity;
    this.#ready = false;
    this.#output = [];
    this.#parser = mqttPacket.parser({ protocolVersion: this.version } as never);
    this.#parser.on("packet", (packet) => this.#handle(packet as unknown as AnyPacket));
    this.#parser.on("error", (error) => {
      throw error;
    });
    const properties = this.version === 5 ? { properties: { sessionExpiryInterval: 100_000 } } : {};
    this.#put({
      ...{ cmd: "connect", protocolId: "MQTT", protocolVersion: this.version, clean: false, keepalive: 0 },
      clientId: this.id,
      ...properties,
    });
  }

  publish(topic: string, payload: string, qos: 0 | 1 | 2): boolean {
    if (!this.ready) return false;
    if (qos === 0) {
      this.#put({ cmd: "publish", topic, payload, qos });
      return true;
    }
    if (this.outgoing.size >= 10) return false;
    while (this.outgoing.has(this.#nextId)) this.#nextId = (this.#nextId % 20) + 1;
    const packet = { cmd: "publish" as const, topic, payload, qos, messageId: this.#nextId };
    this.outgoing.set(packet.messageId, { packet, stage: "publish" });
    this.#put(packet);
    this.#nextId = (this.#nextId % 20) + 1;
    return true;
  }

  /** Octets go both ways. */
  pump(): void {
    this.#send(Number.POSITIVE_INFINITY);
    this.#receive(Number.POSITIVE_INFINITY);
  }

  /** The connection is lost: some octets of each direction still arrive, the others never do. */
  lose(random: () => number): void {
    if (this.#stream === undefined) return;
    this.#send(Math.floor(random() * 60));
    if (random() < 0.7) this.#receive(Math.floor(random() * 120));
    this.#stream.drop();
    this.#stream = undefined;
    this.#output = [];
    this.#ready = false;
  }

  #send(limit: number): void {
    const stream = this.#stream;
    const bytes = Buffer.concat(this.#output);
    this.#output = [];
    if (stream !== undefined && bytes.length > 0)
      stream.send(bytes.subarray(0, Math.min(limit, bytes.length)));
  }

  #receive(limit: number): void {
    const bytes = this.#stream?.takeBytes();
    if (bytes !== undefined)
      this.#parser.parse(Buffer.from(bytes.subarray(0, Math.min(limit, bytes.length))));
  }

  #put(packet: object): void {
    this.#output.push(mqttPacket.generate(packet as never, { protocolVersion: this.version } as never));
  }

  #handle(packet: AnyPacket): void {
    const messageId = packet["messageId"] as number;
    switch (packet.cmd) {
      case "connack":
        this.#welcomed(packet["sessionPresent"] as boolean);
        break;
      case "publish":
        this.#take(packet, messageId);
        break;
      case "pubrel":
        this.#inbound.delete(messageId);
        this.#put({ cmd: "pubcomp", messageId });
        break;
      case "pubrec": {
        const outgoing = this.outgoing.get(messageId);
        if (outgoing !== undefined) outgoing.stage = "release";
        this.#put({ cmd: "pubrel", messageId });
        break;
      }
      case "puback":
      case "pubcomp":
        this.outgoing.delete(messageId);
        break;
    }
  }

  #welcomed(sessionPresent: boolean): void {
    if (this.#known && !sessionPresent) throw new Error(`the session of ${this.id} is lost`);
    if (!this.#known) {
      const subscriptions = [...this.filters].map(([topic, qos]) => ({ topic, qos }));
      if (subscriptions.length > 0) this.#put({ cmd: "subscribe", messageId: 60_000, subscriptions });
    }
    this.#known = true;
    this.#ready = true;
    for (const { packet, stage } of this.outgoing.values()) {
      this.#put(
        stage === "publish" ? { ...packet, dup: true } : { cmd: "pubrel", messageId: packet.messageId },
      );
    }
  }

  #take(packet: AnyPacket, messageId: number): void {
    const { topic, payload, qos } = packet as unknown as Received;
    const isNew = qos !== 2 || !this.#inbound.has(messageId);
    if (isNew) this.received.push({ topic, payload: String(payload), qos });
    if (qos === 1) this.#put({ cmd: "puback", messageId });
    if (qos === 2) {
      this.#inbound.add(messageId);
      this.#put({ cmd: "pubrec", messageId });
    }
  }
}
