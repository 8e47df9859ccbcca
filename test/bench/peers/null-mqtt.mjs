/**
 * A null broker: answers as a broker must and does nothing else, so that it shows what the load generator could
 * drive at most. It goes by client ids (`p.<flow>-` publishes, `s.<flow>-` subscribes), never looks at a topic, and
 * hands a publisher's octets to the subscribers as they came.
 */
import { createServer } from "node:net";
import { Frames, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL } from "../mqtt/wire.mjs";

/** @type {Map<string, Set<import("node:net").Socket>>} */
const subscribers = new Map();
const CONNACK = Buffer.from([0x20, 2, 0, 0]);
const CONNACK_5 = Buffer.from([0x20, 3, 0, 0, 0]);

const server = createServer({ noDelay: true }, (socket) => {
  /** @type {Set<import("node:net").Socket>} */
  let audience = new Set();
  let publishes = false;
  let version = 4;
  let answers = Buffer.alloc(0);
  let used = 0;
  let from = -1;
  const answer = (/** @type {number} */ kind, /** @type {number} */ high, /** @type {number} */ low) => {
    answers[used++] = kind;
    answers[used++] = 2;
    answers[used++] = high;
    answers[used++] = low;
  };
  const frames = new Frames((bytes, at, length) => {
    const kind = bytes[at] ?? 0;
    if ((kind & 0xf0) === PUBLISH) {
      if (bytes !== chunkNow)
        for (const to of audience) to.write(Buffer.from(bytes.subarray(at, at + length)));
      else if (from < 0) from = at;
      if (kind === PUBLISH) return;
      const topicAt = at + (length > 129 ? 3 : 2);
      const idAt = topicAt + 2 + bytes.readUInt16BE(topicAt);
      answer(kind & 2 ? PUBACK : PUBREC, bytes[idAt] ?? 0, bytes[idAt + 1] ?? 0);
      return;
    }
    flushRun(bytes, at);
    if (kind === PUBREL) answer(PUBCOMP, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0);
    else if (kind === PUBREC) answer(PUBREL, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0);
    else if (kind === 0x10) {
      version = bytes[at + 8] ?? 4;
      const idAt = at + 12 + (version === 5 ? 1 : 0);
      const clientId = bytes.toString("latin1", idAt + 2, idAt + 2 + bytes.readUInt16BE(idAt));
      const flow = clientId.slice(2, clientId.indexOf("-"));
      publishes = clientId.startsWith("p.");
      if (!subscribers.has(flow)) subscribers.set(flow, new Set());
      audience = subscribers.get(flow) ?? audience;
      if (clientId.startsWith("s.")) audience.add(socket);
      socket.write(version === 5 ? CONNACK_5 : CONNACK);
    } else if (kind === 0x82) {
      const granted = bytes[at + length - 1] ?? 0;
      const head = [0x90, version === 5 ? 4 : 3, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0];
      socket.write(Buffer.from(version === 5 ? [...head, 0, granted] : [...head, granted]));
    }
  });
  /** @type {Buffer | undefined} */
  let chunkNow;
  /** A run of PUBLISH frames goes on as one piece. */
  const flushRun = (/** @type {Buffer} */ bytes, /** @type {number} */ end) => {
    if (from < 0) return;
    const run = bytes.subarray(from, end);
    for (const to of audience) to.write(run);
    from = -1;
  };
  socket.on("data", (chunk) => {
    chunkNow = chunk;
    used = 0;
    answers = Buffer.allocUnsafe(chunk.length + 4);
    frames.feed(chunk, chunk.length);
    flushRun(chunk, chunk.length - frames.held);
    if (used > 0) socket.write(answers.subarray(0, used));
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    if (!publishes) audience.delete(socket);
  });
});
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
