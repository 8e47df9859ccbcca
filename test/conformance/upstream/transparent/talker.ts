/** One raw MQTT connection, whose codec is a foreign one, and all that was heard on it. */
import { connect as connectTcp } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import mqttPacket from "mqtt-packet";
import WebSocket, { createWebSocketStream } from "ws";

export type Version = 3 | 4 | 5;
export type Transport = "tcp" | "tls" | "ws" | "wss";
type Plain = Record<string, unknown>;

/** Opens a connection of its transport to a port of this machine. */
export function streamTo(transport: Transport, port: number): Duplex {
  if (transport === "tcp") return connectTcp(port, "127.0.0.1");
  if (transport === "tls") return connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
  const url = `${transport}://127.0.0.1:${port}/mqtt`;
  return createWebSocketStream(new WebSocket(url, ["mqtt"], { rejectUnauthorized: false }));
}

/** What differs from run to run, and what is only how a packet was written. */
const LEFT_OUT = new Set(["length", "topicLength"]);

/** What a gateway itself takes is said where the broker has no limit. */
const OWN_PACKET_SIZE = 2 ** 21;

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .filter(([name, each]) => !LEFT_OUT.has(name) && each != null && each !== OWN_PACKET_SIZE)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    entries.map(([name, each]) => [name, name === "assignedClientIdentifier" ? "assigned" : plain(each)]),
  );
}

export class Talker {
  readonly #stream: Duplex;
  readonly #version: Version;
  readonly #heard: string[] = [];
  #read = 0;
  #closed = false;
  #changed: () => void = () => {};

  readonly #hear: (line: string) => void;

  constructor(stream: Duplex, version: Version, hear: (line: string) => void) {
    this.#hear = hear;
    this.#stream = stream;
    this.#version = version;
    const parser = mqttPacket.parser({ protocolVersion: version } as never);
    parser.on("packet", (packet) => this.#add(JSON.stringify(plain(packet))));
    parser.on("error", (error) => this.#add(`unreadable: ${error.message}`));
    stream.on("data", (chunk: Buffer) => parser.parse(chunk));
    const closed = () => {
      if (this.#closed) return;
      this.#closed = true;
      this.#add("closed");
    };
    stream.once("end", closed).once("close", closed).on("error", closed);
  }

  #add(line: string): void {
    this.#heard.push(line);
    this.#changed();
  }

  /** Sends packets in the foreign notation, or octets in hexadecimal, in one piece. */
  say(...packets: readonly (Plain | string)[]): void {
    const version = { protocolVersion: this.#version } as never;
    const octets = packets.map((packet) =>
      typeof packet === "string"
        ? Buffer.from(packet.replaceAll(" ", ""), "hex")
        : mqttPacket.generate(packet as unknown as mqttPacket.Packet, version),
    );
    this.#stream.write(Buffer.concat(octets));
  }

  /** Hears so many packets; the end of the connection counts as all that are left. */
  async next(count = 1): Promise<Plain[]> {
    const packets: Plain[] = [];
    for (let n = 0; n < count; n++) {
      while (this.#heard.length === this.#read) {
        await new Promise<void>((resolve) => {
          this.#changed = resolve;
        });
      }
      const line = this.#heard[this.#read++] as string;
      this.#hear(line);
      if (line === "closed" || line.startsWith("unreadable")) {
        this.#closed = true;
        return packets;
      }
      packets.push(JSON.parse(line));
    }
    return packets;
  }

  async ask(...packets: readonly (Plain | string)[]): Promise<Plain[]> {
    this.say(...packets);
    return this.next();
  }

  connect(options: Plain = {}): Promise<Plain[]> {
    return this.ask({
      cmd: "connect",
      protocolId: this.#version === 3 ? "MQIsdp" : "MQTT",
      protocolVersion: this.#version,
      clean: true,
      keepalive: 60,
      clientId: "device",
      ...options,
    });
  }

  /** Nothing more comes: the connection is open, and answers. */
  async finish(): Promise<void> {
    if (!this.#closed) {
      this.say({ cmd: "pingreq" });
      let heard: Plain[];
      do heard = await this.next();
      while (heard.length > 0 && heard[0]?.["cmd"] !== "pingresp");
    }
    this.#stream.destroy();
  }

  cut(): void {
    this.#closed = true;
    this.#stream.destroy();
  }
}
