/**
 * A null broker: answers as a broker must and does nothing else, so that it shows what the load generator could
 * drive at most. It goes by client ids (`p.<flow>-` publishes, `s.<flow>-` subscribes), never looks at a topic, and
 * hands a publisher's octets to the subscribers as they came.
 */
import { createServer } from "node:net";
import { Frames, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL } from "../mqtt/wire.mjs";

const CONNECT = 0x10;
const SUBSCRIBE = 0x82;
const MQTT_5 = 5;

/** Who receives what is published in one flow. */
class Audience {
  constructor() {
    /** @type {Set<import("node:net").Socket>} */
    this.sockets = new Set();
    this.publishers = 0;
    /** @type {Buffer[]} */
    this.pending = [];
  }

  /** @param {Buffer} bytes */
  send(bytes) {
    if (this.publishers === 1) {
      for (const socket of this.sockets) socket.write(bytes);
      return;
    }
    // What many publish in one turn of the event loop goes out in one write.
    if (this.pending.push(bytes) === 1) setImmediate(() => this.flush());
  }

  flush() {
    const all = Buffer.concat(this.pending);
    this.pending = [];
    for (const socket of this.sockets) socket.write(all);
  }
}

/** @type {Map<string, Audience>} */
const audiences = new Map();

class Client {
  /** @param {import("node:net").Socket} socket */
  constructor(socket) {
    this.socket = socket;
    this.audience = new Audience();
    this.publishes = false;
    this.version = 4;
    this.answers = Buffer.alloc(0);
    this.used = 0;
    /** Where a run of PUBLISH frames begins in the present chunk, which goes on as one piece. */
    this.runFrom = -1;
    /** @type {Buffer | undefined} */
    this.chunk = undefined;
    this.frames = new Frames((bytes, at, length) => this.frame(bytes, at, length));
  }

  /** @param {Buffer} chunk */
  read(chunk) {
    this.chunk = chunk;
    this.used = 0;
    this.answers = Buffer.allocUnsafe(chunk.length + 4);
    this.frames.feed(chunk, chunk.length);
    this.endRun(chunk.length - this.frames.held);
    if (this.used > 0) this.socket.write(this.answers.subarray(0, this.used));
  }

  /** @param {number} end */
  endRun(end) {
    if (this.runFrom >= 0 && this.chunk) this.audience.send(this.chunk.subarray(this.runFrom, end));
    this.runFrom = -1;
  }

  /**
   * @param {Buffer} bytes
   * @param {number} at
   * @param {number} length
   */
  frame(bytes, at, length) {
    const kind = bytes[at] ?? 0;
    if ((kind & 0xf0) === PUBLISH) return this.publish(bytes, at, length, kind);
    this.endRun(at);
    if (kind === PUBREL) this.answer(PUBCOMP, bytes, at + 2);
    else if (kind === PUBREC) this.answer(PUBREL, bytes, at + 2);
    else if (kind === CONNECT) this.connect(bytes, at);
    else if (kind === SUBSCRIBE) this.subscribe(bytes, at, length);
  }

  /**
   * @param {Buffer} bytes
   * @param {number} at
   * @param {number} length
   * @param {number} kind
   */
  publish(bytes, at, length, kind) {
    // A frame that was cut lies in a buffer that is used again.
    if (bytes !== this.chunk) this.audience.send(Buffer.from(bytes.subarray(at, at + length)));
    else if (this.runFrom < 0) this.runFrom = at;
    if (kind === PUBLISH) return;
    const topicAt = at + (length > 129 ? 3 : 2);
    this.answer(kind & 2 ? PUBACK : PUBREC, bytes, topicAt + 2 + bytes.readUInt16BE(topicAt));
  }

  /**
   * @param {number} kind
   * @param {Buffer} bytes
   * @param {number} idAt
   */
  answer(kind, bytes, idAt) {
    const { answers } = this;
    answers[this.used++] = kind;
    answers[this.used++] = 2;
    answers[this.used++] = bytes[idAt] ?? 0;
    answers[this.used++] = bytes[idAt + 1] ?? 0;
  }

  /**
   * @param {Buffer} bytes
   * @param {number} at
   */
  connect(bytes, at) {
    this.version = bytes[at + 8] ?? 4;
    const idAt = at + 12 + (this.version === MQTT_5 ? 1 : 0);
    const clientId = bytes.toString("latin1", idAt + 2, idAt + 2 + bytes.readUInt16BE(idAt));
    const flow = clientId.slice(2, clientId.indexOf("-"));
    this.audience = audiences.get(flow) ?? this.audience;
    audiences.set(flow, this.audience);
    this.publishes = clientId.startsWith("p.");
    if (this.publishes) this.audience.publishers++;
    if (clientId.startsWith("s.")) this.audience.sockets.add(this.socket);
    this.socket.write(Buffer.from(this.version === MQTT_5 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]));
  }

  /**
   * @param {Buffer} bytes
   * @param {number} at
   * @param {number} length
   */
  subscribe(bytes, at, length) {
    const granted = bytes[at + length - 1] ?? 0;
    const id = [bytes[at + 2] ?? 0, bytes[at + 3] ?? 0];
    this.socket.write(
      Buffer.from(this.version === MQTT_5 ? [0x90, 4, ...id, 0, granted] : [0x90, 3, ...id, granted]),
    );
  }

  gone() {
    if (this.publishes) this.audience.publishers--;
    this.audience.sockets.delete(this.socket);
  }
}

const server = createServer({ noDelay: true }, (socket) => {
  const client = new Client(socket);
  socket.on("data", (chunk) => client.read(chunk));
  socket.on("error", () => {});
  socket.on("close", () => client.gone());
});
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
