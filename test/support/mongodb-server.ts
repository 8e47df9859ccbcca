/**
 * As much of a MongoDB server as a login needs, for the real driver: it greets, and finds documents by equality. It is
 * no proof of what a MongoDB server does (docs.mongodb.com, wire protocol: OP_QUERY for the greeting, else OP_MSG).
 */
import { createServer, type Socket } from "node:net";
import { type Document, deserialize, serialize } from "bson";

const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
const HEADER = 16;

const GREETING = {
  ok: 1,
  helloOk: true,
  ismaster: true,
  isWritablePrimary: true,
  maxBsonObjectSize: 16_777_216,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  minWireVersion: 0,
  maxWireVersion: 21,
};

export class FakeMongodb {
  /** Documents by collection. */
  readonly collections: Record<string, readonly Document[]> = {};
  /** Filters that were asked for. */
  readonly asked: Document[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => this.#serve(socket));

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return (this.#server.address() as { port: number }).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
    let buffer: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      buffer = Buffer.concat([buffer, chunk]);
      while (buffer.length >= 4 && buffer.length >= buffer.readInt32LE(0)) {
        const length = buffer.readInt32LE(0);
        socket.write(this.#answer(buffer.subarray(0, length)));
        buffer = buffer.subarray(length);
      }
    });
  }

  #answer(message: Buffer): Buffer {
    const [id, code] = [message.readInt32LE(4), message.readInt32LE(12)];
    if (code === OP_QUERY) {
      // No cursor, from 0, one document.
      const head = Buffer.alloc(20);
      head.writeInt32LE(1, 16);
      return framed(id, OP_REPLY, Buffer.concat([head, serialize(GREETING)]));
    }
    // Flags, and a section of one document.
    const command = deserialize(message.subarray(HEADER + 5));
    return framed(id, OP_MSG, Buffer.concat([Buffer.alloc(5), serialize(this.#run(command))]));
  }

  #run(command: Document): Document {
    if (typeof command["find"] !== "string") return GREETING;
    const filter = command["filter"] as Record<string, { $eq: unknown }>;
    this.asked.push(filter);
    const found = (this.collections[command["find"]] ?? []).filter((document) =>
      Object.entries(filter).every(([field, { $eq }]) => document[field] === $eq),
    );
    return { ok: 1, cursor: { id: 0n, ns: `${command["$db"]}.${command["find"]}`, firstBatch: found } };
  }
}

function framed(answers: number, code: number, body: Buffer): Buffer {
  const head = Buffer.alloc(HEADER);
  head.writeInt32LE(HEADER + body.length, 0);
  head.writeInt32LE(answers, 8);
  head.writeInt32LE(code, 12);
  return Buffer.concat([head, body]);
}
