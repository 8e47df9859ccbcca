/**
 * As much of a MongoDB server as logins and connectors need, for the real driver: it greets, finds documents by equality,
 * and inserts them. It is no proof of what a MongoDB server does (docs.mongodb.com, wire protocol: OP_QUERY for the greeting, else OP_MSG).
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
  readonly collections: Record<string, Document[]> = {};
  /** Filters that were asked for. */
  readonly asked: Document[] = [];
  /** Commands that insert, as they came. */
  readonly inserted: Document[] = [];
  /** What is answered to one that inserts, in place of doing it. */
  refuse: (command: Document) => Document | undefined = () => undefined;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => this.#serve(socket));

  /** At any port, or at the one that it had before. */
  async start(port = 0): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
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
    const command = commandOf(message.subarray(HEADER + 4));
    return framed(id, OP_MSG, Buffer.concat([Buffer.alloc(5), serialize(this.#run(command))]));
  }

  #run(command: Document): Document {
    if (typeof command["insert"] === "string") return this.#insert(command["insert"], command);
    if (typeof command["find"] !== "string") return GREETING;
    const filter = command["filter"] as Record<string, { $eq: unknown }>;
    this.asked.push(filter);
    const found = (this.collections[command["find"]] ?? []).filter((document) =>
      Object.entries(filter).every(([field, { $eq }]) => document[field] === $eq),
    );
    return { ok: 1, cursor: { id: 0n, ns: `${command["$db"]}.${command["find"]}`, firstBatch: found } };
  }

  /** Ids are unique, as in every collection. */
  #insert(name: string, command: Document): Document {
    this.inserted.push(command);
    const refused = this.refuse(command);
    if (refused !== undefined) return refused;
    const there = this.collections[name] ?? [];
    this.collections[name] = there;
    const documents = command["documents"] as Document[];
    const writeErrors: Document[] = [];
    for (const [index, document] of documents.entries()) {
      if (!there.some(({ _id }) => _id === document["_id"])) there.push(document);
      else writeErrors.push({ index, code: 11_000, errmsg: `E11000 duplicate key: ${name} index: _id_` });
    }
    const n = documents.length - writeErrors.length;
    return { ok: 1, n, ...(writeErrors.length === 0 ? {} : { writeErrors }) };
  }
}

/** Sections: one with a document, and others with a list each. */
function commandOf(sections: Buffer): Document {
  let command: Document = {};
  for (let at = 0; at < sections.length; ) {
    const kind = sections[at++];
    const end = at + sections.readInt32LE(at);
    if (kind === 0)
      command = { ...command, ...deserialize(sections.subarray(at, end), { promoteBuffers: true }) };
    else {
      const named = sections.indexOf(0, at + 4);
      const list: Document[] = [];
      for (let from = named + 1; from < end; from += sections.readInt32LE(from))
        list.push(
          deserialize(sections.subarray(from, from + sections.readInt32LE(from)), { promoteBuffers: true }),
        );
      command[sections.toString("latin1", at + 4, named)] = list;
    }
    at = end;
  }
  return command;
}

function framed(answers: number, code: number, body: Buffer): Buffer {
  const head = Buffer.alloc(HEADER);
  head.writeInt32LE(HEADER + body.length, 0);
  head.writeInt32LE(answers, 8);
  head.writeInt32LE(code, 12);
  return Buffer.concat([head, body]);
}
