/** An MQTT server that does what a test tells it to, in virtual time or over a real socket; its codec is a foreign one. */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import mqttPacket from "mqtt-packet";
import { DialError } from "#core/net/transport.ts";
import type { Server } from "#core/upstream/server-choice.ts";
import type { AnyPacket } from "./mqtt-device.ts";
import { virtualPipe } from "./virtual-pipe.ts";
import type { World } from "./world.ts";

/** One connection of a gateway. */
export class Line {
  readonly packets: AnyPacket[] = [];
  clientId = "";
  version: 4 | 5 = 4;
  closed = false;
  readonly #script: ScriptedServer;
  readonly #write: (bytes: Uint8Array) => void;
  readonly #end: () => void;
  readonly #parser = mqttPacket.parser();

  constructor(script: ScriptedServer, write: (bytes: Uint8Array) => void, end: () => void) {
    this.#script = script;
    this.#write = write;
    this.#end = end;
    this.#parser.on("packet", (packet) => this.#heard(packet as unknown as AnyPacket));
    this.#parser.on("error", (error) => {
      throw error;
    });
  }

  receive(bytes: Uint8Array): void {
    this.#parser.parse(Buffer.from(bytes));
  }

  say(packet: object): void {
    if (!this.closed) this.#write(mqttPacket.generate(packet as never, this.#options));
  }

  /** Closes without a word. */
  end(): void {
    this.#end();
  }

  /** Packets of this kind that have come. */
  got(cmd: string): AnyPacket[] {
    return this.packets.filter((packet) => packet.cmd === cmd);
  }

  get #options(): never {
    return { protocolVersion: this.version } as never;
  }

  #heard(packet: AnyPacket): void {
    if (packet.cmd === "connect") {
      this.version = packet["protocolVersion"] as 4 | 5;
      this.clientId = packet["clientId"] as string;
      (this.#parser as unknown as { settings: object }).settings = this.#options;
    }
    this.packets.push(packet);
    if (this.#script.answer(this, packet) !== true) this.answer(packet);
  }

  /** As a server does that has nothing to hide. */
  answer(packet: AnyPacket, present = false): void {
    const { messageId, qos, subscriptions, cmd } = packet;
    if (cmd === "connect") this.welcome(present);
    if (cmd === "publish" && qos !== 0) this.say({ cmd: qos === 1 ? "puback" : "pubrec", messageId });
    if (cmd === "pubrel") this.say({ cmd: "pubcomp", messageId });
    if (cmd === "pubrec") this.say({ cmd: "pubrel", messageId });
    if (cmd === "pingreq") this.say({ cmd: "pingresp" });
    if (cmd === "subscribe") {
      const granted = (subscriptions as { qos: number }[]).map((each) => each.qos);
      this.say({ cmd: "suback", messageId, granted });
    }
    if (cmd === "unsubscribe") this.say({ cmd: "unsuback", messageId, granted: [0] });
  }

  welcome(sessionPresent = false, properties: object = {}): void {
    this.say({ cmd: "connack", sessionPresent, reasonCode: 0, returnCode: 0, properties });
  }
}

export class ScriptedServer {
  /** All connections so far, in their order. */
  readonly lines: Line[] = [];
  /** What it does with a packet; true: that is all, else it is answered as by any server. */
  answer: (line: Line, packet: AnyPacket) => boolean | undefined;

  constructor(answer: ScriptedServer["answer"] = () => undefined) {
    this.answer = answer;
  }

  /** Of devices: the gateway's own connections are left out. */
  of(clientId: string): Line[] {
    return this.lines.filter((line) => line.clientId === clientId);
  }

  last(clientId: string): Line {
    const line = this.of(clientId).at(-1);
    if (line === undefined) throw new Error(`${clientId} has not connected`);
    return line;
  }

  open(write: (bytes: Uint8Array) => void, end: () => void): Line {
    const line = new Line(this, write, end);
    this.lines.push(line);
    return line;
  }
}

/** In a virtual world. */
export function virtualServer(
  world: () => World,
  script: ScriptedServer,
  name = "tcp://scripted:1883",
): Server {
  let ports = 1;
  return {
    name,
    version: "auto",
    caps: { maximumQoS: 2, retain: true, shared: true, wildcards: true, notInTopics: "" },
    dial(connected, failed) {
      let cancelled = false;
      const defer = (run: () => void) => world().defer(run);
      defer(() => {
        if (cancelled) return;
        const here = { transport: "tcp", address: "10.9.9.9", port: ports++ } as const;
        const [ours, theirs] = virtualPipe({ ...here, port: 1883 }, here, defer);
        const receiver = connected(ours);
        if (receiver === undefined) {
          failed(new DialError("connection-refused", "nobody listens"));
          return;
        }
        ours.receiver = receiver;
        const line = script.open(
          (bytes) => theirs.write(bytes),
          () => theirs.end(),
        );
        const closed = () => {
          line.closed = true;
        };
        theirs.receiver = {
          received: (bytes) => line.receive(bytes),
          drained: () => {},
          ended: closed,
          closed,
        };
      });
      return {
        cancel: () => {
          cancelled = true;
        },
      };
    },
  };
}

export interface Listening {
  readonly port: number;
  stop(): Promise<void>;
}

/** On a port of its own. */
export async function listenTo(script: ScriptedServer): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const line = script.open(
      (bytes) => void socket.write(bytes),
      () => void socket.end(),
    );
    socket
      .on("data", (bytes) => line.receive(bytes))
      .on("error", () => {})
      .once("close", () => {
        line.closed = true;
        sockets.delete(socket);
      });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
