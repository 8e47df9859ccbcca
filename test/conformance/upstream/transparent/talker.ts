/** One raw MQTT connection, whose codec is a foreign one, and all that was heard on it. */
import { connect as connectTcp } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import mqttPacket from "mqtt-packet";
import WebSocket, { createWebSocketStream } from "ws";

export type Version = 3 | 4 | 5;
export const TRANSPORTS = ["tcp", "tls", "ws", "wss"] as const;
export type Transport = (typeof TRANSPORTS)[number];
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

/** What may be another value of the same meaning. */
const MEANINGS: Readonly<Record<string, (value: unknown) => unknown>> = {
  assignedClientIdentifier: () => "assigned",
  // It is counted down in seconds, by whoever has the message.
  messageExpiryInterval: (value) => `at most ${Math.ceil(Number(value) / 50) * 50}`,
};

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .filter(([name, each]) => !LEFT_OUT.has(name) && each != null && each !== OWN_PACKET_SIZE)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, each]) => [name, (MEANINGS[name] ?? plain)(each)]));
}

/** How long the first packet is of these octets; undefined: that is not known yet. */
function firstPacket(octets: Uint8Array): number | undefined {
  let length = 0;
  for (let at = 1; at < octets.length; at++) {
    // More than four octets of length are nothing that MQTT knows: let the codec say so.
    if (at > 4) return octets.length;
    const octet = octets[at] as number;
    length += (octet & 0x7f) * 128 ** (at - 1);
    if (octet < 0x80) return at + 1 + length;
  }
  return undefined;
}

export class Talker {
  readonly clientId: string;
  /** Which client id the broker has given it. */
  assigned: string | undefined = undefined;
  /** Messages whose topic was only an alias. */
  aliased = 0;
  readonly #stream: Duplex;
  readonly #version: Version;
  readonly #heard: string[] = [];
  /** The octets of each packet that was heard. */
  readonly #octets: string[] = [];
  #unread: Buffer = Buffer.alloc(0);
  #read = 0;
  /** The end was heard, or is nobody's business any more. */
  #over = false;
  #changed: () => void = () => {};
  /** The topics of the broker's aliases, and how many it may have. */
  readonly #aliases = new Map<number, string>();
  #aliasesMax = 0;
  readonly #hear: (line: string) => void;

  constructor(stream: Duplex, version: Version, hear: (line: string) => void, clientId = "device") {
    this.#hear = hear;
    this.#stream = stream;
    this.#version = version;
    this.clientId = clientId;
    const parser = mqttPacket.parser({ protocolVersion: version } as never);
    parser.on("packet", (packet) => this.#add(this.#shown(packet as unknown as Plain)));
    parser.on("error", (error) => this.#add(`unreadable: ${error.message}`));
    stream.on("data", (chunk: Buffer) => this.#receive(chunk, parser));
    let open = true;
    const closed = () => {
      if (open) this.#add("closed");
      open = false;
    };
    stream.once("end", closed).once("close", closed).on("error", closed);
  }

  #receive(chunk: Buffer, parser: mqttPacket.Parser): void {
    this.#unread = Buffer.concat([this.#unread, chunk]);
    let size = firstPacket(this.#unread);
    while (size !== undefined && size <= this.#unread.length) {
      const packet = this.#unread.subarray(0, size);
      this.#unread = this.#unread.subarray(size);
      this.#octets.push(packet.toString("hex"));
      parser.parse(packet);
      size = firstPacket(this.#unread);
    }
  }

  #shown(packet: Plain): string {
    const { assignedClientIdentifier } = (packet["properties"] ?? {}) as Plain;
    if (assignedClientIdentifier !== undefined) this.assigned = String(assignedClientIdentifier);
    return JSON.stringify(plain(packet["cmd"] === "publish" ? this.#whole(packet) : packet));
  }

  /** With its topic, whatever alias that came under (MQTT 5 §3.3.2.3.4). */
  #whole({ properties, ...message }: Plain): Plain {
    const { topicAlias, ...rest } = (properties ?? {}) as Plain;
    const whole = Object.keys(rest).length === 0 ? message : { ...message, properties: rest };
    if (topicAlias === undefined) return whole;
    const alias = Number(topicAlias);
    if (alias < 1 || alias > this.#aliasesMax)
      return { ...whole, topic: `alias ${alias}, which is not allowed` };
    if (message["topic"] !== "") this.#aliases.set(alias, String(message["topic"]));
    else this.aliased++;
    return { ...whole, topic: this.#aliases.get(alias) ?? `alias ${alias}, which is unknown` };
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

  async #line(): Promise<string> {
    while (this.#heard.length === this.#read) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    const line = this.#heard[this.#read++] as string;
    this.#over ||= line === "closed" || line.startsWith("unreadable");
    return line;
  }

  /** Hears so many packets; the end of the connection counts as all that are left. */
  async next(count = 1): Promise<Plain[]> {
    const packets: Plain[] = [];
    while (packets.length < count && !this.#over) {
      const line = await this.#line();
      this.#hear(line);
      if (!this.#over) packets.push(JSON.parse(line));
    }
    return packets;
  }

  /** The octets of the packet that was heard last. */
  hearOctets(): void {
    this.#hear(this.#octets[this.#read - 1] as string);
  }

  async ask(...packets: readonly (Plain | string)[]): Promise<Plain[]> {
    this.say(...packets);
    return this.next();
  }

  /**
   * Hears so many messages, or all up to the one to that topic, and settles each, and so many other packets. Messages
   * are heard in their order, and behind them whatever came between, which is a matter of moments.
   */
  async take(until: number | string, others = 0): Promise<void> {
    const between: string[] = [];
    let messages = 0;
    let unsettled = 0;
    let answers = others;
    let enough = until === 0;
    while ((!enough || unsettled > 0 || answers > 0) && !this.#over) {
      const line = await this.#line();
      const packet: Plain = this.#over ? {} : JSON.parse(line);
      const { cmd, messageId, qos, topic } = packet;
      if (cmd === "publish") {
        this.#hear(line);
        messages++;
        enough ||= topic === until || messages === until;
        if (qos === 1) this.say({ cmd: "puback", messageId });
        if (qos === 2) this.say({ cmd: "pubrec", messageId });
        if (qos === 2) unsettled++;
        continue;
      }
      between.push(line);
      if (cmd === "pubrel") {
        this.say({ cmd: "pubcomp", messageId });
        unsettled--;
      } else {
        answers--;
      }
    }
    for (const line of between.sort()) this.#hear(line);
  }

  connect(options: Plain = {}): Promise<Plain[]> {
    const { topicAliasMaximum = 0 } = (options["properties"] ?? {}) as { topicAliasMaximum?: number };
    this.#aliasesMax = topicAliasMaximum;
    return this.ask({
      cmd: "connect",
      protocolId: this.#version === 3 ? "MQIsdp" : "MQTT",
      protocolVersion: this.#version,
      clean: true,
      keepalive: 60,
      clientId: this.clientId,
      ...options,
    });
  }

  /** Nothing more comes: the connection is open, and answers. */
  async finish(): Promise<void> {
    if (!this.#over) {
      this.say({ cmd: "pingreq" });
      let heard: Plain[];
      do heard = await this.next();
      while (heard.length > 0 && heard[0]?.["cmd"] !== "pingresp");
    }
    this.#stream.destroy();
  }

  cut(): void {
    this.#over = true;
    this.#stream.destroy();
  }
}
